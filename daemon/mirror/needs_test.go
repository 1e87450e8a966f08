package mirror

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailstork/daemon/ledger"
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
