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
	return query(ctx, l, "reading messages", selectMessages, messageScanner(), folderID)
}

// Message returns one row, or found false.
func (l *Ledger) Message(ctx context.Context, key Key) (m Message, found bool, err error) {
	rows, err := query(ctx, l, "reading "+key.String(), selectMessage, messageScanner(), key.FolderID, key.UIDValidity, key.UID)
	if err != nil || len(rows) == 0 {
		return Message{}, false, err
	}
	return rows[0], true, nil
}

// Intended returns the rows of an account whose APPEND may or may not have taken effect.
func (l *Ledger) Intended(ctx context.Context, accountID int64) ([]Message, error) {
	return query(ctx, l, "reading intended messages", selectIntended, messageScanner(), accountID)
}

// Claimed returns the UIDs in a destination folder that rows of the account stand for, ascending.
func (l *Ledger) Claimed(ctx context.Context, accountID int64, destinationName string, uidValidity uint32) ([]uint32, error) {
	scan := func(r row) (uid uint32, err error) { return uid, r.Scan(&uid) }
	return query(ctx, l, "reading claimed messages", selectClaimed, scan, accountID, destinationName, uidValidity)
}

// Exception is a message with something to say about it: skipped, refused, parked, or not kept in every detail.
type Exception struct {
	Message
	SourceName string // of its folder
}

// Exceptions returns what reports must list. Nothing is ever left out silently.
func (l *Ledger) Exceptions(ctx context.Context, accountID int64) ([]Exception, error) {
	intern := map[string]string{}
	scan := func(r row) (e Exception, err error) {
		e.Message, err = scanMessage(r, intern, &e.SourceName)
		return e, err
	}
	return query(ctx, l, "reading exceptions", selectExceptions, scan, accountID)
}

// Counts says how many messages have which fate. Messages that left the source count in Gone, and in their fate.
type Counts struct {
	Fates    map[Fate]int // confirmed rows
	Intended int
	Parked   int
	Present  int   // rows of messages that are still in the source listing, whatever their stage
	Gone     int   // rows of messages that are not
	Octets   int64 // of the copied ones
	Listed   int64 // octets of those that are present
}

func (c *Counts) add(stage Stage, fate Fate, gone bool, n int, octets int64) {
	switch stage {
	case Intended:
		c.Intended += n
	case Parked:
		c.Parked += n
	case Confirmed:
		if c.Fates == nil {
			c.Fates = map[Fate]int{}
		}
		c.Fates[fate] += n
		if fate == Copied {
			c.Octets += octets
		}
	}
	if gone {
		c.Gone += n
	} else {
		c.Present += n
		c.Listed += octets
	}
}

// FolderCounts are the counts of one folder.
type FolderCounts struct {
	Counts
	FolderID        int64
	SourceName      string
	DestinationName string
	Problem         string
	SourceMessages  int // as the source counted them when the folder was last finished
	Name            string
	Role            string
	Mapped          bool
	SkipRule        string
	Limits          string
}

// Count returns the counts of every folder by source name.
func (l *Ledger) Count(ctx context.Context, accountID int64) ([]FolderCounts, error) {
	type group struct {
		FolderCounts
		stage, fate sql.NullString
		gone        sql.NullBool
		n           int
		octets      int64
	}
	scan := func(r row) (g group, err error) {
		err = r.Scan(&g.FolderID, &g.SourceName, &g.DestinationName, &g.Problem, &g.SourceMessages, &g.Name, &g.Role, &g.Mapped, &g.SkipRule, &g.Limits,
			&g.stage, &g.fate, &g.gone, &g.n, &g.octets)
		return g, err
	}
	groups, err := query(ctx, l, "counting messages", selectCounts, scan, accountID)
	if err != nil {
		return nil, err
	}
	var counts []FolderCounts
	for _, g := range groups {
		if len(counts) == 0 || counts[len(counts)-1].FolderID != g.FolderID {
			counts = append(counts, g.FolderCounts)
		}
		if g.stage.Valid {
			counts[len(counts)-1].add(Stage(g.stage.String), Fate(g.fate.String), g.gone.Bool, g.n, g.octets)
		}
	}
	return counts, nil
}

// Total adds up the counts of folders.
func Total(folders []FolderCounts) Counts {
	total := Counts{Fates: map[Fate]int{}}
	for _, f := range folders {
		for fate, n := range f.Fates {
			total.Fates[fate] += n
		}
		total.Intended += f.Intended
		total.Parked += f.Parked
		total.Present += f.Present
		total.Gone += f.Gone
		total.Octets += f.Octets
		total.Listed += f.Listed
	}
	return total
}

type row interface{ Scan(values ...any) error }

func query[T any](ctx context.Context, l *Ledger, doing, statement string, scan func(row) (T, error), values ...any) (all []T, err error) {
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
		&comparedAt, &f.Problem, &f.Name, &f.Role, &f.Mapped, &f.SkipRule, &f.LimitOctets, &f.Limits)
	f.Source.ModSeq, f.Destination.ModSeq = uint64(sourceModSeq), uint64(destinationModSeq)
	if comparedAt != 0 {
		f.ComparedAt = time.UnixMilli(comparedAt).UTC()
	}
	return f, err
}

// messageScanner shares one copy of each distinct text: a folder of 100,000 rows has few of them.
func messageScanner() func(row) (Message, error) {
	intern := map[string]string{}
	return func(r row) (Message, error) { return scanMessage(r, intern) }
}

func scanMessage(r row, intern map[string]string, more ...any) (m Message, err error) {
	var stage, fate, reason, keptFile, place, batch, digest, fingerprint, flags sql.RawBytes
	err = r.Scan(append([]any{
		&m.FolderID, &m.UIDValidity, &m.UID, &stage, &fate, &reason, &keptFile, &place, &m.Place.UIDValidity, &m.Place.UID,
		&m.Appended, &batch, &m.Intent.UIDNext, &digest, &fingerprint, &m.Size, &m.Date, &flags, &m.SourceGone,
	}, more...)...)
	if err != nil {
		return m, err
	}
	share := func(raw sql.RawBytes) string {
		text, ok := intern[string(raw)]
		if !ok {
			text = string(raw)
			intern[text] = text
		}
		return text
	}
	m.Stage, m.Fate = Stage(share(stage)), Fate(share(fate))
	m.Reason, m.KeptFile, m.Place.Folder = share(reason), share(keptFile), share(place)
	m.Intent.Batch, m.Flags = share(batch), share(flags)
	copy(m.Digest[:], digest)
	copy(m.Fingerprint[:], fingerprint)
	return m, nil
}
