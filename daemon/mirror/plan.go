package mirror

import (
	"cmp"
	"slices"

	"mailstork/daemon/ledger"
)

// Plan decides what a pass does. It is pure: the same view always gives the same operations, in the order in which
// apply must do them: first what only the ledger must learn, then flags, then copies, and removals at the end.
func Plan(v View) []Operation {
	p := &planner{view: v, foreign: map[string][]DestinationMessage{}, moving: map[ledger.Key]bool{}, yielded: map[ledger.Key]bool{}}
	for name, d := range v.Destinations {
		p.foreign[name] = d.Foreign
	}
	p.folders, p.letters = p.view.compareAll()
	if renamed := p.foldersRenamed(); len(renamed) > 0 {
		return renamed
	}
	if p.places(); p.replaced() {
		return []Operation{Hold{Messages: p.misplaced, Of: v.Rows, Here: true}}
	}
	for _, d := range p.folders {
		p.backAgain(d)
		p.lapsed(d)
		p.renumbered(d)
	}
	for _, d := range p.folders {
		p.gathered(d)
	}
	p.moved()
	for _, d := range p.folders {
		p.returned(d)
		p.excluded(d)
		p.delivered(d)
		p.adopted(d)
	}
	p.adoptedElsewhere()
	p.gone()
	for _, d := range p.folders {
		p.flags(d)
		p.copies(d)
	}
	return slices.Concat(p.notes, p.stores, p.appends, p.expunges, p.holds)
}

type planner struct {
	view    View
	folders []*difference
	foreign map[string][]DestinationMessage // those that nobody has been matched with yet

	relinked, misplaced int
	inboxMisplaced      bool
	unreachable         map[ledger.Key]bool // rows whose message is not here any more
	departing           []departure
	letters             *gathered           // nil: no folder gathers
	moving              map[ledger.Key]bool // messages to which one that left was matched, and that are copied
	yielded             map[ledger.Key]bool // rows of a folder that gathers whose copy has gone in favour of another one

	notes, stores, appends, expunges, holds []Operation
}

// departure is a row whose message left the source; moved: it is somewhere else there, so no deletion was meant. Its copy
// goes when that of after is here, if that is not zero.
type departure struct {
	view  *FolderView
	row   ledger.Message
	moved bool
	after ledger.Key
}

func (p *planner) note(o Operation) { p.notes = append(p.notes, o) }

// places finds out which messages are still here. One that is not was removed by its owner (L3); after a change of
// UIDVALIDITY the digest tells.
func (p *planner) places() {
	p.unreachable = map[ledger.Key]bool{}
	for _, d := range p.folders {
		astray := map[string][]ledger.Message{}
		for i := range d.view.Rows.Len() {
			place := d.view.Rows.Place(i)
			if place.UID == 0 || d.view.Rows.Settled(i) != ledger.Copied {
				continue
			}
			name := placeName(d.view.Folder, place)
			here := p.view.Destinations[name]
			switch {
			case here == nil:
			case here.UIDValidity != place.UIDValidity: // also when it is missing
				astray[name] = append(astray[name], d.view.Rows.At(i))
			case !has(here.UIDs, place.UID) && !p.ownMissing(d.view, d.view.Rows.At(i)):
				p.removed(d.view.Rows.Key(i))
			}
		}
		for _, name := range slices.Sorted(mapKeys(astray)) {
			p.relink(name, astray[name])
		}
	}
}

func (p *planner) removed(key ledger.Key) {
	p.unreachable[key] = true
	p.note(SetDeleted{key})
}

func (p *planner) relink(name string, rows []ledger.Message) {
	here := p.view.Destinations[name]
	rest, foreign := pairs(rows, p.foreign[name], rowTrait(byDigest), foreignTrait(byDigest), func(row ledger.Message, m DestinationMessage) {
		p.relinked++
		p.note(Relink{row.Key, ledger.Place{Folder: row.Place.Folder, UIDValidity: here.UIDValidity, UID: m.UID}})
	})
	p.foreign[name] = foreign
	for _, row := range rest {
		p.misplaced++
		p.inboxMisplaced = p.inboxMisplaced || name == inbox
		p.removed(row.Key)
	}
}

// replaced tells whether the destination is not the one that the ledger knows: the inbox, which nobody can delete,
// is another one and holds none of the messages. Taking that for its owner's deletions would lose everything.
func (p *planner) replaced() bool {
	return p.inboxMisplaced && p.relinked == 0 && p.misplaced > guardMessages && !p.view.Policy.MassDeletion
}

// backAgain handles messages that had left the listing and are in it again.
func (p *planner) backAgain(d *difference) {
	for _, row := range d.back {
		p.note(SetBack{row.Key, expungedByUs(row)})
	}
}

