package milter

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
)

// Database is what Deliveries needs of the store.
type Database interface {
	Reader() *sql.DB
	Write(ctx context.Context, work func(tx *sql.Tx) error) error
}

// Deliveries is the table delivery: one row per letter and recipient.
type Deliveries struct{ database Database }

// NewDeliveries returns the table in database.
func NewDeliveries(database Database) *Deliveries { return &Deliveries{database: database} }

// Delivery is one letter that reached one address here by SMTP.
type Delivery struct {
	ID          int64
	Fingerprint letter.Fingerprint
	QueueID     string
	ReceivedAt  time.Time
}

const insertDelivery = `
INSERT INTO delivery (recipient, fingerprint, queue_id, received_at_ms) VALUES ($1, $2, $3, $4)`

// Record stores a letter for all its recipients, or for none.
func (d *Deliveries) Record(ctx context.Context, l Letter) error {
	err := d.database.Write(ctx, func(tx *sql.Tx) error {
		for _, recipient := range l.Recipients {
			if _, err := tx.ExecContext(ctx, insertDelivery, recipient, l.Fingerprint[:], l.QueueID, l.ReceivedAt.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("recording delivery %s: %w", l.QueueID, err)
	}
	return nil
}

const selectUnclaimed = `
SELECT delivery_id, fingerprint, queue_id, received_at_ms FROM delivery
WHERE recipient = $1 AND claimed_folder_id = 0 ORDER BY delivery_id`

// Unclaimed returns the deliveries to an address that no source message has been matched with, oldest first.
func (d *Deliveries) Unclaimed(ctx context.Context, address account.Address) ([]Delivery, error) {
	rows, err := d.database.Reader().QueryContext(ctx, selectUnclaimed, address)
	if err != nil {
		return nil, fmt.Errorf("reading deliveries of %s: %w", address, err)
	}
	defer rows.Close()
	var deliveries []Delivery
	for rows.Next() {
		delivery, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("reading deliveries of %s: %w", address, err)
		}
		deliveries = append(deliveries, delivery)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading deliveries of %s: %w", address, err)
	}
	return deliveries, nil
}

func scan(rows *sql.Rows) (Delivery, error) {
	var delivery Delivery
	var fingerprint []byte
	var received int64
	if err := rows.Scan(&delivery.ID, &fingerprint, &delivery.QueueID, &received); err != nil {
		return Delivery{}, err
	}
	if copy(delivery.Fingerprint[:], fingerprint) != letter.FingerprintSize {
		return Delivery{}, fmt.Errorf("delivery %d has a fingerprint of %d octets", delivery.ID, len(fingerprint))
	}
	delivery.ReceivedAt = time.UnixMilli(received).UTC()
	return delivery, nil
}

const claimDelivery = `
UPDATE delivery SET claimed_folder_id = $2, claimed_uidvalidity = $3, claimed_uid = $4
WHERE delivery_id = $1 AND (claimed_folder_id = 0
    OR claimed_folder_id = $2 AND claimed_uidvalidity = $3 AND claimed_uid = $4)`

// Claim notes, within the transaction that settles the source message's fate, which message a delivery was.
// One delivery stands for one source message; claiming it for the same message again changes nothing.
func (d *Deliveries) Claim(ctx context.Context, tx *sql.Tx, id, folderID int64, uidValidity, uid uint32) error {
	result, err := tx.ExecContext(ctx, claimDelivery, id, folderID, int64(uidValidity), int64(uid))
	if err != nil {
		return fmt.Errorf("claiming delivery %d: %w", id, err)
	}
	if changed, err := result.RowsAffected(); err != nil || changed != 1 {
		return fmt.Errorf("claiming delivery %d: it is gone or stands for another message (L3)", id)
	}
	return nil
}

const pruneDeliveries = `DELETE FROM delivery WHERE received_at_ms < $1`

// Prune forgets deliveries received before a moment and returns how many those were.
func (d *Deliveries) Prune(ctx context.Context, before time.Time) (pruned int64, err error) {
	err = d.database.Write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, pruneDeliveries, before.UnixMilli())
		if err != nil {
			return err
		}
		pruned, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("pruning deliveries: %w", err)
	}
	return pruned, nil
}
