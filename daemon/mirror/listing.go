package mirror

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
	"mailstork/daemon/mirror/wire"
)

var errNoLastingUIDs = errors.New("the source does not number its messages lastingly, so no copy of them could be kept in step")

// cappedMessages: servers that show a part of a folder only (Gmail by a setting of its owner, Yahoo's usual host) stop
// at so many, or a multiple.
const cappedMessages = 1000

// listSource lists a source folder: what changed since its mark where that can be trusted, else everything.
func (r *round) listSource(ctx context.Context, pr *pair, view *FolderView, status wire.Status) error {
	selected, err := pr.examine(ctx, view.Folder.SourceName)
	if err != nil {
		return onSource(err)
	}
	if selected.UIDValidity == 0 || selected.UIDNotSticky {
		r.problem(view.Folder.ID, "%v", errNoLastingUIDs)
		return nil
	}
	view.Listed, view.UIDValidity = true, selected.UIDValidity
	if selected.Exists > 0 && r.trustsChanges(pr, view, selected, status) {
		complete, err := r.listChanges(ctx, pr, view)
		if wire.Refused(err) != nil { // it offers CONDSTORE and knows no CHANGEDSINCE
			err, view.Messages = nil, nil
		}
		if err != nil || complete {
			return onSource(err)
		}
	}
	r.mu.Lock()
	r.compared[view.Folder.ID] = true
	r.mu.Unlock()
	if selected.Exists == 0 && status.Messages == 0 { // when the two differ, neither is believed
		return nil
	}
	if err := r.listAll(ctx, pr, view); err != nil {
		return onSource(err)
	}
	if n := len(view.UIDs); n > 0 && n%cappedMessages == 0 {
		r.remark("folder-cap: %q shows exactly %d messages: its server may hide the others", r.names[view.Folder.ID], n)
	}
	return nil
}

// trustsChanges: a modseq that went backwards (Dovecot rebuilt its index) or another UIDVALIDITY needs a full listing,
// and so does a folder that the last pass did not finish, or that was not compared for long.
func (r *round) trustsChanges(pr *pair, view *FolderView, selected wire.Selected, status wire.Status) bool {
	mark := view.Folder.Source
	return r.trustsMark(&view.Folder, status) && pr.source.Has("CONDSTORE") &&
		mark.UIDValidity == selected.UIDValidity && selected.UIDNext >= mark.UIDNext
}

// trustsMark is the part of trustsChanges that does not need an open folder.
func (r *round) trustsMark(f *ledger.Folder, status wire.Status) bool {
	return f.Problem == "" && !r.ruledAnew(f) && r.Now().Sub(f.ComparedAt) < r.CompareEvery && f.Source.ModSeq > 0 && f.Source.UIDNext > 0 &&
		status.HasHighestModSeq && status.HighestModSeq >= f.Source.ModSeq
}

func (r *round) listAll(ctx context.Context, pr *pair, view *FolderView) (err error) {
	if view.UIDs, err = pr.source.UIDs(ctx); err != nil {
		return err
	}
	view.Messages = make([]SourceMessage, 0, len(view.UIDs)) // growing would take twice the memory
	if len(view.UIDs) == 0 {                                 // some servers answer BAD to a FETCH of nothing
		return nil
	}
	return r.listFrom(ctx, pr, view, 1)
}

// listChanges asks for UIDs, changed flags and new messages only. It is incomplete when a message below the mark has
// no row: then the mark was wrong.
func (r *round) listChanges(ctx context.Context, pr *pair, view *FolderView) (complete bool, err error) {
	mark := view.Folder.Source
	if view.UIDs, err = pr.source.UIDs(ctx); err != nil {
		return false, err
	}
	if err := r.readRows(view); err != nil {
		return false, err
	}
	if rowless := withoutRow(view); len(rowless) > 0 && rowless[0] < mark.UIDNext {
		return false, nil
	}
	err = pr.source.Changes(ctx, mark.ModSeq, func(e wire.Entry) error {
		if e.UID < mark.UIDNext {
			view.Messages = append(view.Messages, messageOf(e))
		}
		return nil
	})
	view.sortMessages()
	if n := len(view.UIDs); err == nil && n > 0 && view.UIDs[n-1] >= mark.UIDNext {
		err = r.listFrom(ctx, pr, view, mark.UIDNext)
	}
	return err == nil, err
}