// lapsed makes messages new again that were left out and are not now.
func (p *planner) lapsed(d *difference) {
	for _, row := range d.lapsed {
		p.note(Unskip{row.Key})
	}
}

// excluded settles what is new in a folder that is left out. What was moved there has kept its row by now.
func (p *planner) excluded(d *difference) {
	if d.view.Skip == "" {
		return
	}
	for _, m := range d.fresh {
		p.note(Skip{ledger.Key{FolderID: d.view.Folder.ID, UIDValidity: d.view.UIDValidity, UID: m.UID}, m, d.view.Skip})
	}
	d.fresh = nil
}

// leftOut divides off the rows of messages that a rule left out. They are matched with nothing: what such a message
// becomes elsewhere, the rules of that folder say.
func leftOut(rows []ledger.Message) (skipped, others []ledger.Message) {
	for _, row := range rows {
		if row.Fate == ledger.Skipped {
			skipped = append(skipped, row)
		} else {
			others = append(others, row)
		}
	}
	return skipped, others
}

// renumbered matches rows after a change of the source's UIDVALIDITY. What matches nothing has left.
func (p *planner) renumbered(d *difference) {
	var anew []ledger.Message // for which the rules decide again
	d.stale = slices.DeleteFunc(d.stale, func(row ledger.Message) bool {
		is := p.letters.lapsed(row, d.view, p.view.Policy)
		if is {
			anew = append(anew, row)
		}
		return is
	})
	d.stale = p.identify(d, d.stale, func(row ledger.Message, m SourceMessage) {
		to := ledger.Key{FolderID: row.FolderID, UIDValidity: d.view.UIDValidity, UID: m.UID}
		p.note(Rename{row.Key, to, row.Place.Folder})
		p.renamedFlags(d, row, to, m)
	})
	d.lost = slices.Concat(d.lost, d.stale, anew)
}

// recognising are the traits that prove that a row and a source message are one, the best first.
var recognising = []byte{byOrigin, byDigest, byLetterSizeDate, byLetterSize, bySizeDate}

// identify pairs rows with the fresh messages of a folder by what proves most, and returns the rows left over.
func (p *planner) identify(d *difference, rows []ledger.Message, found func(ledger.Message, SourceMessage)) []ledger.Message {
	return p.identifyBy(recognising, d, rows, found)
}

func (p *planner) identifyBy(kinds []byte, d *difference, rows []ledger.Message, found func(ledger.Message, SourceMessage)) []ledger.Message {
	if len(rows) == 0 {
		return rows
	}
	for _, kind := range kinds {
		rows, d.fresh = pairs(rows, d.fresh, rowTrait(kind), messageTrait(kind), found)
	}
	slices.SortFunc(d.fresh, func(a, b SourceMessage) int { return cmp.Compare(a.UID, b.UID) })
	return rows
}

// renamedFlags lets a row go on with its old base under its new identity.
func (p *planner) renamedFlags(d *difference, row ledger.Message, to ledger.Key, m SourceMessage) {
	if p.unreachable[row.Key] {
		p.unreachable[to] = true
	}
	if m.FlagsKnown && m.Flags != row.Flags {
		row.Key = to
		d.changed = append(d.changed, flagChange{row, m.Flags})
	}
}

// moved matches what left one folder with what is new in another. Once the destination is the truth, and whenever
// the copy here is not ours to remove, the row follows the message and the copy stays where it is; before, the
// message is copied to its new folder and our copy in the old one goes.
func (p *planner) moved() {
	var left []ledger.Message
	views := map[ledger.Key]*FolderView{}
	for _, d := range p.folders {
		for _, row := range d.lost {
			views[row.Key] = d.view
		}
		skipped, others := leftOut(d.lost)
		for _, row := range skipped {
			p.departing = append(p.departing, departure{view: d.view, row: row})
		}
		left = append(left, others...)
	}
	stays := map[*difference][]SourceMessage{} // nobody else may be matched with them
	match := func(kinds []byte, d *difference, left []ledger.Message) []ledger.Message {
		return p.identifyBy(kinds, d, left, func(row ledger.Message, m SourceMessage) {
			from := views[row.Key]
			if p.ours(row) && !p.view.Policy.Switched && !d.isRenewed(m.UID) {
				p.departing = append(p.departing, departure{from, row, true, p.copyOf(d, m)})
				stays[d] = append(stays[d], m)
				return
			}
			to := ledger.Key{FolderID: d.view.Folder.ID, UIDValidity: d.view.UIDValidity, UID: m.UID}
			row.Place.Folder = placeName(from.Folder, row.Place)
			p.note(Rename{row.Key, to, row.Place.Folder})
			p.renamedFlags(d, row, to, m)
		})
	}
	left = p.sameLetters(left, func(d *difference, left []ledger.Message) []ledger.Message { return match(recognising[:1], d, left) })
	for _, d := range p.folders {
		left = match(recognising[1:], d, left)
	}
	for d, back := range stays {
		d.fresh = append(d.fresh, back...)
		slices.SortFunc(d.fresh, func(a, b SourceMessage) int { return cmp.Compare(a.UID, b.UID) })
	}
	for _, row := range left {
		_, elsewhere := p.letters.of(row.Origin, everyFolder)
		p.departing = append(p.departing, departure{view: views[row.Key], row: row, moved: elsewhere})
	}
}

