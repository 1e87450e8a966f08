package mirror

import (
	"context"
	"sync"

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
	ids := make(chan int64, len(r.worked))
	for _, id := range r.worked {
		if !r.hasProblem(id) {
			r.rows[id] = &reading{done: make(chan struct{})}
			ids <- id
		}
	}
	close(ids)
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			for id := range ids {
				of := r.rows[id]
				of.rows, of.err = r.Ledger.Rows(ctx, id)
				close(of.done)
			}
		})
	}
	return group.Wait
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
