package model

import "fmt"

// This is the second machine: filing anew (ADR 6). Three messages that came early, two of them equal, are copied behind
// the others of their folder and removed where they were. It shares nothing with the first one but letters and origins.

// Filing is one moment of it.
type Filing struct {
	Rows   [messages]filingRow
	Folder [filingUIDs]Slot
	Sent   filingCommand // the server's, not executed
	Answer filingAnswer
	Ghosts [filingGhosts]filingCommand // of dead clients
	Phase  filingPhase
	To     [messages]UID // the engine's: where each row shall be; lost in a crash
	Left   FilingFaults
}

const (
	filingUIDs   = 14
	filingGhosts = 3
)

type filingRow struct {
	Stage filingStage
	UID   UID
	Bound UID
}

type filingStage uint8

const (
	isPlaced filingStage = iota
	isRefiling
	isRemoved
)

type filingPhase uint8

const (
	filingOpens   filingPhase = iota // reads the ledger, plans
	filingWaits                      // for the answer to its copy
	filingRemoves                    // for the answer to its removal
	filingFinished
)

// filingCommand is a set of UIDs and what is done with them.
type filingCommand struct {
	Verb filingVerb
	UIDs [messages]UID // 0: none
}

type filingVerb uint8

const (
	filingNothing filingVerb = iota
	filingCopies
	filingMoves // what Dovecot does to a MOVE
	filingExpunges
)

type filingAnswer struct {
	Verb filingVerb
	OK   bool
	To   [messages]UID
}

// FilingFaults is how often each thing may still happen.
type FilingFaults struct{ Crashes, Deletions, Foreign uint8 }

func (f FilingFaults) String() string {
	return fmt.Sprintf("crashes %d, deletions %d, foreign %d", f.Crashes, f.Deletions, f.Foreign)
}

// FilingProtocol is what is left out, or done in another way.
type FilingProtocol uint8

// The parts. The empty set is the protocol as it shall be.
const (
	FilingWithoutIntent FilingProtocol = 1 << iota
	FilingWithoutFence
	FilingByMove      // MOVE instead of COPY and EXPUNGE
	FilingUnconfirmed // the removal is sent before the copy is answered
	FilingWithoutLook // after a doubt, second copies are not looked for
)

func (p FilingProtocol) has(part FilingProtocol) bool { return p&part != 0 }

func firstFiling(left FilingFaults) Filing {
	f := Filing{Left: left}
	for i, letter := range source {
		f.Folder[i] = Slot{Letter: letter, From: us}
		f.Rows[i] = filingRow{UID: UID(i + 1)}
	}
	return f
}

func (f *Filing) present(uid UID) bool {
	return uid > 0 && f.Folder[uid-1].Letter != 0 && !f.Folder[uid-1].Gone
}

// Steps calls visit with everything that can happen next.
func (p FilingProtocol) Steps(f Filing, visit func(string, Filing)) {
	if f.Phase == filingFinished {
		return
	}
	p.engine(f, visit)
	p.server(f, visit)
	if f.Left.Crashes > 0 {
		next := f
		next.Left.Crashes--
		if f.Sent.Verb != filingNothing {
			push(next.Ghosts[:], f.Sent)
		}
		next.Sent, next.Answer, next.To, next.Phase = filingCommand{}, filingAnswer{}, [messages]UID{}, filingOpens
		visit("the engine crashes", next)
	}
	for i, slot := range f.Folder {
		if f.Left.Deletions > 0 && slot.Letter != 0 && !slot.Gone {
			next := f
			next.Left.Deletions--
			next.Folder[i].Gone, next.Folder[i].From = true, owner // gone by its owner's hand
			visit(fmt.Sprintf("the owner deletes UID %d (%v)", i+1, slot.Letter), next)
		}
	}
	if f.Left.Foreign > 0 {
		next := f
		next.Left.Foreign--
		uid := give(next.Folder[:], Slot{Letter: letterA, From: stranger})
		visit(fmt.Sprintf("somebody else delivers A as UID %d", uid), next)
	}
}

// engine is the mirror's part.
func (p FilingProtocol) engine(f Filing, visit func(string, Filing)) {
	switch {
	case f.Phase == filingOpens && f.refiling():
		if f.Ghosts == [filingGhosts]filingCommand{} || p.has(FilingWithoutFence) {
			p.settle(&f)
			visit("the engine looks, and removes what is there twice", f)
		}
	case f.Phase == filingOpens:
		if f.Ghosts != [filingGhosts]filingCommand{} && !p.has(FilingWithoutFence) && !p.has(FilingWithoutIntent) {
			panic("model: a command without an intent")
		}
		p.begin(&f)
		visit("the engine plans, notes its intent and sends the copy", f)
	case f.Phase == filingWaits && f.Answer.Verb != filingNothing && !f.Answer.OK:
		f.Answer, f.Phase = filingAnswer{}, filingOpens // every command was answered
		if p.has(FilingWithoutIntent) {
			f.Phase = filingFinished
		}
		visit("the engine reads the No", f)
	case f.Phase == filingWaits && f.Answer.Verb == filingCopies && !p.has(FilingUnconfirmed):
		f.To = f.Answer.To
		f.Answer, f.Phase, f.Sent = filingAnswer{}, filingRemoves, filingCommand{filingExpunges, f.olds()}
		visit("the engine reads the OK and sends the removal", f)
	case f.Answer.Verb != filingNothing:
		if f.Phase == filingWaits {
			f.To = f.Answer.To
		}
		f.confirm()
		visit("the engine reads the OK and confirms", f)
	}
}

