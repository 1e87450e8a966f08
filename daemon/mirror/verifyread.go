package mirror

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
	"mailstork/daemon/mirror/wire"
)

// readSource lists every folder of the source, and takes the digest of each message.
func (v *verifier) readSource(ctx context.Context) error {
	for i, line := range v.there {
		v.tell(func(now *Progress) { now.Folder = v.report.Folders[i].Name })
		err := v.readSourceFolder(ctx, int32(i), line)
		switch {
		case err != nil && wire.Refused(err) != nil && v.pairs[0].source.Err() == nil:
			v.report.Folders[i].Problem = fmt.Sprintf("the source refuses to open it: %v", wire.Refused(err))
		case err != nil:
			return fmt.Errorf("verifying folder %q: %w", line.Raw, err)
		}
	}
	return nil
}

func (v *verifier) readSourceFolder(ctx context.Context, folder int32, line wire.Folder) error {
	selected, err := v.pairs[0].examine(ctx, line.Raw)
	if err != nil {
		return onSource(err)
	}
	v.validity[folder] = selected.UIDValidity
	uids, err := v.pairs[0].source.UIDs(ctx)
	if err != nil {
		return onSource(err)
	}
	rows, err := v.Ledger.Messages(ctx, v.known[line.Raw].ID)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(m ledger.Message) bool { return m.UIDValidity != selected.UIDValidity })
	if v.how.Reread {
		return v.reread(ctx, folder, line.Raw, v.withoutCovered(folder, uids, rows))
	}
	for _, uid := range uids {
		m := sighting{uid: uid, folder: folder}
		if row, found := rowOfUID(rows, uid); found && row.Stage != ledger.Intended {
			m.sum, m.size, m.date = row.Digest, row.Size, row.Date
		}
		v.source = append(v.source, m)
	}
	v.advance(len(uids))
	return nil
}

// withoutCovered leaves out what is skipped because another folder has its letter: it is read there, and some sources count
// every octet.
func (v *verifier) withoutCovered(folder int32, uids []uint32, rows []ledger.Message) (rest []uint32) {
	for _, uid := range uids {
		if row, found := rowOfUID(rows, uid); found && isCovered(row) {
			v.source = append(v.source, sighting{uid: uid, folder: folder, size: row.Size, date: row.Date})
			v.advance(1)
			continue
		}
		rest = append(rest, uid)
	}
	return rest
}

func isCovered(row ledger.Message) bool {
	return row.Fate == ledger.Skipped && strings.HasPrefix(row.Reason, ledger.AlsoIn)
}

// reread fetches messages again. A line that breaks in the middle of a large folder costs no more than what had not
// come; one that breaks without bringing anything is down.
func (v *verifier) reread(ctx context.Context, folder int32, raw string, uids []uint32) error {
	sum := letter.NewDigest()
	for rest := uids; ; {
		before := len(v.source)
		missing, err := v.pairs[0].source.Fetch(ctx, rest, func(m wire.Message) error {
			sum.Reset()
			if _, err := io.Copy(sum, m.Body); err != nil {
				return err
			}
			seen := sighting{sum: sum.Sum(), size: m.Size, uid: m.UID, folder: folder}
			if m.HasDate {
				seen.date = m.InternalDate.Unix()
			}
			v.source = append(v.source, seen)
			v.advance(1)
			return nil
		})
		if err == nil {
			return v.notHandedOut(ctx, folder, missing)
		}
		if v.pairs[0].source.Err() == nil || ctx.Err() != nil || len(v.source) == before {
			return onSource(err)
		}
		got := map[uint32]bool{}
		for _, m := range v.source[before:] {
			got[m.uid] = true
		}
		rest = slices.DeleteFunc(slices.Clone(rest), func(uid uint32) bool { return got[uid] })
		selected, err := v.pairs[0].examine(ctx, raw)
		if err != nil {
			return onSource(err)
		}
		if selected.UIDValidity != v.validity[folder] {
			return fmt.Errorf("reading it again: the source renumbered it meanwhile")
		}
	}
}

// notHandedOut keeps in the account what the source lists and gives to nobody. What it lists no more is gone.
func (v *verifier) notHandedOut(ctx context.Context, folder int32, missing []uint32) error {
	if len(missing) == 0 {
		return nil
	}
	listed, err := v.pairs[0].source.UIDs(ctx)
	if err != nil {
		return onSource(err)
	}
	for _, uid := range missing {
		if has(listed, uid) {
			v.source = append(v.source, sighting{uid: uid, folder: folder})
		}
	}
	return nil
}

// readHere takes the digest of every message in destination folders from the UID on up to which each was read before.
func (v *verifier) readHere(ctx context.Context, places []placeRead) error {
	conn := v.pairs[0].destination
	for _, p := range places {
		at := slices.IndexFunc(v.herePlan, func(known placeRead) bool { return known.raw == p.raw })
		if at < 0 {
			at = len(v.herePlan)
			v.herePlan = append(v.herePlan, p)
		}
		selected, err := conn.Examine(ctx, p.raw)
		if err != nil && wire.Refused(err) != nil && conn.Err() == nil {
			v.unopened = append(v.unopened, p.raw)
			continue
		}
		if err != nil {
			return onDestination(err)
		}
		uids, err := conn.UIDs(ctx)
		if err != nil {
			return onDestination(err)
		}
		if p.raw == inbox && selected.UIDValidity == v.notice.UIDValidity { // neither the owner's nor the source's
			uids = without(uids, []uint32{v.notice.UID})
		}
		if p.validity == selected.UIDValidity { // read up to p.next before
			from, _ := slices.BinarySearch(uids, p.next)
			uids = uids[from:]
		} else if p.validity != 0 { // renumbered since
			v.copies = slices.DeleteFunc(v.copies, func(m sighting) bool { return m.folder == int32(at) })
		}
		_, err = conn.Digests(ctx, uids, func(uid uint32, size int64, sum digest) error {
			v.copies = append(v.copies, sighting{sum: sum, size: size, uid: uid, folder: int32(at)})
			v.advance(1)
			return nil
		})
		if err != nil {
			return onDestination(err)
		}
		next := selected.UIDNext
		if n := len(uids); n > 0 {
			next = max(next, uids[n-1]+1)
		}
		v.herePlan[at] = placeRead{raw: p.raw, validity: selected.UIDValidity, next: next}
	}
	return nil
}

func (v *verifier) advance(messages int) {
	v.tell(func(now *Progress) { now.Messages += messages; now.Of = max(now.Of, now.Messages) })
}
