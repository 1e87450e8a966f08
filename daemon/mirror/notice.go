package mirror

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// Notice writes the letter that tells an owner, in the inbox here, how far the move is. It is called from several
// goroutines and touches nothing.
type Notice interface {
	// Letter is the whole message of a revision. A revision always has the same Message-ID.
	Letter(revision int, s Standing) ([]byte, error)
	// Revision tells which revision has this Message-ID; ours is false when none has.
	Revision(messageID string) (revision int, ours bool)
}

// Standing is how far an account is.
type Standing struct {
	Messages, Copied     int // at the source, and of these here
	LeftOut              int // by a rule, refused or parked
	Folders, FoldersLeft int
	Complete             bool // everything was done
	At                   time.Time
}

// moment is when a notice may be written.
type moment int

const (
	atBeginning moment = iota // the newest messages are here
	between                   // two chunks
	atEnd
)

const defaultNoticeEvery = time.Hour

// noticeDue decides whether a new revision is due. It is pure.
func (r *round) noticeDue(n ledger.Notice, when moment) bool {
	switch {
	case n.Gone || n.Complete:
		return false
	case when == atEnd && len(r.problems) == 0: // it says that all is here
		return r.Welcome || n.Revision > 0
	case n.Revision == 0 || n.UID == 0:
		return r.Welcome && when == atBeginning && r.muchToList()
	}
	return r.Now().Sub(n.WrittenAt) >= r.NoticeEvery
}

// muchToList: else everything is here before anybody has read that it is coming.
func (r *round) muchToList() bool {
	lines := 0
	for _, id := range r.worked {
		lines += r.toList(r.folders[id])
	}
	return lines > r.Newest
}

// notify writes a new revision of the notice when one is due. It is no message of the source: a server that refuses it
// holds up nothing.
func (r *round) notify(ctx context.Context, pr *pair, when moment) error {
	if err := r.tellStanding(ctx, when); err != nil {
		return err
	}
	if r.Notice == nil || r.here[inbox] == nil || !r.here[inbox].exists {
		return nil
	}
	r.noticing.Lock()
	defer r.noticing.Unlock()
	n, err := r.Ledger.Notice(ctx, r.Account.ID)
	if err != nil || n.IntentUIDNext != 0 || !r.noticeDue(n, when) {
		return err
	}
	if err := pr.finish(ctx); err != nil {
		return err
	}
	s, err := r.standing(ctx, when)
	if err != nil || n.Revision > 0 && !s.Complete && s.Copied == n.Copied {
		return err
	}
	conn, err := pr.to(ctx)
	if err != nil {
		return err
	}
	before := r.markHere()
	if err := r.writeNotice(ctx, conn, n, s); err != nil {
		if wire.Refused(err) != nil && conn.Err() == nil {
			r.remark("the notice to its owner was refused here: %v", err)
			return nil
		}
		return err
	}
	return r.carryMark(ctx, before)
}

// tellStanding lets others say how far the account is. Counting reads the ledger, so that it waits between two chunks.
func (r *round) tellStanding(ctx context.Context, when moment) error {
	if r.Tell == nil {
		return nil
	}
	r.noticing.Lock()
	defer r.noticing.Unlock()
	if when == between && r.Now().Sub(r.toldAt) < r.NoticeEvery {
		return nil
	}
	s, err := r.standing(ctx, when)
	if err != nil {
		return err
	}
	r.toldAt = s.At
	r.Tell(s)
	return nil
}

// standing counts what the notice tells.
func (r *round) standing(ctx context.Context, when moment) (Standing, error) {
	s := Standing{Complete: when == atEnd && len(r.problems) == 0, At: r.Now()}
	counts, err := r.Ledger.Count(ctx, r.Account.ID)
	for _, c := range counts {
		line, listed := r.listing[c.SourceName]
		left := c.Fates[ledger.Skipped] + c.Fates[ledger.Refused] + c.Parked
		s.LeftOut += left
		if !listed || !line.Selectable || r.rules[c.FolderID].skip != "" {
			continue
		}
		settled := c.Present - c.Intended
		s.Copied += max(0, settled-left)
		s.Messages += max(settled, int(line.Status.Messages)) - left
		s.Folders++
		if settled < int(line.Status.Messages) {
			s.FoldersLeft++
		}
	}
	return s, err
}

