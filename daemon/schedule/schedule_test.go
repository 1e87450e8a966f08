package schedule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/store"
)

// accounts opens a store with n joined accounts that have a credential and are due.
func accounts(t *testing.T, n int) *store.Store {
	t.Helper()
	ctx := t.Context()
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d, err := s.AddDomain(ctx, account.Domain{Name: "example.org", Accounts: account.AccountsAny})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		err := s.Write(ctx, func(tx *sql.Tx) error {
			a, err := s.EnsureAccount(ctx, tx, d.ID, account.Address(fmt.Sprintf("u%d@example.org", i)), "")
			if err != nil {
				return err
			}
			return errors.Join(s.MoveAccount(ctx, tx, a, account.Joined), s.SaveCredential(ctx, tx, a.ID, store.KindPassword, []byte{1}))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

type clock struct{ ms atomic.Int64 }

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func newClock() *clock { c := &clock{}; c.ms.Store(1_800_000_000_000); return c }

func leases(s *store.Store, c *clock, owner string) *Leases {
	return &Leases{Database: s, Owner: owner, Term: time.Minute, Now: c.Now}
}

func TestAnAccountIsLentToOneWorkerAtATime(t *testing.T) {
	s, c := accounts(t, 20), newClock()
	var seen sync.Map
	var group sync.WaitGroup
	var claimed atomic.Int64
	for w := range 8 {
		l := leases(s, c, fmt.Sprint("w", w))
		group.Go(func() {
			for {
				lease, _, ok, err := l.Claim(t.Context())
				if err != nil {
					t.Error(err)
				}
				if !ok {
					return
				}
				claimed.Add(1)
				if holder, taken := seen.LoadOrStore(lease.AccountID, l.Owner); taken {
					t.Errorf("account %d lent to %s and %s", lease.AccountID, holder, l.Owner)
				}
			}
		})
	}
	group.Wait()
	if claimed.Load() != 20 {
		t.Errorf("%d claims, want 20", claimed.Load())
	}
}

func TestADeadWorkersAccountIsFreeAfterTheTermAndItsLeaseIsWorthless(t *testing.T) {
	s, c := accounts(t, 1), newClock()
	dead, alive := leases(s, c, "dead"), leases(s, c, "alive")
	old, _, ok, err := dead.Claim(t.Context())
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, _, ok, _ := alive.Claim(t.Context()); ok {
		t.Fatal("lent twice within the term")
	}
	c.advance(time.Minute + time.Millisecond)
	taken, _, ok, err := alive.Claim(t.Context())
	if !ok || err != nil || taken.Epoch <= old.Epoch {
		t.Fatalf("claim after the term: %+v %v %v", taken, ok, err)
	}
	if _, err := dead.Renew(t.Context(), old); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("renewing a lost lease: %v", err)
	}
	if err := dead.Release(t.Context(), old, time.Time{}, c.Now(), false); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("releasing a lost lease: %v", err)
	}
}

func TestPausedOrCredentialLessAccountsAreNotClaimed(t *testing.T) {
	s, c := accounts(t, 2), newClock()
	ctx := t.Context()
	if err := s.SetPaused(ctx, "u0@example.org", true); err != nil {
		t.Fatal(err)
	}
	u1, err := s.Account(ctx, "u1@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(ctx, func(tx *sql.Tx) error { return s.EraseCredentials(ctx, tx, u1.ID) }); err != nil {
		t.Fatal(err)
	}
	l := leases(s, c, "w")
	if _, a, ok, err := l.Claim(ctx); ok || err != nil {
		t.Fatalf("claimed %v, %v", a.Address, err)
	}
	if err := s.SetPaused(ctx, "u0@example.org", false); err != nil {
		t.Fatal(err)
	}
	if _, a, ok, err := l.Claim(ctx); !ok || err != nil || a.Address != "u0@example.org" {
		t.Fatalf("after resume: %v %v %v", a.Address, ok, err)
	}
}

// An account that must not be tried again waits for somebody to ask, however late it gets.
func TestStoppedAccountIsClaimedOnlyWhenAsked(t *testing.T) {
	s, c := accounts(t, 1), newClock()
	ctx := t.Context()
	l := leases(s, c, "w")
	w := &Workers{Leases: l, Report: func(err error) { t.Error(err) }}
	lease, a, _, err := l.Claim(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.release(ctx, lease, a, Outcome{Stop: true})
	c.advance(10 * 365 * 24 * time.Hour)
	if _, _, ok, err := l.Claim(ctx); ok || err != nil {
		t.Fatalf("claimed again unasked, %v", err)
	}
	if err := s.DuePass(ctx, a.Address, 1); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := l.Claim(ctx); !ok || err != nil {
		t.Fatalf("not claimed when asked, %v", err)
	}
}

func TestFirstLoginsGoFirst(t *testing.T) {
	s, c := accounts(t, 5), newClock()
	if err := s.DuePass(t.Context(), "u3@example.org", 10); err != nil {
		t.Fatal(err)
	}
	c.ms.Store(time.Now().Add(time.Hour).UnixMilli())
	if _, a, _, err := leases(s, c, "w").Claim(t.Context()); err != nil || a.Address != "u3@example.org" {
		t.Errorf("claimed %v, %v; want u3", a.Address, err)
	}
}

func TestAPassAskedForDuringAPassIsNotForgotten(t *testing.T) {
	s, c := accounts(t, 1), newClock()
	c.ms.Store(time.Now().UnixMilli())
	l := leases(s, c, "w")
	lease, a, _, err := l.Claim(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DuePass(t.Context(), a.Address, 1); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Second)
	if err := l.Release(t.Context(), lease, a.NextPassAt, c.Now().Add(time.Hour), false); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := l.Claim(t.Context()); !ok || err != nil {
		t.Errorf("the asked pass does not start: %v", err)
	}
}

func TestLosingTheLeaseCancelsThePass(t *testing.T) {
	s := accounts(t, 1)
	l := &Leases{Database: s, Owner: "w", Term: 150 * time.Millisecond, Now: time.Now}
	cause := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	w := &Workers{Leases: l, Count: 1, RetryMin: time.Hour, RetryMax: time.Hour, Report: func(error) {}}
	w.Run = func(ctx context.Context, lease Lease, a account.Account) Outcome {
		err := s.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE account SET lease_owner = 'thief', lease_epoch = lease_epoch + 1`)
			return err
		})
		if err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		stop()
		return Outcome{Failed: true}
	}
	w.Start()
	_ = w.Work(ctx)
	if err := <-cause; !errors.Is(err, ErrLeaseLost) {
		t.Errorf("pass ended by %v, want ErrLeaseLost", err)
	}
}

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	for failures, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if got := Backoff(failures, time.Second, 10*time.Second); got != want*time.Second {
			t.Errorf("Backoff(%d) = %v, want %v", failures, got, want*time.Second)
		}
	}
	if got := Backoff(1<<30, time.Second, time.Hour); got != time.Hour {
		t.Errorf("Backoff(many) = %v", got)
	}
}

func TestAJoinedAccountWithoutMailNeedsNoCredentialForItsPasses(t *testing.T) {
	s, c := accounts(t, 0), newClock()
	ctx := t.Context()
	for _, name := range []string{"only.example", "mail.example"} {
		d, err := s.AddDomain(ctx, account.Domain{Name: name, Accounts: account.AccountsAny, PasswordsOnly: name == "only.example"})
		if err == nil {
			err = s.Write(ctx, func(tx *sql.Tx) error {
				a, err1 := s.EnsureAccount(ctx, tx, d.ID, account.Address("joined@"+name), "")
				_, err2 := s.EnsureAccount(ctx, tx, d.ID, account.Address("listed@"+name), "")
				return errors.Join(err1, err2, s.MoveAccount(ctx, tx, a, account.Joined))
			})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l := leases(s, c, "w")
	if _, a, ok, err := l.Claim(ctx); err != nil || !ok || a.Address != "joined@only.example" {
		t.Errorf("claimed %q, %v, %v", a.Address, ok, err)
	}
	if _, a, ok, err := l.Claim(ctx); err != nil || ok {
		t.Errorf("claimed %q, too, %v", a.Address, err)
	}
}
