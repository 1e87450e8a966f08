// Package store opens the database and owns the tables domain, account and credential.
//
// Owns: the connection pools, the migrations, the rows that more than one stage reads.
// Never does: deciding; the stages decide and call one of its methods.
// Invariants: A2 (a stored hash is replaced only on purpose), S1 (credentials are stored sealed, erased in place).
// Failure behaviour: every method returns its error; a newer schema is refused politely.
// SQLite runs in WAL mode with synchronous=FULL: what was committed survives a power cut.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is one open database. Writes go through one connection, reads through several (SQLite has one writer).
type Store struct {
	write *sql.DB
	read  *sql.DB
	now   func() time.Time
}

// ErrNotFound is returned when the asked row does not exist.
var ErrNotFound = errors.New("not found")

const readConnections = 4

// Open opens or creates the SQLite database at path (mode 0600) and brings its schema up to date.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := keepPrivate(path); err != nil {
		return nil, err
	}
	write, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		return nil, fmt.Errorf("opening database %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dataSource(path))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(readConnections)
	s := &Store{write: write, read: read, now: time.Now}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening database %s: %w", path, err), s.Close())
	}
	return s, nil
}

// keepPrivate creates the file before SQLite does, so that no other user can ever read it.
func keepPrivate(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("opening database: %w", err)
	}
	return file.Close()
}

func dataSource(path string) string {
	options := url.Values{"_pragma": {
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)",
		"secure_delete(1)", // S1: erased credentials leave no octets in free pages
	}, "_txlock": {"immediate"}} // an upgraded read would fail with SQLITE_BUSY at once
	return "file:" + url.PathEscape(path) + "?" + options.Encode()
}

func (s *Store) migrate(ctx context.Context) error {
	scripts, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write, scripts)
	if err != nil {
		return fmt.Errorf("reading migrations: %w", err)
	}
	known := provider.ListSources()
	newest := known[len(known)-1].Version
	current, err := provider.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("reading schema version: %w", err)
	}
	if current > newest {
		return fmt.Errorf("the database has schema %d, this mailstork knows up to %d: install the newer mailstork again, or restore the backup made before its upgrade", current, newest)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating schema: %w", err)
	}
	return nil
}

// Close closes all connections.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Reader is the pool for statements that change nothing.
func (s *Store) Reader() *sql.DB { return s.read }

// Write runs work in one transaction that is committed when work returns nil. There is one writer at a time.
func (s *Store) Write(ctx context.Context, work func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning transaction: %w", err)
	}
	if err := work(tx); err != nil {
		return errors.Join(cancelled(ctx, err), ignoreDone(tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing transaction: %w", cancelled(ctx, err))
	}
	return nil
}

// cancelled names the reason why a transaction is over that was rolled back under its writer's hands.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("%w (%v)", context.Cause(ctx), err)
	}
	return err
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// EraseTraces moves the write-ahead log into the database and truncates it, so that nothing erased remains in it.
func (s *Store) EraseTraces(ctx context.Context) error {
	if _, err := s.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("truncating write-ahead log: %w", err)
	}
	return nil
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilliseconds(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
