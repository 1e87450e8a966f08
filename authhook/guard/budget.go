package guard

import "time"

// Budget bounds how many failed logins may reach one place within a window.
type Budget struct {
	Failures int
	Window   time.Duration
}

// The default budgets stay below five failures in ten minutes: what fail2ban, as installed, bans an address for. Those
// per account and per network are smaller than that per source, so that one account or one network of clients can't use
// up what is there for all.
var (
	DefaultAccount = Budget{Failures: 3, Window: 10 * time.Minute}
	DefaultNetwork = Budget{Failures: 3, Window: 10 * time.Minute}
	DefaultSource  = Budget{Failures: 4, Window: 10 * time.Minute}
)

// AllowedFailures is the budget of a source whose admin has put this server on an allow list. It bans nobody then, and is
// still no target for guessing through us.
const AllowedFailures = 100

// filled is the default where nothing was said.
func (b Budget) filled() Budget {
	if b.Failures < 1 || b.Window <= 0 {
		return DefaultSource
	}
	return b
}

// less is the budget without a reserve.
func (b Budget) less(reserve int) Budget {
	return Budget{max(b.Failures-reserve, 1), b.Window}
}

// reserve is the part of a source's budget that only those may use who have not failed within the window.
func (b Budget) reserve() int {
	if b.Failures < 2 {
		return 0
	}
	return max(b.Failures/4, 1)
}

// tally counts for one account, one network or one source host.
type tally struct {
	failures []time.Time // oldest first
	underway int
}

// weigh says whether one more may be under way. All that are could fail.
func (b Budget) weigh(now time.Time, t *tally) (Word, time.Time) {
	t.forget(now.Add(-b.Window))
	switch {
	case len(t.failures)+t.underway < b.Failures:
		return Go, time.Time{}
	case len(t.failures) < b.Failures:
		return Wait, time.Time{}
	}
	return Stop, t.failures[len(t.failures)-b.Failures].Add(b.Window)
}

// forget drops failures up to and including a time.
func (t *tally) forget(upTo time.Time) {
	n := 0
	for n < len(t.failures) && !t.failures[n].After(upTo) {
		n++
	}
	t.failures = t.failures[n:]
}

func (t *tally) settle(now time.Time, failed bool) {
	t.underway--
	if failed {
		t.fail(now)
	}
}

func (t *tally) fail(now time.Time) { t.failures = append(t.failures, now) }

// at returns the tally of key; one that is not kept when there is none, so that stopped names leave no trace.
func at[K comparable](tallies map[K]*tally, key K) *tally {
	if t := tallies[key]; t != nil {
		return t
	}
	return &tally{}
}

func drop[K comparable](tallies map[K]*tally, upTo time.Time) {
	for key, t := range tallies {
		if t.forget(upTo); len(t.failures) == 0 && t.underway == 0 {
			delete(tallies, key)
		}
	}
}