// listFrom adds the lines of all messages from a UID on. The search told which messages there are: a message that
// has neither line nor row is missed, and one that only the lines know has just arrived.
func (r *round) listFrom(ctx context.Context, pr *pair, view *FolderView, from uint32) error {
	err := pr.source.List(ctx, wire.UIDRange{From: from}, func(e wire.Entry) error {
		view.Messages = append(view.Messages, messageOf(e))
		return nil
	})
	if err != nil {
		return err
	}
	view.sortMessages()
	var arrived []uint32
	for _, m := range view.Messages {
		if !has(view.UIDs, m.UID) {
			arrived = append(arrived, m.UID)
		}
	}
	view.UIDs = append(view.UIDs, arrived...)
	slices.Sort(view.UIDs)
	if err := r.readRows(view); err != nil {
		return err
	}
	var missing []uint32
	for _, uid := range withoutRow(view) {
		if _, listed := find(view.Messages, uid); !listed {
			missing = append(missing, uid)
		}
	}
	return r.missed(ctx, pr, view, missing)
}

// sortMessages: a server may tell them in any order, and the planner walks them.
func (f *FolderView) sortMessages() {
	slices.SortFunc(f.Messages, func(a, b SourceMessage) int { return cmp.Compare(a.UID, b.UID) })
}

// withoutRow returns the listed UIDs that no living row stands for.
func withoutRow(view *FolderView) (uids []uint32) {
	i, rows := 0, view.Rows
	for _, uid := range view.UIDs {
		for i < rows.Len() && (rows.Key(i).UIDValidity != view.UIDValidity || rows.Key(i).UID < uid) {
			i++
		}
		if i == rows.Len() || rows.Key(i).UID != uid || rows.Gone(i) {
			uids = append(uids, uid)
		}
	}
	return uids
}

// missed takes messages out of the view that the source listed and then did not hand out. When it still lists them,
// the folder is not finished (L1); else they have just been deleted there.
func (r *round) missed(ctx context.Context, pr *pair, view *FolderView, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	slices.Sort(uids)
	view.Messages = slices.DeleteFunc(view.Messages, func(m SourceMessage) bool { return has(uids, m.UID) })
	view.UIDs = slices.DeleteFunc(view.UIDs, func(uid uint32) bool { return has(uids, uid) })
	listed, err := pr.source.UIDs(ctx)
	if err != nil {
		return err
	}
	still := slices.DeleteFunc(slices.Clone(uids), func(uid uint32) bool { return !has(listed, uid) })
	if len(still) > 0 {
		r.problem(view.Folder.ID, "the source lists %d messages that it does not hand out (the first has UID %d)", len(still), still[0])
	}
	return nil
}

func messageOf(e wire.Entry) SourceMessage {
	m := SourceMessage{UID: e.UID, FlagsKnown: e.HasFlags, Flags: keepFlags(e.Flags), Origin: e.Origin}
	if e.HasSize {
		m.Size = int64(e.Size)
	}
	if e.HasDate {
		m.Date = e.InternalDate.Unix()
	}
	return m
}

// keepFlags is what of a message's flags shall be here (L6): everything except \Recent, which belongs to a session. What
// this server can't keep (a flag like \$NOTJUNK, say) is found out, and told, when the message is stored. \Deleted is
// kept: its owner deleted the message and mail programs hide it; without the flag it would come back.
func keepFlags(flags []string) string {
	kept := make([]string, 0, len(flags))
	for _, flag := range flags {
		if spelled, system := wire.SystemFlag(flag); system {
			flag = spelled
		} else if strings.EqualFold(flag, `\Recent`) {
			continue
		}
		kept = append(kept, flag)
	}
	return ledger.JoinFlags(kept)
}

// fill reads what the planner needs to know of a few messages, until it needs nothing more.
func (r *round) fill(ctx context.Context) error {
	for {
		needs := r.view.Needs()
		if needs.Empty() {
			return nil
		}
		if err := r.readSource(ctx, needs); err != nil {
			return err
		}
		if err := r.readHere(ctx, needs); err != nil {
			return err
		}
	}
}

