package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

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
	Gathers         bool
}

// Tally is what the rows of an account add up to, as of one revision of its ledger.
type Tally struct {
	Folders []FolderCounts // by source name

	account  int64
	revision int64
	counts   map[int64]Counts // by folder, of those that have rows
	kept     bool
}

// Count returns the counts of every folder by source name.
func (l *Ledger) Count(ctx context.Context, accountID int64) ([]FolderCounts, error) {
	t, err := l.Tally(ctx, accountID)
	return t.Folders, err
}

// Tally takes what was kept when nothing was written since; else it reads every row, 0.1 s for 100,000.
func (l *Ledger) Tally(ctx context.Context, accountID int64) (t Tally, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("counting the messages of account %d: %w", accountID, err)
		}
	}()
	t = Tally{account: accountID}
	var revision int64
	var kept []byte
	if err := l.db.Reader().QueryRowContext(ctx, selectTally, accountID).Scan(&t.revision, &revision, &kept); err != nil {
		return t, err
	}
	// What is written from here on makes Keep keep nothing.
	if t.kept = revision == t.revision; t.kept {
		err = json.Unmarshal(kept, &t.counts)
	} else {
		t.counts, err = l.recount(ctx, accountID)
	}
	if err != nil {
		return t, err
	}
	folders, err := l.Folders(ctx, accountID)
	for _, f := range folders {
		t.Folders = append(t.Folders, FolderCounts{
			Counts: t.counts[f.ID], FolderID: f.ID, SourceName: f.SourceName, DestinationName: f.DestinationName, Problem: f.Problem,
			SourceMessages: int(f.Source.Messages), Name: f.Name, Role: f.Role, Mapped: f.Mapped, SkipRule: f.SkipRule, Limits: f.Limits, Gathers: f.Gathers,
		})
	}
	slices.SortStableFunc(t.Folders, func(a, b FolderCounts) int { return cmp.Compare(a.SourceName, b.SourceName) })
	return t, err
}

// Keep spares the next Tally the rows, unless some were written since. It needs no lease: the revision guards it.
func (l *Ledger) Keep(ctx context.Context, t Tally) error {
	if t.kept {
		return nil
	}
	counts, err := json.Marshal(t.counts)
	if err == nil {
		err = l.db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, upsertTally, t.account, t.revision, string(counts))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("keeping the counts of account %d: %w", t.account, err)
	}
	return nil
}

// recount reads every row of an account, of as many folders at a time as there are processors.
func (l *Ledger) recount(ctx context.Context, accountID int64) (map[int64]Counts, error) {
	folders, err := l.Folders(ctx, accountID)
	if err != nil {
		return nil, err
	}
	counted := make([][]Counts, len(folders))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range folders {
		group.Go(func() (err error) {
			counted[i], err = query(ctx, l, "reading rows", selectCounts, scanCounts, f.ID)
			return err
		})
	}
	err = group.Wait()
	counts := map[int64]Counts{}
	for i, f := range folders {
		for _, c := range counted[i] {
			counts[f.ID] = c
		}
	}
	return counts, err
}

func scanCounts(r row) (Counts, error) {
	c := Counts{Fates: map[Fate]int{}}
	fates := make([]int, len(Fates))
	into := []any{&c.Intended, &c.Parked, &c.Present, &c.Gone, &c.Octets, &c.Listed}
	for i := range fates {
		into = append(into, &fates[i])
	}
	err := r.Scan(into...)
	for i, n := range fates {
		if n > 0 {
			c.Fates[Fates[i]] = n
		}
	}
	return c, err
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
