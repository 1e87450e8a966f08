package mirror

import (
	"fmt"
	"testing"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
)

// changedView is an account of 100,000 messages of which one in a hundred is new, one has another flag, and one left.
func changedView() View {
	const folders, messages, validity = 4, 25_000, 7
	v := View{Rows: folders * messages, Destinations: map[string]*DestinationView{}}
	for i := range folders {
		name := fmt.Sprintf("Folder %d", i)
		f := FolderView{Folder: ledger.Folder{ID: int64(i + 1), SourceName: name, DestinationName: name}, Listed: true, UIDValidity: validity}
		here := &DestinationView{UIDValidity: validity, UIDNext: messages + 1}
		for uid := uint32(1); uid <= messages*101/100; uid++ {
			size := int64(2000 + uid%2000)
			row := ledger.Message{
				Key: ledger.Key{FolderID: f.Folder.ID, UIDValidity: validity, UID: uid}, Stage: ledger.Confirmed, Fate: ledger.Copied, Appended: true,
				Place: ledger.Place{UIDValidity: validity, UID: uid}, Digest: [letter.DigestSize]byte{1, byte(uid)}, Fingerprint: letter.Fingerprint{byte(i), byte(uid), byte(uid >> 8)},
				Size: size, Flags: `\Seen`,
			}
			if uid <= messages {
				f.Rows.Append(row)
				here.UIDs = append(here.UIDs, uid)
			}
			if uid%100 != 1 || uid > messages {
				f.UIDs = append(f.UIDs, uid)
			}
			if uid%100 == 2 || uid > messages {
				f.Messages = append(f.Messages, SourceMessage{UID: uid, Size: size, FlagsKnown: true, HeaderRead: uid > messages, Fingerprint: letter.Fingerprint{255, byte(uid), byte(uid >> 8)}})
			}
		}
		v.Folders = append(v.Folders, f)
		v.Destinations[name] = here
	}
	return v
}

// BenchmarkNeeds is done at least once in a pass that has something to do.
func BenchmarkNeeds(b *testing.B) {
	v := changedView()
	for b.Loop() {
		if n := v.Needs(); !n.Empty() {
			b.Fatal(n)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	v := changedView()
	for b.Loop() {
		if got := len(Plan(v)); got != 4+1000+1000+1000 { // one append for a folder; what left is noted and removed
			b.Fatal(got)
		}
	}
}
