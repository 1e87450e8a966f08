package authhook

import (
	"fmt"
	"time"

	"mailstork/daemon/account"
)

// Budget bounds how many failed logins may reach one place within a window.
type Budget struct {
	Failures int
	Window   time.Duration
}

// DefaultAccountBudget and DefaultHostBudget stay below five failures in ten minutes: what fail2ban, as installed,
// bans an address for. All logins reach the source from our one address, so anybody's typing errors add up.
var (
	DefaultAccountBudget = Budget{Failures: 3, Window: 10 * time.Minute}
	DefaultHostBudget    = Budget{Failures: 4, Window: 10 * time.Minute}
)

// verdict says whether one more password may go to a source.
type verdict int

const (
	mayGo    verdict = iota
	mustWait         // others are on their way, and if all of them failed the budget would be used up
	mustStop
)

// tally counts for one account or one source host.
type tally struct {
	failures []time.Time // oldest first
	underway int
}

// guard decides; it has no clock and no lock of its own (gate has).
type guard struct {
	accountBudget, hostBudget Budget
	accounts                  map[account.Address]*tally
	hosts                     map[string]*tally
	sweptAt                   time.Time
}

func newGuard(perAccount, perHost Budget) *guard {
	return &guard{accountBudget: perAccount, hostBudget: perHost, accounts: map[account.Address]*tally{}, hosts: map[string]*tally{}}
}

// ask tells whether a password of address may go to host at the time now. After mayGo it counts as under way until
// settle. After mustStop, until is when it is worth to ask again.
func (g *guard) ask(now time.Time, address account.Address, host string) (v verdict, until time.Time) {
	g.sweep(now)
	atAccount, atHost := at(g.accounts, address), at(g.hosts, host)
	v, until = g.accountBudget.weigh(now, atAccount)
	if other, otherUntil := g.hostBudget.weigh(now, atHost); other > v {
		v, until = other, otherUntil
	}
	if v == mayGo {
		atAccount.underway++
		atHost.underway++
		g.accounts[address], g.hosts[host] = atAccount, atHost
	}
	return v, until
}

// settle ends what ask let go. A failure is every login that the source may count as one.
func (g *guard) settle(now time.Time, address account.Address, host string, failed bool) {
	for _, t := range []*tally{g.accounts[address], g.hosts[host]} {
		t.underway--
		if failed {
			t.failures = append(t.failures, now)
		}
	}
}

func (b Budget) weigh(now time.Time, t *tally) (verdict, time.Time) {
	t.forget(now.Add(-b.Window))
	switch {
	case len(t.failures)+t.underway < b.Failures:
		return mayGo, time.Time{}
	case len(t.failures) < b.Failures:
		return mustWait, time.Time{}
	}
	return mustStop, t.failures[len(t.failures)-b.Failures].Add(b.Window)
}

// forget drops failures up to and including a time.
func (t *tally) forget(upTo time.Time) {
	n := 0
	for n < len(t.failures) && !t.failures[n].After(upTo) {
		n++
	}
	t.failures = t.failures[n:]
}

// sweep drops empty tallies once per window, so that made-up names do not fill the memory.
func (g *guard) sweep(now time.Time) {
	window := max(g.accountBudget.Window, g.hostBudget.Window)
	if now.Sub(g.sweptAt) < window {
		return
	}
	g.sweptAt = now
	drop(g.accounts, now.Add(-g.accountBudget.Window))
	drop(g.hosts, now.Add(-g.hostBudget.Window))
}

func drop[K comparable](tallies map[K]*tally, upTo time.Time) {
	for key, t := range tallies {
		if t.forget(upTo); len(t.failures) == 0 && t.underway == 0 {
			delete(tallies, key)
		}
	}
}

// at returns the tally of key; one that is not kept when there is none, so that refused names leave no trace.
func at[K comparable](tallies map[K]*tally, key K) *tally {
	if t := tallies[key]; t != nil {
		return t
	}
	return &tally{}
}

// GuardStop is why a password was not sent: too many failed lately.
type GuardStop struct {
	Address account.Address
	Host    string
	Until   time.Time
}

func (e *GuardStop) Error() string {
	return fmt.Sprintf("too many failed logins of %s or at the source %s; the source is not asked before %s",
		e.Address, e.Host, e.Until.UTC().Format(time.RFC3339))
}
