package schedule

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailstork/daemon/account"
)

// Database is what the schedule needs of the store.
type Database interface {
	Reader() *sql.DB
	Write(ctx context.Context, work func(tx *sql.Tx) error) error
	AccountByID(ctx context.Context, id int64) (account.Account, error)
}

// Lease is the right of one worker to write for one account until it expires.
type Lease struct {
	AccountID int64
	Owner     string
	Epoch     int64 // fencing token: larger than that of every earlier lease of the account
	Until     time.Time
}

// ErrLeaseLost means that another worker may hold the account by now: stop at once and write nothing.
var ErrLeaseLost = errors.New("the lease was lost")

// Leases lends accounts to workers.
type Leases struct {
	Database Database
	Owner    string        // names this process: no two processes may use the same
	Term     time.Duration // how long a lease lasts when it isn't renewed
	Now      func() time.Time
}

const (
	// Due accounts that nobody holds and whose source wants to hear of us, at the time $1. A row whose lease ran out belongs
	// to a dead worker.
	isDue = `state IN ('listed', 'joined', 'copying', 'following', 'closing') AND paused = 0
      AND next_pass_at_ms <= $1 AND (lease_owner = '' OR lease_until_ms <= $1)
      AND (EXISTS (SELECT 1 FROM credential WHERE credential.account_id = account.account_id)
        OR EXISTS (SELECT 1 FROM domain_credential WHERE domain_credential.domain_id = account.domain_id AND kind <> 'refresh_token')
        OR state <> 'listed' AND EXISTS (SELECT 1 FROM domain WHERE domain.domain_id = account.domain_id AND passwords_only = 1))
      AND NOT EXISTS (SELECT 1 FROM domain JOIN source_pause ON source_pause.source_host = domain.source_host
        WHERE domain.domain_id = account.domain_id AND until_ms > $1)`

	// The most urgent one.
	claimDue = `
UPDATE account SET lease_owner = $2, lease_until_ms = $3, lease_epoch = lease_epoch + 1
WHERE account_id = (
    SELECT account_id FROM account WHERE ` + isDue + `
    ORDER BY priority DESC, next_pass_at_ms, account_id LIMIT 1)
RETURNING account_id, lease_epoch`

	// What was never due by a date is due since it is there.
	countDue = `
SELECT count(*), coalesce(min(CASE WHEN next_pass_at_ms > 0 THEN next_pass_at_ms ELSE created_at_ms END), $1)
FROM account WHERE ` + isDue

	renewLease = `
UPDATE account SET lease_until_ms = $1
WHERE account_id = $2 AND lease_owner = $3 AND lease_epoch = $4`

	releaseLease = `
UPDATE account SET lease_owner = '', lease_until_ms = 0, next_pass_at_ms = $1, attempt = $2, priority = $3
WHERE account_id = $4 AND lease_owner = $5 AND lease_epoch = $6`

	selectAttempt = `SELECT attempt, next_pass_at_ms, priority FROM account WHERE account_id = $1`

	freeOwn = `UPDATE account SET lease_owner = '', lease_until_ms = 0 WHERE lease_owner = $1`
)

// never is the due time of an account whose next pass nobody has asked for: beyond every clock, and still a date that
// JSON can carry.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Never tells whether a due time means that nobody has asked for another pass.
func Never(due time.Time) bool { return !due.Before(never) }

// Claim takes the most urgent due account, or returns ok=false when none is due.
func (l *Leases) Claim(ctx context.Context) (lease Lease, a account.Account, ok bool, err error) {
	now := l.Now()
	lease = Lease{Owner: l.Owner, Until: now.Add(l.Term)}
	err = l.Database.Write(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, claimDue, now.UnixMilli(), l.Owner, lease.Until.UnixMilli()).Scan(&lease.AccountID, &lease.Epoch)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Lease{}, account.Account{}, false, nil
	}
	if err != nil {
		return Lease{}, account.Account{}, false, fmt.Errorf("claiming an account: %w", err)
	}
	a, err = l.Database.AccountByID(ctx, lease.AccountID)
	if err != nil {
		return Lease{}, account.Account{}, false, fmt.Errorf("claiming an account: %w", err)
	}
	return lease, a, true, nil
}

// Renew prolongs a lease by its term. ErrLeaseLost when somebody else claimed the account.
func (l *Leases) Renew(ctx context.Context, lease Lease) (Lease, error) {
	until := l.Now().Add(l.Term)
	err := l.change(ctx, renewLease, until.UnixMilli(), lease.AccountID, lease.Owner, lease.Epoch)
	if err != nil {
		return lease, fmt.Errorf("renewing lease of account %d: %w", lease.AccountID, err)
	}
	lease.Until = until
	return lease, nil
}

// Release gives an account back: due again at nextPass, or sooner when somebody asked for a pass meanwhile.
func (l *Leases) Release(ctx context.Context, lease Lease, claimedDue time.Time, nextPass time.Time, failed bool) error {
	return l.Database.Write(ctx, func(tx *sql.Tx) error {
		var attempt, due, priority int64
		if err := tx.QueryRowContext(ctx, selectAttempt, lease.AccountID).Scan(&attempt, &due, &priority); err != nil {
			return fmt.Errorf("releasing account %d: %w", lease.AccountID, err)
		}
		next := nextPass.UnixMilli()
		if asked := due != milliseconds(claimedDue) && due <= l.Now().UnixMilli(); asked {
			next = due
		} else {
			priority = 0
		}
		attempt++
		if !failed {
			attempt = 0
		}
		return changed(tx.ExecContext(ctx, releaseLease, next, attempt, priority, lease.AccountID, lease.Owner, lease.Epoch))
	})
}

// Attempts returns how many passes of an account failed in a row.
func (l *Leases) Attempts(ctx context.Context, accountID int64) (int, error) {
	var attempt, due, priority int64
	err := l.Database.Reader().QueryRowContext(ctx, selectAttempt, accountID).Scan(&attempt, &due, &priority)
	if err != nil {
		return 0, fmt.Errorf("reading attempts of account %d: %w", accountID, err)
	}
	return int(attempt), nil
}

// Queue tells how many accounts are due and not begun, and how long the first of them has been waiting.
func (l *Leases) Queue(ctx context.Context) (due int, lag time.Duration, err error) {
	now := l.Now().UnixMilli()
	var first int64
	if err := l.Database.Reader().QueryRowContext(ctx, countDue, now).Scan(&due, &first); err != nil {
		return 0, 0, fmt.Errorf("counting due accounts: %w", err)
	}
	return due, time.Duration(now-first) * time.Millisecond, nil
}

// FreeOwn frees every lease of this owner name. Called at start by a process that knows that its predecessor is
// dead (it holds the state folder's lock), so that nobody waits for the term of a lease that nobody renews.
func (l *Leases) FreeOwn(ctx context.Context) error {
	return l.Database.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, freeOwn, l.Owner)
		return err
	})
}

func (l *Leases) change(ctx context.Context, statement string, values ...any) error {
	return l.Database.Write(ctx, func(tx *sql.Tx) error { return changed(tx.ExecContext(ctx, statement, values...)) })
}

// milliseconds is how the store writes a time; the zero time is 0.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func changed(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrLeaseLost, err)
	}
	return nil
}
