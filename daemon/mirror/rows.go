package mirror

import (
	"context"

	"golang.org/x/sync/errgroup"

	"mailstork/daemon/ledger"
)

// readers is how many folders' rows are read at once: SQLite gives some 300,000 a second to each.
const readers = 2

// reading is what is being read of one folder.
type reading struct {
	done chan struct{}
	rows ledger.Rows
	err  error
}

// startReading begins to read the rows of the chosen folders, in their order, while the source is asked. wait must be
// called; it returns when all have been read.
func (r *round) startReading(ctx context.Context) (wait func()) {
	r.rows = map[int64]*reading{}
	var ids []int64
	for _, id := range r.worked {
		if !r.hasProblem(id) {
			ids = append(ids, id)
			r.rows[id] = &reading{done: make(chan struct{})}
		}
	}
	var group errgroup.Group
	group.SetLimit(readers)
	begun := make(chan struct{})
	go func() {
		defer close(begun)
		for _, id := range ids {
			group.Go(func() error {
				of := r.rows[id]
				defer close(of.done)
				of.rows, of.err = r.Ledger.Rows(ctx, id)
				return nil
			})
		}
	}()
	return func() {
		<-begun
		_ = group.Wait()
	}
}

// readRows gives a view the rows of its folder, as soon as they have been read.
func (r *round) readRows(view *FolderView) error {
	of := r.rows[view.Folder.ID]
	<-of.done
	if view.Rows = of.rows; of.err != nil {
		return &sideError{atLedger, of.err}
	}
	return nil
}
