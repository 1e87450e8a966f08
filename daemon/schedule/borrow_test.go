package schedule

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestBorrowWaitsForThePassAndChangesNothingOfTheSchedule(t *testing.T) {
	s := accounts(t, 1)
	ctx := t.Context()
	l := &Leases{Database: s, Owner: "w", Term: time.Minute, Now: time.Now}
	w := &Workers{Leases: l, Count: 1, Report: func(err error) { t.Error(err) }}
	w.Start()
	pass, a, ok, err := l.Claim(ctx)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	waited := 0
	waiting := func() {
		if waited++; waited == 2 {
			if err := l.Release(ctx, pass, a.NextPassAt, time.Now().Add(time.Hour), false); err != nil {
				t.Error(err)
			}
		}
	}
	var before time.Time
	err = w.Borrow(ctx, a.ID, waiting, func(ctx context.Context, lease Lease) error {
		now, err := s.Account(ctx, a.Address)
		before = now.NextPassAt
		if _, free, _ := l.claimOne(ctx, a.ID); free || lease.Epoch <= pass.Epoch {
			t.Errorf("lent twice: %v, epoch %d after %d", free, lease.Epoch, pass.Epoch)
		}
		return err
	})
	if err != nil || waited != 2 {
		t.Fatalf("borrowing: %v after %d looks", err, waited)
	}
	after, err := s.Account(ctx, a.Address)
	if err != nil || !after.NextPassAt.Equal(before) {
		t.Errorf("next pass at %v, want %v (%v)", after.NextPassAt, before, err)
	}
	if _, free, err := l.claimOne(ctx, a.ID); !free || err != nil {
		t.Errorf("the account was not given back: %v", err)
	}
}

func TestLosingABorrowedLeaseEndsTheWork(t *testing.T) {
	s := accounts(t, 1)
	l := &Leases{Database: s, Owner: "w", Term: 150 * time.Millisecond, Now: time.Now}
	w := &Workers{Leases: l, Count: 1, Report: func(err error) { t.Error(err) }}
	w.Start()
	a, err := s.Account(t.Context(), "u0@example.org")
	if err != nil {
		t.Fatal(err)
	}
	err = w.Borrow(t.Context(), a.ID, func() {}, func(ctx context.Context, lease Lease) error {
		thief := *l
		thief.Owner, thief.Now = "thief", func() time.Time { return time.Now().Add(time.Hour) }
		if _, free, err := thief.claimOne(ctx, lease.AccountID); !free || err != nil {
			t.Errorf("the test can't take the lease: %v", err)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, ErrLeaseLost) {
		t.Errorf("got %v, want that the lease was lost", err)
	}
}
