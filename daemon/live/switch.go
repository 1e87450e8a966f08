package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstork/daemon/account"
)

// Hands are what a switch does to the world. All are called by the goroutine that holds the account's lease, one at a
// time; each may be called again.
type Hands interface {
	// Move changes the account's route, durably.
	Move(ctx context.Context, to account.Route, problem error) error
	// Publish returns when Dovecot's files say what the database says, and Dovecot has seen it.
	Publish(ctx context.Context) error
	// Sessions counts the sessions that are passed on to the source now; Kick ends them.
	Sessions(ctx context.Context) (int, error)
	Kick(ctx context.Context) error
	// Pass copies the difference, while the source is still the truth, and tells how many changes there were.
	Pass(ctx context.Context) (changes int, err error)
}

const (
	// holdAtMost bounds the time during which logins wait; then the owner goes back to the source.
	holdAtMost = time.Minute
	// mostPasses is how often the difference is copied before the source counts as restless.
	mostPasses = 10
	// kickWithin is how long Dovecot may take to end sessions, and kickLooks how often it is asked.
	kickWithin = 10 * time.Second
	kickLooks  = 20 * time.Millisecond
	// undoWithin is for the way back, also of a daemon that is being stopped.
	undoWithin = 10 * time.Second
)

// Switch brings an account to this server: hold logins, end what is passed on, copy the last difference, let logins land
// here. After an error before that the account is passed on again; *Late means that it was switched and something after
// that failed.
func Switch(ctx context.Context, h Hands) error {
	if err := h.Move(ctx, account.RouteHeld, nil); err != nil {
		return fmt.Errorf("holding logins: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, holdAtMost)
	defer cancel()
	err := bringOver(limited, h)
	if err == nil {
		if err = h.Move(limited, account.RouteHere, nil); err != nil {
			err = fmt.Errorf("switching: %w", err)
		}
	}
	if err != nil {
		return errors.Join(err, Undo(ctx, h, err))
	}
	if err := h.Publish(ctx); err != nil {
		return &Late{err}
	}
	return nil
}

// Undo passes a held account on to its source again.
func Undo(ctx context.Context, h Hands, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer cancel()
	err := h.Move(ctx, account.RouteSource, why)
	if err == nil {
		err = h.Publish(ctx)
	}
	if err != nil {
		return fmt.Errorf("passing logins on again: %w", err)
	}
	return nil
}

// Late is an error after the switch: the account is here, and its owner can log in through the hook.
type Late struct{ Err error }

func (e *Late) Error() string { return "publishing the switch: " + e.Err.Error() }
func (e *Late) Unwrap() error { return e.Err }

var errRestless = errors.New("the source did not come to rest while logins waited")

// bringOver ends when nobody is passed on and a pass that began after that found nothing to do. A source may still
// carry out what a session sent before it was ended: that is why one pass is not enough when it found something.
func bringOver(ctx context.Context, h Hands) error {
	if err := h.Publish(ctx); err != nil {
		return fmt.Errorf("holding logins: %w", err)
	}
	for range mostPasses {
		if err := endSessions(ctx, h); err != nil {
			return err
		}
		changes, err := h.Pass(ctx)
		if err != nil {
			return fmt.Errorf("copying the last difference: %w", err)
		}
		// A login that Dovecot was passing on when it saw the files may have arrived only now.
		left, err := h.Sessions(ctx)
		if err != nil {
			return err
		}
		if changes == 0 && left == 0 {
			return nil
		}
	}
	return errRestless
}

func endSessions(ctx context.Context, h Hands) error {
	ctx, cancel := context.WithTimeout(ctx, kickWithin)
	defer cancel()
	ticker := time.NewTicker(kickLooks)
	defer ticker.Stop()
	for {
		left, err := h.Sessions(ctx)
		if err != nil || left == 0 {
			return err
		}
		if err := h.Kick(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ending sessions at the source: %d are still there: %w", left, ctx.Err())
		case <-ticker.C:
		}
	}
}