// writeNotice puts a revision at the end of the inbox and removes the one before: intent, append, removal, confirmation.
// Two are here for one round trip to Dovecot, and none never. What the owner marked on the old one goes along.
func (r *round) writeNotice(ctx context.Context, conn destinationConn, n ledger.Notice, s Standing) error {
	selected, err := conn.Select(ctx, inbox)
	if err != nil {
		return onDestination(err)
	}
	wasHere := n.UID != 0
	if n, err = r.knowNotice(ctx, conn, n, selected); err != nil {
		return err
	}
	flags, there, err := flagsOf(ctx, conn, n.UID)
	if err != nil {
		return err
	}
	if wasHere && !there {
		return r.noticeGone(ctx, n)
	}
	old := n.UID
	n.Revision++
	n.UIDValidity, n.Complete, n.Copied, n.WrittenAt = selected.UIDValidity, s.Complete, s.Copied, s.At
	if n.UID, err = r.appendNotice(ctx, conn, n, old, s, flags); err != nil || n.UID == 0 {
		return err
	}
	if old != 0 {
		n.Gone, err = r.removeOld(ctx, conn, old, n.UID)
		if wire.Refused(err) != nil && conn.Err() == nil {
			r.inDoubt(inbox)
			return r.settleNotice(ctx, conn) // every command that wrote it was answered
		}
		if err != nil {
			return err
		}
		if n.Gone {
			n.UID = 0
		}
	}
	return r.record(ctx, "notice", func(tx *ledger.Tx) error { return tx.SaveNotice(n) })
}

// removeOld removes the revision before. Had its owner removed it in this very moment, the new one goes (L3).
func (r *round) removeOld(ctx context.Context, conn destinationConn, old, written uint32) (gone bool, err error) {
	_, there, err := flagsOf(ctx, conn, old)
	if err != nil {
		return false, err
	}
	if !there {
		old = written
	}
	if err := conn.Expunge(ctx, []uint32{old}); err != nil {
		return false, onDestination(err)
	}
	r.leftHere(1)
	return !there, nil
}

// flagsOf returns the flags of a message of the open folder; there is false when it is not there, or about to go.
func flagsOf(ctx context.Context, conn destinationConn, uid uint32) (flags []string, there bool, err error) {
	if uid == 0 {
		return nil, false, nil
	}
	err = conn.Flags(ctx, []uint32{uid}, func(_ uint32, now []string) { flags, there = now, true })
	return flags, there && !slices.Contains(flags, `\Deleted`), onDestination(err)
}

// appendNotice returns the UID of the new revision. 0: nobody knows it, and what is here was looked at instead.
func (r *round) appendNotice(ctx context.Context, conn destinationConn, n ledger.Notice, old uint32, s Standing, flags []string) (uint32, error) {
	text, err := r.Notice.Letter(n.Revision, s)
	if err != nil {
		return 0, err
	}
	b := conn.BeginAppend(inbox)
	if _, err := b.Add(ctx, destination.Item{Flags: flags, InternalDate: s.At, Size: int64(len(text))}, bytes.NewReader(text)); err != nil {
		return 0, onDestination(err)
	}
	before := n
	before.UID, before.IntentUIDNext = old, max(r.markHere().UIDNext, 1)
	if err := r.record(ctx, "notice intended", func(tx *ledger.Tx) error { return tx.SaveNotice(before) }); err != nil {
		b.Abort()
		return 0, err
	}
	if err := b.Send(ctx); err != nil {
		r.lostAnswer()
		return 0, onDestination(err)
	}
	appended, err := b.Wait(ctx)
	switch {
	case err == nil && appended.UIDValidity == n.UIDValidity:
		r.arrived(inbox, appended)
		return appended.UIDs[0], nil
	case err == nil || errors.Is(err, destination.ErrNoAppendUID) || wire.Refused(err) != nil && conn.Err() == nil:
		r.inDoubt(inbox)
		if settleErr := r.settleNotice(ctx, conn); settleErr != nil { // every command that wrote it was answered
			return 0, settleErr
		}
		return 0, onDestination(err)
	}
	r.lostAnswer()
	return 0, onDestination(err)
}

func (r *round) noticeGone(ctx context.Context, n ledger.Notice) error {
	n.Gone, n.UID, n.IntentUIDNext = true, 0, 0
	return r.record(ctx, "notice gone", func(tx *ledger.Tx) error { return tx.SaveNotice(n) })
}

// knowNotice looks for the letter where its UID is not known: the inbox was renumbered, or the ledger was lost.
func (r *round) knowNotice(ctx context.Context, conn destinationConn, n ledger.Notice, selected wire.Selected) (ledger.Notice, error) {
	if n.Revision > 0 && (n.UID == 0 || n.UIDValidity == selected.UIDValidity) {
		return n, nil
	}
	n.UID, n.UIDValidity = 0, selected.UIDValidity
	found, err := r.noticesFrom(ctx, conn, selected.UIDValidity, 1)
	for _, f := range found {
		if f.revision >= n.Revision {
			n.Revision, n.UID = f.revision, f.uid
		}
	}
	return n, err
}

// sightedNotice is a revision and where it is.
type sightedNotice struct {
	revision int
	uid      uint32
}

