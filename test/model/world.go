package model

import "slices"

// serverSteps: the server executes what it was sent, whether or not the client is still there.
func serverSteps(s State, visit visitor) {
	for i, stream := range s.Streams {
		b := stream.Sent
		if b == 0 {
			continue
		}
		next := s
		first := next.store(b)
		next.Streams[i] = Stream{Answer: Answer{b, first}}
		visit(Step{Verb: executes, Batch: b, First: first}, next)
		if s.Left.Refusals > 0 {
			next := s
			next.Left.Refusals--
			next.Streams[i] = Stream{Answer: Answer{Batch: b}}
			visit(Step{Verb: refuses, Batch: b}, next)
		}
	}
	for i, b := range s.Ghosts {
		if b == 0 {
			break
		}
		next := s
		next.Ghosts[i] = 0
		visit(Step{Verb: dropsGhost, Batch: b}, next)
		first := next.store(b)
		visit(Step{Verb: executesGhost, Batch: b, First: first}, next)
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

// faultSteps: crash and cut, at any moment at which they change anything.
func (p Protocol) faultSteps(s State, visit visitor) {
	if s.Left.Crashes > 0 {
		next := s
		next.Left.Crashes--
		p.giveUp(&next)
		visit(Step{Verb: crashes}, next)
	}
	if s.Left.Cuts == 0 {
		return
	}
	for i, stream := range s.Streams {
		if b := stream.Sent | stream.Answer.Batch; b != 0 {
			next := s
			next.Left.Cuts--
			next.lose(i)
			next.Streams[i].Dead = true
			visit(Step{Verb: cuts, Batch: b}, next)
		}
	}
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
			next := s
			left := [2]*uint8{&next.Left.Moves, &next.Left.Returns}[f]
			if *left > 0 {
				*left--
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

// sort makes moments equal that differ only in the order of things without one.
func (s *State) sort() {
	slices.SortFunc(s.Ghosts[:], func(a, b Batch) int { return int(b) - int(a) })
	if s.Streams[0].order() < s.Streams[1].order() {
		s.Streams[0], s.Streams[1] = s.Streams[1], s.Streams[0]
	}
}

// order is another number for every other stream: a message is in one batch only.
func (s Stream) order() (n int) {
	for _, part := range []int{int(s.Sent), int(s.Answer.Batch), int(s.Answer.First), int(s.Read.Batch), int(s.Read.First)} {
		n = n<<4 | part
	}
	n <<= 1
	if s.Dead {
		n++
	}
	return n
}
