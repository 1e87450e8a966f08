package mirror

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailstork/daemon/mirror/wire"
)

// claim gives a worker the piece of work that it will do after those it has, so that it can ask ahead for it; not more
// than its share of what is left.
type claim func() (i int, ok bool)

// worker is a pair at the pieces of a queue.
type worker struct {
	pair   *pair
	queue  *queue
	of     int   // how many share the queue
	taken  []int // not begun yet
	joined bool  // its pair need not ask whether the source lets it in
}

// spread runs the pieces of work of a queue on some pairs. It returns when all that began have ended; after an error
// no other piece begins, and none is cut short: what was sent gets its answer.
func (r *round) spread(ctx context.Context, q *queue, pairs int, work func(pr *pair, i int, more claim) error) error {
	var group errgroup.Group
	for _, w := range r.deal(q, pairs) {
		group.Go(func() error {
			if !w.joined {
				if in, err := r.joins(ctx, w.pair); !in {
					q.giveBack(w.pair, w.taken)
					return err
				}
			}
			return r.endWork(w, r.labour(w, work))
		})
	}
	if err := group.Wait(); err != nil || q.len() == 0 {
		return err
	}
	return r.spread(ctx, q, pairs, work) // given back when the others had ended
}

// deal gives each pair its first piece before any begins, or one that is quick would ask ahead for what the others shall
// do. A pair for which nothing is left does not begin.
func (r *round) deal(q *queue, pairs int) []*worker {
	welcome := slices.DeleteFunc(slices.Clone(r.pairs), func(pr *pair) bool { return q.source && pr.unwelcome })
	welcome = welcome[:min(pairs, len(welcome))]
	var workers []*worker
	for n, pr := range welcome {
		if i, ok := q.take(pr); ok {
			workers = append(workers, &worker{pair: pr, queue: q, of: len(welcome), taken: []int{i}, joined: n == 0 || !q.source})
		}
	}
	return workers
}

// labour does pieces until none is left.
func (r *round) labour(w *worker, work func(pr *pair, i int, more claim) error) error {
	for i, ok := w.next(); ok; i, ok = w.next() {
		if err := r.stop(nil); err != nil {
			return nil // the one who stopped tells why
		}
		if err := work(w.pair, i, w.more); err != nil {
			return r.stop(err)
		}
	}
	return nil
}

// endWork ends the work of one that did some, however it went.
func (r *round) endWork(w *worker, err error) error {
	if w.queue.end == nil {
		return err
	}
	if endErr := w.queue.end(w.pair); endErr != nil && err == nil {
		return r.stop(endErr)
	}
	return err
}

func (w *worker) next() (i int, ok bool) {
	if len(w.taken) == 0 {
		return w.queue.take(w.pair)
	}
	i, w.taken = w.taken[0], w.taken[1:]
	return i, true
}

// more is a claim.
func (w *worker) more() (i int, ok bool) {
	if i, ok = w.queue.takeAhead(w.pair, len(w.taken), w.of); ok {
		w.taken = append(w.taken, i)
	}
	return i, ok
}

// joins connects another pair to the source. Many servers allow few connections of one user: then the pairs that got in do
// the work. Whatever else may be wrong with the source, the first pair will notice; only a source that wants to be left
// alone is obeyed at once.
func (r *round) joins(ctx context.Context, pr *pair) (bool, error) {
	err := pr.join(ctx)
	if err == nil {
		return true, nil
	}
	pr.unwelcome = true
	var throttled *wire.ThrottledError
	if errors.As(err, &throttled) {
		return false, r.stop(onSource(err))
	}
	if ctx.Err() == nil { // it was refused: nobody stopped the pass
		r.remark("few-connections: no other one was let in beside those that are open, and the pass goes on with them: %v", err)
	}
	return false, nil
}