// noticesFrom finds revisions of the letter among messages of the open inbox that are nobody's, by UID.
func (r *round) noticesFrom(ctx context.Context, conn destinationConn, validity, lowest uint32) (found []sightedNotice, err error) {
	present, err := conn.UIDs(ctx)
	if err != nil {
		return nil, onDestination(err)
	}
	known, err := r.Ledger.Claimed(ctx, r.Account.ID, inbox, validity)
	if err != nil {
		return nil, err
	}
	from, _ := slices.BinarySearch(present, lowest)
	_, err = conn.Headers(ctx, without(present[from:], known), identityFields, func(uid uint32, header []byte) error {
		if revision, ours := r.Notice.Revision(strings.TrimSpace(letter.ReadIdentity(header).MessageID)); ours {
			found = append(found, sightedNotice{revision, uid})
		}
		return nil
	})
	slices.SortFunc(found, func(a, b sightedNotice) int { return int(a.uid) - int(b.uid) })
	return found, onDestination(err)
}

func (r *round) markHere() ledger.Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.here[inbox].Mark
}

func (r *round) leftHere(messages uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.here[inbox].Messages -= messages
}

// carryMark lets folders that this pass did not work on know the inbox as it is after the notice, or the next pass would
// look for what has come.
func (r *round) carryMark(ctx context.Context, before ledger.Mark) error {
	r.mu.Lock()
	here := *r.here[inbox]
	r.mu.Unlock()
	if here.doubtful || here.Mark == before {
		return nil
	}
	var changed []*ledger.Folder
	for id, f := range r.folders {
		if f.DestinationName == inbox && f.Destination == before && !slices.Contains(r.worked, id) {
			f.Destination, f.Ours = here.Mark, false
			changed = append(changed, f)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return r.record(ctx, "marks", func(tx *ledger.Tx) error {
		for _, f := range changed {
			if err := tx.SaveFolder(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// settleNotice finds out whether a revision that was begun is here. Nothing that we sent can take effect any more. It is
// never written again unless it is certain that it never came: else its owner may have removed it (L3).
func (r *round) settleNotice(ctx context.Context, conn destinationConn) error {
	n, err := r.Ledger.Notice(ctx, r.Account.ID)
	if err != nil || n.IntentUIDNext == 0 || r.Notice == nil {
		return err
	}
	selected, err := conn.Select(ctx, inbox)
	if err != nil {
		return onDestination(err)
	}
	lowest := n.IntentUIDNext
	if n.UIDValidity != selected.UIDValidity {
		lowest = 1
	}
	found, err := r.noticesFrom(ctx, conn, selected.UIDValidity, lowest)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(found, func(f sightedNotice) bool { return f.revision == n.Revision })
	if i >= 0 {
		if n.UIDValidity == selected.UIDValidity {
			err = replaceHere(ctx, conn, n.UID, found[i].uid)
		}
		n.UIDValidity, n.UID = selected.UIDValidity, found[i].uid
	} else if err = r.neverCame(ctx, conn, &n, selected); err == nil && n.Gone {
		n.UID = 0
	}
	if err != nil {
		return err
	}
	n.IntentUIDNext = 0
	return r.record(ctx, "notice settled", func(tx *ledger.Tx) error { return tx.SaveNotice(n) })
}

// replaceHere removes the old one of two revisions. What its owner marked on it since goes to the new one.
func replaceHere(ctx context.Context, conn destinationConn, old, written uint32) error {
	if old == 0 {
		return nil
	}
	flags := map[uint32]string{}
	err := conn.Flags(ctx, []uint32{old, written}, func(uid uint32, now []string) { flags[uid] = keepFlags(now) })
	if err != nil {
		return onDestination(err)
	}
	before, there := flags[old]
	if !there {
		return nil
	}
	add, _ := ledger.FlagChanges(flags[written], before)
	add = slices.DeleteFunc(add, func(flag string) bool { return flag == `\Deleted` }) // ours, from a removal cut short
	if _, err := conn.StoreFlags(ctx, []uint32{written}, destination.AddFlags, add); err != nil {
		return onDestination(err)
	}
	return onDestination(conn.Expunge(ctx, []uint32{old}))
}

// neverCame decides about a revision that is not here. It never came if every UID since its intent is accounted for.
func (r *round) neverCame(ctx context.Context, conn destinationConn, n *ledger.Notice, selected wire.Selected) error {
	present, err := conn.UIDs(ctx)
	if err != nil {
		return onDestination(err)
	}
	known, err := r.Ledger.Claimed(ctx, r.Account.ID, inbox, selected.UIDValidity)
	if err != nil {
		return err
	}
	next := selected.UIDNext
	if len(present) > 0 {
		next = max(next, present[len(present)-1]+1)
	}
	d := doubt{UIDNext: next, UIDs: present, Known: known}
	n.Gone = n.UIDValidity != selected.UIDValidity || d.vanished(n.IntentUIDNext) > 0 || n.UID != 0 && !has(present, n.UID)
	n.Complete, n.WrittenAt = false, time.Time{}
	return nil
}
