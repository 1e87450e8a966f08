package guard

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailstork/daemon/account"
)

var start = time.Unix(1_000_000, 0)

func network(i int) netip.Prefix { return NetworkOf(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})) }

func within(times []time.Time, now time.Time, window time.Duration) (n int) {
	for _, at := range times {
		if at.After(now.Add(-window)) {
			n++
		}
	}
	return n
}

// The property of the package, also over restarts: what is under way then counts as failed.
func TestNoWindowEverHoldsMoreFailuresThanABudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{
			Account: Budget{rapid.IntRange(1, 4).Draw(t, "per account"), time.Minute},
			Network: Budget{rapid.IntRange(1, 5).Draw(t, "per network"), 90 * time.Second},
		}
		perSource := Budget{rapid.IntRange(1, 6).Draw(t, "per source"), 2 * time.Minute}
		limits.Source = perSource
		g := New(limits)
		now := start
		var underway []Login
		var all []Failure
		fail := func(l Login) { all = append(all, Failure{l.Address, l.Network, l.Host, now}) }
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			switch what := rapid.IntRange(0, 20).Draw(t, "what"); {
			case what == 0:
				for _, l := range underway {
					fail(l)
				}
				underway = nil
				g = New(limits)
				g.Restore(Past{Failures: all})
			case what < 10 && len(underway) > 0:
				i := rapid.IntRange(0, len(underway)-1).Draw(t, "which")
				l := underway[i]
				underway = slices.Delete(underway, i, i+1)
				failed := rapid.IntRange(0, 3).Draw(t, "outcome") > 0
				g.Settle(now, l, Outcome{Failed: failed})
				if failed {
					fail(l)
				}
			default:
				l := Login{Address: account.Address(fmt.Sprintf("a%d@example.org", rapid.IntRange(0, 3).Draw(t, "account"))),
					Host: fmt.Sprintf("host%d", rapid.IntRange(0, 1).Draw(t, "host"))}
				if n := rapid.IntRange(0, 3).Draw(t, "network"); n > 0 {
					l.Network = network(n)
				}
				v := g.Ask(now, l)
				switch {
				case v.Word == Go:
					underway = append(underway, l)
				case v.Word == Stop && !v.Until.After(now):
					t.Fatalf("stopped at %s until %s", now, v.Until)
				case v.Word == Wait && len(underway) == 0:
					t.Fatal("told to wait for nobody")
				}
			}
			worst := func(what string, b Budget, key func(Failure) string) {
				times := map[string][]time.Time{}
				for _, f := range all {
					times[key(f)] = append(times[key(f)], f.At)
				}
				delete(times, "")
				for name, at := range times {
					if n := within(at, now, b.Window); n > b.Failures {
						t.Fatalf("%s %s saw %d failures within %s, budget %d", what, name, n, b.Window, b.Failures)
					}
				}
			}
			worst("account", limits.Account, func(f Failure) string { return string(f.Address) })
			worst("source", perSource, func(f Failure) string { return f.Host })
			worst("network", limits.Network, func(f Failure) string {
				if !f.Network.IsValid() {
					return ""
				}
				return f.Network.String()
			})
		}
	})
}

func TestStopEndsWhenTheOldestFailureIsForgotten(t *testing.T) {
	g := New(Limits{Account: Budget{2, time.Minute}, Source: Budget{10, time.Minute}})
	l := Login{Address: "a@example.org", Host: "h"}
	for i := range 2 {
		at := start.Add(time.Duration(i) * 10 * time.Second)
		if v := g.Ask(at, l); v.Word != Go {
			t.Fatalf("login %d: got %+v", i, v)
		}
		g.Settle(at, l, Outcome{Failed: true})
	}
	v := g.Ask(start.Add(30*time.Second), l)
	if v.Word != Stop || v.Limit != LimitAccount || !v.Until.Equal(start.Add(time.Minute)) {
		t.Errorf("got %+v", v)
	}
	if v := g.Ask(v.Until, l); v.Word != Go {
		t.Errorf("at the end of the stop: got %+v", v)
	}
}

