package mirror

import (
	"cmp"
	"slices"

	"mailstork/daemon/ledger"
)

// A folder gathers when it shows messages of other folders once more, as Gmail's All Mail does. Only the rest of it is
// copied: what no other folder has. The source's own identity of a letter (its origin) tells which these are. Nothing of
// that is remembered but the rows: what covers a message is found out anew in every pass that looks at such a folder.
type gathered struct {
	view    *View
	folders []*ledger.Folder      // by the index in a cover
	first   map[uint64]cover      // by origin
	more    map[uint64][]cover    // where several folders have the letter
	left    map[uint64]departed   // rows whose messages left their folder, the one that says most
	leaving map[uint64]ledger.Key // the best of them in this pass: its copy is here, and ours
}

// everyFolder is more than any folder gathers.
const everyFolder = 100

// cover is one more sighting of a letter.
type cover struct {
	folder        int32
	validity, uid uint32
	gathers       int8
	fresh         bool // it has no row and is copied in this pass
	kept          bool // its copy is here
}

// departed is a row whose message left its folder.
type departed struct {
	key   ledger.Key
	place string
	says  int8
	ours  bool
}

// What a row whose message left says of the letter, the more the better. What we removed ourselves says nothing.
const (
	saysDeleted int8 = iota + 1 // its owner removed it here (L3)
	saysParked
	saysSettled
	saysCopied
)

type coveredMessage struct {
	message SourceMessage
	reason  string
}

// compareAll compares every folder, those that gather at last: they need to know of the others.
func (v *View) compareAll() ([]*difference, *gathered) {
	diffs := make([]*difference, len(v.Folders))
	order := make([]int, len(v.Folders))
	for i := range order {
		order[i] = i
	}
	if !v.Gathering {
		for i := range v.Folders {
			diffs[i] = compare(&v.Folders[i], v.Policy, nil)
		}
		return diffs, nil
	}
	slices.SortStableFunc(order, func(a, b int) int { return v.Folders[a].Gathers - v.Folders[b].Gathers })
	g := &gathered{view: v, first: map[uint64]cover{}, more: map[uint64][]cover{}, left: map[uint64]departed{}, leaving: map[uint64]ledger.Key{}}
	g.elsewhere()
	for _, i := range order {
		diffs[i] = compare(&v.Folders[i], v.Policy, g)
		g.learn(diffs[i])
	}
	return diffs, g
}

func (g *gathered) add(origin uint64, c cover) {
	if origin == 0 {
		return
	}
	if _, taken := g.first[origin]; taken {
		g.more[origin] = append(g.more[origin], c)
		return
	}
	g.first[origin] = c
}

// elsewhere learns from the rows of folders that are not looked at in this pass.
func (g *gathered) elsewhere() {
	var last *ledger.Folder
	for _, e := range g.view.Others {
		if e.Gone {
			g.depart(e.Origin, departed{key: e.Key, place: e.Place, says: says(e.Stage, e.Fate), ours: e.Ours})
			continue
		}
		if e.Fate == ledger.Skipped && e.Gathers == 0 {
			continue
		}
		if e.Folder != last {
			last, g.folders = e.Folder, append(g.folders, e.Folder)
		}
		g.add(e.Origin, cover{folder: int32(len(g.folders) - 1), validity: e.Key.UIDValidity, uid: e.Key.UID, gathers: int8(e.Gathers),
			kept: e.Stage == ledger.Confirmed && e.Fate == ledger.Copied})
	}
}

// learn notes what a folder has, so that those that gather more widely need not copy it. A message that a rule leaves
// out covers nothing, except where the folder itself only gathers: then another one covers it.
func (g *gathered) learn(d *difference) {
	f := d.view
	at := int32(len(g.folders))
	g.folders = append(g.folders, &f.Folder)
	for row := range f.Rows.All() {
		if row.Origin == 0 {
			continue
		}
		switch present := !f.Listed || row.UIDValidity == f.UIDValidity && has(f.UIDs, row.UID); {
		case present && (f.Listed || !row.SourceGone):
			if expungedByUs(row) || row.Fate == ledger.Skipped && f.Gathers == 0 {
				continue // copied again, or left out
			}
			g.add(row.Origin, cover{folder: at, validity: row.UIDValidity, uid: row.UID, gathers: int8(f.Gathers),
				kept: row.Stage == ledger.Confirmed && row.Fate == ledger.Copied})
		case row.SourceGone:
			g.depart(row.Origin, departed{key: row.Key, place: placeName(f.Folder, row.Place), says: saysOf(row), ours: row.Appended})
		case row.Stage == ledger.Confirmed && row.Fate == ledger.Copied && row.Appended && g.view.isHere(f.Folder, row):
			g.leaving[row.Origin] = row.Key
		}
	}
	if f.Skip != "" || !f.Listed {
		return
	}
	for _, m := range d.fresh {
		if m.Origin != 0 && g.view.Policy.skipReason("", m.Size) == "" {
			g.add(m.Origin, cover{folder: at, validity: f.UIDValidity, uid: m.UID, gathers: int8(f.Gathers), fresh: true})
		}
	}
	for _, c := range d.covered {
		g.add(c.message.Origin, cover{folder: at, validity: f.UIDValidity, uid: c.message.UID, gathers: int8(f.Gathers)})
	}
}

func saysOf(row ledger.Message) int8 {
	if expungedByUs(row) {
		return 0
	}
	return says(row.Stage, row.Fate)
}

