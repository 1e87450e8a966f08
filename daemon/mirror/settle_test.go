package mirror

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// intended is letter n in a batch that looked for its messages from UID lowest on.
func intended(uid uint32, n int, batch string, lowest uint32) ledger.Message {
	m := copied(uid, n, 0)
	m.Stage, m.Intent = ledger.Intended, ledger.Intent{Batch: batch, UIDNext: lowest}
	return m
}

// TestJudge is the decision behind the fence. UIDs of the folder are from 10 on; UIDNEXT is in each scene.
func TestJudge(t *testing.T) {
	type told struct{ Landed, Never, Unclear []uint32 } // source UIDs; of the landed ones the UID here
	for _, c := range []struct {
		name  string
		doubt doubt
		want  told
	}{
		{"a message that is there has landed",
			doubt{Rows: rows{intended(1, 1, "a", 10)}, UIDNext: 11, UIDs: uids(10, 10), Unclaimed: map[uint32]digest{10: digestOf(1)}}, told{Landed: []uint32{10}}},
		{"a message never landed when nothing came since its intent",
			doubt{Rows: rows{intended(1, 1, "a", 10)}, UIDNext: 10}, told{Never: []uint32{1}}},
		{"a message never landed when everything that came is accounted for",
			doubt{Rows: rows{intended(1, 1, "a", 10)}, UIDNext: 12, UIDs: uids(10, 10), Known: []uint32{11}, Unclaimed: map[uint32]digest{10: digestOf(9)}}, told{Never: []uint32{1}}},
		{"a message is unclear when something that came has gone (L3)",
			doubt{Rows: rows{intended(1, 1, "a", 10)}, UIDNext: 11}, told{Unclear: []uint32{1}}},
		{"a message that was there before the intent is another one",
			doubt{Rows: rows{intended(1, 1, "a", 11)}, UIDNext: 11, UIDs: uids(10, 10), Unclaimed: map[uint32]digest{10: digestOf(1)}}, told{Never: []uint32{1}}},
		{"a message for which a row stands is not given away twice (L2)",
			doubt{Rows: rows{intended(1, 1, "a", 10)}, UIDNext: 11, UIDs: uids(10, 10), Known: []uint32{10}}, told{Never: []uint32{1}}},
		{"of two equal messages of which one is there, one has landed and the other never did",
			doubt{Rows: rows{intended(1, 1, "a", 10), intended(2, 1, "b", 10)}, UIDNext: 11, UIDs: uids(10, 10), Unclaimed: map[uint32]digest{10: digestOf(1)}}, told{Landed: []uint32{10}, Never: []uint32{2}}},
		{"of two equal messages the one that was sent later takes the later place",
			doubt{Rows: rows{intended(1, 1, "a", 10), intended(2, 1, "b", 12)}, UIDNext: 13, UIDs: []uint32{10, 11, 12}, Known: []uint32{11}, Unclaimed: map[uint32]digest{10: digestOf(1), 12: digestOf(1)}}, told{Landed: []uint32{12, 10}}},
		{"a batch that landed and of which its owner removed one message: that one is unclear (L3)",
			doubt{Rows: rows{intended(1, 1, "a", 10), intended(2, 2, "a", 10)}, UIDNext: 12, UIDs: uids(10, 10), Unclaimed: map[uint32]digest{10: digestOf(1)}}, told{Landed: []uint32{10}, Unclear: []uint32{2}}},
		{"a batch of three has no room where one message has gone, so it never landed",
			doubt{Rows: rows{intended(1, 1, "a", 10), intended(2, 2, "a", 10), intended(3, 3, "a", 10)}, UIDNext: 11}, told{Never: []uint32{1, 2, 3}}},
		{"a batch that has no room, and of which an equal message is here, is unclear (L3)",
			doubt{Rows: rows{intended(1, 1, "a", 10), intended(2, 2, "a", 10), intended(3, 3, "a", 10)}, UIDNext: 12, UIDs: uids(10, 10), Unclaimed: map[uint32]digest{10: digestOf(1)}}, told{Landed: []uint32{10}, Unclear: []uint32{2, 3}}},
		{"a batch of which one message was given to an equal one's row, and one has gone, is unclear (L3)",
			doubt{Rows: rows{intended(1, 1, "a", 10), intended(2, 2, "a", 10), intended(3, 1, "b", 11)}, UIDNext: 13, UIDs: uids(11, 11), Known: []uint32{10}, Unclaimed: map[uint32]digest{11: digestOf(1)}}, told{Landed: []uint32{11}, Unclear: []uint32{1, 2}}},
		{"a batch of which all messages have gone is unclear (L3)",
			doubt{Rows: rows{intended(1, 1, "a", 10), intended(2, 2, "a", 10)}, UIDNext: 12}, told{Unclear: []uint32{1, 2}}},
		{"a folder that is not there any more leaves everything unclear (L3)",
			doubt{Name: "gone", Rows: rows{intended(1, 1, "a", 10)}}, told{Unclear: []uint32{1}}},
		{"a folder that was renumbered shows what landed, and leaves the rest unclear (L3)",
			doubt{UIDValidity: 5, Rows: rows{intended(1, 1, "a", 10), intended(2, 2, "a", 10)}, UIDNext: 2, UIDs: uids(1, 1), Unclaimed: map[uint32]digest{1: digestOf(2)}}, told{Landed: []uint32{1}, Unclear: []uint32{1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.doubt.UIDValidity == 0 && c.doubt.Name != "gone" {
				c.doubt.UIDValidity = hereValidity
			}
			v := judge(c.doubt)
			var got told
			for _, l := range v.Landed {
				got.Landed = append(got.Landed, l.Place.UID)
			}
			for _, row := range v.Never {
				got.Never = append(got.Never, row.UID)
			}
			for _, row := range v.Unclear {
				got.Unclear = append(got.Unclear, row.UID)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestChunksStayWithinTheirLimits(t *testing.T) {
	var messages []SourceMessage
	for uid := range uint32(2500) {
		messages = append(messages, SourceMessage{UID: uid + 1, Size: 30 << 10})
	}
	messages[100].Size = 200 << 20 // larger than a chunk: goes alone with what fits before it
	next := uint32(1)
	r := &round{pairs: make([]*pair, 2)}
	for _, c := range r.cut(&ledger.Folder{}, 1, messages, len(messages)) {
		octets := int64(0)
		for _, m := range c.messages {
			if m.UID != next {
				t.Fatalf("message %d comes where %d is expected", m.UID, next)
			}
			next++
			octets += m.Size
		}
		if len(c.messages) > chunkMost || len(c.messages) > 1 && octets > chunkOctets {
			t.Errorf("a chunk of %d messages and %d octets", len(c.messages), octets)
		}
	}
	if next != 2501 {
		t.Errorf("the chunks end before message %d", next)
	}
}

func TestChunksAreLargeWhileMuchIsLeftAndSmallAtTheEnd(t *testing.T) {
	messages := make([]SourceMessage, 100_000)
	r := &round{pairs: make([]*pair, 2)}
	chunks := r.cut(&ledger.Folder{}, 1, messages, len(messages))
	if n := len(chunks[0].messages); n != chunkMost {
		t.Errorf("the first chunk has %d messages, want %d", n, chunkMost)
	}
	if n := len(chunks[len(chunks)-1].messages); n > chunkMessages {
		t.Errorf("the last chunk has %d messages, want at most %d: the other pair waits for it", n, chunkMessages)
	}
	if len(chunks) > 35 { // each costs the source an EXAMINE of a large folder
		t.Errorf("%d chunks", len(chunks))
	}
	if n := len(r.cut(&ledger.Folder{}, 1, messages[:4000], 4000)); n < 6 {
		t.Errorf("4,000 messages in %d chunks: too few for two pairs to end together", n)
	}
}

func TestBatchesGrowWithTheFolderThatTheyGoTo(t *testing.T) {
	for here, want := range map[uint32]int{0: batchMessages, 2500: batchMessages, 10_000: 400, 40_000: 1600, 1_000_000: batchMost} {
		place := &hereMark{Mark: ledger.Mark{Messages: here}}
		r := &round{pass: &pass{Options: Options{Batch: batchMessages}}, here: map[string]*hereMark{"Archive": place}}
		if got := r.batchSize(&ledger.Folder{DestinationName: "Archive"}); got != want {
			t.Errorf("beside %d messages a batch of %d, want %d", here, got, want)
		}
	}
}

func TestFlagsAreKeptExceptThoseOfASession(t *testing.T) { // L6
	if got, want := keepFlags([]string{`\Recent`, `\Deleted`, `\seen`, `\Unknown`, "work", "$Forwarded"}), `$Forwarded \Deleted \Seen \Unknown work`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChunksOfTheInboxAreOneFetchEach(t *testing.T) {
	messages := make([]SourceMessage, 2000)
	for i := range messages {
		messages[i].UID = uint32(2*i + 1)
	}
	r := &round{pairs: make([]*pair, 2)}
	next := 0
	for _, c := range r.cut(&ledger.Folder{DestinationName: inbox}, 1, messages, len(messages)) {
		if n := len(wire.Windows(uidsOf(c.messages))); n != 1 || c.messages[0].UID != messages[next].UID {
			t.Fatalf("a chunk of %d messages from UID %d on takes %d FETCHes, want one, in order", len(c.messages), c.messages[0].UID, n)
		}
		next += len(c.messages)
	}
	if next != len(messages) {
		t.Errorf("chunks have %d messages, want %d", next, len(messages))
	}
}

// A batch into a large folder is large: the message over which the connection ended may stand behind all of it.
func TestTheGuiltyMessageIsLookedForAsFarAsABatchReaches(t *testing.T) {
	f := &ledger.Folder{ID: 1, DestinationName: "Archive"}
	r := newRound(&pass{Options: Options{Batch: batchMessages}, broken: map[int64][]brokenChunk{}})
	r.folders[f.ID] = f
	r.here["Archive"] = &hereMark{Mark: ledger.Mark{Messages: 10_000}}
	messages := make([]SourceMessage, 5000)
	for i := range messages {
		messages[i].UID = uint32(i + 1)
	}
	_ = r.blame(chunk{folder: f, messages: messages}, &folderBreak{folder: "Archive"})
	alone, rest := r.oneByOne(Append{FolderID: f.ID, Messages: messages}, 0)
	if len(alone) != 401 || len(alone)+len(rest) != len(messages) { // a batch, and one
		t.Errorf("%d messages are tried alone, %d not", len(alone), len(rest))
	}
}
