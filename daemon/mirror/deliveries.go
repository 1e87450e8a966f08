package mirror

import (
	"context"
	"database/sql"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
)

// Delivery is a letter that reached an address here by SMTP.
type Delivery struct {
	ID          int64
	Fingerprint letter.Fingerprint
}

// Deliveries knows what was delivered here directly. Called from one goroutine per pass; its owner is the milter.
type Deliveries interface {
	// Unclaimed returns the deliveries to an address that no source message has been matched with, oldest first.
	Unclaimed(ctx context.Context, address account.Address) ([]Delivery, error)
	// Claim notes in tx, together with the message's fate, which source message a delivery was. An error rolls both
	// back. Claiming again for the same message changes nothing.
	Claim(ctx context.Context, tx *sql.Tx, id, folderID int64, uidValidity, uid uint32) error
}
