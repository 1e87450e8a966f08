package mirror

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
)

// The scenes below speak of letters by number: letter n has fingerprint n, digest n, size 1000+n and date n.
// Letter 0 has no header: its fingerprint is zero, and only its digest tells it from others.

func digestOf(n int) (d [letter.DigestSize]byte) { d[0], d[1] = 0xd, byte(n); return d }

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

func flagged(m SourceMessage, flags string) SourceMessage { m.Flags = flags; return m }

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

func fate(f ledger.Fate) func(*ledger.Message) {
	return func(m *ledger.Message) { m.Fate, m.Appended = f, f == ledger.Deleted }
}
func gone(m *ledger.Message)                  { m.SourceGone = true }
func notOurs(m *ledger.Message)               { m.Appended = false }
func base(flags string) func(*ledger.Message) { return func(m *ledger.Message) { m.Flags = flags } }

// box is a folder whose source holds the given messages.
func box(id int64, name string, rows []ledger.Message, messages ...SourceMessage) FolderView {
	f := FolderView{Folder: ledger.Folder{ID: id, SourceName: name, DestinationName: name}, Listed: true, UIDValidity: sourceValidity, Rows: rows, Messages: messages}
	for i := range f.Rows {
		f.Rows[i].FolderID = id
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
		for _, row := range f.Rows {
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

func k(id int64, uid uint32) ledger.Key {
	return ledger.Key{FolderID: id, UIDValidity: sourceValidity, UID: uid}
}
func p(uid uint32) ledger.Place { return ledger.Place{UIDValidity: hereValidity, UID: uid} }

type rows = []ledger.Message
type views = []FolderView
type places = map[string]*DestinationView

// elsewhere puts a row under the UIDVALIDITY that the source had before.
func elsewhere(m *ledger.Message) { m.UIDValidity = sourceValidity - 1 }

func many(n int) (all rows) {
	for i := range n {
		all = append(all, copied(uint32(i+1), i+1, uint32(i+1)))
	}
	return all
}

func TestPlan(t *testing.T) {
	old := func(uid uint32) ledger.Key { return ledger.Key{FolderID: 1, UIDValidity: sourceValidity - 1, UID: uid} }
	twin := at(1, 1) // another letter that came at the same second with the same size
	twin.Fingerprint = fingerprint(2)
	for _, c := range []struct {
		name string
		view View
		want []Operation
	}{
		{"a new message is appended", scene(before, views{box(1, "INBOX", nil, at(5, 1))}, places{"INBOX": place(nil)}),
			[]Operation{Append{1, []SourceMessage{at(5, 1)}}}},
		{"a message that has a row is never appended again (L2)",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3)}, at(5, 1))}, places{"INBOX": place(uids(3, 3))}), nil},
		{"a parked message is never appended again (L2)",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 1, 0), func(m *ledger.Message) { m.Stage = ledger.Parked })}, at(5, 1))}, places{"INBOX": place(nil)}), nil},
		{"a message that its owner deleted or moved here is noted as deleted (L3)",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3)}, at(5, 1))}, places{"INBOX": place(nil)}),
			[]Operation{SetDeleted{k(1, 5)}}},
		{"a message that its owner deleted here stays deleted (L3)",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 1, 3), fate(ledger.Deleted))}, at(5, 1))}, places{"INBOX": place(nil)}), nil},
		{"nothing is concluded about a destination folder that was not looked at",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3)}, at(5, 1))}, nil), nil},

		{"flags changed at the source are stored here, and only those",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 1, 3), base(`\Seen work`))}, flagged(at(5, 1), `\Flagged work`))}, places{"INBOX": place(uids(3, 3))}),
			[]Operation{StoreFlags{k(1, 5), "INBOX", hereValidity, 3, []string{`\Flagged`}, []string{`\Seen`}, `\Flagged work`}}},
		{"before the switch the mark of a deletion at the source is followed",
			scene(before, views{box(1, "INBOX", rows{copied(5, 1, 3)}, flagged(at(5, 1), `\Deleted`))}, places{"INBOX": place(uids(3, 3))}),
			[]Operation{StoreFlags{k(1, 5), "INBOX", hereValidity, 3, []string{`\Deleted`}, nil, `\Deleted`}}},
		{"after the switch the mark of a deletion at the source is not followed, other flags are",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3), copied(6, 2, 4)}, flagged(at(5, 1), `\Deleted`), flagged(at(6, 2), `\Deleted \Seen`))}, places{"INBOX": place(uids(3, 4))}),
			[]Operation{StoreFlags{k(1, 6), "INBOX", hereValidity, 4, []string{`\Seen`}, nil, `\Deleted \Seen`}}},
		{"flags of a message that its owner removed here are not stored",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3)}, flagged(at(5, 1), `\Seen`))}, places{"INBOX": place(nil)}),
			[]Operation{SetDeleted{k(1, 5)}}},
		{"flags of a message that the mirror did not append are not touched (L4)",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), notOurs)}, flagged(at(5, 1), `\Seen`))}, places{"INBOX": place(uids(3, 3))}), nil},
		{"flags that the source did not tell change nothing",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), base(`\Seen`))}, func() SourceMessage { m := at(5, 1); m.FlagsKnown = false; return m }())}, places{"INBOX": place(uids(3, 3))}), nil},

		{"before the switch a deletion at the source removes our copy",
			scene(before, views{box(1, "INBOX", rows{copied(5, 1, 3), copied(6, 2, 4)}, at(6, 2))}, places{"INBOX": place(uids(3, 4))}),
			[]Operation{SetGone{k(1, 5)}, Expunge{k(1, 5), "INBOX", hereValidity, 3, ""}}},
		{"after the switch a deletion at the source removes nothing",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3), copied(6, 2, 4)}, at(6, 2))}, places{"INBOX": place(uids(3, 4))}),
			[]Operation{SetGone{k(1, 5)}}},
		{"a deletion at the source removes nothing that the mirror did not append (L4)",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), notOurs), with(copied(6, 2, 4), fate(ledger.Delivered))})}, places{"INBOX": place(uids(3, 4))}),
			[]Operation{SetGone{k(1, 5)}, SetGone{k(1, 6)}}},
		{"a message deleted on both sides is noted on both",
			scene(before, views{box(1, "INBOX", rows{copied(5, 1, 3)})}, places{"INBOX": place(nil)}),
			[]Operation{SetDeleted{k(1, 5)}, SetGone{k(1, 5)}}},
		{"a removal that an earlier pass decided and did not come to do is done",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), gone)})}, places{"INBOX": place(uids(3, 3))}),
			[]Operation{Expunge{k(1, 5), "INBOX", hereValidity, 3, ""}}},
		{"a removal that an earlier pass decided is dropped at the switch",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 1, 3), gone)})}, places{"INBOX": place(uids(3, 3))}), nil},
		{"a folder that left the source takes its messages with it",
			scene(before, views{box(1, "Old", rows{copied(5, 1, 3)})}, places{"Old": place(uids(3, 3))}),
			[]Operation{SetGone{k(1, 5)}, Expunge{k(1, 5), "Old", hereValidity, 3, ""}}},

		{"a mass deletion at the source is held back until an operator confirms it",
			scene(before, views{box(1, "INBOX", many(21))}, places{"INBOX": place(uids(1, 21))}),
			[]Operation{Hold{FolderID: 1, Messages: 21, Of: 21}}},
		{"a mass deletion at the source is nothing after the switch, when nothing follows it",
			scene(after, views{box(1, "INBOX", many(21)[20:])}, places{"INBOX": place(uids(1, 21))}), []Operation{SetGone{k(1, 21)}}},

		{"a message moved at the source before the switch is copied to its new folder and removed from the old one",
			scene(before, views{box(1, "INBOX", rows{copied(5, 1, 3)}), box(2, "Done", nil, at(9, 1))}, places{"INBOX": place(uids(3, 3)), "Done": place(nil)}),
			[]Operation{SetGone{k(1, 5)}, Append{2, []SourceMessage{at(9, 1)}}, Expunge{k(1, 5), "INBOX", hereValidity, 3, ""}}},
		{"a message moved at the source after the switch stays where it is, and is not appended",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3)}), box(2, "Done", nil, flagged(at(9, 1), `\Seen`))}, places{"INBOX": place(uids(3, 3)), "Done": place(nil)}),
			[]Operation{Rename{k(1, 5), k(2, 9), "INBOX"}, StoreFlags{k(2, 9), "INBOX", hereValidity, 3, []string{`\Seen`}, nil, `\Seen`}}},
		{"a message that its owner deleted here and moved at the source does not come back (L3)",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), fate(ledger.Deleted))}), box(2, "Done", nil, at(9, 1))}, places{"INBOX": place(nil), "Done": place(nil)}),
			[]Operation{Rename{k(1, 5), k(2, 9), "INBOX"}}},
		{"a message deleted here and moved at the source between two passes does not come back (L3)",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3)}), box(2, "Done", nil, flagged(at(9, 1), `\Seen`))}, places{"INBOX": place(nil), "Done": place(nil)}),
			[]Operation{SetDeleted{k(1, 5)}, Rename{k(1, 5), k(2, 9), "INBOX"}}},
		{"of two equal messages one was moved at the source: the other stays",
			scene(after, views{box(1, "INBOX", rows{copied(5, 1, 3), copied(6, 1, 4)}, at(6, 1)), box(2, "Done", nil, at(9, 1), at(10, 1))}, places{"INBOX": place(uids(3, 4)), "Done": place(nil)}),
			[]Operation{Rename{k(1, 5), k(2, 9), "INBOX"}, Append{2, []SourceMessage{at(10, 1)}}}},

		{"a new UIDVALIDITY at the source renames the rows, and flags go on from their base",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 1, 3), elsewhere), with(with(copied(6, 2, 4), elsewhere), base(`\Seen`))}, flagged(at(1, 2), `\Flagged \Seen`), at(2, 1), at(3, 7))}, places{"INBOX": place(uids(3, 4))}),
			[]Operation{
				Rename{old(5), k(1, 2), ""}, Rename{old(6), k(1, 1), ""},
				StoreFlags{k(1, 1), "INBOX", hereValidity, 4, []string{`\Flagged`}, nil, `\Flagged \Seen`},
				Append{1, []SourceMessage{at(3, 7)}},
			}},
		{"a new UIDVALIDITY at the source brings nothing back that its owner deleted here (L3)",
			scene(after, views{box(1, "INBOX", rows{with(with(copied(5, 1, 3), elsewhere), fate(ledger.Deleted))}, at(1, 1))}, places{"INBOX": place(nil)}),
			[]Operation{Rename{old(5), k(1, 1), ""}}},
		{"a new UIDVALIDITY at the source: of two equal messages one is left",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), elsewhere), with(copied(6, 1, 4), elsewhere)}, at(1, 1))}, places{"INBOX": place(uids(3, 4))}),
			[]Operation{Rename{old(5), k(1, 1), ""}, SetGone{old(6)}, Expunge{old(6), "INBOX", hereValidity, 4, ""}}},
		{"a new UIDVALIDITY at the source: a message without header is known by its digest",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 0, 3), elsewhere)}, read(at(1, 0), 0), read(at(2, 0), 9))}, places{"INBOX": place(uids(3, 3))}),
			[]Operation{Rename{old(5), k(1, 1), ""}, Append{1, []SourceMessage{read(at(2, 0), 9)}}}},
		{"a new UIDVALIDITY at the source: a message that was never read is known by size and date",
			scene(after, views{box(1, "INBOX", rows{{Key: old(5), Stage: ledger.Confirmed, Fate: ledger.Skipped, Size: 1001, Date: 1}}, at(1, 1))}, places{"INBOX": place(nil)}),
			[]Operation{Rename{old(5), k(1, 1), ""}}},
		{"size and date alone are no proof for a message that was read",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 1, 3), elsewhere)}, twin)}, places{"INBOX": place(uids(3, 3))}),
			[]Operation{SetGone{old(5)}, Append{1, []SourceMessage{twin}}}},

		{"a new UIDVALIDITY here relinks rows by digest; what is missing was deleted by its owner (L3)",
			scene(after, views{box(1, "INBOX", rows{with(copied(5, 1, 3), func(m *ledger.Message) { m.Place.UIDValidity = 1 }), with(copied(6, 2, 4), func(m *ledger.Message) { m.Place.UIDValidity = 1 })}, at(5, 1), at(6, 2))}, places{"INBOX": place(nil, here(1, 2))}),
			[]Operation{Relink{k(1, 6), p(1)}, SetDeleted{k(1, 5)}}},
		{"a folder that its owner deleted here is not filled again (L3)",
			scene(after, views{box(1, "Old", rows{copied(5, 1, 3)}, at(5, 1))}, places{"Old": {Missing: true}}),
			[]Operation{SetDeleted{k(1, 5)}}},
		{"an inbox that is another one and holds none of the messages stops the pass",
			scene(after, views{box(1, "INBOX", func() rows {
				all := many(21)
				for i := range all {
					all[i].Place.UIDValidity = 1
				}
				return all
			}(), at(30, 30))}, places{"INBOX": place(nil)}),
			[]Operation{Hold{Messages: 21, Of: 21, Here: true}}},

		{"a message that somebody else copied here before is adopted, not appended",
			scene(before, views{box(1, "INBOX", nil, at(5, 1))}, places{"INBOX": place(nil, here(8, 1))}),
			[]Operation{Adopt{k(1, 5), at(5, 1), ledger.Copied, "INBOX", p(8), 0, reasonFound}}},
		{"the same letter with other bytes came by another way",
			scene(after, views{box(1, "INBOX", nil, at(5, 1))}, places{"INBOX": place(nil, func() DestinationMessage { m := here(8, 1); m.Size += 80; return m }())}),
			[]Operation{Adopt{k(1, 5), at(5, 1), ledger.Delivered, "INBOX", p(8), 0, reasonOther}}},
		{"one message here stands for one message of two equal ones",
			scene(before, views{box(1, "INBOX", nil, at(5, 1), at(6, 1))}, places{"INBOX": place(nil, here(8, 1))}),
			[]Operation{Adopt{k(1, 5), at(5, 1), ledger.Copied, "INBOX", p(8), 0, reasonFound}, Append{1, []SourceMessage{at(6, 1)}}}},
		{"of two messages with one Message-ID the one of the same size is the one that is here",
			scene(before, views{box(1, "INBOX", nil, func() SourceMessage { m := at(5, 1); m.Size = 77; return m }(), at(6, 1))}, places{"INBOX": place(nil, here(8, 1))}),
			[]Operation{Adopt{k(1, 6), at(6, 1), ledger.Copied, "INBOX", p(8), 0, reasonFound}, Append{1, []SourceMessage{func() SourceMessage { m := at(5, 1); m.Size = 77; return m }()}}}},
		{"a message without header is adopted by its digest only",
			scene(before, views{box(1, "INBOX", nil, read(at(5, 0), 3), read(at(6, 0), 0))}, places{"INBOX": place(nil, here(8, 0))}),
			[]Operation{Adopt{k(1, 6), read(at(6, 0), 0), ledger.Copied, "INBOX", p(8), 0, reasonFound}, Append{1, []SourceMessage{read(at(5, 0), 3)}}}},
		{"messages without header are not equal because both have none",
			scene(before, views{box(1, "INBOX", nil, read(at(5, 0), 3))}, places{"INBOX": place(nil, here(8, 0))}),
			[]Operation{Append{1, []SourceMessage{read(at(5, 0), 3)}}}},
		{"a lost ledger is rebuilt, and what its owner moved here meanwhile is found where it is (L3)",
			scene(after, views{box(1, "INBOX", nil, at(5, 1), at(6, 2))}, places{"INBOX": place(nil, here(8, 2)), "Friends": place(nil, here(1, 1))}),
			[]Operation{
				Adopt{k(1, 6), at(6, 2), ledger.Copied, "INBOX", p(8), 0, reasonFound},
				Adopt{k(1, 5), at(5, 1), ledger.Copied, "Friends", ledger.Place{Folder: "Friends", UIDValidity: hereValidity, UID: 1}, 0, reasonFound},
			}},
		{"with a ledger, a message in another folder is no reason not to copy one",
			scene(after, views{box(1, "INBOX", rows{copied(4, 9, 2)}, at(4, 9), at(5, 1))}, places{"INBOX": place(uids(2, 2)), "Friends": place(nil, here(1, 1))}),
			[]Operation{Append{1, []SourceMessage{at(5, 1)}}}},

		{"a letter that was delivered here directly is not imported, though its owner has deleted it (L3)",
			scene(after, views{box(1, "INBOX", nil, at(5, 1), at(6, 2))}, places{"INBOX": place(nil)}, Delivery{ID: 44, Fingerprint: fingerprint(1)}),
			[]Operation{Adopt{Key: k(1, 5), Message: at(5, 1), Fate: ledger.Delivered, DestinationName: "INBOX", Delivery: 44}, Append{1, []SourceMessage{at(6, 2)}}}},
		{"a delivered letter that is still here stands for one source message only",
			scene(after, views{box(1, "INBOX", nil, at(5, 1), at(6, 1))}, places{"INBOX": place(nil, here(8, 1))}, Delivery{ID: 44, Fingerprint: fingerprint(1)}),
			[]Operation{Adopt{k(1, 5), at(5, 1), ledger.Delivered, "INBOX", p(8), 44, ""}, Append{1, []SourceMessage{at(6, 1)}}}},
		{"two deliveries of one letter stand for two source messages",
			scene(after, views{box(1, "INBOX", nil, at(5, 1)), box(2, "Lists", nil, at(3, 1))}, places{"INBOX": place(nil), "Lists": place(nil)}, Delivery{ID: 44, Fingerprint: fingerprint(1)}, Delivery{ID: 45, Fingerprint: fingerprint(1)}),
			[]Operation{
				Adopt{Key: k(1, 5), Message: at(5, 1), Fate: ledger.Delivered, DestinationName: "INBOX", Delivery: 44},
				Adopt{Key: k(2, 3), Message: at(3, 1), Fate: ledger.Delivered, DestinationName: "Lists", Delivery: 45},
			}},

		{"a message above the limit is skipped with a reason",
			scene(Policy{MaxMessageOctets: 1001}, views{box(1, "INBOX", nil, at(5, 1), at(6, 2))}, places{"INBOX": place(nil)}),
			[]Operation{Skip{k(1, 6), at(6, 2), "larger than the domain's limit: 1002 of 1001 octets"}, Append{1, []SourceMessage{at(5, 1)}}}},

		{"a message that is in the listing again, and whose copy was removed by the mirror, is copied again",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), func(m *ledger.Message) { m.Fate, m.SourceGone, m.Reason = ledger.Deleted, true, reasonSource })}, at(5, 1))}, places{"INBOX": place(nil)}),
			[]Operation{SetBack{k(1, 5), true}, Append{1, []SourceMessage{at(5, 1)}}}},
		{"a message that is in the listing again, and that its owner deleted here, stays deleted (L3)",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), func(m *ledger.Message) { m.Fate, m.SourceGone, m.Reason = ledger.Deleted, true, reasonHere })}, at(5, 1))}, places{"INBOX": place(nil)}),
			[]Operation{SetBack{k(1, 5), false}}},
		{"a message that is in the listing again before its copy was removed keeps it",
			scene(before, views{box(1, "INBOX", rows{with(copied(5, 1, 3), gone)}, at(5, 1))}, places{"INBOX": place(uids(3, 3))}),
			[]Operation{SetBack{k(1, 5), false}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Plan(c.view)
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again := Plan(c.view); !cmp.Equal(got, again) {
				t.Errorf("the same view gave another plan:\n%s", cmp.Diff(got, again))
			}
		})
	}
}