// copyOf is the message whose copy must be here before the one that it was moved from may go, where the source itself
// says that they are one letter.
func (p *planner) copyOf(d *difference, m SourceMessage) (key ledger.Key) {
	if m.Origin != 0 && d.view.Skip == "" && p.view.Policy.skipReason("", m.Size) == "" {
		key = p.keyOf(d, m.UID)
		p.moving[key] = true
	}
	return key
}

// ours tells whether the mirror appended a row's message and it is still here.
func (p *planner) ours(row ledger.Message) bool {
	return row.Stage == ledger.Confirmed && row.Fate == ledger.Copied && row.Appended && !p.unreachable[row.Key]
}

// delivered matches new messages with letters that reached us by SMTP, whether those are still here or not.
func (p *planner) delivered(d *difference) {
	name := d.view.Folder.DestinationName
	d.fresh, p.view.Deliveries = pairs(d.fresh, p.view.Deliveries, messageTrait(byLetter), deliveryTrait, func(m SourceMessage, delivery Delivery) {
		o := p.adopt(d, m, ledger.Delivered)
		o.Delivery = delivery.ID
		// The copy here belongs to this delivery: nobody else may be matched with it.
		_, p.foreign[name] = pairs([]SourceMessage{m}, p.foreign[name], messageTrait(byLetter), foreignTrait(byLetter), func(_ SourceMessage, here DestinationMessage) {
			o.Place = ledger.Place{UIDValidity: p.view.Destinations[name].UIDValidity, UID: here.UID}
		})
		p.note(o)
	})
}

func (p *planner) adopt(d *difference, m SourceMessage, fate ledger.Fate) Adopt {
	key := ledger.Key{FolderID: d.view.Folder.ID, UIDValidity: d.view.UIDValidity, UID: m.UID}
	return Adopt{Key: key, Message: m, Fate: fate, DestinationName: d.view.Folder.DestinationName}
}

// adopted matches new messages with messages that are here already: the same bytes are a copy that somebody else
// made, the same letter with other bytes came another way.
func (p *planner) adopted(d *difference) {
	name := d.view.Folder.DestinationName
	for _, rule := range []struct {
		kind   byte
		fate   ledger.Fate
		reason string
	}{{byDigest, ledger.Copied, reasonFound}, {byLetterSize, ledger.Copied, reasonFound}, {byLetter, ledger.Delivered, reasonOther}} {
		d.fresh, p.foreign[name] = pairs(d.fresh, p.foreign[name], messageTrait(rule.kind), foreignTrait(rule.kind), func(m SourceMessage, here DestinationMessage) {
			o := p.adopt(d, m, rule.fate)
			o.Place = ledger.Place{UIDValidity: p.view.Destinations[name].UIDValidity, UID: here.UID}
			o.Reason = rule.reason
			p.note(o)
		})
	}
}

// adoptedElsewhere serves a ledger that was lost: what its owner had moved here meanwhile is found in another folder.
func (p *planner) adoptedElsewhere() {
	if p.view.Rows > 0 {
		return
	}
	for _, d := range p.folders {
		for _, name := range slices.Sorted(mapKeys(p.foreign)) {
			d.fresh, p.foreign[name] = pairs(d.fresh, p.foreign[name], messageTrait(byLetterSize), foreignTrait(byLetterSize), func(m SourceMessage, here DestinationMessage) {
				o := p.adopt(d, m, ledger.Copied)
				o.DestinationName = name
				o.Place = ledger.Place{Folder: name, UIDValidity: p.view.Destinations[name].UIDValidity, UID: here.UID}
				o.Reason = reasonFound
				p.note(o)
			})
		}
	}
}

const (
	guardMessages = 20 // so many may always be missing
	guardPart     = 20 // and one in so many of all
	// One in two of all, where the owner works at the source: people empty folders, and an accident takes everything.
	guardPartOwner = 2
)

