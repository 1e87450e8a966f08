package authhook

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// floor makes refusals take equally long, whether a source was asked or not: as long as most sources took lately.
type floor struct {
	least time.Duration

	mu   sync.Mutex
	took [128]time.Duration // the newest logins at sources, as a ring
	n    int                // of all
}

const (
	// mostRefusal bounds what slow sources cost those who are refused. Dovecot adds two seconds of its own.
	mostRefusal = 5 * time.Second
	// refusalJitter hides what is left, as a part of the floor.
	refusalJitter = 0.25
)

func newFloor(least time.Duration) *floor { return &floor{least: least} }

// note takes how long a login at a source took.
func (f *floor) note(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took[f.n%len(f.took)] = took
	f.n++
}

// height is what nineteen of twenty logins at sources stay below.
func (f *floor) height() time.Duration {
	f.mu.Lock()
	sorted := slices.Clone(f.took[:min(f.n, len(f.took))])
	f.mu.Unlock()
	if len(sorted) == 0 {
		return f.least
	}
	slices.Sort(sorted)
	return min(max(sorted[len(sorted)*19/20], f.least), mostRefusal)
}

// wait returns when a refusal that began then may be told.
func (f *floor) wait(ctx context.Context, began time.Time) {
	height := f.height()
	until := max(time.Until(began.Add(height)), 0) + time.Duration(rand.Float64()*refusalJitter*float64(height))
	timer := time.NewTimer(until)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
