package mirror

import (
	"context"
	"fmt"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

const reasonParked = "its copy may have arrived here and its owner may have removed it: it is not copied again by itself"

// settle finds out what became of every message whose APPEND is in doubt. The caller has made sure that no session
// can still change the answer: it fenced, or all its commands were answered. All verdicts share one commit.
func (r *round) settle(ctx context.Context) error {
	rows, err := r.Ledger.Intended(ctx, r.Account.ID)
	if err != nil || len(rows) == 0 {
		return err
	}
	r.phase("settling", "")
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return err
	}
	s := settlement{round: r, conn: conn, places: map[int64]ledger.Folder{}}
	if s.listing, err = conn.Folders(ctx); err != nil {
		return onDestination(err)
	}
	if s.folders, err = r.Ledger.Folders(ctx, r.Account.ID); err != nil {
		return err
	}
	for _, f := range s.folders {
		s.places[f.ID] = f
	}
	if err := s.judgeAll(ctx, rows); err != nil {
		return err
	}
	if err := s.search(ctx); err != nil {
		return err
	}
	return s.record(ctx)
}

type settlement struct {
	*round
	conn    destinationConn
	listing []wire.Folder
	folders []ledger.Folder
	places  map[int64]ledger.Folder
	verdict verdict
}

// judgeAll looks at each destination folder that has messages in doubt.
func (s *settlement) judgeAll(ctx context.Context, rows []ledger.Message) error {
	byName := map[string][]ledger.Message{}
	for _, row := range rows {
		name := placeName(s.places[row.FolderID], row.Place)
		byName[name] = append(byName[name], row)
	}
	for _, name := range slices.Sorted(mapKeys(byName)) {
		d, err := s.look(ctx, name, byName[name])
		if err != nil {
			return err
		}
		v := judge(d)
		s.verdict.Landed = append(s.verdict.Landed, v.Landed...)
		s.verdict.Never = append(s.verdict.Never, v.Never...)
		s.verdict.Unclear = append(s.verdict.Unclear, v.Unclear...)
	}
	return nil
}

// look reads a destination folder: UIDs, and the digests of those few that are nobody's.
func (s *settlement) look(ctx context.Context, name string, rows []ledger.Message) (doubt, error) {
	d := doubt{Name: name, Rows: rows, Unclaimed: map[uint32]digest{}}
	if !s.exists(name) {
		return d, nil
	}
	lowest := rows[0].Intent.UIDNext
	for _, row := range rows {
		lowest = min(lowest, row.Intent.UIDNext)
		if row.Place.UIDValidity != rows[0].Place.UIDValidity {
			lowest = 1
		}
	}
	selected, err := s.conn.Examine(ctx, name)
	if err != nil {
		return d, onDestination(err)
	}
	d.UIDValidity, d.UIDNext = selected.UIDValidity, selected.UIDNext
	if d.UIDValidity != rows[0].Place.UIDValidity {
		lowest = 1
	}
	if d.UIDs, d.Known, err = s.since(ctx, name, selected.UIDValidity, lowest); err != nil {
		return d, err
	}
	if n := len(d.UIDs); n > 0 {
		d.UIDNext = max(d.UIDNext, d.UIDs[n-1]+1)
	}
	d.Unclaimed, err = s.digests(ctx, without(d.UIDs, d.Known))
	d.UIDs = slices.DeleteFunc(d.UIDs, func(uid uint32) bool { // those that vanished while we looked
		_, read := d.Unclaimed[uid]
		return !read && !has(d.Known, uid)
	})
	return d, err
}

func (s *settlement) exists(name string) bool {
	return slices.ContainsFunc(s.listing, func(f wire.Folder) bool { return f.Raw == name && f.Selectable })
}

// since returns the UIDs of the open folder from lowest on, and those that the ledger knows.
func (s *settlement) since(ctx context.Context, name string, validity, lowest uint32) (present, known []uint32, err error) {
	present, err = s.conn.UIDs(ctx)
	if err != nil {
		return nil, nil, onDestination(err)
	}
	known, err = s.Ledger.Claimed(ctx, s.Account.ID, name, validity)
	if err != nil {
		return nil, nil, err
	}
	from, _ := slices.BinarySearch(present, lowest)
	return present[from:], known, nil
}

// without returns the UIDs that are not among others; both ascending.
func without(uids, others []uint32) (rest []uint32) {
	for _, uid := range uids {
		if !has(others, uid) {
			rest = append(rest, uid)
		}
	}
	return rest
}

func (s *settlement) digests(ctx context.Context, uids []uint32) (map[uint32]digest, error) {
	sums := map[uint32]digest{}
	if len(uids) == 0 {
		return sums, nil
	}
	_, err := s.conn.Digests(ctx, uids, func(uid uint32, _ int64, sum digest) error { sums[uid] = sum; return nil })
	return sums, onDestination(err)
}

