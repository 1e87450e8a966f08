package mirror

import (
	"context"
	"fmt"
	"slices"

	"mailstork/daemon/ledger"
)

// rowsPerCommit bounds one transaction of notes.
const rowsPerCommit = 1000

// note writes down what needs no change here.
func (r *round) note(ctx context.Context, w work) error {
	operations := w.notes
	adopted, err := r.adoptedRows(ctx, w.adopts)
	if err != nil {
		return err
	}
	for len(operations)+len(adopted) > 0 {
		now := operations[:min(len(operations), rowsPerCommit)]
		rows := adopted[:min(len(adopted), rowsPerCommit)]
		operations, adopted = operations[len(now):], adopted[len(rows):]
		err := r.record(ctx, "notes", func(tx *ledger.Tx) error {
			for _, o := range now {
				if err := noteOne(tx, o); err != nil {
					return err
				}
			}
			return r.addAdopted(ctx, tx, rows)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func noteOne(tx *ledger.Tx, o Operation) error {
	switch o := o.(type) {
	case Rename:
		return tx.Rename(o.From, o.To, o.PlaceFolder)
	case Relink:
		return tx.SetPlace(o.Key, o.Place)
	case SetDeleted:
		return tx.SetFate(o.Key, ledger.Deleted, reasonHere)
	case SetGone:
		return tx.SetGone(o.Key, true)
	case SetBack:
		if o.Again {
			return tx.Reopen(o.Key)
		}
		return tx.SetGone(o.Key, false)
	case Unskip:
		return tx.Unskip(o.Key)
	case Skip:
		return tx.Add(ledger.Message{Key: o.Key, Fate: ledger.Skipped, Reason: o.Reason, Fingerprint: o.Message.Fingerprint,
			Size: o.Message.Size, Date: o.Message.Date, Flags: o.Message.Flags, Origin: o.Message.Origin})
	case Yield:
		return tx.Yield(o.Key, o.Reason)
	case Renew:
		return tx.Renew(o.Key)
	}
	return fmt.Errorf("%w: a plan with an operation %T that nobody does", ledger.ErrBroken, o)
}

// adoptedRow is a row for a message that is here already, and the delivery that it was.
type adoptedRow struct {
	row      ledger.Message
	delivery int64
}

// adoptedRows reads back the digests of adopted copies (L1). One that its owner removed meanwhile is deleted (L3).
func (r *round) adoptedRows(ctx context.Context, adopts []Adopt) (rows []adoptedRow, err error) {
	sums := map[string]map[uint32]digest{}
	for _, name := range slices.Sorted(mapKeys(unreadCopies(adopts))) {
		uids := unreadCopies(adopts)[name]
		slices.Sort(uids)
		conn := r.pairs[0].destination
		if _, err := conn.Examine(ctx, name); err != nil {
			return nil, onDestination(err)
		}
		sums[name] = map[uint32]digest{}
		_, err := conn.Digests(ctx, uids, func(uid uint32, _ int64, sum digest) error { sums[name][uid] = sum; return nil })
		if err != nil {
			return nil, onDestination(err)
		}
	}
	for _, a := range adopts {
		row := ledger.Message{Key: a.Key, Fate: a.Fate, Place: a.Place, Digest: a.Message.Digest, Fingerprint: a.Message.Fingerprint,
			Size: a.Message.Size, Date: a.Message.Date, Flags: a.Message.Flags, Origin: a.Message.Origin}
		if a.Fate == ledger.Copied && !a.Message.BodyRead {
			sum, read := sums[a.DestinationName][a.Place.UID]
			if row.Digest = sum; !read {
				row.Fate, row.Reason = ledger.Deleted, reasonHere
			}
		}
		rows = append(rows, adoptedRow{row, a.Delivery})
	}
	return rows, nil
}

func unreadCopies(adopts []Adopt) map[string][]uint32 {
	uids := map[string][]uint32{}
	for _, a := range adopts {
		if a.Fate == ledger.Copied && !a.Message.BodyRead {
			uids[a.DestinationName] = append(uids[a.DestinationName], a.Place.UID)
		}
	}
	return uids
}

func (r *round) addAdopted(ctx context.Context, tx *ledger.Tx, rows []adoptedRow) error {
	for _, a := range rows {
		if err := tx.Add(a.row); err != nil {
			return err
		}
		if a.delivery == 0 {
			continue
		}
		if err := r.Deliveries.Claim(ctx, tx.SQL(), a.delivery, a.row.FolderID, a.row.UIDValidity, a.row.UID); err != nil {
			return fmt.Errorf("claiming the delivery of %s: %w", a.row.Key, err)
		}
	}
	return nil
}