func says(stage ledger.Stage, fate ledger.Fate) int8 {
	switch {
	case stage == ledger.Parked:
		return saysParked
	case fate == ledger.Copied:
		return saysCopied
	case fate == ledger.Deleted:
		return saysDeleted
	case fate == ledger.Skipped:
		return 0
	}
	return saysSettled
}

func (g *gathered) depart(origin uint64, d departed) {
	if d.says > g.left[origin].says {
		g.left[origin] = d
	}
}

// isHere tells whether the copy of a row is where the ledger has it.
func (v *View) isHere(f ledger.Folder, row ledger.Message) bool {
	here := v.Destinations[placeName(f, row.Place)]
	return here != nil && here.UIDValidity == row.Place.UIDValidity && has(here.UIDs, row.Place.UID)
}

// all calls fn for the sightings of a letter in folders that gather less widely, until it returns false.
func (g *gathered) all(origin uint64, gathers int, fn func(cover) bool) {
	if g == nil || origin == 0 || gathers == 0 {
		return
	}
	if c, found := g.first[origin]; !found || int(c.gathers) < gathers && !fn(c) {
		return
	}
	for _, c := range g.more[origin] {
		if int(c.gathers) < gathers && !fn(c) {
			return
		}
	}
}

// of returns a sighting of a letter that makes a copy from a folder that gathers needless.
func (g *gathered) of(origin uint64, gathers int) (found cover, covered bool) {
	g.all(origin, gathers, func(c cover) bool { found, covered = c, true; return false })
	return found, covered
}

// keeper returns one whose copy is here, or comes in this pass.
func (g *gathered) keeper(origin uint64, gathers int) (found cover, kept bool) {
	g.all(origin, gathers, func(c cover) bool { found, kept = c, c.kept || c.fresh; return !kept })
	return found, kept
}

// comes returns one that is new in this pass in a folder that does not gather: at the source it was filed there.
func (g *gathered) comes(origin uint64, gathers int) (found cover, comes bool) {
	g.all(origin, gathers, func(c cover) bool { found, comes = c, c.fresh && c.gathers == 0; return !comes })
	return found, comes
}

func (g *gathered) key(c cover) ledger.Key {
	return ledger.Key{FolderID: g.folders[c.folder].ID, UIDValidity: c.validity, UID: c.uid}
}

func (g *gathered) reason(c cover) string { return ledger.AlsoIn + folderName(g.folders[c.folder]) }

func folderName(f *ledger.Folder) string { return cmp.Or(f.Name, f.SourceName) }

// lapsed tells whether a message was left out for a reason that does not hold any more.
func (g *gathered) lapsed(row ledger.Message, f *FolderView, policy Policy) bool {
	if g == nil || f.Gathers == 0 || row.Origin == 0 || policy.skipReason(f.Skip, row.Size) != "" {
		return lapsed(row, f.Skip, policy)
	}
	if row.Fate != ledger.Skipped || row.Stage != ledger.Confirmed {
		return false
	}
	holds := false
	g.all(row.Origin, f.Gathers, func(c cover) bool { holds = row.Reason == g.reason(c); return !holds })
	return !holds
}

// renews tells whether the copy of a message in a folder that gathers has gone while another copy of the letter, of a
// folder that it has just left, is still here. A crash behind our own removal leaves this, and so may the owner: nobody can
// tell, so that nothing is stored once more (L3) and the copy that is left goes on under this message.
func (g *gathered) renews(row ledger.Message, f *FolderView) bool {
	if g == nil || f.Gathers == 0 || g.view.Policy.Switched || !vanishable(row) || g.view.stands(f.Folder, row) {
		return false
	}
	_, covered := g.of(row.Origin, f.Gathers)
	_, leaving := g.leaving[row.Origin]
	return leaving && !covered
}

// vanishable tells whether a row stands for a copy that the mirror made.
func vanishable(row ledger.Message) bool {
	return row.Stage == ledger.Confirmed && row.Fate == ledger.Copied && row.Appended && row.Origin != 0 && row.Place.UID != 0
}

// stands tells whether nothing says that a copy has gone.
func (v *View) stands(f ledger.Folder, row ledger.Message) bool {
	here := v.Destinations[placeName(f, row.Place)]
	return here == nil || here.UIDValidity != row.Place.UIDValidity || has(here.UIDs, row.Place.UID)
}

// recall gives the listing of a folder that gathers the lines of messages for which the planner has to decide anew,
// though nothing about them changed in that folder. Of what is told there (flags may be) nothing is overwritten.
func (v *View) recall() {
	_, g := v.compareAll()
	for i := range v.Folders {
		f := &v.Folders[i]
		if g == nil || f.Gathers == 0 || !f.Listed {
			continue
		}
		var lines []SourceMessage
		for row := range f.Rows.All() {
			if row.Origin == 0 || row.UIDValidity != f.UIDValidity || !has(f.UIDs, row.UID) || !g.lapsed(row, f, v.Policy) && !g.renews(row, f) {
				continue
			}
			if m, listed := find(f.Messages, row.UID); listed {
				m.Size, m.Date, m.Origin = row.Size, row.Date, row.Origin
				continue
			}
			lines = append(lines, SourceMessage{UID: row.UID, Size: row.Size, Date: row.Date, Flags: row.Flags, Origin: row.Origin})
		}
		if len(lines) > 0 {
			f.Messages = append(f.Messages, lines...)
			slices.SortFunc(f.Messages, func(a, b SourceMessage) int { return cmp.Compare(a.UID, b.UID) })
		}
	}
}
