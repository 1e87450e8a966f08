package model

// settle decides about every row in doubt, in one transaction. It knows the ledger and what was seen, nothing else.
func (p Protocol) settle(s *State) {
	from := p.bounds(s)
	s.match(from)
	for i := range s.Ledger {
		row := &s.Ledger[i]
		if row.Stage != intended {
			continue
		}
		if p.has(NoVanishedCheck) || !s.vanished(from[i]) {
			*row = Row{} // it never took effect
			continue
		}
		*row = Row{Stage: parked}
		if uid := p.moved(s, source[i]); uid != 0 {
			*row = Row{Stage: confirmed, There: true, UID: uid}
		}
	}
}

// mustSearch tells whether the destination folder alone leaves a question open.
func (p Protocol) mustSearch(s State) bool {
	if p.has(NoSearch) || p.has(NoVanishedCheck) {
		return false
	}
	from := p.bounds(&s)
	s.match(from)
	for i, row := range s.Ledger {
		if row.Stage == intended && s.vanished(from[i]) {
			return true
		}
	}
	return false
}

// bounds says from which UID on each row in doubt is looked for: the lowest bound of all of them. With its own bound
// only, the later of two identical messages could be declared new because the earlier one was matched with its copy.
func (p Protocol) bounds(s *State) (from [messages]UID) {
	lowest := UID(uids + 1)
	for i, row := range s.Ledger {
		if row.Stage == intended {
			from[i] = row.Bound
			lowest = min(lowest, row.Bound)
		}
	}
	if !p.has(BoundPerMessage) {
		from = [messages]UID{lowest, lowest, lowest}
	}
	return from
}

// match gives each copy that nobody claims to one row in doubt that wants these bytes.
func (s *State) match(from [messages]UID) {
	for uid := UID(1); uid < s.Engine.Found.UIDNext; uid++ {
		if !s.Engine.Found.has(uid) || s.claimed(false, uid) {
			continue
		}
		for i := range s.Ledger {
			if s.Ledger[i].Stage == intended && from[i] <= uid && source[i] == s.Here[uid-1].Letter {
				s.Ledger[i] = Row{Stage: confirmed, UID: uid}
				break
			}
		}
	}
}

// vanished tells whether a UID was given and is gone, and no row stands for it: it may have been one in doubt.
func (s *State) vanished(from UID) bool {
	for uid := from; uid < s.Engine.Found.UIDNext; uid++ {
		if !s.Engine.Found.has(uid) && !s.claimed(false, uid) {
			return true
		}
	}
	return false
}

// moved finds a copy in the second folder, 0 for none. The copy of another row may have been moved there too, even
// since the destination folder was looked at: nothing is taken while such a row stands for a copy of the same bytes.
func (p Protocol) moved(s *State, letter Letter) UID {
	for i, row := range s.Ledger {
		if source[i] == letter && row.Stage == confirmed && !row.There && !p.has(TwinsTaken) {
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
