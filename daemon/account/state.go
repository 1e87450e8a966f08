package account

import "fmt"

// State is where an account stands on its way here. Kept in one column, changed only through Transitions.
type State string

// The states of an account in the order in which it passes through them.
const (
	Listed    State = "listed"    // known by address only; mail is accepted for it, it has no password here
	Joined    State = "joined"    // a credential was proven at the source and the local account exists (A1)
	Copying   State = "copying"   // the first pass is under way or was interrupted
	Following State = "following" // the first pass is complete; later passes bring what is new
	Closing   State = "closing"   // the domain's cutover has drained; the last pass and the verification run
	Done      State = "done"      // every message is accounted for (L1) and the credential is erased
)

// States are all of them in order.
var States = []State{Listed, Joined, Copying, Following, Closing, Done}

// DomainState is where a domain stands.
type DomainState string

// The states of a domain in order.
const (
	Open     DomainState = "open"     // accounts join; the world still sends the domain's mail to the source
	Cutover  DomainState = "cutover"  // every authoritative server names us; caches may still hold old answers
	Draining DomainState = "draining" // old answers have expired; waiting until the source is quiet
	Closed   DomainState = "closed"   // last pass, proof and report are done; the hook answers "not ours"
)

// DomainStates are all of them in order.
var DomainStates = []DomainState{Open, Cutover, Draining, Closed}

// Transition is one allowed change of an account's state.
type Transition struct {
	From, To State
	Event    string // the word in log lines
	When     string // what must be true, in words for docs/states.md
}

const abandoned = "an operator gave up the rest at the source; what is here stays, the report says what is missing"

// Transitions is the whole of an account's life. Code changes State only through Next.
var Transitions = []Transition{
	{Listed, Joined, "join", "a password was proven at the source, by its owner's login or by an import (A1)"},
	{Joined, Copying, "start", "a worker starts the first pass"},
	{Copying, Following, "complete", "the first pass ended with every source message in the ledger with a fate"},
	{Following, Closing, "drain", "the domain is draining and the source was quiet, or the deadline came (C1)"},
	{Closing, Following, "reopen", "the MX names the source again, or a letter at the source restarted the quiet time (C1)"},
	{Closing, Done, "verify", "last pass and verification account for every message (L1); the credential is erased"},
	{Joined, Done, "abandon", abandoned},
	{Copying, Done, "abandon", abandoned},
	{Following, Done, "abandon", abandoned},
	{Closing, Done, "abandon", abandoned},
	{Listed, Done, "expire", "the domain closes and nobody ever logged in"},
}

// DomainTransition is one allowed change of a domain's state.
type DomainTransition struct {
	From, To DomainState
	Event    string
	When     string
}

// DomainTransitions is the whole of a domain's life.
var DomainTransitions = []DomainTransition{
	{Open, Cutover, "agree", "every authoritative server names us, seen repeatedly (C1)"},
	{Cutover, Open, "disagree", "an authoritative server names the source again"},
	{Cutover, Draining, "expire", "the longest TTL ever seen on an old answer, and the grace time, have passed (C1)"},
	{Draining, Open, "disagree", "an authoritative server names the source again"},
	{Draining, Closed, "finalize", "the source was quiet or the deadline came, and every account is done"},
}

// Next returns the transition that leads from one state to another, or an error when there is none.
func Next(from, to State) (Transition, error) {
	for _, t := range Transitions {
		if t.From == from && t.To == to {
			return t, nil
		}
	}
	return Transition{}, fmt.Errorf("changing account state from %q to %q: no such transition", from, to)
}

// NextDomain returns the transition that leads from one domain state to another, or an error when there is none.
func NextDomain(from, to DomainState) (DomainTransition, error) {
	for _, t := range DomainTransitions {
		if t.From == from && t.To == to {
			return t, nil
		}
	}
	return DomainTransition{}, fmt.Errorf("changing domain state from %q to %q: no such transition", from, to)
}
