package model

// Protocol is the set of the parts of the append protocol that are left out, or done in another way. The empty set is
// what mailstork does.
type Protocol uint16

const (
	NoIntents       Protocol = 1 << iota // the ledger hears of a message after the OK only
	NoFence                              // settle at once
	NoVanishedCheck                      // what is not found never took effect
	NoSearch                             // nothing is looked for in other folders: more is parked
	BoundAtOpening                       // the lower bound of every batch is the UIDNEXT of the opening
	BoundGuessed                         // the lower bound counts on the batch before, which is not answered yet
	BoundPerMessage                      // each message in doubt is looked for above its own bound, not above the lowest
	TwinsTaken                           // a copy in another folder is taken, though it may be a settled one that was moved
)

// Full is the whole protocol.
const Full Protocol = 0

func (p Protocol) has(part Protocol) bool { return p&part != 0 }

// Verb is what happened.
type Verb uint8

const (
	starts Verb = iota
	fences
	looks
	searches
	settles
	opens
	intends
	sends
	reads
	confirms
	notices
	finishes
	executes
	executesGhost
	endsGhost
	refuses
	crashes
	cuts
	deletes
	moves
	delivers
)

// Step is one thing that happened, with the objects that its verb needs.
type Step struct {
	Verb   Verb
	Batch  Batch
	First  UID // where a batch was stored
	There  bool
	UID    UID
	Letter Letter
}

// fault tells that the step need not happen for the engine to come to an end.
func (s Step) fault() bool { return s.Verb >= refuses }

type visitor func(Step, State)

// Steps calls visit with everything that can happen next. After the engine has finished, nothing of ours is in doubt
// or on its way, and what owners do to their mail can't break anything.
func (p Protocol) Steps(s State, visit visitor) {
	if s.Engine.Phase == finished {
		return
	}
	p.engineSteps(s, visit)
	p.copyingSteps(s, visit)
	p.serverSteps(s, visit)
	p.faultSteps(s, visit)
	ownerSteps(s, visit)
}
