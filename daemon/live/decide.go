package live

import (
	"fmt"
	"time"

	"mailstork/daemon/account"
)

// Facts are what a pass that reached its end knows of an account, for the decision whether to switch it now.
type Facts struct {
	Now       time.Time
	Route     account.Route
	State     account.State
	Switching account.Switching
	// FirstLogin is what the domain says now; DomainState and Deliveries tell whether letters come here already.
	FirstLogin  account.FirstLogin
	DomainState account.DomainState
	Deliveries  int // letters that reached the account here and that its owner does not see yet
	// Unpassable is why Dovecot can't pass its owner on any more; empty when it can.
	Unpassable string
	// Changes is how much the pass had to do, and Took how long it took: the last difference will be like it.
	Changes int
	Took    time.Duration
}

// Policy says what a small difference is.
type Policy struct {
	// SmallChanges and Quick bound the pass after which an account is switched.
	SmallChanges int
	Quick        time.Duration
	// Patience is for sources that are never quiet, or never quick: so long after the first complete pass the account is
	// switched all the same.
	Patience time.Duration
}

// Verdict is what follows.
type Verdict struct {
	Switch bool
	Why    string // one clause for people: why now, or what it waits for
}

// Decide is pure. Nothing urgent shortens the first pass: an owner must never see half of their mail.
func Decide(f Facts, p Policy) Verdict {
	urgent := urgency(f)
	switch {
	case f.Route != account.RouteSource:
		return Verdict{}
	case f.State != account.Following && f.State != account.Closing:
		return Verdict{Why: "the first pass is not complete"}
	case f.Now.Before(f.Switching.NotBefore):
		return Verdict{Why: "the last try failed: " + f.Switching.Problem}
	case urgent != "":
		return Verdict{true, urgent}
	case f.Changes <= p.SmallChanges && f.Took <= p.Quick:
		return Verdict{true, fmt.Sprintf("the difference is small: %d changes", f.Changes)}
	case !f.Switching.ReadyAt.IsZero() && f.Now.Sub(f.Switching.ReadyAt) >= p.Patience:
		return Verdict{true, "the source is never quiet"}
	}
	return Verdict{Why: fmt.Sprintf("the difference is not small yet: %d changes", f.Changes)}
}

// urgency is why an account must not stay on the other side; empty when it may.
func urgency(f Facts) string {
	switch {
	case f.Switching.Urgent != "":
		return f.Switching.Urgent
	case f.Unpassable != "":
		return "its logins can't be passed on any more: " + f.Unpassable
	case f.Deliveries > 0:
		return "letters come here already"
	case f.DomainState == account.Cutover || f.DomainState == account.Draining || f.State == account.Closing:
		return "the domain's mail comes here"
	case f.FirstLogin != account.FirstLoginProxy:
		return "its domain passes nobody on any more"
	}
	return ""
}
