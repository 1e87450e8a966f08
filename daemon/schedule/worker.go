package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"mailstork/daemon/account"
)

// Outcome is what a pass tells the schedule.
type Outcome struct {
	NextPass time.Duration // when to come back after a pass that succeeded
	Failed   bool          // come back later and later; not before NextPass
	Stop     bool          // don't come back before somebody asks for a pass
	// LeaveSource: its source asked to be left alone for so long, by all accounts.
	LeaveSource time.Duration
}

// Runner runs one pass. Its context ends when the lease is lost or the daemon stops. It reports its own errors
// (it is the loop that owns the pass) and may be called from several goroutines, never twice at once for an account.
type Runner func(ctx context.Context, lease Lease, a account.Account) Outcome

// Workers run passes until the context ends.
type Workers struct {
	Leases   *Leases
	Count    int
	Run      Runner
	RetryMin time.Duration
	RetryMax time.Duration
	Report   func(error) // what the schedule itself could not do (the database failing); the loop goes on
	wake     chan struct{}
}

// pollInterval is how long an idle worker waits when nobody wakes it: the time resolution of due times.
const pollInterval = 500 * time.Millisecond

// Start prepares the workers; call it before Wake and Work.
func (w *Workers) Start() { w.wake = make(chan struct{}, w.Count) }

// Wake makes one idle worker look for due accounts at once. Never blocks: when every worker has been woken, they
// will all look.
func (w *Workers) Wake() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Work runs the workers and returns when ctx has ended and all passes have stopped.
func (w *Workers) Work(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range w.Count {
		group.Go(func() error { w.loop(ctx); return nil })
	}
	return group.Wait()
}

func (w *Workers) loop(ctx context.Context) {
	for ctx.Err() == nil {
		lease, a, ok, err := w.Leases.Claim(ctx)
		if err != nil && ctx.Err() == nil {
			w.Report(err)
		}
		if ok {
			w.runLeased(ctx, lease, a)
			continue
		}
		w.rest(ctx)
	}
}

func (w *Workers) rest(ctx context.Context) {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-timer.C:
	}
}

// runLeased runs one pass while a second goroutine renews its lease; losing the lease cancels the pass.
func (w *Workers) runLeased(ctx context.Context, lease Lease, a account.Account) {
	passCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		w.renew(passCtx, lease, cancel)
	}()
	outcome := w.Run(passCtx, lease, a)
	cancel(nil)
	<-renewed
	w.release(ctx, lease, a, outcome)
}

func (w *Workers) renew(ctx context.Context, lease Lease, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(w.Leases.Term / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		next, err := w.Leases.Renew(ctx, lease)
		switch {
		case err == nil:
			lease = next
		case errors.Is(err, ErrLeaseLost) || w.Leases.Now().After(lease.Until):
			cancel(err)
			return
		}
	}
}

func (w *Workers) release(ctx context.Context, lease Lease, a account.Account, outcome Outcome) {
	ctx = context.WithoutCancel(ctx) // a stopping daemon still gives its accounts back
	next := outcome.NextPass
	if outcome.LeaveSource > 0 { // before the account is free, so that nobody takes another one of that source meanwhile
		if err := w.Leases.PauseSource(ctx, lease, outcome.LeaveSource); err != nil {
			w.Report(err)
		}
	}
	if outcome.Stop {
		w.stop(ctx, lease, a)
		return
	}
	if outcome.Failed {
		attempts, err := w.Leases.Attempts(ctx, a.ID)
		if err != nil {
			w.Report(err)
		}
		next = max(next, Backoff(attempts, w.RetryMin, w.RetryMax))
	}
	err := w.Leases.Release(ctx, lease, a.NextPassAt, w.Leases.Now().Add(next), outcome.Failed)
	if err != nil {
		w.Report(fmt.Errorf("giving back account %s: %w", a.Address, err))
	}
}

func (w *Workers) stop(ctx context.Context, lease Lease, a account.Account) {
	if err := w.Leases.Release(ctx, lease, a.NextPassAt, never, true); err != nil {
		w.Report(fmt.Errorf("giving back account %s: %w", a.Address, err))
	}
}

// Backoff is how long to wait after the given number of earlier failures in a row: min, doubled each time, up to max.
func Backoff(failures int, min, max time.Duration) time.Duration {
	wait := min
	for range failures {
		if wait >= max/2 {
			return max
		}
		wait *= 2
	}
	return wait
}
