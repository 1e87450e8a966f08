package ledger

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// named is a letter that the source names.
func (b *book) named(uid uint32, origin uint64) Message {
	m := b.letter(uid)
	m.Origin = origin
	return m
}

func TestNameThatTheSourceGivesALetterComesBack(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.named(1, 1<<64-1), b.named(2, 17), b.letter(3)}) })
	var got []uint64
	for _, m := range b.messages() {
		got = append(got, m.Origin)
	}
	if want := []uint64{1<<64 - 1, 17, 0}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
}

func TestSightingsAreTheRowsOfTheAccountThatTheSourceNames(t *testing.T) {
	b := open(t)
	all := Folder{SourceName: "All", DestinationName: "Archive", Source: Mark{UIDValidity: 8}, Gathers: true}
	b.record(func(tx *Tx) error { return tx.SaveFolder(&all) })
	skipped := Message{Key: Key{all.ID, 8, 70}, Fate: Skipped, Reason: AlsoIn + "INBOX", Origin: 17}
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Intend([]Message{b.named(2, 17), b.letter(1), b.named(3, 18)}), tx.Add(skipped))
	})
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Confirm(b.key(2), Place{"Work", 9, 5}), tx.SetGone(b.key(2), true), tx.Confirm(b.key(1), Place{"", 9, 6}))
	})
	other := addAccount(t, b.db, "ben@example.org")
	inbox := Folder{SourceName: "INBOX", DestinationName: "INBOX"}
	err := b.Ledger.Writer(other, Lease{}).Record(t.Context(), func(tx *Tx) error {
		err := tx.SaveFolder(&inbox)
		return errors.Join(err, tx.Add(Message{Key: Key{inbox.ID, 1, 1}, Fate: Skipped, Reason: "why", Origin: 17}))
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []Sighting
	err = b.Sightings(t.Context(), b.account, func(s Sighting) { got = append(got, s) })
	want := []Sighting{
		{Key: b.key(2), Origin: 17, Stage: Confirmed, Fate: Copied, Appended: true, Gone: true, Place: Place{"Work", 9, 5}},
		{Key: b.key(3), Origin: 18, Stage: Intended, Fate: Copied, Appended: true, Place: Place{UIDValidity: 9}},
		{Key: skipped.Key, Origin: 17, Stage: Confirmed, Fate: Skipped, Reason: skipped.Reason},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("(-want +got):\n%s %v", diff, err)
	}
}

// L4: what yielded claims no message here any more, so that whatever has its UID next is nobody's of ours.
func TestYieldedMessageIsSkippedAndClaimsNothingHere(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.named(1, 17)}) })
	b.record(func(tx *Tx) error { return tx.Confirm(b.key(1), Place{"Work", 9, 4}) })
	b.record(func(tx *Tx) error { return tx.Yield(b.key(1), AlsoIn+"INBOX") })
	want := b.named(1, 17)
	want.Stage, want.Fate, want.Reason, want.Place = Confirmed, Skipped, AlsoIn+"INBOX", Place{}
	if diff := cmp.Diff([]Message{want}, b.messages()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	claimed, err := b.Claimed(t.Context(), b.account, "Work", 9)
	if err != nil || len(claimed) > 0 {
		t.Errorf("it still claims %v %v", claimed, err)
	}
	b.record(func(tx *Tx) error { return errors.Join(tx.Unskip(b.key(1)), tx.Intend([]Message{b.named(1, 17)})) })
}

func TestRenewedMessageMakesRoomForTheRowOfAnotherCopy(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.named(1, 17), b.named(2, 17)}) })
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Confirm(b.key(1), Place{"", 9, 4}), tx.Confirm(b.key(2), Place{"", 9, 5}), tx.SetGone(b.key(2), true))
	})
	b.record(func(tx *Tx) error { return errors.Join(tx.Renew(b.key(1)), tx.Rename(b.key(2), b.key(1), "")) })
	want := b.named(2, 17)
	want.Key, want.Stage, want.Fate, want.Appended, want.Place = b.key(1), Confirmed, Copied, true, Place{"", 9, 5}
	if diff := cmp.Diff([]Message{want}, b.messages()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of an account of Gmail most messages are skipped like this. A page of them would hide what somebody should read.
func TestWhatAnotherFolderHasIsCountedButIsNoException(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error {
		return errors.Join(tx.Add(Message{Key: b.key(1), Fate: Skipped, Reason: AlsoIn + "INBOX", Origin: 17}),
			tx.Add(Message{Key: b.key(2), Fate: Skipped, Reason: "too large", Origin: 18}))
	})
	exceptions, err := b.Exceptions(t.Context(), b.account)
	if err != nil || len(exceptions) != 1 || exceptions[0].UID != 2 {
		t.Errorf("exceptions: %+v %v, want message 2 alone", exceptions, err)
	}
	counts, err := b.Count(t.Context(), b.account)
	if err != nil || counts[0].Fates[Skipped] != 2 {
		t.Errorf("counts: %+v %v, want 2 skipped", counts, err)
	}
}
