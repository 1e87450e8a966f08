package model

// Broken is the invariant that a moment breaks.
type Broken uint8

const (
	Sound     Broken = iota
	Duplicate        // L2: appended more often than the source has it
	Resurrect        // L3: as Duplicate, and the owner had deleted or moved a copy of ours
	Claim            // L2: two rows stand for one copy, or a row stands for other bytes
	Lost             // L1: the ledger calls more messages copied than ever were here
	Open             // L1: the engine has finished and a message has no fate
	Stuck            // whatever happens to the engine from here on, it need not finish
)

// Check judges a moment.
func Check(s State) Broken {
	for letter := letterA; letter <= letters; letter++ {
		if broken := s.checkLetter(letter); broken != Sound {
			return broken
		}
	}
	if !s.claimsHold() {
		return Claim
	}
	if s.Engine.Phase == finished && s.count(absent)+s.count(intended) > 0 {
		return Open
	}
	return Sound
}

// checkLetter counts: identical messages are interchangeable, so only numbers can be wrong.
func (s *State) checkLetter(letter Letter) Broken {
	ours, here, removed := 0, 0, false
	for _, slot := range append(s.Here[:], s.There[:]...) {
		if slot.Letter != letter {
			continue
		}
		if slot.From == us {
			ours++
			removed = removed || slot.Gone
		}
		if slot.From != owner {
			here++ // it was here once, whatever became of it
		}
	}
	atSource, copied := 0, 0
	for i, row := range s.Ledger {
		if source[i] == letter {
			atSource++
			if row.Stage == confirmed {
				copied++
			}
		}
	}
	switch {
	case ours > atSource && removed:
		return Resurrect
	case ours > atSource:
		return Duplicate
	case copied > here:
		return Lost
	}
	return Sound
}

// claimsHold tells that every confirmed row stands for a copy of its own.
func (s *State) claimsHold() bool {
	for i, row := range s.Ledger {
		if row.Stage != confirmed {
			continue
		}
		if s.place(row).Letter != source[i] {
			return false
		}
		for _, other := range s.Ledger[:i] {
			if other.Stage == confirmed && other.There == row.There && other.UID == row.UID {
				return false
			}
		}
	}
	return true
}
