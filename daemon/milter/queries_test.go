package milter

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
	"mailstork/daemon/store"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func record(t *testing.T, d *Deliveries, id byte, at time.Time, recipients ...account.Address) {
	t.Helper()
	l := Letter{Fingerprint: letter.Fingerprint{id}, Recipients: recipients, QueueID: "4ABC", ReceivedAt: at}
	if err := d.Record(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

func unclaimed(t *testing.T, d *Deliveries, address account.Address) []Delivery {
	t.Helper()
	deliveries, err := d.Unclaimed(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return deliveries
}

func TestUnclaimedListsEveryDeliveryOfTheAddressOnly(t *testing.T) {
	d := NewDeliveries(openStore(t))
	record(t, d, 1, noon, "anna@example.org", "bob@example.org")
	record(t, d, 1, noon.Add(time.Second), "anna@example.org") // the same letter, sent twice
	want := []Delivery{
		{ID: 1, Fingerprint: letter.Fingerprint{1}, QueueID: "4ABC", ReceivedAt: noon},
		{ID: 3, Fingerprint: letter.Fingerprint{1}, QueueID: "4ABC", ReceivedAt: noon.Add(time.Second)},
	}
	if diff := cmp.Diff(want, unclaimed(t, d, "anna@example.org")); diff != "" {
		t.Errorf("deliveries of anna (-want +got):\n%s", diff)
	}
	if got := unclaimed(t, d, "carl@example.org"); len(got) != 0 {
		t.Errorf("deliveries of carl: %v", got)
	}
}

func TestOneDeliveryStandsForOneSourceMessage(t *testing.T) {
	s := openStore(t)
	d := NewDeliveries(s)
	record(t, d, 1, noon, "anna@example.org")
	claim := func(id int64, uid uint32) error {
		return s.Write(t.Context(), func(tx *sql.Tx) error { return d.Claim(t.Context(), tx, id, 7, 4294967295, uid) })
	}
	if err := claim(1, 5); err != nil {
		t.Fatal(err)
	}
	if got := unclaimed(t, d, "anna@example.org"); len(got) != 0 {
		t.Errorf("still unclaimed: %v", got)
	}
	if err := claim(1, 5); err != nil {
		t.Errorf("claiming for the same message again, as after a crash: %v", err)
	}
	if err := claim(1, 6); err == nil {
		t.Error("a delivery was claimed for a second source message")
	}
	if err := claim(2, 5); err == nil {
		t.Error("a delivery that does not exist was claimed")
	}
}

func TestClaimIsUndoneWithItsTransaction(t *testing.T) {
	s := openStore(t)
	d := NewDeliveries(s)
	record(t, d, 1, noon, "anna@example.org")
	_ = s.Write(t.Context(), func(tx *sql.Tx) error {
		if err := d.Claim(t.Context(), tx, 1, 7, 1, 5); err != nil {
			t.Error(err)
		}
		return context.Canceled
	})
	if got := unclaimed(t, d, "anna@example.org"); len(got) != 1 {
		t.Errorf("%d deliveries unclaimed after a rollback, want 1", len(got))
	}
}

func TestRecordStoresALetterForAllRecipientsOrNone(t *testing.T) {
	s := openStore(t)
	d := NewDeliveries(s)
	if err := s.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`CREATE TRIGGER full BEFORE INSERT ON delivery WHEN NEW.recipient = 'bob@example.org'
			BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	err := d.Record(t.Context(), Letter{Fingerprint: letter.Fingerprint{1}, Recipients: []account.Address{"anna@example.org", "bob@example.org"}})
	if err == nil {
		t.Fatal("no error")
	}
	if got := unclaimed(t, d, "anna@example.org"); len(got) != 0 {
		t.Errorf("half a letter was recorded: %v", got)
	}
}

func TestPruneForgetsOldDeliveriesOnly(t *testing.T) {
	d := NewDeliveries(openStore(t))
	record(t, d, 1, noon, "anna@example.org")
	record(t, d, 2, noon.Add(time.Hour), "anna@example.org")
	pruned, err := d.Prune(t.Context(), noon.Add(time.Minute))
	if err != nil || pruned != 1 {
		t.Fatalf("pruned %d, %v, want 1", pruned, err)
	}
	if got := unclaimed(t, d, "anna@example.org"); len(got) != 1 || got[0].Fingerprint != (letter.Fingerprint{2}) {
		t.Errorf("left: %v", got)
	}
}
