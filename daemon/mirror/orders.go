package mirror

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"mailstork/daemon/ledger"
)

// Orders are what an operator said about messages that earlier passes could not settle.
type Orders struct {
	CopyParked  bool // they are new again
	LeaveParked bool // their owner removed them here
	Retry       bool // refused ones are new again; about skipped ones the rules decide by themselves
	// Obeyed is called in the transaction that obeys them, so that nothing is obeyed twice. It may be nil.
	Obeyed func(ctx context.Context, tx *sql.Tx) error
}

const reasonLeft = "an operator left it so: its copy may have arrived here, and its owner removed it"

// obey writes the orders into the ledger, before anything is listed. A message that has left the source can't be
// copied again: its row, and the file with its bytes, stay.
func (r *round) obey(ctx context.Context) error {
	o := r.Orders
	if r.obeyed || !o.CopyParked && !o.LeaveParked && !o.Retry {
		return nil
	}
	exceptions, err := r.Ledger.Exceptions(ctx, r.Account.ID)
	if err != nil {
		return err
	}
	folders, err := r.Ledger.Folders(ctx, r.Account.ID)
	if err != nil {
		return err
	}
	var retried []ledger.Message
	err = r.record(ctx, "orders", func(tx *ledger.Tx) error {
		again := map[int64]bool{}
		for _, e := range exceptions {
			parked := e.Stage == ledger.Parked
			refused := e.Stage == ledger.Confirmed && e.Fate == ledger.Refused
			switch {
			case parked && (o.LeaveParked || o.CopyParked && e.SourceGone):
				err = tx.Leave(e.Key, reasonLeft)
			case parked && o.CopyParked, refused && o.Retry && !e.SourceGone:
				again[e.FolderID] = true
				retried = append(retried, e.Message)
				err = tx.Again(e.Key)
			}
			if err != nil {
				return err
			}
		}
		for _, f := range folders {
			if !again[f.ID] {
				continue
			}
			f.Source = ledger.Mark{UIDValidity: f.Source.UIDValidity} // it is listed in full
			if err := tx.SaveFolder(&f); err != nil {
				return err
			}
		}
		if o.Obeyed == nil {
			return nil
		}
		return o.Obeyed(ctx, tx.SQL())
	})
	if err != nil {
		return fmt.Errorf("obeying an operator: %w", err)
	}
	r.obeyed, r.retried = true, retried
	return nil
}

// dropKept removes the files of messages that were refused once and are here now.
func (p *pass) dropKept(ctx context.Context) error {
	for _, before := range p.retried {
		if before.KeptFile == "" {
			continue
		}
		now, known, err := p.Ledger.Message(ctx, before.Key)
		if err != nil {
			return err
		}
		if known && now.Stage == ledger.Confirmed && now.Fate == ledger.Copied {
			if err := os.Remove(before.KeptFile); err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("removing what was kept of a message that is here now: %w", err)
			}
		}
	}
	return nil
}
