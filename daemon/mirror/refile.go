package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// refileReach times the number that came early is how far from the end of the inbox messages are filed anew at most.
// What is out of order for another reason, deeper in, stays: renumbering half an inbox would help nobody.
const refileReach = 10

// refileTries is how often it is tried when the owner removes one of the messages at the same moment.
const refileTries = 3

// refile gives the messages that came early a place behind those that are older, once, when the inbox is complete for
// the first time. Only copies of ours that are still in the inbox are touched (L4). Each is here twice from the copy to
// the removal that follows its answer, and never missing.
func (r *round) refile(ctx context.Context) error {
	i := slices.IndexFunc(r.view.Folders, func(f FolderView) bool { return f.Folder.DestinationName == inbox })
	if !r.Refile || r.Newest <= 0 || i < 0 {
		return nil
	}
	view := &r.view.Folders[i]
	if !view.Folder.ComparedAt.IsZero() || !view.Listed || r.hasProblem(view.Folder.ID) {
		return nil
	}
	for range refileTries {
		again, err := r.refileOnce(ctx, view)
		if err != nil || !again {
			return err
		}
	}
	r.oddities = append(r.oddities, "destination: not-refiled: this server refuses to copy in the inbox: the newest messages stay in front of the older ones")
	return nil
}

func (r *round) refileOnce(ctx context.Context, view *FolderView) (again bool, err error) {
	rows, err := r.Ledger.Messages(ctx, view.Folder.ID)
	if err != nil {
		return false, err
	}
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return false, err
	}
	selected, err := conn.Select(ctx, inbox)
	if err != nil {
		return false, onDestination(err)
	}
	present, err := conn.UIDs(ctx)
	if err != nil {
		return false, onDestination(err)
	}
	early := outOfOrder(rows, ledger.Key{UIDValidity: view.UIDValidity}, ledger.Place{UIDValidity: selected.UIDValidity}, present, refileReach*r.Newest)
	if len(early) == 0 {
		return false, nil
	}
	r.phase("filing anew", r.names[view.Folder.ID])
	for _, run := range risingRuns(early) {
		next := max(selected.UIDNext, present[len(present)-1]+1, r.here[inbox].UIDNext)
		done, err := r.refileRun(ctx, conn, run, next)
		if err != nil || !done {
			return !done, err
		}
	}
	return false, nil
}

// outOfOrder returns the rows of the end of a folder, in the order of the source, that must get new places so that
// places rise like UIDs at the source. It is pure.
func outOfOrder(rows []ledger.Message, there ledger.Key, here ledger.Place, present []uint32, reach int) []ledger.Message {
	var ours []ledger.Message // rows come by UID at the source
	for _, row := range rows {
		if row.Stage == ledger.Confirmed && row.Fate == ledger.Copied && row.Appended && row.UIDValidity == there.UIDValidity &&
			row.Place.Folder == here.Folder && row.Place.UIDValidity == here.UIDValidity && has(present, row.Place.UID) {
			ours = append(ours, row)
		}
	}
	for i := max(1, len(ours)-reach); i < len(ours); i++ {
		if ours[i].Place.UID < ours[i-1].Place.UID {
			return ours[i:]
		}
	}
	return nil
}

// risingRuns cuts rows into parts whose places rise and fit one command: a server copies in the order of UIDs.
func risingRuns(rows []ledger.Message) (runs [][]ledger.Message) {
	from := 0
	for i := 1; i <= len(rows); i++ {
		if i < len(rows) && rows[i].Place.UID > rows[i-1].Place.UID {
			continue
		}
		run := rows[from:i]
		for _, set := range wire.Windows(placesOf(run)) {
			runs = append(runs, run[:set.Len()])
			run = run[set.Len():]
		}
		from = i
	}
	return runs
}

func placesOf(rows []ledger.Message) []uint32 {
	uids := make([]uint32, len(rows))
	for i, row := range rows {
		uids[i] = row.Place.UID
	}
	return uids
}

// refileRun is intent, copy, removal, confirmation. Not done: the server refused to copy, most likely because the owner
// has just removed one of the messages; nothing is left open then.
func (r *round) refileRun(ctx context.Context, conn destinationConn, rows []ledger.Message, next uint32) (done bool, err error) {
	r.batches++
	for i := range rows {
		rows[i].Intent = ledger.Intent{Batch: fmt.Sprintf("%s.%d", r.id, r.batches), UIDNext: next}
	}
	if err := r.record(ctx, "refile", func(tx *ledger.Tx) error { return tx.Refile(rows) }); err != nil {
		return false, err
	}
	copied, err := conn.CopyBehind(ctx, placesOf(rows))
	if err == nil && copied.UIDValidity != rows[0].Place.UIDValidity {
		err = destination.ErrNoCopyUID
	}
	if errors.Is(err, destination.ErrNoCopyUID) || wire.Refused(err) != nil && conn.Err() == nil {
		return false, r.settleRefiling(ctx) // every command was answered
	}
	if err != nil {
		return false, onDestination(err)
	}
	if err := conn.Expunge(ctx, placesOf(rows)); err != nil {
		return false, onDestination(err)
	}
	mark := r.here[inbox]
	mark.UIDNext = max(mark.UIDNext, slices.Max(copied.To)+1)
	mark.came += uint32(len(copied.To))
	return true, r.record(ctx, "refiled", func(tx *ledger.Tx) error {
		for _, row := range rows {
			place := row.Place
			place.UID = copied.To[slices.Index(copied.From, row.Place.UID)]
			if err := tx.Refiled(row.Key, place); err != nil {
				return err
			}
		}
		return nil
	})
}