// Somebody who guesses from one network, or at one account, leaves a login for everybody else.
func TestRepeatersLeaveAReserveForThoseWhoNeverFailed(t *testing.T) {
	g := New(Limits{Account: Budget{100, time.Hour}, Network: Budget{100, time.Hour}})
	from := func(n int, address account.Address) Login {
		return Login{Address: address, Network: network(n), Host: "h"}
	}
	failed := 0
	for i := range 50 {
		l := from(1, account.Address(fmt.Sprintf("a%d@example.org", i)))
		if g.Ask(start, l).Word == Go {
			g.Settle(start, l, Outcome{Failed: true})
			failed++
		}
	}
	if failed != DefaultSource.Failures-1 {
		t.Errorf("one network failed %d times, want %d", failed, DefaultSource.Failures-1)
	}
	if v := g.Ask(start, from(2, "a0@example.org")); v.Word != Stop || v.Limit != LimitSource {
		t.Errorf("an account that failed already: got %+v", v)
	}
	if v := g.Ask(start, from(2, "anna@example.org")); v.Word != Go {
		t.Errorf("somebody who never failed: got %+v", v)
	}
}

func TestOneNetworkIsA32OrA64(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := NetworkOf(netip.MustParseAddr(text)); got.String() != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if NetworkOf(netip.Addr{}).IsValid() {
		t.Error("no address is a network")
	}
}

func TestMadeUpNamesLeaveNoTrace(t *testing.T) {
	g := New(Limits{})
	for i := range 1000 {
		l := Login{Address: account.Address(fmt.Sprintf("a%d@example.org", i)), Network: network(i), Host: "h"}
		if g.Ask(start, l).Word == Go {
			g.Settle(start, l, Outcome{Failed: true})
		}
	}
	if len(g.accounts) > 4 || len(g.networks) > 4 {
		t.Errorf("%d accounts and %d networks are kept, want at most 4", len(g.accounts), len(g.networks))
	}
	g.Ask(start.Add(time.Hour), Login{Address: "z@example.org", Host: "h"})
	if len(g.accounts) != 1 || len(g.networks) != 0 || len(g.hosts) != 1 {
		t.Errorf("%d accounts, %d networks and %d hosts are kept after the window, want the new ones", len(g.accounts), len(g.networks), len(g.hosts))
	}
}

func TestDefaultsStayBelowFail2ban(t *testing.T) {
	for _, b := range []Budget{DefaultAccount, DefaultNetwork, DefaultSource} {
		if b.Failures >= 5 || b.Window < 10*time.Minute {
			t.Errorf("%+v allows what fail2ban bans for", b)
		}
	}
}

func ask(t *testing.T, g *Guard, at time.Time, want Word) Verdict {
	t.Helper()
	v := g.Ask(at, Login{Address: "a@example.org", Host: "h"})
	if v.Word != want {
		t.Fatalf("at %s: got %+v, want %d", at.Sub(start), v, want)
	}
	return v
}

func TestBreakerLeavesADeadSourceAloneAndTriesItWithOneLogin(t *testing.T) {
	g := New(Limits{})
	l := Login{Address: "a@example.org", Host: "h"}
	now := start
	for range brokenInRow - 1 {
		ask(t, g, now, Go)
		g.Settle(now, l, Outcome{Trouble: Unreachable})
	}
	var pauses []time.Duration
	for range 9 {
		ask(t, g, now, Go)
		g.Settle(now, l, Outcome{Trouble: Unreachable})
		v := ask(t, g, now, Stop)
		if v.Limit != LimitBreaker {
			t.Fatalf("got %+v", v)
		}
		pauses = append(pauses, v.Until.Sub(now))
		now = v.Until
	}
	want := []time.Duration{15, 30, 60, 120, 240, 480, 600, 600, 600}
	for i := range want {
		if want[i] *= time.Second; pauses[i] != want[i] {
			t.Errorf("pause %d: got %s, want %s", i, pauses[i], want[i])
		}
	}
	ask(t, g, now, Go)
	if v := ask(t, g, now, Wait); v.Limit != LimitBreaker { // the first one tries
		t.Errorf("got %+v", v)
	}
	g.Settle(now, l, Outcome{})
	ask(t, g, now, Go)
	ask(t, g, now, Go) // it is well again
}

