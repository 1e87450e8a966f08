package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
	"mailstork/daemon/store"
)

// book is a ledger with one account and one folder.
type book struct {
	*Ledger
	*Writer
	t       testing.TB
	db      *store.Store
	account int64
	folder  Folder
}

func open(t testing.TB) *book {
	t.Helper()
	db, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	b := &book{Ledger: New(db), t: t, db: db}
	b.account = addAccount(t, db, "anna@example.org")
	b.Writer = b.Ledger.Writer(b.account, Lease{})
	b.folder = Folder{
		SourceName: "INBOX", Source: Mark{UIDValidity: 7, UIDNext: 10, ModSeq: 1 << 62, Messages: 0},
		DestinationName: "INBOX", Destination: Mark{UIDValidity: 9, UIDNext: 1},
		ComparedAt: time.UnixMilli(1_700_000_000_123).UTC(),
	}
	b.record(func(tx *Tx) error { return tx.SaveFolder(&b.folder) })
	t.Cleanup(b.check)
	return b
}

func addAccount(t testing.TB, db *store.Store, address account.Address) int64 {
	t.Helper()
	ctx := context.Background()
	d, err := db.Domain(ctx, "example.org")
	if errors.Is(err, store.ErrNotFound) {
		d, err = db.AddDomain(ctx, account.Domain{
			Name: "example.org", Source: account.Source{Host: "old.example", Port: 993, TLS: account.TLSImplicit}, Accounts: account.AccountsAny,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	var a account.Account
	err = db.Write(ctx, func(tx *sql.Tx) (err error) {
		a, err = db.EnsureAccount(ctx, tx, d.ID, address, string(address))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

func (b *book) record(work func(*Tx) error) {
	b.t.Helper()
	if err := b.Record(context.Background(), work); err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) key(uid uint32) Key { return Key{b.folder.ID, 7, uid} }

// letter is a message ready to be intended.
func (b *book) letter(uid uint32) Message {
	m := Message{
		Key: b.key(uid), Place: Place{UIDValidity: 9}, Intent: Intent{Batch: "b1", UIDNext: 1},
		Size: 100 + int64(uid), Date: 1_600_000_000, Flags: `\Seen work`,
	}
	m.Digest[0], m.Fingerprint[0] = byte(uid), byte(uid)
	return m
}

func (b *book) messages() []Message {
	b.t.Helper()
	messages, err := b.Messages(context.Background(), b.folder.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return messages
}

func (b *book) check() {
	found, err := b.Check(context.Background(), b.account)
	if err != nil || len(found) > 0 {
		b.t.Errorf("ledger checker: %v %v", found, err)
	}
}

func TestMessageComesBackAsItWasConfirmed(t *testing.T) {
	b := open(t)
	want := b.letter(3)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{want}) })
	want.Stage, want.Fate, want.Appended = Intended, Copied, true
	if diff := cmp.Diff([]Message{want}, b.messages()); diff != "" {
		t.Errorf("intended (-want +got):\n%s", diff)
	}
	b.record(func(tx *Tx) error { return tx.Confirm(want.Key, Place{Folder: "Moved", UIDValidity: 9, UID: 41}) })
	want.Stage, want.Place = Confirmed, Place{"Moved", 9, 41}
	if diff := cmp.Diff([]Message{want}, b.messages()); diff != "" {
		t.Errorf("confirmed (-want +got):\n%s", diff)
	}
	got, found, err := b.Message(t.Context(), want.Key)
	if diff := cmp.Diff(want, got); diff != "" || !found || err != nil {
		t.Errorf("by its key (-want +got):\n%s %v %v", diff, found, err)
	}
	if _, found, err := b.Message(t.Context(), b.key(99)); found || err != nil {
		t.Errorf("a message without row: found %v %v", found, err)
	}
}

func TestFolderComesBackAsItWasSaved(t *testing.T) {
	b := open(t)
	b.folder.Problem, b.folder.Destination.ModSeq = "gone", 12
	b.record(func(tx *Tx) error { return tx.SaveFolder(&b.folder) })
	got, err := b.Folders(t.Context(), b.account)
	if diff := cmp.Diff([]Folder{b.folder}, got); err != nil || diff != "" {
		t.Errorf("(-want +got):\n%s %v", diff, err)
	}
}

func TestConfirmationAndNextIntentsShareOneCommit(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) })
	failed := errors.New("the disk is full")
	err := b.Record(t.Context(), func(tx *Tx) error {
		return errors.Join(tx.Confirm(b.key(1), Place{"", 9, 1}), tx.Intend([]Message{b.letter(2)}), failed)
	})
	if !errors.Is(err, failed) {
		t.Fatalf("got error %v, want the disk's", err)
	}
	if got := b.messages(); len(got) != 1 || got[0].Stage != Intended {
		t.Errorf("after the failed commit the ledger holds %v, want message 1 intended only", got)
	}
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Confirm(b.key(1), Place{"", 9, 1}), tx.Intend([]Message{b.letter(2)}))
	})
	if got := b.messages(); len(got) != 2 || got[0].Stage != Confirmed || got[1].Stage != Intended {
		t.Errorf("after the commit the ledger holds %v, want 1 confirmed and 2 intended", got)
	}
}

