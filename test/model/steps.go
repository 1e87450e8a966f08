package model

// Protocol is the set of the parts of the append protocol that are left out, or done in another way. The empty set is
// the protocol as it shall be.
type Protocol uint16

const (
	NoIntents       Protocol = 1 << iota // the ledger hears of a message after the OK only
	NoFence                              // settle at once
	NoVanishedCheck                      // what is not found never took effect
	NoSearch                             // nothing is looked for in other folders: more is parked
	NoRoomCheck                          // a batch for which too few UIDs are missing is not known to be new: more is parked
	BoundAtOpening                       // the lower bound of every batch is the UIDNEXT of the opening
	BoundGuessed                         // the lower bound counts on other batches, which are not answered yet
	EarlyFirst                           // of equal messages in doubt, the one with the lower bound takes a copy first
	TwinsMoved                           // a copy in another folder is taken, though it may be a settled message that was moved
	TwinsInRoom                          // of the room for a batch, copies that an equal message took are not counted
	DeadIsAnswered                       // after a No, all is settled without a fence though another connection has died
)

// Full is the whole protocol.
const Full Protocol = 0

func (p Protocol) has(part Protocol) bool { return p&part != 0 }

// Verb is what happened.
type Verb uint8

const (
	looks Verb = iota
	searches
	opens
	sends
	reads
	confirms
	doubts
	notices
	finishes
	executes
	executesGhost
	dropsGhost
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
	sorted := func(step Step, next State) {
		next.sort()
		visit(step, next)
	}
	p.engineSteps(s, sorted)
	p.copyingSteps(s, sorted)
	serverSteps(s, sorted)
	p.faultSteps(s, sorted)
	ownerSteps(s, sorted)
}
