package mirror

import "mailstork/daemon/ledger"

// Needs is what must still be read before a view can be planned: headers and bodies of as few messages as possible.
// UIDs are ascending.
type Needs struct {
	SourceHeaders      map[int64][]uint32 // by folder ID
	SourceBodies       map[int64][]uint32
	DestinationHeaders map[string][]uint32 // by name
	DestinationBodies  map[string][]uint32
}

// Empty tells that the view is complete.
func (n Needs) Empty() bool {
	return len(n.SourceHeaders)+len(n.SourceBodies)+len(n.DestinationHeaders)+len(n.DestinationBodies) == 0
}

// Needs is pure. Headers are read only where a message may be known already under another name; bodies only where
// a letter has nothing to be recognised by, or where a destination folder was renumbered. Asked again after each
// reading until it is empty.
func (v View) Needs() Needs {
	n := needing{
		view: v, sizes: map[int64]bool{}, blank: map[int64]bool{}, origins: map[uint64]bool{},
		Needs: Needs{map[int64][]uint32{}, map[int64][]uint32{}, map[string][]uint32{}, map[string][]uint32{}},
	}
	n.diffs, _ = n.view.compareAll()
	for i := range v.Folders {
		n.departed(n.diffs[i].lost)
		n.departed(n.diffs[i].stale)
		n.fresh = n.fresh || len(n.diffs[i].fresh) > 0 && v.Folders[i].Skip == ""
	}
	for _, here := range v.Destinations {
		n.foreign = n.foreign || len(here.Foreign) > 0
	}
	for _, d := range n.diffs {
		n.source(d)
		n.destination(d)
	}
	if v.Rows == 0 && n.fresh { // the ledger is new or was lost: every message here may be one of the source's
		for name := range v.Destinations {
			n.headers(name)
		}
	}
	return n.Needs
}

type needing struct {
	Needs
	view    View
	diffs   []*difference
	sizes   map[int64]bool  // of messages that left a folder: one of the same size may be the same, moved
	blank   map[int64]bool  // of those among them that only their digest can tell
	origins map[uint64]bool // of all of them: the source itself says which they are
	fresh   bool            // there are new messages somewhere
	foreign bool            // there are messages here that no row stands for
}

func (n *needing) departed(rows []ledger.Message) {
	for _, row := range rows {
		n.origins[row.Origin] = row.Origin != 0
	}
	_, others := leftOut(rows)
	for _, row := range others {
		if row.Origin != 0 {
			continue
		}
		n.sizes[row.Size] = true
		if row.Fingerprint.IsZero() && bodyKnown(row) {
			n.blank[row.Size] = true
		}
	}
}

// source decides which new messages must be looked into.
func (n *needing) source(d *difference) {
	here := n.view.Destinations[d.view.Folder.DestinationName]
	copied := d.view.Skip == "" // else only what was moved there is looked for
	foreign := copied && here != nil && len(here.Foreign) > 0
	blankHere := foreign && hasBlank(here.Foreign)
	stale := len(d.stale) > 0
	all := foreign || copied && (len(n.view.Deliveries) > 0 || n.view.Rows == 0 && n.foreign)
	id := d.view.Folder.ID
	for _, m := range d.fresh {
		switch {
		case !m.HeaderRead && (all || stale && !n.origins[m.Origin] || n.sizes[m.Size]):
			n.SourceHeaders[id] = append(n.SourceHeaders[id], m.UID)
		case m.HeaderRead && !m.BodyRead && m.Fingerprint.IsZero() && (blankHere || n.blank[m.Size]):
			n.SourceBodies[id] = append(n.SourceBodies[id], m.UID)
		}
	}
}

func hasBlank(foreign []DestinationMessage) bool {
	for _, m := range foreign {
		if m.HeaderRead && m.Fingerprint.IsZero() {
			return true
		}
	}
	return false
}

// destination decides which messages here must be looked into.
func (n *needing) destination(d *difference) {
	name := d.view.Folder.DestinationName
	if len(d.fresh) > 0 && d.view.Skip == "" {
		n.headers(name)
	}
	if here := n.view.Destinations[name]; here != nil && hasBlankFresh(d.fresh) {
		n.bodies(name, func(m DestinationMessage) bool { return m.HeaderRead && m.Fingerprint.IsZero() })
	}
	renumbered := map[string]bool{}
	for i := range d.view.Rows.Len() {
		place := d.view.Rows.Place(i)
		if place.UID == 0 || d.view.Rows.Settled(i) != ledger.Copied {
			continue
		}
		name := placeName(d.view.Folder, place)
		if here := n.view.Destinations[name]; here != nil && !here.Missing && here.UIDValidity != place.UIDValidity {
			renumbered[name] = true
		}
	}
	for name := range renumbered {
		n.bodies(name, func(DestinationMessage) bool { return true })
	}
}

func hasBlankFresh(fresh []SourceMessage) bool {
	for _, m := range fresh {
		if m.HeaderRead && m.Fingerprint.IsZero() {
			return true
		}
	}
	return false
}

func (n *needing) headers(name string) {
	here := n.view.Destinations[name]
	if here == nil || n.DestinationHeaders[name] != nil {
		return
	}
	for _, m := range here.Foreign {
		if !m.HeaderRead {
			n.DestinationHeaders[name] = append(n.DestinationHeaders[name], m.UID)
		}
	}
}

func (n *needing) bodies(name string, wanted func(DestinationMessage) bool) {
	if n.DestinationBodies[name] != nil {
		return
	}
	for _, m := range n.view.Destinations[name].Foreign {
		if !m.BodyRead && wanted(m) {
			n.DestinationBodies[name] = append(n.DestinationBodies[name], m.UID)
		}
	}
}
