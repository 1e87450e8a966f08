package model

// settle decides about every row in doubt, in one transaction. It knows the ledger and what was seen, nothing else.
func (p Protocol) settle(s *State) {
	unclear := p.judge(s)
	for i := range s.Ledger {
		row := &s.Ledger[i]
		if row.Stage != intended {
			continue
		}
		if !unclear.has(i) {
			*row = Row{} // it never took effect: new again
			continue
		}
		*row = Row{Stage: parked}
		if uid := p.moved(s, source[i]); uid != 0 {
			*row = Row{Stage: confirmed, There: true, UID: uid}
		}
	}
	if s.Engine.UIDNext == 0 {
		s.Engine = Engine{Phase: opening}
	} else {
		s.Engine = Engine{Phase: copying, UIDNext: s.Engine.UIDNext}
	}
}

// mustSearch tells whether the destination folder alone leaves a question open.
func (p Protocol) mustSearch(s State) bool { return !p.has(NoSearch) && p.judge(&s) != 0 }

// judge confirms what the destination folder has, and returns what it can't tell about.
func (p Protocol) judge(s *State) (unclear Batch) {
	before := *s
	p.match(s)
	if p.has(NoVanishedCheck) {
		return 0
	}
	for i, row := range s.Ledger {
		if row.Stage == intended && !p.never(s, &before, row) {
			unclear |= 1 << i
		}
	}
	return unclear
}

// match gives copies that nobody claims to rows in doubt that want these bytes. A row with a higher bound has fewer
// to choose from, so it chooses first, and takes the latest.
func (p Protocol) match(s *State) {
	found := s.Engine.Found
	for bound := UID(uids); bound > 0; bound-- {
		for i := range s.Ledger {
			row := &s.Ledger[i]
			now := bound
			if p.has(EarlyFirst) {
				now = uids + 1 - bound
			}
			if row.Stage != intended || row.Bound != now {
				continue
			}
			for uid := found.UIDNext - 1; uid >= row.Bound; uid-- {
				if found.has(uid) && !s.claimed(false, uid) && s.Here[uid-1].Letter == source[i] {
					*row = Row{Stage: confirmed, UID: uid}
					break
				}
			}
		}
	}
}

// never tells that the batch of a row that found no copy did not take effect: every UID that was given since is
// accounted for, or too few are missing for the whole batch.
func (p Protocol) never(s, before *State, row Row) bool {
	missing, taken := UID(0), UID(0)
	for uid := row.Bound; uid < s.Engine.Found.UIDNext; uid++ {
		switch letter := s.Here[uid-1].Letter; {
		case before.claimed(false, uid):
		case !s.Engine.Found.has(uid):
			missing++
		case row.Batch.wants(letter): // by this batch or by an equal message of another
			taken++
		}
	}
	if missing == 0 {
		return true
	}
	for i, other := range s.Ledger {
		if row.Batch.has(i) && other.Stage == confirmed {
			return false // a part of it is here
		}
	}
	if p.has(TwinsInRoom) {
		taken = 0
	}
	return missing+taken < row.Batch.count() && !p.has(NoRoomCheck)
}

func (b Batch) wants(letter Letter) bool {
	for i := range messages {
		if b.has(i) && source[i] == letter {
			return true
		}
	}
	return false
}

// moved finds a copy in the second folder, 0 for none. The copy of another row may have been moved there too, even
// since the destination folder was looked at: nothing is taken while such a row stands for a copy of the same bytes.
func (p Protocol) moved(s *State, letter Letter) UID {
	for i, row := range s.Ledger {
		if source[i] == letter && row.Stage == confirmed && !row.There && !p.has(TwinsMoved) {
			return 0
		}
	}
	for uid := UID(1); uid < s.Engine.Searched.UIDNext; uid++ {
		if s.Engine.Searched.has(uid) && !s.claimed(true, uid) && s.There[uid-1].Letter == letter {
			return uid
		}
	}
	return 0
}

func (s *State) claimed(there bool, uid UID) bool {
	for _, row := range s.Ledger {
		if row.Stage == confirmed && row.There == there && row.UID == uid {
			return true
		}
	}
	return false
}
