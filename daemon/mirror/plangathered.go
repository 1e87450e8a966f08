package mirror

import (
	"slices"

	"mailstork/daemon/ledger"
)

// gathered settles what a folder that gathers has and other folders have, too.
func (p *planner) gathered(d *difference) {
	for _, c := range d.covered {
		p.note(Skip{p.keyOf(d, c.message.UID), c.message, c.reason})
	}
	for _, row := range d.renewed {
		p.note(Renew{row.Key})
	}
	if d.view.Gathers == 0 || !d.view.Listed || p.letters == nil {
		return
	}
	for row := range d.view.Rows.All() {
		if row.UIDValidity == d.view.UIDValidity && !row.SourceGone && row.Fate != ledger.Skipped && has(d.view.UIDs, row.UID) {
			p.yields(d, row)
		}
	}
}

func (p *planner) keyOf(d *difference, uid uint32) ledger.Key {
	return ledger.Key{FolderID: d.view.Folder.ID, UIDValidity: d.view.UIDValidity, UID: uid}
}

// yields gives a letter that had been nowhere else to the folder in which it was filed at the source since. Before the
// switch our copy goes, once the other one is here; after it, and whenever the copy is not ours or its owner removed it,
// the row goes on under the new folder and what is here stays as it is (L3).
func (p *planner) yields(d *difference, row ledger.Message) {
	g, ours := p.letters, p.ours(row) && !p.view.Policy.Switched
	c, kept := g.keeper(row.Origin, d.view.Gathers)
	switch {
	case p.yielded[row.Key]:
		p.note(Yield{row.Key, g.reason(c)})
	case !ours:
		if c, comes := g.comes(row.Origin, d.view.Gathers); comes {
			p.follow(d, row, c)
		}
	case kept:
		p.expunges = append(p.expunges, Expunge{Key: row.Key, DestinationName: placeName(d.view.Folder, row.Place), UIDValidity: row.Place.UIDValidity,
			UID: row.Place.UID, Flags: row.Flags, After: g.key(c), Yield: g.reason(c)})
	}
}

// follow lets a row go on under the folder in which its letter was filed at the source.
func (p *planner) follow(d *difference, row ledger.Message, c cover) {
	key, to := p.letters.key(c), p.differenceOf(p.letters.key(c).FolderID)
	m, fresh := find(to.fresh, c.uid)
	if !fresh { // another row has it by now
		return
	}
	p.note(Rename{row.Key, key, placeName(d.view.Folder, row.Place)})
	p.renamedFlags(to, row, key, *m)
	to.fresh = slices.DeleteFunc(slices.Clone(to.fresh), func(m SourceMessage) bool { return m.UID == c.uid })
	p.note(Skip{row.Key, SourceMessage{UID: row.UID, Size: row.Size, Date: row.Date, Flags: row.Flags, Origin: row.Origin}, p.letters.reason(c)})
}

func (p *planner) differenceOf(folderID int64) *difference {
	i := slices.IndexFunc(p.folders, func(d *difference) bool { return d.view.Folder.ID == folderID })
	return p.folders[i]
}

// ownMissing tells whether a copy that has gone is no word of its owner: another copy of the letter is here, which the
// source has now, or had until now. Our removal of this one may have been cut short before it was noted.
func (p *planner) ownMissing(f *FolderView, row ledger.Message) bool {
	if p.letters == nil || f.Gathers == 0 || p.view.Policy.Switched || !vanishable(row) || row.SourceGone {
		return false
	}
	if c, kept := p.letters.keeper(row.Origin, f.Gathers); kept && c.kept {
		p.unreachable[row.Key], p.yielded[row.Key] = true, true
		return true
	}
	return p.letters.renews(row, f)
}

// isRenewed tells whether a message had a copy here, which has gone.
func (d *difference) isRenewed(uid uint32) bool {
	return slices.ContainsFunc(d.renewed, func(row ledger.Message) bool { return row.UID == uid })
}

// sameLetters matches what left a folder with what is new in another one by the source's own word. Copies that are here go
// first: where its owner deleted one of two and kept the other, the letter is one that he keeps.
func (p *planner) sameLetters(left []ledger.Message, each func(d *difference, left []ledger.Message) []ledger.Message) []ledger.Message {
	if !slices.ContainsFunc(left, func(row ledger.Message) bool { return row.Origin != 0 }) {
		return left
	}
	var living, others []ledger.Message
	for _, row := range left {
		if row.Fate == ledger.Copied && row.Stage == ledger.Confirmed && !p.unreachable[row.Key] {
			living = append(living, row)
		} else {
			others = append(others, row)
		}
	}
	for _, d := range p.folders {
		living = each(d, living)
	}
	for _, d := range p.folders {
		others = each(d, others)
	}
	return slices.Concat(living, others)
}

// returned matches what a folder that gathers shows with rows whose messages left theirs in an earlier pass: what their
// owner made of the letter here still counts (L3).
func (p *planner) returned(d *difference) {
	if p.letters == nil || d.view.Gathers == 0 {
		return
	}
	var rest []SourceMessage
	for _, m := range d.fresh {
		was, left := p.letters.left[m.Origin]
		moving := p.moving[p.keyOf(d, m.UID)]
		if m.Origin == 0 || !left || moving || was.says == saysCopied && was.ours && !p.view.Policy.Switched && !p.unreachable[was.key] {
			rest = append(rest, m)
			continue
		}
		p.note(Rename{was.key, p.keyOf(d, m.UID), was.place})
		delete(p.letters.left, m.Origin)
	}
	d.fresh = rest
}
