// Package eventlog records what happened: one log line and one row per state change, with fixed keys.
//
// Owns: the table event, the key list. Never does: subjects, bodies, passwords (S1) or protocol traces.
// Failure behaviour: a row that can't be written is said in the log line; work goes on.
package eventlog

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"mailstork/daemon/account"
)

// Event is one thing that happened. Empty fields are left out of the line.
type Event struct {
	ID      int64           `json:"id"`
	At      time.Time       `json:"at"`
	Name    string          `json:"event"` // a word of the transition tables, or pass, login, cutover …
	Domain  string          `json:"domain,omitempty"`
	Account account.Address `json:"account,omitempty"`
	State   string          `json:"state,omitempty"`
	Folder  string          `json:"folder,omitempty"`
	Took    time.Duration   `json:"took_ns,omitempty"`
	Detail  string          `json:"detail,omitempty"`
	Err     string          `json:"err,omitempty"`
}

// Database is what the log needs of the store.
type Database interface {
	Reader() *sql.DB
	Write(ctx context.Context, work func(tx *sql.Tx) error) error
}

// Log writes events to a logger and to the database.
type Log struct {
	database Database
	logger   *slog.Logger
	now      func() time.Time
}

// New returns a Log that writes to both.
func New(database Database, logger *slog.Logger) *Log {
	return &Log{database: database, logger: logger, now: time.Now}
}

// Record writes one event. It does not fail: what can't be stored is still in the log.
func (l *Log) Record(ctx context.Context, e Event) {
	e.At = l.now().UTC()
	level := slog.LevelInfo
	if e.Err != "" {
		level = slog.LevelWarn
	}
	// An event of a cancelled pass must still be kept.
	stored := l.database.Write(context.WithoutCancel(ctx), func(tx *sql.Tx) error { return insert(ctx, tx, e) })
	attributes := e.attributes()
	if stored != nil {
		attributes = append(attributes, slog.String("not_stored", stored.Error()))
	}
	l.logger.LogAttrs(ctx, level, e.Name, attributes...)
}

func (e Event) attributes() []slog.Attr {
	attributes := []slog.Attr{slog.String("event", e.Name)}
	add := func(key, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(key, value))
		}
	}
	add("domain", e.Domain)
	add("account", string(e.Account))
	add("state", e.State)
	add("folder", e.Folder)
	if e.Took > 0 {
		attributes = append(attributes, slog.Duration("took", e.Took.Round(time.Millisecond)))
	}
	add("detail", e.Detail)
	add("err", e.Err)
	return attributes
}

const insertEvent = `
INSERT INTO event (at_ms, event, domain, account, state, folder, took_ms, detail, err)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

func insert(ctx context.Context, tx *sql.Tx, e Event) error {
	_, err := tx.ExecContext(context.WithoutCancel(ctx), insertEvent, e.At.UnixMilli(), e.Name, e.Domain, e.Account, e.State, e.Folder,
		e.Took.Milliseconds(), e.Detail, e.Err)
	return err
}

const selectEvents = `
SELECT event_id, at_ms, event, domain, account, state, folder, took_ms, detail, err FROM event
WHERE account = $1 AND event_id > $2 ORDER BY event_id DESC LIMIT $3`

// Of returns the newest events of an account after the event with number since, oldest first, at most limit.
func (l *Log) Of(ctx context.Context, address account.Address, since int64, limit int) ([]Event, error) {
	rows, err := l.database.Reader().QueryContext(ctx, selectEvents, address, since, limit)
	if err != nil {
		return nil, fmt.Errorf("reading events of %s: %w", address, err)
	}
	defer rows.Close()
	var events []Event
	for rows.Next() {
		var e Event
		var at, took int64
		if err := rows.Scan(&e.ID, &at, &e.Name, &e.Domain, &e.Account, &e.State, &e.Folder, &took, &e.Detail, &e.Err); err != nil {
			return nil, fmt.Errorf("reading events of %s: %w", address, err)
		}
		e.At, e.Took = time.UnixMilli(at).UTC(), time.Duration(took)*time.Millisecond
		events = append([]Event{e}, events...)
	}
	return events, rows.Err()
}