// settleRefiling finishes what was begun, once no session can change the answer any more: a message that is here twice
// loses its old place, one that is here once is where it is. One that is nowhere was removed by its owner.
func (r *round) settleRefiling(ctx context.Context) error {
	rows, err := r.Ledger.Refiling(ctx, r.Account.ID)
	if err != nil || len(rows) == 0 {
		return err
	}
	r.phase("settling", "")
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return err
	}
	selected, err := conn.Select(ctx, inbox)
	if err != nil {
		return onDestination(err)
	}
	present, err := conn.UIDs(ctx)
	if err != nil {
		return onDestination(err)
	}
	v, err := r.judgeRefiling(ctx, conn, rows, selected.UIDValidity, present)
	if err != nil {
		return err
	}
	moved, stayed, err := r.removeTwice(ctx, conn, v.twice)
	if err != nil {
		return err
	}
	return r.record(ctx, "refiled", func(tx *ledger.Tx) error {
		for _, l := range slices.Concat(v.moved, moved, v.stayed, stayed) {
			if err := tx.Refiled(l.Row.Key, l.Place); err != nil {
				return err
			}
		}
		for _, row := range v.removed {
			if err := tx.Refiled(row.Key, row.Place); err != nil {
				return err
			}
			if err := tx.SetFate(row.Key, ledger.Deleted, reasonHere); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r *round) judgeRefiling(ctx context.Context, conn destinationConn, rows []ledger.Message, validity uint32, present []uint32) (refilings, error) {
	known, err := r.Ledger.Claimed(ctx, r.Account.ID, inbox, validity)
	if err != nil {
		return refilings{}, err
	}
	lowest := rows[0].Intent.UIDNext
	for _, row := range rows {
		lowest = min(lowest, row.Intent.UIDNext)
	}
	from, _ := slices.BinarySearch(present, lowest)
	sums := map[uint32]digest{}
	if unclaimed := without(present[from:], known); len(unclaimed) > 0 {
		_, err = conn.Digests(ctx, unclaimed, func(uid uint32, _ int64, sum digest) error { sums[uid] = sum; return nil })
	}
	return sortRefilings(rows, validity, present, sums), onDestination(err)
}

// refilings is what became of rows that were being filed anew.
type refilings struct {
	moved, twice, stayed []landing // where each is, or shall be
	removed              []ledger.Message
}

// sortRefilings is pure. Equal messages are interchangeable: those whose old place is empty choose first, so that
// nothing is called removed that is here.
func sortRefilings(rows []ledger.Message, validity uint32, present []uint32, copies map[uint32]digest) (v refilings) {
	free := map[digest][]uint32{}
	for _, uid := range present {
		if sum, read := copies[uid]; read {
			free[sum] = append(free[sum], uid)
		}
	}
	take := func(row ledger.Message) (place ledger.Place, found bool) {
		place = row.Place
		for i, uid := range free[row.Digest] {
			if uid >= row.Intent.UIDNext {
				free[row.Digest] = slices.Delete(free[row.Digest], i, i+1)
				place.UID = uid
				return place, true
			}
		}
		return place, false
	}
	var here []ledger.Message
	for _, row := range rows {
		if row.Place.UIDValidity != validity { // renumbered meanwhile: the planner finds them by their digests
			v.stayed = append(v.stayed, landing{row, row.Place})
		} else if has(present, row.Place.UID) {
			here = append(here, row)
		} else if place, found := take(row); found {
			v.moved = append(v.moved, landing{row, place})
		} else {
			v.removed = append(v.removed, row)
		}
	}
	for _, row := range here {
		if place, found := take(row); found {
			v.twice = append(v.twice, landing{row, place})
		} else {
			v.stayed = append(v.stayed, landing{row, row.Place})
		}
	}
	return v
}

// removeTwice removes the old one of two. What its owner marked on it since goes to the other. Those of which the other
// has gone in this very moment stay where they are.
func (r *round) removeTwice(ctx context.Context, conn destinationConn, twice []landing) (moved, stayed []landing, err error) {
	if len(twice) == 0 {
		return nil, nil, nil
	}
	flags := map[uint32]string{}
	err = conn.List(ctx, wire.UIDRange{From: 1}, func(e wire.Entry) error { flags[e.UID] = keepFlags(e.Flags); return nil })
	if err != nil {
		return nil, nil, onDestination(err)
	}
	var old []uint32
	for _, l := range twice {
		now, present := flags[l.Place.UID]
		if !present {
			stayed = append(stayed, landing{l.Row, l.Row.Place})
			continue
		}
		moved, old = append(moved, l), append(old, l.Row.Place.UID)
		add, _ := ledger.FlagChanges(now, flags[l.Row.Place.UID])
		add = slices.DeleteFunc(add, func(flag string) bool { return flag == `\Deleted` }) // ours, from a removal cut short
		if _, err := conn.StoreFlags(ctx, []uint32{l.Place.UID}, destination.AddFlags, add); err != nil {
			return nil, nil, onDestination(err)
		}
	}
	slices.Sort(old)
	return moved, stayed, onDestination(conn.Expunge(ctx, old))
}
