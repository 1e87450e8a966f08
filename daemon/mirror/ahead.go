package mirror

import (
	"context"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

const (
	aheadMessages = 10_000 // listed before their folder's turn comes; at least one folder's
	pairListing   = 20_000 // another connection is opened to list so many
)

// lookers is how many pairs are worth their connections to list the chosen folders: most accounts are listed in one
// flight over the connection that is there.
func (r *round) lookers() int {
	messages := 0
	for _, id := range r.worked {
		messages += r.toList(r.folders[id])
	}
	return 1 + messages/pairListing
}

// warm connects to the source for the other pairs while the first one lists, when so much seems to be new that they
// will be needed.
func (r *round) warm(ctx context.Context) {
	fresh := 0
	for _, id := range r.worked {
		f := r.folders[id]
		s := r.listing[f.SourceName].Status
		if known := f.Source.UIDNext; f.Source.UIDValidity == s.UIDValidity && s.UIDNext >= known && known > 0 {
			fresh += min(int(s.UIDNext-known), int(s.Messages))
		} else {
			fresh += int(s.Messages)
		}
	}
	for _, pr := range r.pairs[1:min(len(r.pairs), 1+fresh/r.PairMessages)] {
		pr.warm(ctx)
	}
}

// toList is about how many lines the source will send for a folder.
func (r *round) toList(f *ledger.Folder) int {
	s := r.listing[f.SourceName].Status
	if r.unchangedThere(f, s) || r.trustsStatus(f, s) {
		return 0
	}
	return int(s.Messages)
}

// trustsStatus: as far as can be told before the folder is open, only its changes will be listed.
func (r *round) trustsStatus(f *ledger.Folder, s wire.Status) bool {
	return r.trustsMark(f, s) && f.Source.UIDValidity == s.UIDValidity && s.UIDNext >= f.Source.UIDNext
}

// askAhead sends the questions of listSource for a folder and for some of those that come after it, in the order in
// which they will be asked. A wrong guess costs time only.
func (r *round) askAhead(ctx context.Context, pr *pair, i int, more claim) error {
	conn, err := pr.from(ctx)
	if err != nil || r.stepwise {
		return err
	}
	_, asked := pr.ahead[i]
	delete(pr.ahead, i)
	return onSource(conn.Ahead(ctx, func() (v wire.Visit, ok bool) {
		if !asked {
			asked = true
			if v, ok = r.visit(pr, r.folders[r.worked[i]]); ok {
				return v, true
			}
		}
		for !ok && pr.waiting() <= aheadMessages {
			j, left := more()
			if !left {
				break
			}
			f := r.folders[r.worked[j]]
			pr.ahead[j] = int64(r.toList(f))
			v, ok = r.visit(pr, f)
		}
		return v, ok
	}))
}

// visit foresees what listSource will ask. Not ok: the folder will not be opened.
func (r *round) visit(pr *pair, f *ledger.Folder) (wire.Visit, bool) {
	line, listed := r.listing[f.SourceName]
	s := line.Status
	v := wire.Visit{Raw: f.SourceName}
	switch {
	case !listed || !line.Selectable || r.hasProblem(f.ID) || r.unchangedThere(f, s):
		return v, false
	case s.HasMessages && s.Messages == 0:
	case pr.source.Has("CONDSTORE") && r.trustsStatus(f, s):
		v.UIDs, v.Changes = true, f.Source.ModSeq
		if s.UIDNext > f.Source.UIDNext {
			v.List.From = f.Source.UIDNext
		}
	default:
		v.UIDs, v.List.From = true, 1
	}
	return v, true
}
