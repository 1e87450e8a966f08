package account

import (
	"fmt"
	"time"
)

// Route is where an account's logins lead (DESIGN §4).
type Route string

// The routes. Only RouteHere says that the destination is the truth.
const (
	RouteHere   Route = "here"   // into the account here
	RouteSource Route = "source" // through Dovecot's proxy into the source, which is the truth
	RouteHeld   Route = "held"   // nowhere for a moment: the last difference is being copied
	RouteNotice Route = "notice" // into a folder here that holds a notice alone; the owner works at the source, which is the truth
)

// RouteTransition is one allowed change of a route.
type RouteTransition struct {
	From, To Route
	Event    string // the word in log lines
	When     string // what must be true, in words for docs/states.md
}

// RouteTransitions is the whole of a live migration, and of a first login that is shown a notice. Code changes a Route only through NextRoute.
var RouteTransitions = []RouteTransition{
	{RouteHere, RouteSource, "proxy", "a first login was proven, its domain says `first_login: proxy`, and Dovecot can pass the account on"},
	{RouteSource, RouteHeld, "hold", "the first pass is complete and the difference is small, or the switch is urgent"},
	{RouteHeld, RouteSource, "roll-back", "anything failed, or the daemon died, before the switch"},
	{RouteHeld, RouteHere, "switch", "nobody is passed on any more and a pass found nothing left to do; from now on the destination is the truth"},
	{RouteSource, RouteHere, "give-up", "an operator abandoned the rest at the source"},
	{RouteHeld, RouteHere, "give-up", "an operator abandoned the rest at the source"},
	{RouteHere, RouteNotice, "notice", "a first login was proven, its domain says `first_login: notice` and is open, and its first pass is not complete"},
	{RouteNotice, RouteHere, "open", "the first pass and another one after it are complete, or the domain's mail comes here, or its domain says `first_login: notice` no more, or an operator abandoned the rest; from now on the destination is the truth"},
}

// NextRoute returns the transition that leads from one route to another, or an error when there is none.
func NextRoute(from, to Route) (RouteTransition, error) {
	for _, t := range RouteTransitions {
		if t.From == from && t.To == to {
			return t, nil
		}
	}
	return RouteTransition{}, fmt.Errorf("changing the route of an account from %q to %q: no such transition", from, to)
}

// Switching is what is known of an account's switch beside its route.
type Switching struct {
	// Fallback is why the account is not passed on though its domain says so; empty when it is, or need not be.
	Fallback string `json:"fallback,omitempty"`
	// Urgent is why it shall be switched as soon as its first pass is complete, whatever is left to do.
	Urgent string `json:"urgent,omitempty"`
	// ReadyAt is when a pass of a passed on account was first complete.
	ReadyAt time.Time `json:"ready_at,omitzero"`
	// Problem is why the last try failed; Failures counts those in a row, and NotBefore is when it is tried again.
	Problem   string    `json:"problem,omitempty"`
	Failures  int       `json:"failures,omitempty"`
	NotBefore time.Time `json:"not_before,omitzero"`
}

// WhyOpen tells why an account must not be kept behind a notice any more, complete or not; empty when its owner waits on.
func WhyOpen(d Domain) string {
	switch {
	case d.State != Open:
		return "the domain's mail comes here"
	case d.FirstLogin != FirstLoginNotice:
		return "its domain shows nobody a notice any more"
	case d.PasswordsOnly:
		return "no mail of its domain is copied"
	}
	return ""
}
