package model

// What must never be seen of Filing, beside Sound.
const (
	filingMissing = "MISSING: a message is not here, and its owner did not remove it"
	filingTwice   = "TWICE: finished, and a copy of ours is here twice"
	filingBlamed  = "BLAMED: the ledger says that the owner removed more than he did"
	filingClaim   = "CLAIM: two rows stand for one copy, or a row for other bytes"
	filingStuck   = "STUCK: nothing can happen any more, and the engine has not finished"
)

// checkFiling judges a moment; "" is sound.
func checkFiling(f Filing) string {
	for letter := letterA; letter <= letters; letter++ {
		atSource, here, ours, removedByOwner, blamed := 0, 0, 0, 0, 0
		for _, slot := range f.Folder {
			switch {
			case slot.Letter != letter:
			case slot.Gone && slot.From == owner:
				removedByOwner++
			case !slot.Gone:
				here++
				if slot.From == us {
					ours++
				}
			}
		}
		for i, row := range f.Rows {
			if source[i] != letter {
				continue
			}
			atSource++
			if row.Stage == isRemoved {
				blamed++
			}
		}
		switch {
		case here+removedByOwner < atSource:
			return filingMissing
		case blamed > removedByOwner:
			return filingBlamed
		case f.Phase == filingFinished && f.Ghosts == [filingGhosts]filingCommand{} && ours > atSource:
			return filingTwice
		}
	}
	for i, row := range f.Rows {
		if f.Folder[row.UID-1].Letter != source[i] {
			return filingClaim
		}
		for _, other := range f.Rows[:i] {
			if row.UID == other.UID && row.Stage == isPlaced && other.Stage == isPlaced {
				return filingClaim
			}
		}
	}
	return ""
}

// FilingResult is what a search of Filing has seen.
type FilingResult struct {
	States, Ends int
	Broken       string
	Trace        []string
}

// SearchFiling looks at every moment that can follow, nearest first, and stops at the first broken one.
func SearchFiling(p FilingProtocol, faults FilingFaults) (r FilingResult) {
	type came struct {
		from Filing
		how  string
	}
	first := firstFiling(faults)
	seen := map[Filing]came{first: {}}
	queue := []Filing{first}
	fail := func(f Filing, broken string) {
		r.Broken, r.Trace = broken, []string{broken}
		for ; f != first; f = seen[f].from {
			r.Trace = append([]string{seen[f].how}, r.Trace...)
		}
	}
	for ; len(queue) > 0 && r.Broken == ""; queue = queue[1:] {
		here, goesOn := queue[0], false
		if here.Phase == filingFinished {
			r.Ends++
			goesOn = true
		}
		p.Steps(here, func(how string, next Filing) {
			goesOn = true
			if _, known := seen[next]; known || r.Broken != "" {
				return
			}
			seen[next] = came{here, how}
			queue = append(queue, next)
			if broken := checkFiling(next); broken != "" {
				fail(next, broken)
			}
		})
		if !goesOn && r.Broken == "" {
			fail(here, filingStuck)
		}
	}
	r.States = len(seen)
	return r
}
