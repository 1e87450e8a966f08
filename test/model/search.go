package model

// Result is what a search has seen.
type Result struct {
	States, Transitions int
	Ends, EndsParked    int // moments where the engine has finished; and something is parked
	Broken              Broken
	Trace               []string // how the first broken moment came about, in the fewest steps
}

// search goes everywhere, nearest moments first, so that a trace is as short as any.
type search struct {
	protocol Protocol
	states   []State
	parent   []int32
	number   map[State]int32
	result   Result
}

// Search looks at every moment that can follow with so many faults, and stops at the first broken one.
func Search(p Protocol, faults Faults) Result {
	s := &search{protocol: p, number: map[State]int32{}}
	s.add(State{Left: faults}, -1)
	for at := 0; at < len(s.states) && s.result.Broken == Sound; at++ {
		s.look(int32(at))
	}
	s.result.States = len(s.states)
	if s.result.Broken == Sound {
		s.converges()
	}
	return s.result
}

func (s *search) look(at int32) {
	here := s.states[at]
	if here.Engine.Phase == finished {
		s.result.Ends++
		for _, row := range here.Ledger {
			if row.Stage == parked {
				s.result.EndsParked++
				break
			}
		}
	}
	s.protocol.Steps(here, func(_ Step, next State) {
		s.result.Transitions++
		if s.result.Broken == Sound && s.add(next, at) {
			if s.result.Broken = Check(next); s.result.Broken != Sound {
				s.result.Trace = append(s.trace(int32(len(s.states)-1)), s.result.Broken.String())
			}
		}
	})
}

// add takes a moment in unless it was seen before.
func (s *search) add(next State, parent int32) bool {
	if _, seen := s.number[next]; seen {
		return false
	}
	s.number[next] = int32(len(s.states))
	s.states = append(s.states, next)
	s.parent = append(s.parent, parent)
	return true
}

// converges proves that the engine finishes, in whatever order things happen, once no more faults happen.
func (s *search) converges() {
	c := convergence{search: s, ends: make([]verdict, len(s.states))}
	for at := range s.states {
		if !c.from(int32(at)) {
			s.result.Broken, s.result.Trace = Stuck, append(s.trace(int32(at)), Stuck.String())
			return
		}
	}
}

type verdict uint8

const (
	unknown verdict = iota
	onPath
	ends
)

type convergence struct {
	*search
	ends []verdict
}

func (c convergence) from(at int32) bool {
	if c.states[at].Engine.Phase == finished || c.ends[at] == ends {
		return true
	}
	if c.ends[at] == onPath {
		return false // round and round
	}
	c.ends[at] = onPath
	well, any := true, false
	c.protocol.Steps(c.states[at], func(step Step, next State) {
		if !step.fault() {
			any = true
			well = well && c.from(c.number[next])
		}
	})
	c.ends[at] = ends
	return well && any
}