// gone handles what left the source. While the source is the truth our copies follow, unless so many are missing at
// once that it looks like an accident: then nothing is removed until an operator says so.
func (p *planner) gone() {
	held, following, blind := map[int64]int{}, 0, map[int64]int{}
	for _, d := range p.departing {
		if p.removes(d) && !d.moved {
			following++
			held[d.row.FolderID]++
		}
	}
	part := guardPart
	if p.view.Policy.OwnerAtSource {
		part = guardPartOwner
	}
	stop := following > max(guardMessages, p.view.Rows/part) && !p.view.Policy.MassDeletion
	for _, d := range p.departing {
		if p.view.Blind && d.row.Origin != 0 && !d.moved {
			blind[d.row.FolderID]++
			continue
		}
		if stop && p.removes(d) && !d.moved {
			continue
		}
		p.note(SetGone{d.row.Key})
		if p.removes(d) {
			p.expunge(d.view, d.row, d.after)
		}
	}
	for i := range p.view.Folders {
		f := &p.view.Folders[i]
		for i := range f.Rows.Len() {
			if !f.Rows.Gone(i) {
				continue
			}
			row := f.Rows.At(i)
			if p.follows(row) && !(f.Listed && row.UIDValidity == f.UIDValidity && has(f.UIDs, row.UID)) {
				p.expunge(f, row, ledger.Key{}) // an earlier pass decided it and did not come to do it
			}
		}
		if n := blind[f.Folder.ID]; n > 0 {
			p.holds = append(p.holds, Hold{FolderID: f.Folder.ID, Messages: n, Of: p.view.Rows, Blind: true})
		}
		if n := held[f.Folder.ID]; stop && n > 0 {
			p.holds = append(p.holds, Hold{FolderID: f.Folder.ID, Messages: n, Of: p.view.Rows})
		}
	}
}

// follows tells whether the copy of a row goes with its message at the source.
func (p *planner) follows(row ledger.Message) bool { return p.ours(row) && !p.view.Policy.Switched }

// removes tells whether the copy of a message goes that left its folder: not when it may be archived where nobody looks (L1).
func (p *planner) removes(d departure) bool {
	return p.follows(d.row) && (d.moved || !p.view.Unseen || d.row.Origin == 0)
}

// expunge removes a copy, as long as no other folder of the source shows the letter; else once its copy is here (after).
func (p *planner) expunge(f *FolderView, row ledger.Message, after ledger.Key) {
	unknown := (p.view.Blind || p.view.Unseen) && row.Origin != 0
	if _, elsewhere := p.letters.of(row.Origin, everyFolder); after == (ledger.Key{}) && (elsewhere || unknown) {
		c, kept := p.letters.keeper(row.Origin, everyFolder)
		if !kept {
			return
		}
		after = p.letters.key(c)
	}
	name := placeName(f.Folder, row.Place)
	here := p.view.Destinations[name]
	if here == nil || here.UIDValidity != row.Place.UIDValidity || !has(here.UIDs, row.Place.UID) {
		return
	}
	p.expunges = append(p.expunges, Expunge{Key: row.Key, DestinationName: name, UIDValidity: row.Place.UIDValidity, UID: row.Place.UID, Flags: row.Flags, After: after})
}

// flags carries the source's changes over. The base is what was last applied, so that only what changed at the
// source since is stored: whatever the owner changed here stays, and equal changes on both sides meet.
func (p *planner) flags(d *difference) {
	for _, c := range d.changed {
		if !p.ours(c.row) {
			continue
		}
		name := placeName(d.view.Folder, c.row.Place)
		here := p.view.Destinations[name]
		if here != nil && here.UIDValidity != c.row.Place.UIDValidity {
			continue // relinked in this pass; the next one stores them
		}
		add, remove := ledger.FlagChanges(c.row.Flags, c.flags)
		if p.view.Policy.Switched {
			// A deletion at the source is not followed after the switch, neither as a flag.
			add = slices.DeleteFunc(add, func(flag string) bool { return flag == `\Deleted` })
		}
		if len(add)+len(remove) == 0 {
			continue
		}
		p.stores = append(p.stores, StoreFlags{c.row.Key, name, c.row.Place.UIDValidity, c.row.Place.UID, add, remove, c.flags})
	}
}

// copies is what remains: new messages, in the memory of the listing unless a rule leaves some out.
func (p *planner) copies(d *difference) {
	wanted := d.fresh
	skipped := func(m SourceMessage) bool { return p.view.Policy.skipReason("", m.Size) != "" }
	if slices.ContainsFunc(d.fresh, skipped) {
		wanted = nil
		for _, m := range d.fresh {
			if skipped(m) {
				key := ledger.Key{FolderID: d.view.Folder.ID, UIDValidity: d.view.UIDValidity, UID: m.UID}
				p.note(Skip{key, m, p.view.Policy.skipReason("", m.Size)})
				continue
			}
			wanted = append(wanted, m)
		}
	}
	if len(wanted) > 0 {
		p.appends = append(p.appends, Append{d.view.Folder.ID, wanted})
	}
}
