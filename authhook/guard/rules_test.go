package guard

import (
	"fmt"
	"testing"
	"time"

	"mailstork/daemon/account"
)

// domainAt is a domain whose source is at a host.
func domainAt(name, host string, rules account.GuardRules) account.Domain {
	return account.Domain{Name: name, State: account.Open, Source: account.Source{Host: host}, Guard: rules}
}

func TestTheStrictestDomainOfASourceCounts(t *testing.T) {
	closed := domainAt("closed.example", "shared", account.GuardRules{FailuresPerSource: 1})
	closed.State = account.Closed
	allows := account.GuardRules{SourceAllowsUs: true}
	r := RulesOf([]account.Domain{
		domainAt("a.example", "Shared", account.GuardRules{FailuresPerSource: 12, SourceAllowsUs: true, NewAccountsPerHour: 7}),
		domainAt("b.example", "shared", account.GuardRules{FailuresPerSource: 9}), closed,
		domainAt("c.example", "allows", allows), domainAt("d.example", "allows", allows),
		domainAt("e.example", "disputed", allows), domainAt("f.example", "disputed", account.GuardRules{}),
		domainAt("g.example", "silent", account.GuardRules{}),
	}, 4)
	for host, want := range map[string]int{"shared": 9, "allows": AllowedFailures, "disputed": 4, "silent": 4} {
		if r.Sources[host] != want {
			t.Errorf("%s: %d failures, want %d", host, r.Sources[host], want)
		}
	}
	if len(r.Creations) != 1 || r.Creations["a.example"] != 7 {
		t.Errorf("creations %v", r.Creations)
	}
	if r := RulesOf([]account.Domain{domainAt("a.example", "h", allows)}, 5000); r.Sources["h"] != 5000 {
		t.Errorf("an allow list makes it stricter: %d", r.Sources["h"])
	}
}

func TestRulesCountFromTheMomentTheyAreSaidAndForWhatHasFailedToo(t *testing.T) {
	g := New(Limits{Account: Budget{1000, time.Hour}})
	l := Login{Address: "a@example.org", Host: "h"}
	fails := func(want int) {
		t.Helper()
		n := 0
		for g.Ask(start, l).Word == Go {
			g.Settle(start, l, Outcome{Failed: true})
			n++
		}
		if n != want {
			t.Errorf("%d more failures, want %d", n, want)
		}
	}
	fails(DefaultSource.Failures - 1) // one is for those who have not failed
	g.Follow(Rules{Sources: map[string]int{"h": 20}})
	fails(20 - 20/4 - (DefaultSource.Failures - 1))
	g.Follow(Rules{Sources: map[string]int{"h": 2}})
	fails(0)
	if v := g.Views(start)[0]; v.Budget.Failures != 2 || v.Budget.Window != DefaultSource.Window || v.Failures != 15 {
		t.Errorf("got %+v", v)
	}
	g.Follow(Rules{})
	if got := g.BudgetOf("h"); got != DefaultSource {
		t.Errorf("without a rule the budget is %+v", got)
	}
}

func TestADomainsNewAccountsAreCappedByTheHourAlsoOverARestart(t *testing.T) {
	rules := Rules{Creations: map[string]int{"example.org": 3}}
	g := New(Limits{})
	g.Follow(rules)
	create := func(at time.Time, i int, domain string) Verdict {
		l := Login{Address: account.Address(fmt.Sprintf("a%d@%s", i, domain)), Host: "h", Domain: domain, New: true}
		v := g.Ask(at, l)
		if v.Word == Go {
			g.Settle(at, l, Outcome{Created: true})
		}
		return v
	}
	for i := range 3 {
		if v := create(start.Add(time.Duration(i)*time.Minute), i, "example.org"); v.Word != Go {
			t.Fatalf("account %d: got %+v", i, v)
		}
	}
	past := Past{}
	for i := range 3 {
		past.Creations = append(past.Creations, Creation{"example.org", start.Add(time.Duration(i) * time.Minute)})
	}
	restarted := New(Limits{})
	restarted.Follow(rules)
	restarted.Restore(past)
	for name, now := range map[string]*Guard{"running": g, "restarted": restarted} {
		g = now
		v := create(start.Add(30*time.Minute), 3, "example.org")
		if v.Word != Stop || v.Limit != LimitCreations || !v.Until.Equal(start.Add(time.Hour)) {
			t.Errorf("%s: the fourth within an hour: got %+v", name, v)
		}
		if v := create(start.Add(30*time.Minute), 4, "example.net"); v.Word != Go {
			t.Errorf("%s: another domain: got %+v", name, v)
		}
		if v := g.Ask(start.Add(30*time.Minute), Login{Address: "known@example.org", Host: "h", Domain: "example.org"}); v.Word != Go {
			t.Errorf("%s: one that creates nothing: got %+v", name, v)
		}
		if v := create(start.Add(time.Hour), 5, "example.org"); v.Word != Go {
			t.Errorf("%s: an hour after the first: got %+v", name, v)
		}
	}
}
