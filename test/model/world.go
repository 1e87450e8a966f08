package model

import "slices"

// serverSteps: the server executes what it was sent, whether or not the client is still there.
func (p Protocol) serverSteps(s State, visit visitor) {
	if b := s.Line.Queue[0]; b != 0 {
		next := s
		pop(next.Line.Queue[:])
		first := next.store(b)
		push(next.Line.Answers[:], Answer{b, first})
		visit(Step{Verb: executes, Batch: b, First: first}, next)
		if s.Left.Refusals > 0 {
			next := s
			next.Left.Refusals--
			pop(next.Line.Queue[:])
			push(next.Line.Answers[:], Answer{Batch: b})
			visit(Step{Verb: refuses, Batch: b}, next)
		}
	}
	for i, ghost := range s.Ghosts {
		b := ghost[0]
		if b == 0 {
			continue
		}
		next := s
		pop(next.Ghosts[i][:])
		first := next.store(b)
		next.sortGhosts()
		visit(Step{Verb: executesGhost, Batch: b, First: first}, next)

		next = s
		next.Ghosts[i] = Queue{}
		next.sortGhosts()
		visit(Step{Verb: endsGhost, Batch: b}, next)
	}
}

// store is the one place where anything of ours is stored: the whole batch, in order, at the end of the folder.
func (s *State) store(b Batch) (first UID) {
	first = uidNext(s.Here[:])
	for i, letter := range source {
		if b.has(i) {
			give(s.Here[:], Slot{Letter: letter, From: us})
		}
	}
	return first
}

// faultSteps: crash and cut. What was sent and not executed is a ghost from now on: the server may execute all of it,
// some of it or nothing.
func (p Protocol) faultSteps(s State, visit visitor) {
	if s.Engine.Phase != down && s.Left.Crashes > 0 {
		next := s
		next.Left.Crashes--
		next.loseLine()
		p.forget(&next)
		visit(Step{Verb: crashes}, next)
	}
	if s.Engine.Phase == copying && !s.Engine.Cut && s.Left.Cuts > 0 {
		s.Left.Cuts--
		s.loseLine()
		s.Engine.Cut = true
		visit(Step{Verb: cuts}, s)
	}
}

func (s *State) loseLine() {
	if s.Line.Queue != (Queue{}) {
		push(s.Ghosts[:], s.Line.Queue)
		s.sortGhosts()
	}
	s.Line = Line{}
}

// sortGhosts puts sessions with nothing left to do, which are no ghosts, at the end.
func (s *State) sortGhosts() {
	slices.SortFunc(s.Ghosts[:], func(a, b Queue) int { return slices.Compare(b[:], a[:]) })
}

// ownerSteps is what owners, and those who write to them, do meanwhile.
func ownerSteps(s State, visit visitor) {
	folders := func(s *State) [2][]Slot { return [2][]Slot{s.Here[:], s.There[:]} }
	for f, folder := range folders(&s) {
		for i, slot := range folder {
			if slot.Letter == 0 || slot.Gone {
				continue
			}
			step := Step{Letter: slot.Letter, UID: UID(i + 1), There: f == 1}
			if next := s; s.Left.Deletions > 0 {
				next.Left.Deletions--
				folders(&next)[f][i].Gone = true
				step.Verb = deletes
				visit(step, next)
			}
			if next := s; s.Left.Moves > 0 {
				next.Left.Moves--
				folders(&next)[f][i].Gone = true
				step.Verb, step.First = moves, give(folders(&next)[1-f], Slot{Letter: slot.Letter, From: owner})
				visit(step, next)
			}
		}
		for letter := letterA; letter <= letters && s.Left.Foreign > 0; letter++ {
			next := s
			next.Left.Foreign--
			step := Step{Verb: delivers, Letter: letter, There: f == 1}
			step.UID = give(folders(&next)[f], Slot{Letter: letter, From: stranger})
			visit(step, next)
		}
	}
}