func (f *Filing) refiling() bool {
	for _, row := range f.Rows {
		if row.Stage == isRefiling {
			return true
		}
	}
	return false
}

// begin is the planner: what is not in its place was removed; what is in its first place is filed anew.
func (p FilingProtocol) begin(f *Filing) {
	next, any := uidNext(f.Folder[:]), false
	f.Sent.Verb = filingCopies
	if p.has(FilingByMove) {
		f.Sent.Verb = filingMoves
	}
	for i := range f.Rows {
		row := &f.Rows[i]
		switch {
		case row.Stage != isPlaced:
		case !f.present(row.UID):
			row.Stage = isRemoved
		case row.UID <= messages:
			any = true
			f.Sent.UIDs[i] = row.UID
			if !p.has(FilingWithoutIntent) {
				row.Stage, row.Bound = isRefiling, next
			}
		}
	}
	f.Phase = filingWaits
	if !any {
		f.Sent, f.Phase = filingCommand{}, filingFinished
	}
}

func (f *Filing) olds() (uids [messages]UID) {
	for i, uid := range f.To {
		if uid != 0 {
			uids[i] = f.Rows[i].UID
		}
	}
	return uids
}

func (f *Filing) confirm() {
	for i, uid := range f.To {
		if uid != 0 {
			f.Rows[i] = filingRow{UID: uid}
		}
	}
	f.Answer, f.To, f.Phase = filingAnswer{}, [messages]UID{}, filingOpens
}

// settle knows the ledger and what is in the folder. Those whose old place is empty choose first.
func (p FilingProtocol) settle(f *Filing) {
	var taken [filingUIDs]bool
	take := func(i int) UID {
		for uid := f.Rows[i].Bound; uid < uidNext(f.Folder[:]) && !p.has(FilingWithoutLook); uid++ {
			if f.present(uid) && !taken[uid-1] && f.Folder[uid-1].Letter == source[i] && !f.claimed(uid) {
				taken[uid-1] = true
				return uid
			}
		}
		return 0
	}
	twice := false
	for _, here := range []bool{false, true} {
		for i := range f.Rows {
			row := &f.Rows[i]
			if row.Stage != isRefiling || f.present(row.UID) != here || f.To[i] != 0 {
				continue
			}
			uid := take(i)
			switch {
			case uid != 0 && here:
				f.To[i], twice = uid, true
			case uid != 0:
				*row = filingRow{UID: uid}
			case here:
				*row = filingRow{UID: row.UID}
			default:
				row.Stage = isRemoved
			}
		}
	}
	if twice {
		f.Sent, f.Phase = filingCommand{filingExpunges, f.olds()}, filingRemoves
	}
}

func (f *Filing) claimed(uid UID) bool {
	for _, row := range f.Rows {
		if row.Stage == isPlaced && row.UID == uid {
			return true
		}
	}
	return false
}

// server executes what it was sent, whether or not the client is still there.
func (p FilingProtocol) server(f Filing, visit func(string, Filing)) {
	if f.Sent.Verb != filingNothing {
		next := f
		next.Sent = filingCommand{}
		ok, to := next.execute(f.Sent)
		if p.has(FilingUnconfirmed) && f.Sent.Verb == filingCopies { // the removal is right behind it
			_, _ = next.execute(filingCommand{filingExpunges, f.Sent.UIDs})
		}
		next.Answer = filingAnswer{f.Sent.Verb, ok, to}
		visit(fmt.Sprintf("the server executes it: %v", ok), next)
	}
	for i, ghost := range f.Ghosts {
		if ghost.Verb == filingNothing {
			break
		}
		next := f
		copy(next.Ghosts[i:], f.Ghosts[i+1:])
		next.Ghosts[filingGhosts-1] = filingCommand{}
		visit("the server drops what a client that is gone had sent", next)
		_, _ = next.execute(ghost)
		visit("the server executes what a client that is gone had sent", next)
	}
}

func (f *Filing) execute(c filingCommand) (ok bool, to [messages]UID) {
	whole := true
	for _, uid := range c.UIDs {
		whole = whole && (uid == 0 || f.present(uid))
	}
	if c.Verb == filingCopies && !whole {
		return false, to
	}
	for i, uid := range c.UIDs {
		if uid == 0 {
			continue
		}
		if c.Verb == filingMoves && !f.present(uid) {
			return false, to // and those before it are gone
		}
		if c.Verb != filingExpunges && whole {
			to[i] = give(f.Folder[:], Slot{Letter: f.Folder[uid-1].Letter, From: us})
		}
		if c.Verb != filingCopies {
			f.Folder[uid-1].Gone = true
		}
	}
	return true, to
}
