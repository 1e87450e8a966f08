package model

import (
	"fmt"
	"slices"
	"strings"
)

// trace tells in words how a moment came about.
func (s *search) trace(at int32) []string {
	var told []string
	for ; s.parent[at] >= 0; at = s.parent[at] {
		child, line := s.states[at], ""
		s.protocol.Steps(s.states[s.parent[at]], func(step Step, next State) {
			if next == child {
				line = step.String() + child.outcome(step)
			}
		})
		told = append(told, line)
	}
	slices.Reverse(told)
	return told
}

func (b Broken) String() string {
	return [...]string{
		Sound:     "sound",
		Duplicate: "DUP: we stored it more often than the source has it",
		Resurrect: "RESURRECT: we stored it again although its owner had removed it",
		Claim:     "CLAIM: two rows stand for one copy, or a row for other bytes",
		Lost:      "LOST: the ledger calls more messages copied than ever were here",
		Open:      "OPEN: finished, and a message has no fate",
		Stuck:     "STUCK: from here on the engine need not finish",
	}[b]
}

var names = [messages]string{"A1", "A2", "B"}

func (b Batch) String() string {
	var in []string
	for i := range messages {
		if b.has(i) {
			in = append(in, names[i])
		}
	}
	return strings.Join(in, "+")
}

func (l Letter) String() string { return [...]string{"nothing", "A", "B"}[l] }

func folder(there bool) string {
	if there {
		return "the second folder"
	}
	return "the destination folder"
}

func (s Step) String() string {
	switch s.Verb {
	case looks:
		return "the engine looks at the destination folder"
	case searches:
		return "the engine looks at the second folder"
	case opens:
		return "the engine opens the destination folder to append"
	case sends:
		return fmt.Sprintf("the engine intends %v with UIDs from %d on, and sends it", s.Batch, s.First)
	case reads:
		if s.First == 0 {
			return fmt.Sprintf("the engine reads the No to %v", s.Batch)
		}
		return fmt.Sprintf("the engine reads the OK to %v", s.Batch)
	case confirms:
		return fmt.Sprintf("the engine confirms %v in the ledger", s.Batch)
	case doubts:
		return "the engine has read every answer and settles without a fence"
	case notices:
		return "the engine gives up a connection that is dead"
	case finishes:
		return "the engine has finished"
	case executes:
		return fmt.Sprintf("the server stores %v from UID %d on", s.Batch, s.First)
	case executesGhost:
		return fmt.Sprintf("the server stores %v from UID %d on, for a client that is gone", s.Batch, s.First)
	case dropsGhost:
		return fmt.Sprintf("the server drops what a client that is gone had sent: %v", s.Batch)
	case refuses:
		return fmt.Sprintf("the server refuses %v", s.Batch)
	case crashes:
		return "the engine crashes"
	case cuts:
		return fmt.Sprintf("the connection of %v is cut", s.Batch)
	case deletes:
		return fmt.Sprintf("the owner deletes UID %d (%v) of %s", s.UID, s.Letter, folder(s.There))
	case moves:
		return fmt.Sprintf("the owner moves UID %d (%v) out of %s; it is UID %d there", s.UID, s.Letter, folder(s.There), s.First)
	case delivers:
		return fmt.Sprintf("somebody else delivers %v to %s as UID %d", s.Letter, folder(s.There), s.UID)
	}
	panic(fmt.Sprintf("model: no words for step %d", s.Verb))
}

// outcome tells what the ledger says after a step that decides.
func (s State) outcome(step Step) string {
	if step.Verb != looks && step.Verb != searches && step.Verb != opens {
		return ""
	}
	var told []string
	for i, row := range s.Ledger {
		told = append(told, fmt.Sprintf("%s %s", names[i], row))
	}
	return ": " + strings.Join(told, ", ")
}

func (r Row) String() string {
	switch r.Stage {
	case intended:
		return "in doubt"
	case parked:
		return "parked"
	case confirmed:
		if r.There {
			return fmt.Sprintf("is UID %d of the second folder", r.UID)
		}
		return fmt.Sprintf("is UID %d", r.UID)
	}
	return "new"
}
