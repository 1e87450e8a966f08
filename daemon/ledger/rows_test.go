package ledger

import (
	"reflect"
	"testing"

	"mailstork/daemon/letter"
)

func TestPackedRowsUnpackToWhatTheyWere(t *testing.T) {
	full := Message{
		Key: Key{FolderID: 7, UIDValidity: 8, UID: 9}, Stage: Parked, Fate: Refused, Reason: "why", KeptFile: "/kept",
		Place: Place{Folder: "Elsewhere", UIDValidity: 10, UID: 11}, Appended: true, Intent: Intent{Batch: "b.1", UIDNext: 12},
		Digest: [letter.DigestSize]byte{13}, Fingerprint: letter.Fingerprint{14}, Size: 1 << 40, Date: -15, Flags: `\Seen work`, SourceGone: true, Origin: 1 << 63,
	}
	if v := reflect.ValueOf(full); true { // a new field must be packed, too
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Fatalf("the test leaves %s empty", v.Type().Field(i).Name)
			}
		}
	}
	want := []Message{{Key: Key{FolderID: 7}}, full, {Key: Key{FolderID: 7, UID: 1}, Flags: `\Seen`}}
	rows := RowsOf(want...)
	if got := rows.Messages(); !reflect.DeepEqual(got, planned(want)) {
		t.Errorf("got %+v, want %+v", got, planned(want))
	}
	if rows.Len() != 3 || rows.Key(1) != full.Key || !rows.Gone(1) || rows.Gone(0) {
		t.Errorf("length, key or absence differ: %d, %v", rows.Len(), rows.Key(1))
	}
}

func TestRowsOfAFolderAreItsMessages(t *testing.T) {
	b := open(t)
	b.record(func(tx *Tx) error { return tx.Intend([]Message{b.letter(3), b.letter(5)}) })
	b.record(func(tx *Tx) error { return tx.Confirm(b.key(3), Place{Folder: "Moved", UIDValidity: 9, UID: 41}) })
	b.record(func(tx *Tx) error { return tx.SetGone(b.key(5), true) })
	rows, err := b.Rows(t.Context(), b.folder.ID)
	if got, want := rows.Messages(), planned(b.messages()); err != nil || len(got) != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// planned is what a plan needs of messages.
func planned(all []Message) []Message {
	for i := range all {
		all[i].Intent, all[i].KeptFile = Intent{}, ""
	}
	return all
}

func TestRowsOfASourceThatNamesNoLettersTakeNoRoomForNames(t *testing.T) {
	rows := RowsOf(Message{Key: Key{UID: 1}}, Message{Key: Key{UID: 2}})
	if rows.origins != nil {
		t.Errorf("%d names are kept of letters that have none", len(rows.origins))
	}
	rows.Append(Message{Key: Key{UID: 3}, Origin: 17})
	rows.Append(Message{Key: Key{UID: 4}})
	var got []uint64
	for row := range rows.All() {
		got = append(got, row.Origin)
	}
	if want := []uint64{0, 0, 17, 0}; !reflect.DeepEqual(got, want) {
		t.Errorf("the rows have the names %d, want %d", got, want)
	}
}
