package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// inbox is the folder of the destination that has the notice.
const inbox = "INBOX"

// Notice is the letter in the inbox here that tells its owner how far the move is. A new revision takes the place of the
// one before. The zero value: none was ever written.
type Notice struct {
	Revision    int // the last one that was begun; never begun twice
	UIDValidity uint32
	UID         uint32 // where one is; 0: nowhere
	// IntentUIDNext, when not 0: the last revision may be in the inbox too, with a UID from this one on.
	IntentUIDNext uint32
	Gone          bool // its owner removed it: none is ever written again (L3)
	Complete      bool // the last revision says that everything is here
	Copied        int  // as many as the last revision says
	WrittenAt     time.Time
}

// Notice returns what is known of an account's notice.
func (l *Ledger) Notice(ctx context.Context, accountID int64) (n Notice, err error) {
	var writtenAt int64
	err = l.db.Reader().QueryRowContext(ctx, selectNotice, accountID).Scan(&n.Revision, &n.UIDValidity, &n.UID, &n.IntentUIDNext,
		&n.Gone, &n.Complete, &n.Copied, &writtenAt)
	if errors.Is(err, sql.ErrNoRows) {
		return Notice{}, nil
	}
	if err != nil {
		return n, fmt.Errorf("reading the notice: %w", err)
	}
	n.WrittenAt = time.UnixMilli(writtenAt).UTC()
	return n, nil
}

// SaveNotice keeps what is known of the account's notice.
func (t *Tx) SaveNotice(n Notice) error {
	err := t.change(upsertNotice, t.account, n.Revision, n.UIDValidity, n.UID, n.IntentUIDNext, bit(n.Gone), bit(n.Complete), n.Copied,
		milliseconds(n.WrittenAt))
	if err != nil {
		return fmt.Errorf("saving the notice: %w", err)
	}
	return nil
}
