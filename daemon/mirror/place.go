package mirror

import (
	"context"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// placed is where the folders of a listing are kept here, and what the rules say about them, by raw name.
type placed struct {
	rules map[string]folderRule
	names map[string]string // source raw → destination raw
}

// place decides where folders are kept. What the ledger has stays where it is, except what only an admin's map had put there.
func (r *round) place(there, here []wire.Folder, known []ledger.Folder) placed {
	p := placed{rules: r.Rules.judge(there, r.pairs[0].source.Has(tellsOrigins))}
	namespace := r.pairs[0].destination.Namespace()
	in := Names{Source: there, Destination: here, Namespace: namespace, Kept: map[string]string{}, Wanted: map[string][]string{}}
	for raw, rule := range p.rules {
		if rule.place != nil {
			in.Wanted[raw] = rule.place
		}
		if rule.gathers == gathering[wire.UseAll] {
			in.Rest = raw
		}
	}
	for _, f := range known {
		if !f.Mapped {
			in.Kept[f.SourceName] = f.DestinationName
		}
	}
	p.names = MapFolders(in)
	return p
}

// mapFolders gives every source folder its row and its place here.
func (r *round) mapFolders(ctx context.Context, there, here []wire.Folder) error {
	known, err := r.Ledger.Folders(ctx, r.Account.ID)
	if err != nil {
		return err
	}
	p := r.place(there, here, known)
	rows := map[string]*ledger.Folder{}
	for i, f := range known {
		rows[f.SourceName] = &known[i]
		r.folders[f.ID] = &known[i]
	}
	var changed []*ledger.Folder
	for _, f := range sorted(there) {
		row := rows[f.Raw]
		if row == nil && !f.Selectable {
			continue
		}
		before := ledger.Folder{}
		if row == nil {
			row = &ledger.Folder{SourceName: f.Raw, DestinationName: p.names[f.Raw]}
		} else {
			before = *row
		}
		rule := p.rules[f.Raw]
		row.Name, row.Role, row.Mapped = strings.Join(f.Name, "/"), string(rule.role), rule.place != nil
		if *row != before || row.DestinationName != p.names[f.Raw] {
			changed = append(changed, row)
		}
	}
	if err := r.saveFolders(ctx, changed, p.names); err != nil {
		return err
	}
	for _, f := range changed {
		r.folders[f.ID] = f
	}
	r.placeAfresh(there, here, known)
	for id, f := range r.folders {
		r.rules[id] = p.rules[f.SourceName]
		if line, listed := r.listing[f.SourceName]; listed {
			r.names[id] = strings.Join(line.Name, "/")
		} else {
			r.rules[id] = folderRule{skip: f.SkipRule} // nothing new can come from it
		}
	}
	return nil
}

// placeAfresh finds the places that new folders would have if those that left the source, or were made again there,
// held none: a renamed folder gets that one.
func (r *round) placeAfresh(there, here []wire.Folder, known []ledger.Folder) {
	left := false
	var kept []ledger.Folder
	for _, f := range known {
		line, listed := r.listing[f.SourceName]
		switch {
		case !listed || !line.Selectable || f.Source.UIDValidity != 0 && line.Status.UIDValidity != f.Source.UIDValidity:
			left = true
		case !f.ComparedAt.IsZero():
			kept = append(kept, f)
		}
	}
	if !left {
		return
	}
	afresh := r.place(there, here, kept)
	r.afresh = map[int64]string{}
	for id, f := range r.folders {
		if f.ComparedAt.IsZero() {
			r.afresh[id] = afresh.names[f.SourceName]
		}
	}
}

func (r *round) saveFolders(ctx context.Context, changed []*ledger.Folder, places map[string]string) error {
	if len(changed) == 0 {
		return nil
	}
	return r.record(ctx, "folders", func(tx *ledger.Tx) error {
		for _, f := range changed {
			save := tx.SaveFolder
			if place := places[f.SourceName]; place != f.DestinationName {
				save = func(f *ledger.Folder) error { return tx.MoveFolder(f, place) }
			}
			if err := save(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// ruledAnew tells whether other rules hold for a folder than when it was last finished, so that every message of it
// must be looked at again.
func (r *round) ruledAnew(f *ledger.Folder) bool {
	if _, listed := r.listing[f.SourceName]; !listed {
		return false
	}
	rule := r.rules[f.ID]
	return f.SkipRule != rule.skip || f.Gathers != (rule.gathers > 0) || f.LimitOctets != r.Policy.MaxMessageOctets
}