func (r *round) readSource(ctx context.Context, needs Needs) error {
	pr := r.pairs[0]
	var needed []*FolderView
	for i := range r.view.Folders {
		if id := r.view.Folders[i].Folder.ID; len(needs.SourceHeaders[id])+len(needs.SourceBodies[id]) > 0 {
			needed = append(needed, &r.view.Folders[i])
		}
	}
	asked := 0
	next := func() (v wire.Visit, ok bool) {
		if ok = asked < len(needed) && !r.stepwise; ok {
			f := needed[asked].Folder
			v = wire.Visit{Raw: f.SourceName, Headers: needs.SourceHeaders[f.ID], Fields: letter.FingerprintFields, Fetch: needs.SourceBodies[f.ID]}
			asked++
		}
		return v, ok
	}
	for i, view := range needed {
		r.phase("recognising", r.names[view.Folder.ID])
		asked = max(asked, i)
		err := r.readMessages(ctx, pr, view, needs.SourceHeaders[view.Folder.ID], needs.SourceBodies[view.Folder.ID], next)
		if err := r.folderError(ctx, pr, &view.Folder, onSource(err)); err != nil {
			return err
		}
		if r.hasProblem(view.Folder.ID) { // it takes no further part
			view.Listed, view.Messages, view.UIDs = false, nil, nil
		}
	}
	return nil
}

func (r *round) readMessages(ctx context.Context, pr *pair, view *FolderView, headers, bodies []uint32, next wire.Foresight) error {
	conn, err := pr.from(ctx)
	if err != nil {
		return err
	}
	if err := conn.Ahead(ctx, next); err != nil {
		return err
	}
	if _, err := pr.examine(ctx, view.Folder.SourceName); err != nil {
		return err
	}
	lost, err := pr.source.Headers(ctx, headers, letter.FingerprintFields, func(uid uint32, header []byte) error {
		if m, asked := find(view.Messages, uid); asked {
			m.HeaderRead, m.Fingerprint = true, letter.ReadIdentity(header).Fingerprint()
		}
		return nil
	})
	if err != nil {
		return err
	}
	lostBodies, err := pr.source.Fetch(ctx, bodies, func(message wire.Message) error {
		sum := letter.NewDigest()
		_, err := io.Copy(sum, message.Body)
		if m, asked := find(view.Messages, message.UID); asked && err == nil {
			m.BodyRead, m.Digest = true, sum.Sum()
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.missed(ctx, pr, view, slices.Concat(lost, lostBodies))
}

// find returns the message with a UID.
func find(messages []SourceMessage, uid uint32) (*SourceMessage, bool) {
	i, found := slices.BinarySearchFunc(messages, uid, func(m SourceMessage, uid uint32) int { return cmp.Compare(m.UID, uid) })
	if !found {
		return nil, false
	}
	return &messages[i], true
}

func (r *round) readHere(ctx context.Context, needs Needs) error {
	conn := r.pairs[0].destination
	for _, name := range slices.Sorted(mapKeys(r.view.Destinations)) {
		headers, bodies := needs.DestinationHeaders[name], needs.DestinationBodies[name]
		if len(headers)+len(bodies) == 0 {
			continue
		}
		if _, err := conn.Examine(ctx, name); err != nil {
			return onDestination(err)
		}
		if err := readForeign(ctx, conn, r.view.Destinations[name], headers, bodies); err != nil {
			return onDestination(err)
		}
	}
	return nil
}

func readForeign(ctx context.Context, conn destinationConn, view *DestinationView, headers, bodies []uint32) error {
	foreign := map[uint32]*DestinationMessage{}
	for i := range view.Foreign {
		foreign[view.Foreign[i].UID] = &view.Foreign[i]
	}
	gone, err := conn.Headers(ctx, headers, letter.FingerprintFields, func(uid uint32, header []byte) error {
		foreign[uid].HeaderRead, foreign[uid].Fingerprint = true, letter.ReadIdentity(header).Fingerprint()
		return nil
	})
	if err != nil {
		return err
	}
	if len(headers) > 0 {
		err = conn.List(ctx, wire.UIDRange{From: headers[0], To: headers[len(headers)-1]}, func(e wire.Entry) error {
			if m := foreign[e.UID]; m != nil && e.HasSize {
				m.Size = int64(e.Size)
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	goneBodies, err := conn.Digests(ctx, bodies, func(uid uint32, _ int64, sum digest) error {
		foreign[uid].BodyRead, foreign[uid].Digest = true, sum
		return nil
	})
	gone = append(gone, goneBodies...)
	slices.Sort(gone)
	view.Foreign = slices.DeleteFunc(view.Foreign, func(m DestinationMessage) bool { return has(gone, m.UID) })
	return err
}
