package mirror

import (
	"context"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// listAgain asks the source once more for the states of its folders when a folder that gathers has something new. Its own
// state stays the older one, so that whatever it is said to have was in its other folders before their states were told: a
// letter that arrives between two answers must not look as if it were nowhere else.
func (r *round) listAgain(ctx context.Context) error {
	changed := false
	for id, f := range r.folders {
		line := r.listing[f.SourceName]
		changed = changed || r.rules[id].gathers > 0 && f.Source.UIDNext > 0 && line.Status.UIDNext > f.Source.UIDNext
	}
	if !changed {
		return nil
	}
	again, err := r.pairs[0].source.Folders(ctx)
	if err != nil {
		return onSource(err)
	}
	for _, line := range again {
		if before, known := r.listing[line.Raw]; known && gathering[before.SpecialUse] == 0 {
			r.listing[line.Raw] = line
		}
	}
	return nil
}

// leaveYounger takes out of the listing of a folder that gathers what came to it after its state was told.
func (f *FolderView) leaveYounger(s wire.Status) {
	if f.Gathers == 0 || !f.Listed || !s.HasUIDNext || s.UIDValidity != f.UIDValidity {
		return
	}
	f.UIDs = slices.DeleteFunc(f.UIDs, func(uid uint32) bool { return uid >= s.UIDNext })
	f.Messages = slices.DeleteFunc(f.Messages, func(m SourceMessage) bool { return m.UID >= s.UIDNext })
}

// chooseGathering adds the folders that gather when anything changed: what left another folder at the source may be the rest
// of theirs now, and what went here may have been theirs, in the place of another one. When one of them has just appeared,
// what left any other folder before may be there.
func (r *round) chooseGathering() {
	if len(r.worked) == 0 {
		return
	}
	appeared := slices.ContainsFunc(r.worked, func(id int64) bool { return r.rules[id].gathers > 0 && r.folders[id].Source.UIDValidity == 0 })
	for _, id := range slices.Sorted(keysOf(r.folders)) {
		line, gathers := r.listing[r.folders[id].SourceName], r.rules[id].gathers > 0
		if !gathers && !appeared || !line.Selectable || r.hasProblem(id) {
			continue
		}
		r.gatherAnew[id] = r.gatherAnew[id] || gathers
		if !slices.Contains(r.worked, id) {
			r.worked = append(r.worked, id)
		}
	}
}

// unseen tells whether nobody looks at what is archived, at a source that names its letters.
func (r *round) unseen() bool {
	if !r.pairs[0].source.Has(tellsOrigins) {
		return false
	}
	shown := false
	for id, f := range r.folders {
		if line := r.listing[f.SourceName]; line.SpecialUse == wire.UseAll && line.Selectable {
			if shown = true; r.rules[id].skip == "" {
				return false
			}
		}
	}
	if !shown {
		r.remark("all-mail-hidden: it shows no folder of all mail. What is only archived there can't be copied, and what leaves a folder there stays here. Its owner can show it: in Gmail's settings, Labels, All Mail, Show in IMAP")
	}
	return true
}

// gather tells the view what it must know of all folders so that the rest can be told from what others have.
func (r *round) gather(ctx context.Context) error {
	looked, listed := map[int64]bool{}, map[int64]bool{}
	for _, f := range r.view.Folders {
		looked[f.Folder.ID], listed[f.Folder.ID] = true, f.Listed
	}
	blind := everyFolder
	for id, rule := range r.rules {
		r.view.Gathering = r.view.Gathering || rule.gathers > 0 && listed[id]
		if rule.gathers > 0 && !listed[id] {
			blind = min(blind, rule.gathers)
		}
	}
	r.view.Blind = blind < everyFolder
	r.view.Folders = slices.DeleteFunc(r.view.Folders, func(f FolderView) bool {
		waits := f.Gathers > blind // what is the rest of it, nobody knows: it would be copied from both in the end (L2)
		if waits {
			r.problem(f.Folder.ID, "it waits for the folder of all mail, which could not be looked at")
		}
		return waits
	})
	r.view.Unseen = r.unseen()
	r.view.Gathering = r.view.Gathering || r.view.Unseen
	if !r.view.Gathering {
		return nil
	}
	err := r.Ledger.Sightings(ctx, r.Account.ID, func(s ledger.Sighting) {
		if looked[s.FolderID] || s.Gone && (s.Fate == ledger.Skipped || s.Fate == ledger.Deleted && s.Reason == reasonSource) {
			return
		}
		f := r.folders[s.FolderID]
		e := OtherRow{Key: s.Key, Origin: s.Origin, Folder: f, Gathers: r.rules[s.FolderID].gathers, Stage: s.Stage, Fate: s.Fate, Ours: s.Appended, Gone: s.Gone}
		if s.Gone {
			e.Place = placeName(*f, s.Place)
		}
		r.view.Others = append(r.view.Others, e)
	})
	r.view.recall()
	return err
}
