package authhook

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailstork/daemon/account"
)

func TestNoWindowEverHoldsMoreFailuresThanTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perAccount := Budget{rapid.IntRange(1, 4).Draw(t, "per account"), time.Minute}
		perHost := Budget{rapid.IntRange(1, 6).Draw(t, "per host"), 2 * time.Minute}
		g := newGuard(perAccount, perHost)
		now := time.Unix(1_000_000, 0)
		type login struct {
			address account.Address
			host    string
		}
		var underway []login
		failedAt, failedOf := map[string][]time.Time{}, map[account.Address][]time.Time{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			if len(underway) > 0 && rapid.Bool().Draw(t, "settle") {
				i := rapid.IntRange(0, len(underway)-1).Draw(t, "which")
				l := underway[i]
				underway = append(underway[:i], underway[i+1:]...)
				failed := rapid.IntRange(0, 3).Draw(t, "outcome") > 0
				g.settle(now, l.address, l.host, failed)
				if failed {
					failedAt[l.host] = append(failedAt[l.host], now)
					failedOf[l.address] = append(failedOf[l.address], now)
				}
			} else {
				l := login{account.Address(fmt.Sprintf("a%d@example.org", rapid.IntRange(0, 3).Draw(t, "account"))),
					fmt.Sprintf("host%d", rapid.IntRange(0, 1).Draw(t, "host"))}
				v, until := g.ask(now, l.address, l.host)
				if v == mayGo {
					underway = append(underway, l)
				}
				if v == mustStop && !until.After(now) {
					t.Fatalf("stopped at %s until %s", now, until)
				}
				if v == mustWait && len(underway) == 0 {
					t.Fatal("told to wait for nobody")
				}
			}
			for host, times := range failedAt {
				if n := within(times, now, perHost.Window); n > perHost.Failures {
					t.Fatalf("%s saw %d failures within %s, budget %d", host, n, perHost.Window, perHost.Failures)
				}
			}
			for address, times := range failedOf {
				if n := within(times, now, perAccount.Window); n > perAccount.Failures {
					t.Fatalf("%s had %d failures within %s, budget %d", address, n, perAccount.Window, perAccount.Failures)
				}
			}
		}
	})
}

func within(times []time.Time, now time.Time, window time.Duration) (n int) {
	for _, at := range times {
		if at.After(now.Add(-window)) {
			n++
		}
	}
	return n
}

func TestStopEndsWhenTheOldestFailureIsForgotten(t *testing.T) {
	g := newGuard(Budget{2, time.Minute}, Budget{10, time.Minute})
	start := time.Unix(1_000_000, 0)
	for i := range 2 {
		at := start.Add(time.Duration(i) * 10 * time.Second)
		if v, _ := g.ask(at, "a@example.org", "h"); v != mayGo {
			t.Fatalf("login %d: got %v", i, v)
		}
		g.settle(at, "a@example.org", "h", true)
	}
	v, until := g.ask(start.Add(30*time.Second), "a@example.org", "h")
	if v != mustStop || !until.Equal(start.Add(time.Minute)) {
		t.Errorf("got %v until %s", v, until)
	}
	if v, _ := g.ask(until, "a@example.org", "h"); v != mayGo {
		t.Errorf("at the end of the stop: got %v", v)
	}
}

func TestMadeUpNamesLeaveNoTraceInTheGuard(t *testing.T) {
	g := newGuard(Budget{3, time.Minute}, Budget{4, time.Minute})
	now := time.Unix(1_000_000, 0)
	for i := range 1000 {
		address := account.Address(fmt.Sprintf("a%d@example.org", i))
		if v, _ := g.ask(now, address, "h"); v == mayGo {
			g.settle(now, address, "h", true)
		}
	}
	if len(g.accounts) > 4 {
		t.Errorf("%d accounts are kept, want 4", len(g.accounts))
	}
	g.ask(now.Add(time.Hour), "z@example.org", "h")
	if len(g.accounts) != 1 || len(g.hosts) != 1 {
		t.Errorf("%d accounts and %d hosts are kept after the window, want the new ones", len(g.accounts), len(g.hosts))
	}
}

func TestDefaultBudgetsStayBelowFail2ban(t *testing.T) {
	for _, b := range []Budget{DefaultAccountBudget, DefaultHostBudget} {
		if b.Failures >= 5 || b.Window < 10*time.Minute {
			t.Errorf("%+v allows what fail2ban bans for", b)
		}
	}
}

func TestMemoryForgetsInTimeAndHoldsNoMoreThanItsMost(t *testing.T) {
	m := newMemory(time.Minute, 3)
	now := time.Unix(1_000_000, 0)
	d := func(i int) digest { return m.digest([]byte{byte(i)}) }
	m.remember(now, d(1))
	m.remember(now.Add(30*time.Second), d(1))
	if !m.knows(now.Add(59*time.Second), d(1)) || m.knows(now.Add(time.Minute), d(1)) {
		t.Error("a refused password is not kept for exactly a minute")
	}
	for i := range 10 {
		m.remember(now.Add(time.Hour), d(i))
	}
	if len(m.known) != 3 || len(m.queue) != 3 || m.knows(now.Add(time.Hour), d(6)) || !m.knows(now.Add(time.Hour), d(7)) {
		t.Errorf("%d kept; want the newest three", len(m.known))
	}
}

func TestDigestKeepsPartsApartAndDiffersInEveryProcess(t *testing.T) {
	m := newMemory(time.Minute, 3)
	if m.digest([]byte("ab"), []byte("c")) == m.digest([]byte("a"), []byte("bc")) {
		t.Error("parts run into each other")
	}
	if m.digest([]byte("a")) == newMemory(time.Minute, 3).digest([]byte("a")) {
		t.Error("two keys give one digest")
	}
}