func TestNobodyWritesAfterTheLeaseIsLost(t *testing.T) {
	b := open(t)
	claim := func(owner string, epoch int64) {
		err := b.db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`UPDATE account SET lease_owner = $1, lease_epoch = $2 WHERE account_id = $3`, owner, epoch, b.account)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	claim("one", 5)
	for _, stale := range []Lease{{}, {"one", 4}, {"two", 5}} {
		err := b.Ledger.Writer(b.account, stale).Record(t.Context(), func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) })
		if !errors.Is(err, ErrLeaseLost) {
			t.Errorf("lease %v wrote: %v, want ErrLeaseLost", stale, err)
		}
	}
	if n := len(b.messages()); n != 0 {
		t.Errorf("%d rows were written without a lease", n)
	}
	b.Writer = b.Ledger.Writer(b.account, Lease{"one", 5})
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) })
}

func TestBrokenStepsOfARowAreRefused(t *testing.T) {
	key := func(b *book, uid uint32) Key { return b.key(uid) }
	for name, step := range map[string]func(*book, *Tx) error{
		"an intended message can't be intended twice":     func(b *book, tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) },
		"a confirmed message can't be intended again":     func(b *book, tx *Tx) error { return tx.Intend([]Message{b.letter(2)}) },
		"a confirmed message can't be confirmed again":    func(b *book, tx *Tx) error { return tx.Confirm(key(b, 2), Place{"", 9, 8}) },
		"a confirmed message can't be forgotten":          func(b *book, tx *Tx) error { return tx.Forget(key(b, 2)) },
		"a confirmed message can't be parked":             func(b *book, tx *Tx) error { return tx.Park(key(b, 2), "why") },
		"an intended message has no fate to change":       func(b *book, tx *Tx) error { return tx.SetFate(key(b, 1), Deleted, "") },
		"a copied message can't be reopened":              func(b *book, tx *Tx) error { return tx.Reopen(key(b, 2)) },
		"a message without a row can't be confirmed":      func(b *book, tx *Tx) error { return tx.Confirm(key(b, 99), Place{"", 9, 8}) },
		"an intended message can't yield":                 func(b *book, tx *Tx) error { return tx.Yield(key(b, 1), AlsoIn+"INBOX") },
		"an intended message can't be renewed":            func(b *book, tx *Tx) error { return tx.Renew(key(b, 1)) },
		"a copy of somebody else can't be renewed":        func(b *book, tx *Tx) error { return tx.Renew(key(b, 3)) },
		"a fate that nobody knows is refused":             func(b *book, tx *Tx) error { return tx.SetFate(key(b, 2), "lost", "") },
		"a message is not intended without a batch":       func(b *book, tx *Tx) error { m := b.letter(5); m.Intent.Batch = ""; return tx.Intend([]Message{m}) },
		"a message is not intended without a UIDNEXT":     func(b *book, tx *Tx) error { m := b.letter(5); m.Intent.UIDNext = 0; return tx.Intend([]Message{m}) },
		"a message is not intended without a UIDVALIDITY": func(b *book, tx *Tx) error { m := b.letter(5); m.Place.UIDValidity = 0; return tx.Intend([]Message{m}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1), b.letter(2)}) })
			found := b.letter(3)
			found.Fate, found.Place.UID, found.Intent = Copied, 3, Intent{}
			b.record(func(tx *Tx) error { return errors.Join(tx.Confirm(b.key(2), Place{"", 9, 2}), tx.Add(found)) })
			if err := b.Record(t.Context(), func(tx *Tx) error { return step(b, tx) }); err == nil {
				t.Error("the step was taken")
			}
		})
	}
}

func TestForgottenMessageIsNewAgain(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1), b.letter(2), b.letter(3)}) })
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Forget(b.key(1)), tx.Park(b.key(2), "its owner may have removed it"))
	})
	intended, err := b.Intended(t.Context(), b.account)
	if err != nil || len(intended) != 1 || intended[0].UID != 3 {
		t.Errorf("intended: %v %v, want message 3 alone", intended, err)
	}
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) })
}

