package mirror

import (
	"cmp"
	"errors"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// A message over which the source ends the connection, every time it is asked for, must not keep its folder's other
// messages there. After the first such end the folder's next messages are asked for one by one; the one over which the
// connection ends again is left out of this pass, and told.

// guiltyMost is how many messages a pass may find so, a connection each.
const guiltyMost = 20

// brokenChunk is a chunk during which the connection ended. Of what it had not brought, at most one batch had come.
type brokenChunk struct {
	wire.UIDRange
	batch int // messages
}

// oneByOne takes the guilty messages out of an append, and cuts chunks of one message where the connection ended: the
// guilty one is the next after a batch at the latest.
func (r *round) oneByOne(a Append, validity uint32) (alone []chunk, rest []SourceMessage) {
	if len(r.guilty) == 0 && len(r.broken[a.FolderID]) == 0 { // nearly always: no second list of 100,000 messages
		return nil, a.Messages
	}
	f, counts := r.folders[a.FolderID], map[brokenChunk]int{}
	for i, m := range a.Messages {
		if _, guilty := r.guilty[ledger.Key{FolderID: a.FolderID, UIDValidity: validity, UID: m.UID}]; guilty {
			continue
		}
		near := slices.IndexFunc(r.broken[a.FolderID], func(b brokenChunk) bool { return b.Contains(m.UID) && counts[b] <= b.batch })
		if near < 0 {
			rest = append(rest, m)
			continue
		}
		counts[r.broken[a.FolderID][near]]++
		alone = append(alone, chunk{folder: f, validity: validity, messages: a.Messages[i : i+1], alone: true})
	}
	return alone, rest
}

// tellGuilty makes the folders unfinished (L1) from which messages were left out.
func (r *round) tellGuilty() {
	keys := map[int64][]ledger.Key{}
	for key := range r.guilty {
		keys[key.FolderID] = append(keys[key.FolderID], key)
	}
	for id, left := range keys {
		first := slices.MinFunc(left, func(a, b ledger.Key) int { return cmp.Compare(a.UID, b.UID) })
		r.problem(id, "the source ends the connection over %d of its messages (the first has UID %d): %v", len(left), first.UID, r.guilty[first])
	}
}

// blame finds out what a connection ended over while a chunk was copied.
func (r *round) blame(c chunk, err error) error {
	var broken *folderBreak
	if !errors.As(err, &broken) {
		return err
	}
	batch := r.batchSize(c.folder)
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.alone {
		broken.message = &ledger.Key{FolderID: c.folder.ID, UIDValidity: c.validity, UID: c.messages[0].UID}
		return err
	}
	uids := uidsOf(c.messages)
	r.broken[c.folder.ID] = append(r.broken[c.folder.ID], brokenChunk{wire.UIDRange{From: slices.Min(uids), To: slices.Max(uids)}, batch})
	return err
}

// condemn leaves the message out for which a connection ended. False: it was none, or there are too many.
func (p *pass) condemn(broken *folderBreak) bool {
	if broken.message == nil || len(p.guilty) >= guiltyMost {
		return false
	}
	p.guilty[*broken.message] = broken.err
	return true
}
