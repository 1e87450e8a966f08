package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Folders returns the folders of an account in the order in which they were found.
func (l *Ledger) Folders(ctx context.Context, accountID int64) ([]Folder, error) {
	return query(ctx, l, "reading folders", selectFolders, scanFolder, accountID)
}

// Messages returns the rows of a folder by UIDVALIDITY and UID.
func (l *Ledger) Messages(ctx context.Context, folderID int64) ([]Message, error) {
	n := 0
	if err := l.db.Reader().QueryRowContext(ctx, countRows, folderID).Scan(&n); err != nil {
		return nil, fmt.Errorf("counting messages: %w", err)
	}
	all := make([]Message, 0, n) // growing would take twice the memory of 100,000 rows
	return queryInto(ctx, l, "reading messages", all, selectMessages, newMessageScanner().scan, folderID)
}

// Rows returns the rows of a folder by UIDVALIDITY and UID, packed.
func (l *Ledger) Rows(ctx context.Context, folderID int64) (rows Rows, err error) {
	n := 0
	if err := l.db.Reader().QueryRowContext(ctx, countRows, folderID).Scan(&n); err != nil {
		return rows, fmt.Errorf("counting messages: %w", err)
	}
	rows.folder, rows.all = folderID, make([]packed, 0, n) // growing would take twice the memory of 100,000 rows
	var uidValidity, uid, placeUIDValidity, placeUID, marks, size, date, origin int64
	var stage, fate, reason, place, digest, fingerprint, flags sql.RawBytes
	into := []any{&uidValidity, &uid, &stage, &fate, &reason, &place, &placeUIDValidity, &placeUID, &marks, &digest, &fingerprint, &size, &date, &flags, &origin}
	scan := func(r row) (none struct{}, err error) {
		if err := r.Scan(into...); err != nil {
			return none, err
		}
		p := packed{
			uidValidity: uint32(uidValidity), uid: uint32(uid), stage: rows.text(stage), fate: rows.text(fate), reason: rows.text(reason),
			placeFolder: rows.text(place), placeUIDValidity: uint32(placeUIDValidity), placeUID: uint32(placeUID),
			appended: marks&1 != 0, gone: marks&2 != 0, size: size, date: date, flags: rows.text(flags),
		}
		copy(p.digest[:], digest)
		copy(p.fingerprint[:], fingerprint)
		rows.add(p, uint64(origin))
		return none, nil
	}
	_, err = query(ctx, l, "reading rows", selectRows, scan, folderID)
	return rows, err
}

// Message returns one row, or found false.
func (l *Ledger) Message(ctx context.Context, key Key) (m Message, found bool, err error) {
	rows, err := query(ctx, l, "reading "+key.String(), selectMessage, newMessageScanner().scan, key.FolderID, key.UIDValidity, key.UID)
	if err != nil || len(rows) == 0 {
		return Message{}, false, err
	}
	return rows[0], true, nil
}

// Intended returns the rows of an account whose APPEND may or may not have taken effect.
func (l *Ledger) Intended(ctx context.Context, accountID int64) ([]Message, error) {
	return query(ctx, l, "reading intended messages", selectIntended, newMessageScanner().scan, accountID)
}

// Refiling returns the rows of an account whose messages may be here twice, or under another UID.
func (l *Ledger) Refiling(ctx context.Context, accountID int64) ([]Message, error) {
	return query(ctx, l, "reading messages that are filed anew", selectRefiling, newMessageScanner().scan, accountID)
}

// Claimed returns the UIDs in a destination folder that rows of the account stand for, and that of its notice, ascending.
func (l *Ledger) Claimed(ctx context.Context, accountID int64, destinationName string, uidValidity uint32) ([]uint32, error) {
	var uid int64
	into := []any{&uid}
	scan := func(r row) (uint32, error) { err := r.Scan(into...); return uint32(uid), err }
	return query(ctx, l, "reading claimed messages", selectClaimed, scan, accountID, destinationName, uidValidity)
}

// Sighting is what must be known of a row to tell where else at the source its letter is.
type Sighting struct {
	Key
	Origin   uint64
	Stage    Stage
	Fate     Fate
	Reason   string
	Appended bool
	Gone     bool
	Place    Place
}

// Sightings calls fn with every row of an account of which the source told its own identity, folder by folder.
func (l *Ledger) Sightings(ctx context.Context, accountID int64, fn func(Sighting)) error {
	texts := texts{}
	var folder, validity, uid, origin, appended, gone, placeValidity, placeUID int64
	var stage, fate, reason, place sql.RawBytes
	into := []any{&folder, &validity, &uid, &origin, &stage, &fate, &reason, &appended, &gone, &place, &placeValidity, &placeUID}
	_, err := query(ctx, l, "reading where letters are", selectSightings, func(r row) (none struct{}, err error) {
		if err := r.Scan(into...); err != nil {
			return none, err
		}
		fn(Sighting{
			Key: Key{folder, uint32(validity), uint32(uid)}, Origin: uint64(origin), Stage: Stage(texts.share(stage)), Fate: Fate(texts.share(fate)),
			Reason: texts.share(reason), Appended: appended != 0, Gone: gone != 0,
			Place: Place{texts.share(place), uint32(placeValidity), uint32(placeUID)},
		})
		return none, nil
	}, accountID)
	return err
}