func TestReopenedMessageIsNewAgain(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) })
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Confirm(b.key(1), Place{"", 9, 4}), tx.SetGone(b.key(1), true), tx.SetFate(b.key(1), Deleted, "it left the source"))
	})
	b.record(func(tx *Tx) error { return errors.Join(tx.Reopen(b.key(1)), tx.Intend([]Message{b.letter(1)})) })
}

func TestRenamedMessageKeepsFateAndFlags(t *testing.T) {
	b := open(t)
	other := Folder{SourceName: "Old", DestinationName: "Old", Source: Mark{UIDValidity: 8}}
	b.record(func(tx *Tx) error { return tx.SaveFolder(&other) })
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) })
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Confirm(b.key(1), Place{"", 9, 4}), tx.SetGone(b.key(1), true), tx.Rename(b.key(1), Key{other.ID, 8, 77}, "INBOX"))
	})
	want := b.letter(1)
	want.Key, want.Stage, want.Fate, want.Appended, want.Place = Key{other.ID, 8, 77}, Confirmed, Copied, true, Place{"INBOX", 9, 4}
	got, err := b.Messages(t.Context(), other.ID)
	if diff := cmp.Diff([]Message{want}, got); err != nil || diff != "" {
		t.Errorf("(-want +got):\n%s %v", diff, err)
	}
}

func TestClaimedUIDsIncludeThoseOfOtherFoldersRows(t *testing.T) {
	b := open(t)
	other := Folder{SourceName: "Old", DestinationName: "Old"}
	b.record(func(tx *Tx) error { return tx.SaveFolder(&other) })
	elsewhere := b.letter(1)
	elsewhere.Key = Key{other.ID, 7, 1}
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1), b.letter(2), elsewhere}) })
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Confirm(b.key(1), Place{"", 9, 5}), tx.Confirm(b.key(2), Place{"Old", 9, 6}), tx.Confirm(elsewhere.Key, Place{"INBOX", 9, 3}))
	})
	got, err := b.Claimed(t.Context(), b.account, "INBOX", 9)
	if diff := cmp.Diff([]uint32{3, 5}, got); err != nil || diff != "" {
		t.Errorf("(-want +got):\n%s %v", diff, err)
	}
	if got, err := b.Claimed(t.Context(), b.account, "INBOX", 10); err != nil || len(got) != 0 {
		t.Errorf("another UIDVALIDITY has claims %v %v", got, err)
	}
}

func TestCountsAddUpToTheRows(t *testing.T) {
	b := open(t)
	fates := map[uint32]Message{4: {Fate: Delivered}, 5: {Fate: Skipped, Reason: "too large"}, 6: {Fate: Refused, Reason: "NO", KeptFile: "/kept/6"}, 7: {Fate: Deleted, SourceGone: true}}
	b.record(func(tx *Tx) error {
		errs := []error{tx.Intend([]Message{b.letter(1), b.letter(2), b.letter(3)}), tx.Confirm(b.key(1), Place{"", 9, 1}), tx.Park(b.key(2), "why")}
		for uid, m := range fates {
			m.Key = b.key(uid)
			errs = append(errs, tx.Add(m))
		}
		return errors.Join(errs...)
	})
	counts, err := b.Count(t.Context(), b.account)
	if err != nil || len(counts) != 1 {
		t.Fatalf("%v %v", counts, err)
	}
	want := Counts{
		Fates:    map[Fate]int{Copied: 1, Delivered: 1, Skipped: 1, Refused: 1, Deleted: 1},
		Intended: 1, Parked: 1, Present: 6, Gone: 1, Octets: 101, Listed: 306,
	}
	if diff := cmp.Diff(want, counts[0].Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, Total(counts)); diff != "" {
		t.Errorf("total (-want +got):\n%s", diff)
	}
	exceptions, err := b.Exceptions(t.Context(), b.account)
	if err != nil || len(exceptions) != 3 || exceptions[2].KeptFile != "/kept/6" || exceptions[0].SourceName != "INBOX" {
		t.Errorf("exceptions: %+v %v, want the parked, the skipped and the refused one", exceptions, err)
	}
}

func TestEmptyFolderIsCounted(t *testing.T) {
	b := open(t)
	counts, err := b.Count(t.Context(), b.account)
	if err != nil || len(counts) != 1 || counts[0].Present != 0 {
		t.Errorf("%v %v, want one folder with no rows", counts, err)
	}
}

