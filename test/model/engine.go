package model

// engineSteps is everything but copying: start, settle what is in doubt, open.
func (p Protocol) engineSteps(s State, visit visitor) {
	e := &s.Engine
	switch e.Phase {
	case down:
		s.begin()
		visit(Step{Verb: starts}, s)
	case fencing:
		if s.Ghosts == [sessions]Queue{} || p.has(NoFence) {
			e.Phase = looking
			visit(Step{Verb: fences}, s)
		}
	case looking:
		e.Found = list(s.Here[:])
		e.Phase = settling
		if p.mustSearch(s) {
			e.Phase = searching
		}
		visit(Step{Verb: looks}, s)
	case searching:
		e.Searched = list(s.There[:])
		e.Phase = settling
		visit(Step{Verb: searches}, s)
	case settling:
		p.settle(&s)
		s.Engine = Engine{Phase: opening}
		visit(Step{Verb: settles}, s)
	case opening:
		s.adopt()
		s.Engine = Engine{Phase: copying, UIDNext: uidNext(s.Here[:])}
		visit(Step{Verb: opens}, s)
	}
}

// adopt is the planner's: what is here already, put there by anybody, is not copied.
func (s *State) adopt() {
	for uid := UID(1); uid < uidNext(s.Here[:]); uid++ {
		slot := s.Here[uid-1]
		if slot.Gone || s.claimed(false, uid) {
			continue
		}
		for i := range s.Ledger {
			if s.Ledger[i].Stage == absent && source[i] == slot.Letter {
				s.Ledger[i] = Row{Stage: confirmed, UID: uid}
				break
			}
		}
	}
}

// begin is where the engine goes with an empty memory: to the fence if the ledger has something in doubt.
func (s *State) begin() {
	s.Engine = Engine{Phase: opening}
	for _, row := range s.Ledger {
		if row.Stage == intended {
			s.Engine.Phase = fencing
		}
	}
}

// copyingSteps is intent, act, confirm. Up to window batches are on their way.
func (p Protocol) copyingSteps(s State, visit visitor) {
	if s.Engine.Phase != copying {
		return
	}
	p.intendSteps(s, visit)
	if s.Engine.Cut {
		next := s
		p.forget(&next)
		next.begin()
		visit(Step{Verb: notices}, next)
	} else {
		p.lineSteps(s, visit)
	}
	if answer := s.Engine.Answered[0]; answer != (Answer{}) {
		next := s
		next.confirm(answer)
		pop(next.Engine.Answered[:])
		visit(Step{Verb: confirms, Batch: answer.Batch}, next)
	}
	if s.settled() {
		s.Engine = Engine{Phase: finished}
		visit(Step{Verb: finishes}, s)
	}
}

// intendSteps: the next batch, of one message or two, is in the ledger before its last line end is sent.
func (p Protocol) intendSteps(s State, visit visitor) {
	if s.Engine.Ready != 0 || length(s.Line.Queue[:])+length(s.Line.Answers[:]) == window {
		return
	}
	var batch Batch
	bound := p.bound(s)
	for i := range messages {
		if s.Ledger[i].Stage != absent {
			continue
		}
		if batch = batch.with(i); batch.count() > 2 {
			return
		}
		s.Ledger[i] = Row{Stage: intended, Bound: bound}
		s.Engine.Ready = batch
		visit(Step{Verb: intends, Batch: batch, First: bound}, s)
	}
}

// bound is a UID below which no message of the next batch can be.
func (p Protocol) bound(s State) UID {
	bound := s.Engine.UIDNext
	if p.has(BoundGuessed) {
		for _, b := range s.Line.Queue {
			bound += b.count()
		}
		for _, a := range s.Line.Answers {
			bound += a.Batch.count()
		}
	}
	return bound
}

// lineSteps uses the connection, as long as the engine believes that it has one.
func (p Protocol) lineSteps(s State, visit visitor) {
	if b := s.Engine.Ready; b != 0 {
		next := s
		push(next.Line.Queue[:], b)
		next.Engine.Ready = 0
		visit(Step{Verb: sends, Batch: b}, next)
	}
	answer := s.Line.Answers[0]
	switch {
	case answer == Answer{}:
	case answer.First == 0: // in doubt like a lost reply: the connection is given up
		s.loseLine()
		p.forget(&s)
		s.begin()
		visit(Step{Verb: reads, Batch: answer.Batch}, s)
	case length(s.Engine.Answered[:]) < window:
		pop(s.Line.Answers[:])
		push(s.Engine.Answered[:], answer)
		if !p.has(BoundAtOpening) {
			s.Engine.UIDNext = max(s.Engine.UIDNext, answer.First+answer.Batch.count())
		}
		visit(Step{Verb: reads, Batch: answer.Batch, First: answer.First}, s)
	}
}

// forget is what a crash does to the engine, and what the engine does itself after a doubt.
func (p Protocol) forget(s *State) {
	s.Engine = Engine{}
	if p.has(NoIntents) { // what was sent was noted in memory only
		for i := range s.Ledger {
			if s.Ledger[i].Stage == intended {
				s.Ledger[i] = Row{}
			}
		}
	}
}

func (s *State) confirm(a Answer) {
	uid := a.First
	for i := range messages {
		if a.Batch.has(i) {
			s.Ledger[i] = Row{Stage: confirmed, UID: uid}
			uid++
		}
	}
}

func (s *State) settled() bool {
	for _, row := range s.Ledger {
		if row.Stage == absent || row.Stage == intended {
			return false
		}
	}
	return true
}
