package schedule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	// One account that nobody holds, due or not: whoever borrows it runs no pass.
	claimOne = `
UPDATE account SET lease_owner = $1, lease_until_ms = $2, lease_epoch = lease_epoch + 1
WHERE account_id = $3 AND (lease_owner = '' OR lease_until_ms <= $4)
RETURNING lease_epoch`

	giveBack = `
UPDATE account SET lease_owner = '', lease_until_ms = 0
WHERE account_id = $1 AND lease_owner = $2 AND lease_epoch = $3`
)

// borrowInterval is how often a borrower looks whether the account is free.
const borrowInterval = 200 * time.Millisecond

// Borrow holds an account's lease while work runs, so that no pass runs beside it, and gives the account back as it
// was: due when it was due. While somebody else holds the account, waiting is called now and then. The context of work
// ends when the lease is lost.
func (w *Workers) Borrow(ctx context.Context, accountID int64, waiting func(), work func(ctx context.Context, lease Lease) error) error {
	lease, err := w.awaitLease(ctx, accountID, waiting)
	if err != nil {
		return err
	}
	workCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		w.renew(workCtx, lease, cancel)
	}()
	err = work(workCtx, lease)
	if cause := context.Cause(workCtx); err != nil && errors.Is(cause, ErrLeaseLost) {
		err = cause
	}
	cancel(nil)
	<-renewed
	if giveErr := w.Leases.change(context.WithoutCancel(ctx), giveBack, lease.AccountID, lease.Owner, lease.Epoch); giveErr != nil && err == nil {
		err = fmt.Errorf("giving back account %d: %w", accountID, giveErr)
	}
	w.Wake()
	return err
}

func (w *Workers) awaitLease(ctx context.Context, accountID int64, waiting func()) (Lease, error) {
	ticker := time.NewTicker(borrowInterval)
	defer ticker.Stop()
	for {
		lease, free, err := w.Leases.claimOne(ctx, accountID)
		if err != nil || free {
			return lease, err
		}
		waiting()
		select {
		case <-ctx.Done():
			return Lease{}, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

func (l *Leases) claimOne(ctx context.Context, accountID int64) (lease Lease, free bool, err error) {
	now := l.Now()
	lease = Lease{AccountID: accountID, Owner: l.Owner, Until: now.Add(l.Term)}
	err = l.Database.Write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, claimOne, l.Owner, lease.Until.UnixMilli(), accountID, now.UnixMilli()).Scan(&lease.Epoch)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Lease{}, false, nil
	}
	if err != nil {
		return Lease{}, false, fmt.Errorf("claiming account %d: %w", accountID, err)
	}
	return lease, true, nil
}
