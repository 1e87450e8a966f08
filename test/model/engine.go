package model

// engineSteps is everything but copying: settle what is in doubt, open.
func (p Protocol) engineSteps(s State, visit visitor) {
	e := &s.Engine
	switch e.Phase {
	case fencing, looking:
		if s.Ghosts != [sessions]Batch{} && e.Phase == fencing && !p.has(NoFence) {
			return
		}
		e.Found = look(s.Here[:])
		if p.mustSearch(s) {
			e.Phase = searching
		} else {
			p.settle(&s)
		}
		visit(Step{Verb: looks}, s)
	case searching:
		e.Searched = look(s.There[:])
		p.settle(&s)
		visit(Step{Verb: searches}, s)
	case opening:
		s.adopt()
		s.Engine = Engine{Phase: copying, UIDNext: uidNext(s.Here[:])}
		visit(Step{Verb: opens}, s)
	}
}

// begin is where the engine goes with an empty memory: to the fence if the ledger has something in doubt.
func (s *State) begin() {
	s.Engine = Engine{Phase: opening}
	if s.count(intended) > 0 {
		s.Engine.Phase = fencing
	}
}

// adopt is the planner's: what is here already, put there by anybody, is not copied.
func (s *State) adopt() {
	for uid := UID(1); uid < uidNext(s.Here[:]); uid++ {
		if s.Here[uid-1].Gone || s.claimed(false, uid) {
			continue
		}
		for i := range s.Ledger {
			if s.Ledger[i].Stage == absent && source[i] == s.Here[uid-1].Letter {
				s.Ledger[i] = Row{Stage: confirmed, UID: uid}
				break
			}
		}
	}
}

func (s *State) place(row Row) Slot {
	if row.There {
		return s.There[row.UID-1]
	}
	return s.Here[row.UID-1]
}

// copyingSteps is intent, act, confirm.
func (p Protocol) copyingSteps(s State, visit visitor) {
	if s.Engine.Phase != copying {
		return
	}
	idle := 0
	for i, stream := range s.Streams {
		switch {
		case stream == Stream{}:
			if idle++; idle == 1 { // the streams are interchangeable
				p.sendSteps(s, i, visit)
			}
		case stream.Dead:
			next := s
			if p.has(DeadIsAnswered) {
				next.Streams[i] = Stream{}
			} else {
				p.giveUp(&next)
			}
			visit(Step{Verb: notices}, next)
		default:
			p.streamStep(s, i, visit)
		}
	}
	if idle < streams {
		return
	}
	if s.Engine.Doubt { // every command was answered, no fence is needed
		next := s
		next.Engine.Phase = looking
		visit(Step{Verb: doubts}, next)
	} else if s.count(intended) > 0 {
		next := s
		p.giveUp(&next)
		visit(Step{Verb: notices}, next)
	}
	if s.count(absent)+s.count(intended) == 0 {
		s.Engine = Engine{Phase: finished}
		visit(Step{Verb: finishes}, s)
	}
}

// sendSteps: a batch is in the ledger before its last line end is sent. It has one or two messages that follow each
// other among the new ones; it need not begin with the first, since the streams share the work.
func (p Protocol) sendSteps(s State, stream int, visit visitor) {
	bound, before := p.bound(&s), Batch(0)
	for i := range messages {
		if s.Ledger[i].Stage != absent {
			continue
		}
		alone := Batch(1 << i)
		for _, batch := range []Batch{alone, alone | before} {
			next := s
			next.intend(batch, bound)
			next.Streams[stream].Sent = batch
			visit(Step{Verb: sends, Batch: batch, First: bound}, next)
			if before == 0 {
				break
			}
		}
		before = alone
	}
}

func (s *State) intend(batch Batch, bound UID) {
	for i := range messages {
		if batch.has(i) {
			s.Ledger[i] = Row{Stage: intended, Batch: batch, Bound: bound}
		}
	}
}

// bound is a UID below which no message of the next batch can be.
func (p Protocol) bound(s *State) UID {
	bound := s.Engine.UIDNext
	if p.has(BoundGuessed) {
		for _, stream := range s.Streams {
			bound += stream.Sent.count() + stream.Answer.Batch.count()
		}
	}
	return bound
}

// streamStep goes on with the batch of one connection.
func (p Protocol) streamStep(s State, i int, visit visitor) {
	stream := &s.Streams[i]
	switch {
	case stream.Answer != Answer{}:
		answer := stream.Answer
		*stream = Stream{Read: answer}
		if answer.First == 0 { // No: very probably nothing happened, but that is for the settlement to say
			*stream, s.Engine.Doubt = Stream{}, true
		} else if !p.has(BoundAtOpening) {
			s.Engine.UIDNext = max(s.Engine.UIDNext, answer.First+answer.Batch.count())
		}
		visit(Step{Verb: reads, Batch: answer.Batch, First: answer.First}, s)
	case stream.Read != Answer{}:
		answer := stream.Read
		*stream = Stream{}
		s.confirm(answer)
		visit(Step{Verb: confirms, Batch: answer.Batch}, s)
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

// giveUp is what a crash and the next start do to the engine, and what it does itself when a connection has died: it
// begins with an empty memory. What was sent and not executed is a ghost from now on.
func (p Protocol) giveUp(s *State) {
	for i := range s.Streams {
		s.lose(i)
	}
	s.Streams = [streams]Stream{}
	if p.has(NoIntents) { // what was sent was noted in memory only
		for i := range s.Ledger {
			if s.Ledger[i].Stage == intended {
				s.Ledger[i] = Row{}
			}
		}
	}
	s.begin()
}

// lose cuts a connection. Replies on their way are lost.
func (s *State) lose(stream int) {
	if b := s.Streams[stream].Sent; b != 0 {
		push(s.Ghosts[:], b)
	}
	s.Streams[stream].Sent, s.Streams[stream].Answer = 0, Answer{}
}

func (s *State) count(stage Stage) (n int) {
	for _, row := range s.Ledger {
		if row.Stage == stage {
			n++
		}
	}
	return n
}