func TestManyAtOnceOpenTheBreakerOnce(t *testing.T) {
	g := New(Limits{Account: Budget{100, time.Minute}, Source: Budget{100, time.Minute}})
	l := Login{Address: "a@example.org", Host: "h"}
	for range 50 {
		if v := g.Ask(start, l); v.Word != Go {
			t.Fatalf("got %+v", v)
		}
	}
	for range 50 {
		g.Settle(start, l, Outcome{Trouble: Unreachable})
	}
	if v := g.Ask(start, l); v.Until.Sub(start) != firstPause {
		t.Errorf("the source is left alone for %s, want %s", v.Until.Sub(start), firstPause)
	}
}

func TestAThrottlingSourceIsObeyedAtOnceButNotForEver(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{0: firstPause, 5 * time.Minute: 5 * time.Minute, 1000 * time.Hour: longestAsked} {
		g := New(Limits{})
		ask(t, g, start, Go)
		if !g.Settle(start, Login{Address: "a@example.org", Host: "h"}, Outcome{Trouble: Throttled, RetryAfter: asked}) {
			t.Error("the change is not told")
		}
		if v := ask(t, g, start, Stop); v.Until.Sub(start) != want {
			t.Errorf("asked for %s: left alone for %s, want %s", asked, v.Until.Sub(start), want)
		}
	}
}

func TestBreakerSurvivesARestart(t *testing.T) {
	g := New(Limits{})
	ask(t, g, start, Go)
	g.Settle(start, Login{Address: "a@example.org", Host: "h"}, Outcome{Trouble: Throttled, RetryAfter: time.Minute})
	next := New(Limits{})
	next.Restore(Past{Breakers: map[string]Breaker{"h": g.Breaker("h")}})
	if v := ask(t, next, start, Stop); v.Until.Sub(start) != time.Minute {
		t.Errorf("got %+v", v)
	}
}

func TestNewAccountsAreCapped(t *testing.T) {
	g := New(Limits{CreationsPerMinute: 10})
	created := 0
	for i := range 100 {
		l := Login{Address: account.Address(fmt.Sprintf("a%d@example.org", i)), Host: "h", New: true}
		switch v := g.Ask(start, l); v.Word {
		case Go:
			g.Settle(start, l, Outcome{Created: true})
			created++
		default:
			if v.Limit != LimitCreations {
				t.Fatalf("got %+v", v)
			}
		}
	}
	if created != 10 {
		t.Errorf("%d accounts were created within a minute, want 10", created)
	}
	if v := g.Ask(start, Login{Address: "known@example.org", Host: "h"}); v.Word != Go {
		t.Errorf("one that creates nothing: got %+v", v)
	}
	if v := g.Ask(start.Add(time.Minute), Login{Address: "b@example.org", Host: "h", New: true}); v.Word != Go {
		t.Errorf("a minute later: got %+v", v)
	}
}

func TestViewsTellWhatAnOperatorNeeds(t *testing.T) {
	g := New(Limits{Account: Budget{100, time.Minute}, Source: Budget{2, time.Minute}})
	l := Login{Address: "a@example.org", Host: "h"}
	for range 2 {
		g.Restore(Past{Failures: []Failure{{Address: "b@example.org", Host: "h", At: start}}})
	}
	if views := g.Views(start); len(views) != 1 || views[0].Failures != 2 || !views[0].Until.Equal(start.Add(time.Minute)) || views[0].Budget != g.limits.Source {
		t.Errorf("before the first login: got %+v", views)
	}
	g.Ask(start.Add(90*time.Second), l)
	views := g.Views(start.Add(90 * time.Second))
	if len(views) != 1 || views[0].Underway != 1 || views[0].Failures != 0 || !views[0].Until.IsZero() {
		t.Errorf("got %+v", views)
	}
}
