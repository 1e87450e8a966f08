package mirror

import (
	"slices"
	"sync"
)

// queue hands out pieces of work in their order. Those that are ordered all go to one pair: UIDs of the inbox shall
// rise here as they do at the source, since many mail programs show a folder in the order of its UIDs.
type queue struct {
	ordered func(i int) bool     // nil: none
	source  bool                 // the work needs a connection to the source; a pair that gets none leaves it to the others
	end     func(pr *pair) error // of the work of a pair that did some; nil: nothing
	mu      sync.Mutex
	left    []int
	owner   *pair // of the ordered ones
}

func newQueue(n int, ordered func(i int) bool) *queue {
	q := &queue{ordered: ordered, left: make([]int, n)}
	for i := range n {
		q.left[i] = i
	}
	return q
}

func (q *queue) take(pr *pair) (i int, ok bool) { return q.takeAhead(pr, 0, 1) }

// takeAhead is for a pair that has so many pieces already: of those that the other pairs could do as well it gets no more than
// its share, or they would soon have nothing to do.
func (q *queue) takeAhead(pr *pair, has, pairs int) (i int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.IndexFunc(q.left, func(i int) bool {
		return q.ordered == nil || !q.ordered(i) || q.owner == nil || q.owner == pr
	})
	if at < 0 {
		return 0, false
	}
	i = q.left[at]
	its := q.ordered != nil && q.ordered(i) && q.owner == pr
	if !its && pairs > 1 && (has+1)*pairs > len(q.left) {
		return 0, false
	}
	q.left = slices.Delete(q.left, at, at+1)
	if q.ordered != nil && q.ordered(i) {
		q.owner = pr
	}
	return i, true
}

// giveBack leaves to others what a pair took and has not begun.
func (q *queue) giveBack(pr *pair, taken []int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.left = append(q.left, taken...)
	slices.Sort(q.left)
	if q.owner == pr {
		q.owner = nil
	}
}

// len is how many pieces nobody has taken.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.left)
}
