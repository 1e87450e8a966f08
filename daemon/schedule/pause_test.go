package schedule

import (
	"database/sql"
	"errors"
	"maps"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/store"
)

// elsewhere adds a due account of another domain, whose source is at another host.
func elsewhere(t *testing.T, s *store.Store) {
	t.Helper()
	d, err := s.AddDomain(t.Context(), account.Domain{Name: "example.net", Accounts: account.AccountsAny, Source: account.Source{Host: "other.example"}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Write(t.Context(), func(tx *sql.Tx) error {
		a, err := s.EnsureAccount(t.Context(), tx, d.ID, "a@example.net", "")
		if err != nil {
			return err
		}
		return errors.Join(s.MoveAccount(t.Context(), tx, a, account.Joined), s.SaveCredential(t.Context(), tx, a.ID, store.KindPassword, []byte{1}))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoAccountOfASourceThatAsksToBeLeftAloneIsLent(t *testing.T) {
	s, c := accounts(t, 10), newClock()
	elsewhere(t, s)
	l := leases(s, c, "w")
	told, a, ok, err := l.Claim(t.Context())
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	w := &Workers{Leases: l, Count: 1, RetryMin: time.Second, RetryMax: time.Hour, Report: func(err error) { t.Error(err) }}
	w.release(t.Context(), told, a, Outcome{NextPass: time.Minute, Failed: true, LeaveSource: time.Minute})

	claimed := func() (n int) {
		t.Helper()
		for {
			lease, a, ok, err := leases(s, c, "after a restart").Claim(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return n
			}
			n++
			if err := l.Release(t.Context(), Lease{AccountID: lease.AccountID, Owner: "after a restart", Epoch: lease.Epoch}, a.NextPassAt, never, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	due, _, err := l.Queue(t.Context())
	if n := claimed(); n != 1 || due != 1 || err != nil {
		t.Errorf("%d accounts were lent and %d in the queue (%v), want the one of another source", n, due, err)
	}
	c.advance(59 * time.Second)
	if n := claimed(); n != 0 {
		t.Errorf("%d accounts were lent before the deadline", n)
	}
	c.advance(time.Second)
	if n := claimed(); n != 10 {
		t.Errorf("%d accounts were lent after the deadline, want all ten", n)
	}
}

func TestTheLongestPauseOfASourceWinsAndIsBounded(t *testing.T) {
	s, c := accounts(t, 2), newClock()
	l := leases(s, c, "w")
	first, _, _, err1 := l.Claim(t.Context())
	second, _, _, err2 := l.Claim(t.Context())
	start := c.Now().UTC()
	want := func(until time.Time) {
		t.Helper()
		got, err := l.PausedSources(t.Context())
		wanted := map[string]time.Time{}
		if !until.IsZero() {
			wanted[""] = until // the source of these accounts has no name
		}
		if err != nil || !maps.EqualFunc(got, wanted, time.Time.Equal) {
			t.Errorf("got %v, %v; want %v", got, err, wanted)
		}
	}
	if err := errors.Join(err1, err2, l.PauseSource(t.Context(), first, 5*time.Minute), l.PauseSource(t.Context(), second, time.Minute)); err != nil {
		t.Fatal(err)
	}
	want(start.Add(5 * time.Minute))
	if err := l.PauseSource(t.Context(), second, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	want(start.Add(longestPause))
	c.advance(longestPause)
	want(time.Time{})
}

func TestTheQueueTellsHowLongItsFirstWaits(t *testing.T) {
	s, c := accounts(t, 3), newClock()
	l := leases(s, c, "w")
	set := func(address account.Address, at time.Time) {
		t.Helper()
		if err := s.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE account SET next_pass_at_ms = $1 WHERE address = $2`, at.UnixMilli(), address)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	set("u0@example.org", c.Now().Add(-time.Minute))
	set("u1@example.org", c.Now().Add(-time.Second))
	set("u2@example.org", c.Now().Add(time.Second))
	if due, lag, err := l.Queue(t.Context()); due != 2 || lag != time.Minute || err != nil {
		t.Errorf("%d due, the first for %s, %v", due, lag, err)
	}
	for range 2 {
		if _, _, ok, err := l.Claim(t.Context()); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if due, lag, err := l.Queue(t.Context()); due != 0 || lag != 0 || err != nil {
		t.Errorf("with all under way: %d due, the first for %s, %v", due, lag, err)
	}
}
