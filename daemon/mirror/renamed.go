package mirror

import (
	"slices"

	"mailstork/daemon/ledger"
)

// foldersRenamed finds folders that have another name at the source now: one left, and one of which no row speaks has
// most of its messages. Whatever is found, no row is lost and none is invented: a folder's rows only go on under another
// name, and what differs is planned then like any other difference.
func (p *planner) foldersRenamed() (found []Operation) {
	taken := map[int64]bool{}
	for _, d := range p.folders {
		rows := slices.Concat(d.lost, d.stale)
		made := !d.view.Left && len(d.stale) > 0 // deleted or renamed there, and made again
		if len(rows) == 0 || !d.view.Left && !made {
			continue
		}
		var best *FolderView
		most := 0
		for _, n := range p.folders {
			if taken[n.view.Folder.ID] || !isNew(n.view) || (n.view.Gathers > 0) != d.view.Folder.Gathers || made && n.view.UIDValidity != d.stale[0].UIDValidity {
				continue
			}
			if same := sameMessages(rows, n); same > most {
				best, most = n.view, same
			}
		}
		if best == nil || most*2 <= len(rows) {
			continue
		}
		to := p.newPlaceOf(d.view, best)
		if made && to == "" { // its place is needed for the folder that has its name now
			continue
		}
		taken[best.Folder.ID] = true
		found = append(found, RenameFolder{FolderID: d.view.Folder.ID, As: best.Folder.ID, Destination: to})
	}
	return found
}

func isNew(f *FolderView) bool {
	return f.Listed && !f.Left && f.Rows.Len() == 0 && f.Folder.ComparedAt.IsZero()
}

// sameMessages counts the rows whose messages a new folder has. Under one UIDVALIDITY the UIDs must agree: one that
// means another message tells that the server gives every folder the same number.
func sameMessages(rows []ledger.Message, d *difference) (same int) {
	var others []ledger.Message
	fresh := d.fresh
	if len(d.covered) > 0 { // as many as are listed
		fresh = d.view.Messages
	}
	for _, row := range rows {
		if row.UIDValidity != d.view.UIDValidity {
			others = append(others, row)
			continue
		}
		m, listed := find(fresh, row.UID)
		switch {
		case !listed:
		case !isMessage(row, *m):
			return 0
		default:
			same++
		}
	}
	for _, kind := range recognising {
		others, fresh = pairs(others, fresh, rowTrait(kind), messageTrait(kind), func(ledger.Message, SourceMessage) { same++ })
	}
	return same
}

// isMessage tells whether a row and a message have what proves most in common.
func isMessage(row ledger.Message, m SourceMessage) bool {
	for _, kind := range recognising {
		a, known := rowTrait(kind)(row)
		b, read := messageTrait(kind)(m)
		if known && read && a == b {
			return true
		}
	}
	return false
}

// newPlaceOf is the name that a renamed folder's place here gets: only before the switch, and only if all in it is
// ours and nobody removed any of it. Else everything stays where its owner knows it ("").
func (p *planner) newPlaceOf(f, as *FolderView) string {
	from, to := f.Folder.DestinationName, as.Afresh
	here, there := p.view.Destinations[from], p.view.Destinations[to]
	if p.view.Policy.Switched || to == "" || to == from || here == nil || here.Missing || here.Special || there == nil || !there.Missing {
		return ""
	}
	ours := 0
	for row := range f.Rows.All() {
		if row.Fate == ledger.Deleted && row.Reason == reasonHere {
			return ""
		}
		if row.Stage != ledger.Confirmed || row.Fate != ledger.Copied {
			continue
		}
		if !row.Appended || row.Place.Folder != "" || row.Place.UIDValidity != here.UIDValidity || !has(here.UIDs, row.Place.UID) {
			return ""
		}
		ours++
	}
	if ours != len(here.UIDs) {
		return ""
	}
	return to
}
