package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Writer writes the rows of one account, as long as its lease holds.
type Writer struct {
	db      Database
	account int64
	lease   Lease
}

// Tx is one transaction: what it was told is durable after Record, all or nothing.
type Tx struct {
	ctx     context.Context
	tx      *sql.Tx
	account int64
	stmts   map[string]*sql.Stmt
}

// Record runs work in one transaction. It returns ErrLeaseLost, with nothing written, when the lease is gone.
func (w *Writer) Record(ctx context.Context, work func(*Tx) error) error {
	err := w.db.Write(ctx, func(tx *sql.Tx) error {
		if err := w.fence(ctx, tx); err != nil {
			return err
		}
		// Cancelling ends the transaction. That each statement could be cancelled, too, costs a goroutine for every one: a
		// third of all that writing takes.
		return work(&Tx{ctx: context.WithoutCancel(ctx), tx: tx, account: w.account, stmts: map[string]*sql.Stmt{}})
	})
	if err != nil {
		return fmt.Errorf("writing the ledger of account %d: %w", w.account, err)
	}
	return nil
}

func (w *Writer) fence(ctx context.Context, tx *sql.Tx) error {
	result, err := tx.ExecContext(ctx, fenceLease, w.account, w.lease.Owner, w.lease.Epoch)
	if err != nil {
		return fmt.Errorf("checking the lease: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ErrLeaseLost, err)
	}
	return nil
}

// SQL is the transaction itself, for a row of another package that must be committed together with the ledger's.
func (t *Tx) SQL() *sql.Tx { return t.tx }

// SaveFolder inserts a folder without ID, and gives it one, or updates it.
func (t *Tx) SaveFolder(f *Folder) error {
	values := []any{
		f.SourceName, f.Source.UIDValidity, f.Source.UIDNext, int64(f.Source.ModSeq), f.Source.Messages,
		f.DestinationName, f.Destination.UIDValidity, f.Destination.UIDNext, int64(f.Destination.ModSeq), f.Destination.Messages,
		milliseconds(f.ComparedAt), f.Problem, f.Name, f.Role, bit(f.Mapped), f.SkipRule, f.LimitOctets, f.Limits, f.RenamedFrom, bit(f.Gathers), bit(f.Ours), t.account,
	}
	if f.ID == 0 {
		if err := t.tx.QueryRowContext(t.ctx, insertFolder, values...).Scan(&f.ID); err != nil {
			return fmt.Errorf("adding folder %q: %w", f.SourceName, err)
		}
		return nil
	}
	if err := t.change(updateFolder, append(values, f.ID)...); err != nil {
		return fmt.Errorf("saving folder %q: %w", f.SourceName, err)
	}
	return nil
}

// MoveFolder gives a folder another place for what is new in it. What it has here stays where it is.
func (t *Tx) MoveFolder(f *Folder, destinationName string) error {
	if _, err := t.tx.ExecContext(t.ctx, pinMessages, f.ID); err != nil {
		return fmt.Errorf("keeping the places of messages in %q: %w", f.DestinationName, err)
	}
	f.DestinationName, f.Destination, f.Ours = destinationName, Mark{}, false
	return t.SaveFolder(f)
}

// RemoveFolder forgets a folder for which no row stands; one with rows is an error.
func (t *Tx) RemoveFolder(id int64) error {
	if err := t.change(deleteFolder, t.account, id); err != nil {
		return fmt.Errorf("forgetting folder %d: %w", id, err)
	}
	return nil
}

// Intend notes messages whose APPEND is about to pass the point of no return (L2). A message that has a row already
// can't be appended again: that is a broken invariant.
func (t *Tx) Intend(messages []Message) error {
	for _, m := range messages {
		m.Stage, m.Fate, m.Appended = Intended, Copied, true
		if m.Intent.Batch == "" || m.Intent.UIDNext == 0 || m.Place.UIDValidity == 0 || m.Place.UID != 0 {
			return fmt.Errorf("%w L2: intending %s without batch, UIDNEXT or UIDVALIDITY", ErrBroken, m.Key)
		}
		if err := t.insert(m); err != nil {
			return fmt.Errorf("intending %s: %w", m.Key, err)
		}
	}
	return nil
}

// Add notes a message whose fate is settled without an APPEND.
func (t *Tx) Add(m Message) error {
	m.Stage = Confirmed
	if err := t.insert(m); err != nil {
		return fmt.Errorf("adding %s: %w", m.Key, err)
	}
	return nil
}

func (t *Tx) insert(m Message) error {
	return t.change(insertMessage, m.FolderID, m.UIDValidity, m.UID, string(m.Stage), string(m.Fate), m.Reason, m.KeptFile,
		m.Place.Folder, m.Place.UIDValidity, m.Place.UID, bit(m.Appended), m.Intent.Batch, m.Intent.UIDNext,
		octets(m.Digest[:]), octets(m.Fingerprint[:]), m.Size, m.Date, m.Flags, bit(m.SourceGone), int64(m.Origin))
}

// Confirm settles an intended message: it is at place.
func (t *Tx) Confirm(key Key, place Place) error {
	return t.row("confirming", key, confirmMessage, place.Folder, place.UIDValidity, place.UID)
}

// Refile notes copied messages that are about to be stored a second time in their folder, behind the others, and then
// removed where they are. Intent is filled in.
func (t *Tx) Refile(messages []Message) error {
	for _, m := range messages {
		if m.Intent.Batch == "" || m.Intent.UIDNext <= m.Place.UID {
			return fmt.Errorf("%w L2: filing %s anew without batch or UIDNEXT", ErrBroken, m.Key)
		}
		if err := t.row("filing anew", m.Key, refileMessage, m.Intent.Batch, m.Intent.UIDNext); err != nil {
			return err
		}
	}
	return nil
}

// Refiled settles a message that was filed anew: it is at place, and nowhere else.
func (t *Tx) Refiled(key Key, place Place) error {
	return t.row("settling the place of", key, refiledMessage, place.Folder, place.UIDValidity, place.UID)
}

// Forget settles an intended message: its APPEND never took effect, so it is new again.
func (t *Tx) Forget(key Key) error { return t.row("forgetting", key, forgetMessage) }

// Park settles an intended message of which nobody can tell whether its owner removed it.
func (t *Tx) Park(key Key, reason string) error { return t.row("parking", key, parkMessage, reason) }

// Again makes a parked or refused message new again, because an operator ordered it.
func (t *Tx) Again(key Key) error { return t.row("copying again", key, againMessage) }

// Leave settles a parked message, because an operator said that its owner removed it.
func (t *Tx) Leave(key Key, reason string) error { return t.row("leaving", key, leaveMessage, reason) }

// SetFate changes the fate of a confirmed message.
func (t *Tx) SetFate(key Key, fate Fate, reason string) error {
	return t.row("changing fate of", key, updateFate, string(fate), reason)
}

// SetFlags notes the source's flags that were applied here.
func (t *Tx) SetFlags(key Key, flags string) error {
	return t.row("saving flags of", key, updateFlags, flags)
}

// SetGone notes that a message is no longer at the source, or is there again.
func (t *Tx) SetGone(key Key, gone bool) error {
	return t.row("saving absence of", key, updateGone, bit(gone))
}

// Reopen makes a message new again whose copy the mirror itself removed when it left the source.
func (t *Tx) Reopen(key Key) error { return t.row("reopening", key, reopenMessage) }

// Unskip makes a message new again that a rule had left out. It was never here, so that nothing can come back.
func (t *Tx) Unskip(key Key) error { return t.row("taking back the skip of", key, unskipMessage) }

// Yield notes that a copied message is not here any more because another folder of the source has its letter.
func (t *Tx) Yield(key Key, reason string) error { return t.row("yielding", key, yieldMessage, reason) }

// Renew forgets a copied message whose copy has gone, to make room for the row of another copy of its letter, which is
// still here. Without that one it would bring back what its owner deleted (L3).
func (t *Tx) Renew(key Key) error { return t.row("renewing", key, renewMessage) }

// SetPlace notes that a confirmed message has another place here.
func (t *Tx) SetPlace(key Key, place Place) error {
	return t.row("saving place of", key, updatePlace, place.Folder, place.UIDValidity, place.UID)
}

// Rename gives a row the identity that its message has at the source now (UIDVALIDITY changed, or it was moved).
// placeFolder is the destination folder that holds it when that is not the new folder's.
func (t *Tx) Rename(from, to Key, placeFolder string) error {
	return t.row("renaming", from, updateIdentity, to.FolderID, to.UIDValidity, to.UID, placeFolder)
}

// row changes exactly one row.
func (t *Tx) row(verb string, key Key, statement string, values ...any) error {
	err := t.change(statement, append([]any{key.FolderID, key.UIDValidity, key.UID}, values...)...)
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, key, err)
	}
	return nil
}

func (t *Tx) change(statement string, values ...any) error {
	prepared, ok := t.stmts[statement]
	if !ok {
		var err error
		if prepared, err = t.tx.PrepareContext(t.ctx, statement); err != nil {
			return err
		}
		t.stmts[statement] = prepared
	}
	result, err := prepared.ExecContext(t.ctx, values...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("%w: %d rows changed where one was expected", ErrBroken, n), err)
	}
	return nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// octets stores a zero hash as an empty value.
func octets(hash []byte) []byte {
	for _, b := range hash {
		if b != 0 {
			return hash
		}
	}
	return []byte{}
}

func milliseconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}
