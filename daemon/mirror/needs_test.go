package mirror

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
)

// listed is letter n in a listing: nothing of it was read.
func listed(uid uint32, n int) SourceMessage {
	m := at(uid, n)
	m.HeaderRead, m.Fingerprint = false, fingerprint(0)
	return m
}

func seen(uid uint32) DestinationMessage { return DestinationMessage{UID: uid} }

func blank(uid uint32) DestinationMessage { return DestinationMessage{UID: uid, HeaderRead: true} }

func TestNeeds(t *testing.T) {
	source := func(id int64, uids ...uint32) Needs { return Needs{SourceHeaders: map[int64][]uint32{id: uids}} }
	for _, c := range []struct {
		name string
		view View
		want Needs
	}{
		{"a first pass into an empty account reads no header",
			scene(before, views{box(1, "INBOX", nil, listed(5, 1))}, places{"INBOX": place(nil)}), Needs{}},
		{"a pass that only brings new mail beside our own reads no header",
			scene(after, views{box(1, "INBOX", rows{copied(4, 9, 2)}, listed(4, 9), listed(5, 1))}, places{"INBOX": place(uids(2, 2))}), Needs{}},
		{"a letter delivered here makes the new messages interesting",
			scene(after, views{box(1, "INBOX", rows{copied(4, 9, 2)}, listed(4, 9), listed(5, 1))}, places{"INBOX": place(uids(2, 2))}, Delivery{ID: 1}), source(1, 5)},
		{"a message of somebody else here makes the new messages and itself interesting",
			scene(after, views{box(1, "INBOX", rows{copied(4, 9, 2)}, listed(4, 9), listed(5, 1))}, places{"INBOX": place(uids(2, 2), seen(3))}), Needs{SourceHeaders: map[int64][]uint32{1: {5}}, DestinationHeaders: map[string][]uint32{"INBOX": {3}}}},
		{"a message of somebody else is nothing where nothing is new",
			scene(after, views{box(1, "INBOX", rows{copied(4, 9, 2)}, listed(4, 9))}, places{"INBOX": place(uids(2, 2), seen(3))}), Needs{}},
		{"a message that left a folder makes new ones of its size interesting",
			scene(after, views{box(1, "INBOX", rows{copied(4, 9, 2)}), box(2, "Done", nil, listed(5, 9), listed(6, 1))}, places{"INBOX": place(uids(2, 2)), "Done": place(nil)}), source(2, 5)},
		{"a new UIDVALIDITY makes every message interesting",
			scene(after, views{box(1, "INBOX", rows{with(copied(4, 9, 2), elsewhere)}, listed(5, 9), listed(6, 1))}, places{"INBOX": place(uids(2, 2))}), source(1, 5, 6)},
		{"a new UIDVALIDITY here needs every body that is nobody's",
			scene(after, views{box(1, "INBOX", rows{with(copied(4, 9, 2), func(m *ledger.Message) { m.Place.UIDValidity = 1 })}, listed(4, 9))}, places{"INBOX": place(nil, seen(7), seen(8))}),
			Needs{DestinationBodies: map[string][]uint32{"INBOX": {7, 8}}}},
		{"a new message without header needs its body where such a one is here",
			scene(after, views{box(1, "INBOX", rows{copied(4, 9, 2)}, listed(4, 9), at(5, 0), at(6, 1))}, places{"INBOX": place(uids(2, 2), blank(3))}),
			Needs{SourceBodies: map[int64][]uint32{1: {5}}, DestinationBodies: map[string][]uint32{"INBOX": {3}}}},
		{"a new message without header needs its body where such a one of its size left a folder",
			scene(after, views{box(1, "INBOX", rows{copied(4, 0, 2)}), box(2, "Done", nil, at(5, 0))}, places{"INBOX": place(uids(2, 2)), "Done": place(nil)}),
			Needs{SourceBodies: map[int64][]uint32{2: {5}}}},
		{"a lost ledger makes everything here interesting",
			scene(after, views{box(1, "INBOX", nil, listed(5, 1))}, places{"INBOX": place(nil), "Friends": place(nil, seen(3))}),
			Needs{SourceHeaders: map[int64][]uint32{1: {5}}, DestinationHeaders: map[string][]uint32{"Friends": {3}}}},
		{"what was read is not read again",
			scene(after, views{box(1, "INBOX", nil, read(at(5, 0), 0), at(6, 1))}, places{"INBOX": place(nil, here(3, 0), here(4, 1))}), Needs{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.view.Needs(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The scenes below speak of letters by number: letter n has fingerprint n, digest n, size 1000+n and date n.
// Letter 0 has no header: its fingerprint is zero, and only its digest tells it from others.

func digestOf(n int) (d [letter.DigestSize]byte) {
	d[0], d[1], d[2] = 0xd, byte(n), byte(n>>8)
	return d
}

func fingerprint(n int) (f letter.Fingerprint) {
	if n > 0 {
		f[0], f[1], f[2] = 0xf, byte(n), byte(n>>8)
	}
	return f
}

const (
	sourceValidity = 70
	hereValidity   = 90
)

// at is letter n under a UID at the source, its header read.
func at(uid uint32, n int) SourceMessage {
	return SourceMessage{UID: uid, Size: int64(1000 + n), Date: int64(n), FlagsKnown: true, HeaderRead: true, Fingerprint: fingerprint(n)}
}

func read(m SourceMessage, n int) SourceMessage { m.BodyRead, m.Digest = true, digestOf(n); return m }

// here is letter n under a UID at the destination that no row stands for.
func here(uid uint32, n int) DestinationMessage {
	return DestinationMessage{UID: uid, Size: int64(1000 + n), HeaderRead: true, Fingerprint: fingerprint(n), BodyRead: true, Digest: digestOf(n)}
}

// copied is the row of letter n, which the mirror appended: source UID and destination UID.
func copied(uid uint32, n int, place uint32) ledger.Message {
	return ledger.Message{
		Key: ledger.Key{FolderID: 1, UIDValidity: sourceValidity, UID: uid}, Stage: ledger.Confirmed, Fate: ledger.Copied, Appended: true,
		Place: ledger.Place{UIDValidity: hereValidity, UID: place}, Digest: digestOf(n), Fingerprint: fingerprint(n), Size: int64(1000 + n), Date: int64(n),
	}
}

func with(row ledger.Message, change func(*ledger.Message)) ledger.Message { change(&row); return row }

// box is a folder whose source holds the given messages.
func box(id int64, name string, rows []ledger.Message, messages ...SourceMessage) FolderView {
	f := FolderView{Folder: ledger.Folder{ID: id, SourceName: name, DestinationName: name}, Listed: true, UIDValidity: sourceValidity, Messages: messages}
	for _, row := range rows {
		row.FolderID = id
		f.Rows.Append(row)
	}
	for _, m := range messages {
		f.UIDs = append(f.UIDs, m.UID)
	}
	return f
}

// place is a destination folder in which rows have the given UIDs, and somebody else's messages are.
func place(uids []uint32, foreign ...DestinationMessage) *DestinationView {
	d := &DestinationView{UIDValidity: hereValidity, UIDs: slices.Clone(uids), Foreign: foreign}
	for _, m := range foreign {
		d.UIDs = append(d.UIDs, m.UID)
	}
	slices.Sort(d.UIDs)
	return d
}

func scene(policy Policy, folders []FolderView, places map[string]*DestinationView, deliveries ...Delivery) View {
	v := View{Policy: policy, Folders: folders, Destinations: places, Deliveries: deliveries}
	for _, f := range folders {
		for row := range f.Rows.All() {
			if !row.SourceGone {
				v.Rows++
			}
		}
	}
	return v
}

var (
	before = Policy{}
	after  = Policy{Switched: true}
)

func uids(from, to uint32) (all []uint32) {
	for uid := from; uid <= to; uid++ {
		all = append(all, uid)
	}
	return all
}

type rows = []ledger.Message
type views = []FolderView
type places = map[string]*DestinationView

// elsewhere puts a row under the UIDVALIDITY that the source had before.
func elsewhere(m *ledger.Message) { m.UIDValidity = sourceValidity - 1 }
