package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
)

// A pair that the source does not let in may learn that when the others have nothing left to do.
func TestWhatAPairLeavesIsDoneByTheOthersThatHaveEnded(t *testing.T) {
	first, second := &pair{}, &pair{cold: errors.New("NO [LIMIT]"), warming: make(chan struct{}), cool: func() {}}
	r := &round{pass: &pass{}, pairs: []*pair{first, second}}
	q := newQueue(2, nil)
	q.source = true
	var mu sync.Mutex
	var done []int
	err := r.spread(t.Context(), q, 2, func(pr *pair, i int, _ claim) error {
		mu.Lock()
		defer mu.Unlock()
		if pr != first {
			t.Errorf("piece %d on a pair without a connection", i)
		}
		if done = append(done, i); len(done) == 1 {
			time.AfterFunc(50*time.Millisecond, func() { close(second.warming) }) // refused when the first has ended
		}
		return nil
	})
	if err != nil || !slices.Equal(done, []int{0, 1}) {
		t.Errorf("done are %v, %v", done, err)
	}
	if !second.unwelcome || len(r.remarks) != 1 {
		t.Errorf("unwelcome: %v; remarks %q", second.unwelcome, r.remarks)
	}
}

func TestAPairWithNothingToDoAsksForNoConnection(t *testing.T) {
	first, second := &pair{}, &pair{cold: errors.New("asked")}
	r := &round{pass: &pass{}, pairs: []*pair{first, second}}
	q := newQueue(3, func(int) bool { return true }) // all of the inbox, for one pair
	q.source = true
	err := r.spread(t.Context(), q, 2, func(*pair, int, claim) error { return nil })
	if err != nil || second.unwelcome || q.len() > 0 {
		t.Errorf("%v; the second was asked: %v", err, second.unwelcome)
	}
}

// The first pair may ask ahead for all that is left before the second one's goroutine has even begun.
func TestEachPairGetsItsPieceHoweverQuickTheOthersAre(t *testing.T) {
	for range 20_000 {
		pairs := []*pair{{}, {}, {}, {}}
		r := &round{pass: &pass{}, pairs: pairs}
		var done [4]*pair
		err := r.spread(t.Context(), newQueue(len(done), nil), len(pairs), func(pr *pair, i int, more claim) error {
			for ok := true; ok; {
				_, ok = more()
			}
			done[i] = pr
			return nil
		})
		if err != nil || !slices.Equal(done[:], pairs) {
			t.Fatalf("%v: one pair did the work of another: %v, not %v", err, done, pairs)
		}
	}
}

func TestAPairAsksAheadForNoMoreThanItsShare(t *testing.T) {
	for _, c := range []struct{ pieces, ordered, pairs, want int }{{4, 0, 2, 1}, {3, 0, 2, 0}, {12, 0, 2, 3}, {12, 0, 4, 1}, {7, 0, 1, 6}, {7, 6, 2, 5}} {
		pairs := make([]*pair, c.pairs)
		for i := range pairs {
			pairs[i] = &pair{}
		}
		r := &round{pass: &pass{}, pairs: pairs}
		begun, got := make(chan struct{}), 0
		err := r.spread(t.Context(), newQueue(c.pieces, func(i int) bool { return i < c.ordered }), c.pairs, func(pr *pair, i int, more claim) error {
			switch {
			case i == 0: // while all others are at their first pieces
				for _, ok := more(); ok; _, ok = more() {
					got++
				}
				close(begun)
			default:
				<-begun
			}
			return nil
		})
		if err != nil || got != c.want {
			t.Errorf("%d pieces, %d pairs: one asked ahead for %d, want %d; %v", c.pieces, c.pairs, got, c.want, err)
		}
	}
}

func TestAStoppedPassDoesNotBlameTheSource(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	r := &round{pass: &pass{}}
	if in, err := r.joins(ctx, &pair{cold: ctx.Err()}); in || err != nil || len(r.remarks) != 0 {
		t.Errorf("%v, %v, remarks %q", in, err, r.remarks)
	}
}

func TestASourceThatWantsToBeLeftAloneIsObeyedByWhichPairEverItWasTold(t *testing.T) {
	told := &wire.ThrottledError{After: time.Minute}
	r := &round{pass: &pass{}, pairs: []*pair{{}, {cold: fmt.Errorf("logging in: %w", told)}}}
	q := newQueue(2, nil)
	q.source = true
	err := r.spread(t.Context(), q, 2, func(*pair, int, claim) error { return nil })
	if !errors.Is(err, told) || len(r.remarks) != 0 {
		t.Errorf("%v, remarks %q", err, r.remarks)
	}
}

func TestPiecesGivenBackAreTakenInTheirOrderByAnyPair(t *testing.T) {
	first, second := &pair{}, &pair{}
	q := newQueue(4, func(i int) bool { return i < 2 })
	a, _ := q.take(first)
	b, _ := q.take(first)
	if i, ok := q.take(second); !ok || i != 2 {
		t.Errorf("the second pair got %d of the ordered ones", i)
	}
	q.giveBack(first, []int{a, b})
	var got []int
	for i, ok := q.take(second); ok; i, ok = q.take(second) {
		got = append(got, i)
	}
	if !slices.Equal(got, []int{0, 1, 3}) || q.len() > 0 {
		t.Errorf("the second pair got %v", got)
	}
}