func TestGuardLetsTwentyMessagesOrATwentiethOfAllGo(t *testing.T) {
	for _, c := range []struct {
		all, missing int
		confirmed    bool
		held         bool
	}{{100, 20, false, false}, {100, 21, false, true}, {1000, 50, false, false}, {1000, 51, false, true}, {1000, 999, true, false}} {
		t.Run(fmt.Sprintf("%d of %d confirmed %v", c.missing, c.all, c.confirmed), func(t *testing.T) {
			all := many(c.all)
			var messages []SourceMessage
			for _, row := range all[c.missing:] {
				messages = append(messages, SourceMessage{UID: row.UID})
			}
			v := scene(Policy{MassDeletion: c.confirmed}, views{box(1, "INBOX", all, messages...)}, places{"INBOX": place(uids(1, uint32(c.all)))})
			expunges, holds := 0, 0
			for _, o := range Plan(v) {
				switch o.(type) {
				case Expunge:
					expunges++
				case Hold:
					holds++
				}
			}
			if c.held && (expunges > 0 || holds != 1) || !c.held && (expunges != c.missing || holds > 0) {
				t.Errorf("%d expunges and %d holds", expunges, holds)
			}
		})
	}
}

func TestGuardDoesNotCountMovedMessages(t *testing.T) {
	var moved []SourceMessage
	for i := range 30 {
		moved = append(moved, at(uint32(i+1), i+1))
	}
	v := scene(before, views{box(1, "INBOX", many(30)), box(2, "Archive", nil, moved...)}, places{"INBOX": place(uids(1, 30)), "Archive": place(nil)})
	operations := Plan(v)
	if _, expunged := operations[len(operations)-1].(Expunge); !expunged {
		t.Errorf("moving 30 messages ended in %v, want our old copies removed", operations[len(operations)-1])
	}
}

func TestRemovalsComeAfterCopies(t *testing.T) {
	v := scene(before, views{box(1, "A", rows{copied(5, 1, 3)}), box(2, "B", nil, at(9, 2))}, places{"A": place(uids(3, 3)), "B": place(nil)})
	operations := Plan(v)
	kinds := make([]string, len(operations))
	for i, o := range operations {
		kinds[i] = fmt.Sprintf("%T", o)
	}
	if want := []string{"mirror.SetGone", "mirror.Append", "mirror.Expunge"}; !slices.Equal(kinds, want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
}
