package mirror

import (
	"context"
	"errors"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// maxForeignEarly bounds the messages here whose headers are read before the newest ones are copied.
const maxForeignEarly = 500

// newestFirst copies the newest messages of the inbox before anything else is even listed, as long as the inbox was
// never finished. Their rows are rows like all others: the plan that follows finds them done.
func (r *round) newestFirst(ctx context.Context) error {
	f := r.waitingInbox()
	if f == nil {
		return nil
	}
	r.phase("newest", r.names[f.ID])
	pr := r.pairs[0]
	view, err := r.lookAtNewest(ctx, pr, f)
	if err != nil {
		return r.folderError(ctx, pr, f, err)
	}
	if view == nil {
		return nil
	}
	r.view = *view
	defer func() { r.view = View{} }()
	if err := r.fill(ctx); err != nil {
		return err
	}
	// What may be here already is left to the plan that sees everything.
	w := work{appends: withoutRows(sortOut(Plan(r.view)).appends, view.Folders[0].Rows.Messages())}
	if err := r.checkRoom(ctx, w.appends); err != nil {
		if full := (*Error)(nil); errors.As(err, &full) {
			return nil // the plan that sees everything knows how much is missing
		}
		return err
	}
	before := r.progress.Messages
	r.expect(w)
	err = r.copy(ctx, w.appends)
	r.early += r.progress.Messages - before
	if err != nil {
		return err
	}
	// Answers tell what came, but not always: what was settled without one is here, too (L3).
	return r.learnMade(ctx, len(w.appends) > 0)
}

// withoutRows leaves out what has a row that the plan would settle first.
func withoutRows(appends []Append, rows []ledger.Message) (rest []Append) {
	for _, a := range appends {
		a.Messages = slices.DeleteFunc(slices.Clone(a.Messages), func(m SourceMessage) bool {
			_, known := rowOfUID(rows, m.UID)
			return known
		})
		if len(a.Messages) > 0 {
			rest = append(rest, a)
		}
	}
	return rest
}

// waitingInbox is the inbox while its owner may be waiting for it and there is more to do than to bring it. After a
// connection broke, everything goes step by step, without this.
func (r *round) waitingInbox() *ledger.Folder {
	if r.Newest <= 0 || r.stepwise {
		return nil
	}
	lines := 0
	for _, id := range r.worked {
		lines += r.toList(r.folders[id])
	}
	i := slices.IndexFunc(r.worked, func(id int64) bool {
		f := r.folders[id]
		line, listed := r.listing[f.SourceName]
		return f.DestinationName == inbox && isInbox(line) && f.ComparedAt.IsZero() && listed && line.Selectable && !r.hasProblem(id)
	})
	if i < 0 || lines <= r.Newest {
		return nil
	}
	return r.folders[r.worked[i]]
}

// lookAtNewest reads what the planner must know of the newest messages. Nil: only a view of everything can tell what
// of them is here already, or the source does not answer as it should.
func (r *round) lookAtNewest(ctx context.Context, pr *pair, f *ledger.Folder) (*View, error) {
	view := View{Policy: r.Policy}
	tally, err := r.tally(ctx)
	if err != nil {
		return nil, err
	}
	if view.Rows = ledger.Total(tally.Folders).Present; view.Rows == 0 && r.otherMailHere() {
		return nil, nil // the ledger may have been lost: these messages may be in any folder
	}
	here, err := r.lookAtPlace(ctx, inbox)
	if wire.Refused(err) != nil && r.pairs[0].destination.Err() == nil {
		return nil, nil // as the plan will find, too
	}
	if err != nil || len(here.Foreign) > maxForeignEarly {
		return nil, err
	}
	view.Destinations = map[string]*DestinationView{inbox: here}
	if r.Deliveries != nil {
		if view.Deliveries, err = r.Deliveries.Unclaimed(ctx, r.Account.Address); err != nil {
			return nil, err
		}
	}
	folder, err := r.listNewest(ctx, pr, f)
	if err != nil || folder == nil {
		return nil, err
	}
	view.Folders = []FolderView{*folder}
	return &view, nil
}

func (r *round) otherMailHere() bool {
	for name, here := range r.here {
		if name != inbox && here.exists && here.Messages > 0 {
			return true
		}
	}
	return false
}

func (r *round) listNewest(ctx context.Context, pr *pair, f *ledger.Folder) (*FolderView, error) {
	selected, err := pr.examine(ctx, f.SourceName)
	if err != nil {
		return nil, onSource(err)
	}
	if selected.UIDValidity == 0 || selected.UIDNotSticky || selected.Exists == 0 {
		return nil, nil
	}
	view := &FolderView{Folder: *f, Listed: true, UIDValidity: selected.UIDValidity}
	err = pr.source.Newest(ctx, uint32(r.Newest), func(e wire.Entry) error {
		view.Messages = append(view.Messages, messageOf(e))
		return nil
	})
	if wire.Refused(err) != nil && pr.source.Err() == nil {
		return nil, nil
	}
	if err != nil {
		return nil, onSource(err)
	}
	view.sortMessages()
	view.UIDs = uidsOf(view.Messages)
	rows, err := r.Ledger.Messages(ctx, f.ID)
	for _, row := range rows {
		if row.UIDValidity != selected.UIDValidity {
			return nil, err
		}
		if has(view.UIDs, row.UID) {
			view.Rows.Append(row)
		}
	}
	return view, err
}
