package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// LoginFailure is a login that a source may have counted as failed.
type LoginFailure struct {
	Address, Network, SourceHost string
	At                           time.Time
}

// Breaker is a source that is left alone until a time.
type Breaker struct {
	SourceHost string
	Broken     int
	Until      time.Time
}

// BeginLogin notes a login before its password goes to a source, and forgets those up to the time since.
func (s *Store) BeginLogin(ctx context.Context, f LoginFailure, since time.Time) (id int64, err error) {
	err = s.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM login_failure WHERE at_ms <= $1`, milliseconds(since)); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `
INSERT INTO login_failure (address, network, source_host, at_ms) VALUES ($1, $2, $3, $4) RETURNING login_failure_id`,
			f.Address, f.Network, f.SourceHost, milliseconds(f.At)).Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("noting login at the source %s: %w", f.SourceHost, err)
	}
	return id, nil
}

// ForgetLogin takes back what BeginLogin noted.
func (s *Store) ForgetLogin(ctx context.Context, id int64) error {
	err := s.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM login_failure WHERE login_failure_id = $1`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting the end of a login: %w", err)
	}
	return nil
}

// LoginFailures returns what BeginLogin noted after a time, oldest first.
func (s *Store) LoginFailures(ctx context.Context, since time.Time) (failures []LoginFailure, err error) {
	rows, err := s.read.QueryContext(ctx, `
SELECT address, network, source_host, at_ms FROM login_failure WHERE at_ms > $1 ORDER BY at_ms, login_failure_id`, milliseconds(since))
	if err != nil {
		return nil, fmt.Errorf("reading failed logins: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f LoginFailure
		var at int64
		if err := rows.Scan(&f.Address, &f.Network, &f.SourceHost, &at); err != nil {
			return nil, fmt.Errorf("reading failed logins: %w", err)
		}
		f.At = fromMilliseconds(at)
		failures = append(failures, f)
	}
	return failures, rows.Err()
}

// SaveBreaker keeps the breaker of a source; one that is well again is deleted.
func (s *Store) SaveBreaker(ctx context.Context, b Breaker) error {
	err := s.Write(ctx, func(tx *sql.Tx) error {
		if b.Broken == 0 {
			_, err := tx.ExecContext(ctx, `DELETE FROM source_breaker WHERE source_host = $1`, b.SourceHost)
			return err
		}
		_, err := tx.ExecContext(ctx, `
INSERT INTO source_breaker (source_host, broken, until_ms) VALUES ($1, $2, $3)
ON CONFLICT (source_host) DO UPDATE SET broken = excluded.broken, until_ms = excluded.until_ms`,
			b.SourceHost, b.Broken, milliseconds(b.Until))
		return err
	})
	if err != nil {
		return fmt.Errorf("noting trouble of the source %s: %w", b.SourceHost, err)
	}
	return nil
}

// Breakers returns all breakers.
func (s *Store) Breakers(ctx context.Context) (breakers []Breaker, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT source_host, broken, until_ms FROM source_breaker`)
	if err != nil {
		return nil, fmt.Errorf("reading troubles of sources: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var b Breaker
		var until int64
		if err := rows.Scan(&b.SourceHost, &b.Broken, &until); err != nil {
			return nil, fmt.Errorf("reading troubles of sources: %w", err)
		}
		b.Until = fromMilliseconds(until)
		breakers = append(breakers, b)
	}
	return breakers, rows.Err()
}

// Creation is an account that its owner's first login made.
type Creation struct {
	Domain string
	At     time.Time
}

// CreatedByLogin returns those made after a time, oldest first. One that was imported meanwhile, and whose owner has logged in
// since, counts too: that only delays others.
func (s *Store) CreatedByLogin(ctx context.Context, since time.Time) (creations []Creation, err error) {
	rows, err := s.read.QueryContext(ctx, `
SELECT domain.name, account.created_at_ms FROM account JOIN domain ON domain.domain_id = account.domain_id
WHERE account.created_at_ms > $1 AND password_hash <> '' ORDER BY account.created_at_ms`, milliseconds(since))
	if err != nil {
		return nil, fmt.Errorf("reading new accounts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c Creation
		var at int64
		if err := rows.Scan(&c.Domain, &at); err != nil {
			return nil, fmt.Errorf("reading new accounts: %w", err)
		}
		c.At = fromMilliseconds(at)
		creations = append(creations, c)
	}
	return creations, rows.Err()
}