// TestKeptCountsAreThoseOfTheRows: at every moment the kept counts are what the rows add up to, or are not used.
func TestKeptCountsAreThoseOfTheRows(t *testing.T) {
	b := open(t)
	keep := func() Tally {
		t.Helper()
		tally, err := b.Tally(t.Context(), b.account)
		if err == nil {
			err = b.Keep(t.Context(), tally)
		}
		if err != nil {
			t.Fatal(err)
		}
		return tally
	}
	for _, step := range []struct {
		name string
		work func(tx *Tx) error
		want Counts
	}{
		{"intended", func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) }, Counts{Intended: 1, Present: 1, Listed: 101, Fates: map[Fate]int{}}},
		{"confirmed", func(tx *Tx) error { return tx.Confirm(b.key(1), Place{"", 9, 1}) }, Counts{Present: 1, Octets: 101, Listed: 101, Fates: map[Fate]int{Copied: 1}}},
		{"gone", func(tx *Tx) error { return tx.SetGone(b.key(1), true) }, Counts{Gone: 1, Octets: 101, Fates: map[Fate]int{Copied: 1}}},
	} {
		keep()
		b.record(step.work)
		if tally := keep(); tally.kept || !cmp.Equal(tally.Folders[0].Counts, step.want) {
			t.Errorf("%s: %+v (kept: %t), want %+v, counted anew", step.name, tally.Folders[0].Counts, tally.kept, step.want)
		}
		if tally := keep(); !tally.kept || !cmp.Equal(tally.Folders[0].Counts, step.want) {
			t.Errorf("%s, again: %+v (kept: %t), want %+v, kept", step.name, tally.Folders[0].Counts, tally.kept, step.want)
		}
		b.check()
	}
	late, err := b.Tally(t.Context(), b.account)
	if err != nil {
		t.Fatal(err)
	}
	late.kept = false
	b.record(func(tx *Tx) error { return tx.SetGone(b.key(1), false) })
	if err := b.Keep(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	if now := keep(); now.kept || now.Folders[0].Present != 1 {
		t.Errorf("counts of an older revision were kept: %+v", now)
	}
	b.tamper(`UPDATE message SET source_gone = 1`)
	if found, err := b.Check(t.Context(), b.account); err != nil || len(found) == 0 || found[0].Invariant != "L1" {
		t.Errorf("%v %v, want the kept counts found wrong", found, err)
	}
	b.tamper(`UPDATE message SET source_gone = 0`)
}

// TestCheckerFinds breaks the ledger on purpose, past the methods that refuse to.
func TestCheckerFinds(t *testing.T) {
	for _, c := range []struct{ name, sql, want string }{
		{"two rows that stand for one message here", `UPDATE message SET destination_uid = 1 WHERE source_uid = 2`, "L2"},
		{"a copied message that is nowhere", `UPDATE message SET destination_uid = 0 WHERE source_uid = 1`, "L1"},
		{"a copied message without digest", `UPDATE message SET digest = '' WHERE source_uid = 1`, "L1"},
		{"an intended message that nobody could find", `UPDATE message SET intent_uidnext = 0 WHERE source_uid = 3`, "L2"},
		{"a parked message without a reason", `UPDATE message SET stage = 'parked' WHERE source_uid = 3`, "L1"},
		{"a refused message whose bytes are lost", `UPDATE message SET fate = 'refused', reason = 'NO', appended = 0 WHERE source_uid = 1`, "L1"},
		{"a delivered message that the mirror calls its own", `UPDATE message SET fate = 'delivered' WHERE source_uid = 1`, "L4"},
		{"a finished folder with fewer rows than messages", `UPDATE folder SET source_messages = 4`, "L1"},
		{"two folders in one place", `INSERT INTO folder (account_id, source_name, destination_name) SELECT account_id, 'inbox', 'INBOX' FROM folder`, "L6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t)
			b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1), b.letter(2), b.letter(3)}) })
			b.record(func(tx *Tx) error {
				return errors.Join(tx.Confirm(b.key(1), Place{"", 9, 1}), tx.Confirm(b.key(2), Place{"", 9, 2}))
			})
			b.check()
			broken := errors.New("rolled back")
			b.tamper(c.sql)
			found, err := b.Check(t.Context(), b.account)
			if err != nil || len(found) != 1 || found[0].Invariant != c.want {
				t.Errorf("got %v %v, want one violation of %s (%v)", found, err, c.want, broken)
			}
			b.tamper(`DELETE FROM message`)
			b.tamper(`DELETE FROM folder`)
		})
	}
}

