package schedule

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// A later time wins: what one account was told holds, whatever another one is told.
	pauseSource = `
INSERT INTO source_pause (source_host, until_ms)
SELECT source_host, $1 FROM domain JOIN account ON account.domain_id = domain.domain_id WHERE account_id = $2
ON CONFLICT (source_host) DO UPDATE SET until_ms = CASE WHEN until_ms > excluded.until_ms THEN until_ms ELSE excluded.until_ms END`

	forgetPauses = `DELETE FROM source_pause WHERE until_ms <= $1`

	selectPauses = `SELECT source_host, until_ms FROM source_pause WHERE until_ms > $1`
)

// longestPause is how long all accounts obey what one of them was told: by one strange answer no source is left alone
// for a day. Whoever asks then is told again.
const longestPause = time.Hour

// PauseSource keeps every pass of every account of the leased account's source from beginning for a while. Those that
// run go on until they are told themselves.
func (l *Leases) PauseSource(ctx context.Context, lease Lease, pause time.Duration) error {
	now := l.Now()
	err := l.Database.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, forgetPauses, now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, pauseSource, now.Add(min(pause, longestPause)).UnixMilli(), lease.AccountID)
		return err
	})
	if err != nil {
		return fmt.Errorf("leaving the source of account %d alone: %w", lease.AccountID, err)
	}
	return nil
}

// PausedSources returns until when which source hosts are left alone.
func (l *Leases) PausedSources(ctx context.Context) (map[string]time.Time, error) {
	rows, err := l.Database.Reader().QueryContext(ctx, selectPauses, l.Now().UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("reading which sources are left alone: %w", err)
	}
	defer rows.Close()
	pauses := map[string]time.Time{}
	for rows.Next() {
		var host string
		var until int64
		if err := rows.Scan(&host, &until); err != nil {
			return nil, fmt.Errorf("reading which sources are left alone: %w", err)
		}
		pauses[host] = time.UnixMilli(until).UTC()
	}
	return pauses, rows.Err()
}