// Exception is a message with something to say about it: skipped, refused, parked, or not kept in every detail. One that
// is skipped because another folder has it is none.
type Exception struct {
	Message
	SourceName string // of its folder
}

// Exceptions returns what reports must list. Nothing is ever left out silently.
func (l *Ledger) Exceptions(ctx context.Context, accountID int64) ([]Exception, error) {
	var source string
	messages := newMessageScanner(&source)
	scan := func(r row) (e Exception, err error) {
		e.Message, err = messages.scan(r)
		e.SourceName = source
		return e, err
	}
	return query(ctx, l, "reading exceptions", selectExceptions, scan, accountID)
}

// ForPeople counts a domain's messages that an operator must look at.
type ForPeople struct {
	Domain          string
	Refused, Parked int
}

// ForPeople returns the domains that have such messages.
func (l *Ledger) ForPeople(ctx context.Context) ([]ForPeople, error) {
	scan := func(r row) (f ForPeople, err error) { return f, r.Scan(&f.Domain, &f.Refused, &f.Parked) }
	return query(ctx, l, "counting refused and parked messages", selectForPeople, scan)
}

type row interface{ Scan(values ...any) error }

func query[T any](ctx context.Context, l *Ledger, doing, statement string, scan func(row) (T, error), values ...any) ([]T, error) {
	return queryInto(ctx, l, doing, nil, statement, scan, values...)
}

// queryInto appends what it reads to all.
func queryInto[T any](ctx context.Context, l *Ledger, doing string, all []T, statement string, scan func(row) (T, error), values ...any) ([]T, error) {
	rows, err := l.db.Reader().QueryContext(ctx, statement, values...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	defer func() { _ = rows.Close() }() // reading to the end closes it; its error came out of Err
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return all, nil
}

func scanFolder(r row) (f Folder, err error) {
	var sourceModSeq, destinationModSeq, comparedAt int64
	err = r.Scan(&f.ID, &f.SourceName, &f.Source.UIDValidity, &f.Source.UIDNext, &sourceModSeq, &f.Source.Messages,
		&f.DestinationName, &f.Destination.UIDValidity, &f.Destination.UIDNext, &destinationModSeq, &f.Destination.Messages,
		&comparedAt, &f.Problem, &f.Name, &f.Role, &f.Mapped, &f.SkipRule, &f.LimitOctets, &f.Limits, &f.RenamedFrom, &f.Gathers, &f.Ours)
	f.Source.ModSeq, f.Destination.ModSeq = uint64(sourceModSeq), uint64(destinationModSeq)
	if comparedAt != 0 {
		f.ComparedAt = time.UnixMilli(comparedAt).UTC()
	}
	return f, err
}

// messageScanner reads rows of messages. A pass may read 100,000 of them, so everything is scanned into the same
// variables, and numbers as the driver has them: database/sql turns others into text and back.
type messageScanner struct {
	folder, uidValidity, uid, placeUIDValidity, placeUID, appended, intentUIDNext, size, date, gone, origin int64
	stage, fate, reason, keptFile, place, batch, digest, fingerprint, flags                                 sql.RawBytes

	into  []any
	texts texts
}

// texts keeps one copy of each distinct text: a folder has few of them.
type texts map[string]string

// newMessageScanner scans the message columns, and then more.
func newMessageScanner(more ...any) *messageScanner {
	s := &messageScanner{texts: texts{}}
	s.into = append([]any{
		&s.folder, &s.uidValidity, &s.uid, &s.stage, &s.fate, &s.reason, &s.keptFile, &s.place, &s.placeUIDValidity, &s.placeUID,
		&s.appended, &s.batch, &s.intentUIDNext, &s.digest, &s.fingerprint, &s.size, &s.date, &s.flags, &s.gone, &s.origin,
	}, more...)
	return s
}

func (s *messageScanner) scan(r row) (m Message, err error) {
	if err := r.Scan(s.into...); err != nil {
		return m, err
	}
	m = Message{
		Key:   Key{FolderID: s.folder, UIDValidity: uint32(s.uidValidity), UID: uint32(s.uid)},
		Stage: Stage(s.share(s.stage)), Fate: Fate(s.share(s.fate)), Reason: s.share(s.reason), KeptFile: s.share(s.keptFile),
		Place:    Place{Folder: s.share(s.place), UIDValidity: uint32(s.placeUIDValidity), UID: uint32(s.placeUID)},
		Appended: s.appended != 0, Intent: Intent{Batch: s.share(s.batch), UIDNext: uint32(s.intentUIDNext)},
		Size: s.size, Date: s.date, Flags: s.share(s.flags), SourceGone: s.gone != 0, Origin: uint64(s.origin),
	}
	copy(m.Digest[:], s.digest)
	copy(m.Fingerprint[:], s.fingerprint)
	return m, nil
}

func (s *messageScanner) share(raw sql.RawBytes) string { return s.texts.share(raw) }

func (t texts) share(raw sql.RawBytes) string {
	text, ok := t[string(raw)]
	if !ok {
		text = string(raw)
		t[text] = text
	}
	return text
}