func (b *book) tamper(statement string) {
	b.t.Helper()
	err := b.db.Write(context.Background(), func(tx *sql.Tx) error { _, err := tx.Exec(statement); return err })
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestSettledCheckerWantsNoMessageInDoubt(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(1)}) })
	found, err := b.CheckSettled(t.Context(), b.account)
	if err != nil || len(found) != 1 || !strings.Contains(found[0].String(), "L1: message 1 of folder") {
		t.Errorf("got %v %v, want message 1 reported", found, err)
	}
}

// Every pass asks for them, and there are none as a rule.
func TestWhatIsInDoubtIsFoundByItsIndex(t *testing.T) {
	b := open(t)
	for index, statement := range map[string]string{"message_intended": selectIntended, "message_refiling": selectRefiling} {
		rows, err := b.db.Reader().Query("EXPLAIN QUERY PLAN "+statement, b.account)
		if err != nil {
			t.Fatal(err)
		}
		plan := ""
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan += detail + "\n"
		}
		if err := rows.Err(); err != nil || !strings.Contains(plan, index) {
			t.Errorf("%s is not used (%v):\n%s", index, err, plan)
		}
	}
}

// BenchmarkRecord is what the ledger costs a copy: intents of one batch of 100 and confirmations of the one before.
func BenchmarkRecord(b *testing.B) {
	k := open(b)
	ctx, cancel := context.WithCancel(b.Context()) // as a pass has it
	defer cancel()
	uid := uint32(0)
	var before []Message
	for b.Loop() {
		batch := make([]Message, 100)
		for i := range batch {
			uid++
			batch[i] = k.letter(uid)
			batch[i].Digest = [letter.DigestSize]byte{1, byte(uid), byte(uid >> 8), byte(uid >> 16)}
			batch[i].Intent.Batch = fmt.Sprint((uid - 1) / 100)
		}
		if err := k.Record(ctx, func(tx *Tx) error {
			for _, m := range before {
				if err := tx.Confirm(m.Key, Place{"", 9, m.UID}); err != nil {
					return err
				}
			}
			return tx.Intend(batch)
		}); err != nil {
			b.Fatal(err)
		}
		before = batch
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(uid), "µs/message")
}

// fill adds n copied messages.
func (b *book) fill(n uint32) {
	b.record(func(tx *Tx) error {
		for uid := range n {
			m := b.letter(uid + 1)
			m.Fate, m.Place.UID, m.Appended = Copied, uid+1, true
			m.Digest[0] = 1
			if err := tx.Add(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkMessages is what a pass over a folder of 100,000 messages costs before it looks at any.
func BenchmarkMessages(b *testing.B) {
	k := open(b)
	k.fill(100_000)
	for b.Loop() {
		if n := len(k.messages()); n != 100_000 {
			b.Fatal(n)
		}
	}
}

// BenchmarkCount is what a pass costs at its end that found something.
func BenchmarkCount(b *testing.B) {
	k := open(b)
	k.fill(100_000)
	for b.Loop() {
		if counts, err := k.Count(b.Context(), k.account); err != nil || Total(counts).Present != 100_000 {
			b.Fatal(counts, err)
		}
	}
}

// BenchmarkClaimed is what a look at one of ten folders of 10,000 messages costs the ledger.
func BenchmarkClaimed(b *testing.B) {
	k := open(b)
	for i := range 10 {
		name := fmt.Sprint("Work ", i)
		k.folder = Folder{SourceName: name, DestinationName: name}
		k.record(func(tx *Tx) error { return tx.SaveFolder(&k.folder) })
		k.fill(10_000)
	}
	for b.Loop() {
		if uids, err := k.Claimed(b.Context(), k.account, "Work 7", 9); err != nil || len(uids) != 10_000 {
			b.Fatal(len(uids), err)
		}
	}
}

// BenchmarkRows is what a pass over a folder of 100,000 messages costs before it looks at any.
func BenchmarkRows(b *testing.B) {
	k := open(b)
	k.fill(100_000)
	for b.Loop() {
		if rows, err := k.Rows(b.Context(), k.folder.ID); err != nil || rows.Len() != 100_000 {
			b.Fatal(rows.Len(), err)
		}
	}
}

func TestCancelledTransactionWritesNothing(t *testing.T) {
	b := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := b.Record(ctx, func(tx *Tx) error {
		if err := tx.Intend([]Message{b.letter(1)}); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if rows := b.messages(); !errors.Is(err, context.Canceled) || len(rows) != 0 {
		t.Errorf("after %v there are %d rows, want none", err, len(rows))
	}
}
