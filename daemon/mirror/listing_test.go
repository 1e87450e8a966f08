package mirror

import (
	"context"
	"testing"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// backwards is a source that tells changes from the newest message to the oldest, as RFC 9051 §7.5.2 does not forbid.
type backwards struct{ sourceConn }

func (backwards) UIDs(context.Context) ([]uint32, error) { return []uint32{1, 2, 3}, nil }

func (backwards) Changes(_ context.Context, _ uint64, fn func(wire.Entry) error) error {
	for uid := uint32(3); uid > 0; uid-- {
		if err := fn(wire.Entry{UID: uid, HasFlags: true, Flags: []string{`\Flagged`}}); err != nil {
			return err
		}
	}
	return nil
}

func TestChangesToldInAnyOrderAreAllSeen(t *testing.T) {
	view := &FolderView{Folder: ledger.Folder{ID: 1, Source: ledger.Mark{UIDValidity: 7, UIDNext: 4, ModSeq: 9}}, Listed: true, UIDValidity: 7}
	of := &reading{done: make(chan struct{})}
	for uid := range uint32(3) {
		of.rows.Append(ledger.Message{Key: ledger.Key{FolderID: 1, UIDValidity: 7, UID: uid + 1}, Stage: ledger.Confirmed, Fate: ledger.Copied})
	}
	close(of.done)
	r := &round{pass: &pass{}, rows: map[int64]*reading{1: of}}
	if complete, err := r.listChanges(t.Context(), &pair{source: backwards{}}, view); err != nil || !complete {
		t.Fatal(complete, err)
	}
	if changed := compare(view, Policy{}, nil).changed; len(changed) != 3 {
		t.Errorf("%d of 3 changes were seen", len(changed))
	}
}