// search looks for unclear messages in the account's other folders: their owner may have moved them. Only messages
// that came there since the last finished pass can be ours. What is not found is parked.
func (s *settlement) search(ctx context.Context) error {
	for _, f := range s.listing {
		if len(s.verdict.Unclear) == 0 {
			return nil
		}
		if !f.Selectable || f.Problem != nil || f.Status.HasMessages && f.Status.Messages == 0 {
			continue
		}
		selected, err := s.conn.Examine(ctx, f.Raw)
		if wire.Refused(err) != nil {
			continue // one bad folder must not keep everything else in doubt; what is not found is parked
		}
		if err != nil {
			return onDestination(err)
		}
		present, known, err := s.since(ctx, f.Raw, selected.UIDValidity, s.lowest(f.Raw, selected.UIDValidity))
		if err != nil {
			return err
		}
		sums, err := s.digests(ctx, without(present, known))
		if err != nil {
			return err
		}
		if err := s.found(ctx, f.Raw, selected.UIDValidity, present, sums); err != nil {
			return err
		}
	}
	return nil
}

// lowest is the UIDNEXT that a folder had when the ledger last knew all of it: before any intent that is open now.
func (s *settlement) lowest(name string, validity uint32) uint32 {
	for _, f := range s.folders {
		if f.DestinationName == name && f.Destination.UIDValidity == validity {
			return f.Destination.UIDNext
		}
	}
	return 1
}

// found gives unclear messages what their owner may have moved to this folder. A copy that may as well be another
// message with the same bytes is given to nobody: the row would count as kept although its message never came (L1).
func (s *settlement) found(ctx context.Context, name string, validity uint32, present []uint32, sums map[uint32]digest) error {
	free := map[digest][]uint32{}
	for _, uid := range present {
		if sum, read := sums[uid]; read && !s.landed(name, uid) {
			free[sum] = append(free[sum], uid)
		}
	}
	var rest []ledger.Message
	for _, row := range s.verdict.Unclear {
		uids := free[row.Digest]
		own := placeName(s.places[row.FolderID], row.Place)
		if len(uids) == 0 || own == name { // there it was judged
			rest = append(rest, row)
			continue
		}
		twin, err := s.hasTwin(ctx, row, own)
		if err != nil {
			return err
		}
		if twin {
			rest = append(rest, row)
			continue
		}
		free[row.Digest] = uids[1:]
		place := ledger.Place{UIDValidity: validity, UID: uids[0]}
		if name != s.places[row.FolderID].DestinationName {
			place.Folder = name
		}
		s.verdict.Landed = append(s.verdict.Landed, landing{row, place})
	}
	s.verdict.Unclear = rest
	return nil
}

// hasTwin tells whether another row stands for a message with the same bytes in the same folder: then nobody knows
// which of the two was moved.
func (s *settlement) hasTwin(ctx context.Context, row ledger.Message, own string) (bool, error) {
	if slices.ContainsFunc(s.verdict.Landed, func(l landing) bool {
		return l.Row.Digest == row.Digest && placeName(s.places[l.Row.FolderID], l.Place) == own
	}) {
		return true, nil
	}
	rows, err := s.Ledger.Messages(ctx, row.FolderID)
	return slices.ContainsFunc(rows, func(m ledger.Message) bool {
		return m.Stage == ledger.Confirmed && m.Fate == ledger.Copied && m.Digest == row.Digest && placeName(s.places[m.FolderID], m.Place) == own
	}), err
}

// landed tells whether a message has just been given to a row.
func (s *settlement) landed(name string, uid uint32) bool {
	return slices.ContainsFunc(s.verdict.Landed, func(l landing) bool {
		return l.Place.UID == uid && placeName(s.places[l.Row.FolderID], l.Place) == name
	})
}

func (s *settlement) record(ctx context.Context) error {
	return s.round.record(ctx, "settle", func(tx *ledger.Tx) error {
		for _, l := range s.verdict.Landed {
			if err := tx.Confirm(l.Row.Key, l.Place); err != nil {
				return err
			}
		}
		for _, row := range s.verdict.Never {
			if err := tx.Forget(row.Key); err != nil {
				return err
			}
		}
		for _, row := range s.verdict.Unclear {
			reason := fmt.Sprintf("%s (folder %q, UIDs from %d)", reasonParked, placeName(s.places[row.FolderID], row.Place), row.Intent.UIDNext)
			if err := tx.Park(row.Key, reason); err != nil {
				return err
			}
		}
		return nil
	})
}
