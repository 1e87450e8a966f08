package mirror

import (
	"context"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// hereMark is the state of a destination folder, kept up to date with what we do to it.
type hereMark struct {
	ledger.Mark
	exists   bool
	special  bool // mail programs know it by its name or its role
	doubtful bool // the next pass looks: what we sent may be in it or not, so that Mark.Messages may be wrong; or a removal waits

	ours bool   // when we looked, every message in it had a row
	next uint32 // UIDNEXT then
	came uint32 // so many UIDs it has given away to us since
}

// learn notes what a look at the folder brought.
func (h *hereMark) learn(m ledger.Mark, ours bool) {
	h.Mark, h.ours, h.next, h.came = m, ours, m.UIDNext, 0
}

// allOurs tells whether every message in it has a row: nobody else has been given a UID since we looked.
func (h *hereMark) allOurs() bool {
	return h.ours && !h.doubtful && h.UIDNext == h.next+h.came
}

func (r *round) learnHere(folders []wire.Folder) {
	for _, f := range folders {
		role, _ := roleOf(f)
		mark := &hereMark{exists: f.Selectable, special: role != "" || f.Raw == inbox}
		mark.learn(ledger.Mark{UIDValidity: f.Status.UIDValidity, UIDNext: f.Status.UIDNext, Messages: f.Status.Messages},
			f.Status.HasUIDNext && f.Status.HasMessages && f.Status.Messages == 0)
		r.here[f.Raw] = mark
	}
}

// arrived keeps the mark of a destination folder up to date. A UID that was given away bounds those of all batches
// sent later from below.
func (r *round) arrived(name string, appended destination.Appended) {
	r.mu.Lock()
	defer r.mu.Unlock()
	here := r.here[name]
	if here.UIDValidity != appended.UIDValidity {
		here.learn(ledger.Mark{UIDValidity: appended.UIDValidity}, false)
	}
	here.UIDNext = max(here.UIDNext, slices.Max(appended.UIDs)+1)
	here.Messages += uint32(len(appended.UIDs))
	here.came += uint32(len(appended.UIDs))
}

// inDoubt notes that messages may have arrived in a folder or not: how many it has is not known any more.
func (r *round) inDoubt(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubt = true
	r.here[name].doubtful = true
}

// familiar tells whether a destination folder is as the last pass left it, all of it ours: then its rows say what is in
// it. Once in a while it is looked at all the same.
func (r *round) familiar(name string) bool {
	here := r.here[name]
	if here == nil || !here.exists || here.Messages == 0 {
		return false
	}
	for _, f := range r.folders {
		if f.DestinationName == name && f.Ours && f.Destination == here.Mark && r.Now().Sub(f.ComparedAt) < r.CompareEvery {
			return true
		}
	}
	return false
}

// recall is what the rows say about familiar folders. Those are missing in which the rows don't account for every message:
// some are of folders that this pass does not work on.
func (r *round) recall() map[string]look {
	present := map[string][]uint32{}
	for _, f := range r.view.Folders {
		for i := range f.Rows.Len() {
			place := f.Rows.Place(i)
			name := placeName(f.Folder, place)
			here := r.here[name]
			if here == nil || place.UID == 0 || place.UIDValidity != here.UIDValidity {
				continue
			}
			if fate := f.Rows.Settled(i); fate == ledger.Copied || fate == ledger.Delivered {
				present[name] = append(present[name], place.UID)
			}
		}
	}
	recalled := map[string]look{}
	for name, uids := range present {
		slices.Sort(uids)
		uids = slices.Compact(uids)
		here := r.here[name]
		if !r.familiar(name) || len(uids) != int(here.Messages) {
			continue
		}
		here.learn(here.Mark, true)
		recalled[name] = look{view: &DestinationView{UIDValidity: here.UIDValidity, UIDNext: here.UIDNext, UIDs: uids, Special: here.special}}
	}
	return recalled
}

func (r *round) lookAtPlace(ctx context.Context, name string) (*DestinationView, error) {
	mark := r.here[name]
	if mark == nil || !mark.exists {
		return &DestinationView{Missing: true}, nil
	}
	view := &DestinationView{UIDValidity: mark.UIDValidity, UIDNext: mark.UIDNext, Special: mark.special}
	if mark.Messages == 0 {
		return view, nil
	}
	conn := r.pairs[0].destination
	selected, err := conn.Examine(ctx, name)
	if err != nil {
		return nil, onDestination(err)
	}
	if view.UIDs, err = conn.UIDs(ctx); err != nil {
		return nil, onDestination(err)
	}
	view.UIDValidity, view.UIDNext = selected.UIDValidity, selected.UIDNext
	claimed, err := r.Ledger.Claimed(ctx, r.Account.ID, name, selected.UIDValidity)
	for _, uid := range without(view.UIDs, claimed) {
		view.Foreign = append(view.Foreign, DestinationMessage{UID: uid})
	}
	mark.learn(ledger.Mark{UIDValidity: selected.UIDValidity, UIDNext: selected.UIDNext, Messages: uint32(len(view.UIDs))}, len(view.Foreign) == 0)
	return view, err
}
