package mirror

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
	"mailstork/daemon/mirror/wire"
)

// explanation is what the ledger says about a message that is not here.
type explanation struct {
	class Class
	why   string
}

func rowOfUID(rows []ledger.Message, uid uint32) (ledger.Message, bool) {
	i, found := slices.BinarySearchFunc(rows, uid, func(m ledger.Message, uid uint32) int { return cmp.Compare(m.UID, uid) })
	if !found {
		return ledger.Message{}, false
	}
	return rows[i], true
}

// explainAll explains every source message that has no copy here.
func (v *verifier) explainAll(ctx context.Context) (map[int32]explanation, error) {
	byFolder := make([][]int32, len(v.there))
	for i, at := range v.found {
		if at < 0 {
			byFolder[v.source[i].folder] = append(byFolder[v.source[i].folder], int32(i))
		}
	}
	explained := map[int32]explanation{}
	v.letters = map[uint64]bool{}
	err := v.Ledger.Sightings(ctx, v.Account.ID, func(s ledger.Sighting) {
		if s.Fate != ledger.Skipped && !s.Gone {
			v.letters[s.Origin] = true
		}
	})
	if err != nil {
		return nil, err
	}
	for folder, lost := range byFolder {
		if len(lost) == 0 {
			continue
		}
		f := v.known[v.there[folder].Raw]
		rows, err := v.Ledger.Messages(ctx, f.ID)
		if err != nil {
			return nil, err
		}
		rows = slices.DeleteFunc(rows, func(m ledger.Message) bool { return m.UIDValidity != v.validity[folder] })
		for _, i := range lost {
			row, found := rowOfUID(rows, v.source[i].uid)
			if !found {
				explained[i] = v.withoutRow(f, v.source[i], rows)
				continue
			}
			explained[i] = v.ofRow(f, v.source[i], row)
		}
	}
	return explained, nil
}

// withoutRow: only what the last pass cannot have seen may be without a row.
func (v *verifier) withoutRow(f ledger.Folder, m sighting, rows []ledger.Message) explanation {
	next := f.Source.UIDNext
	if next == 0 && len(rows) > 0 { // this source tells no UIDNEXT
		next = rows[len(rows)-1].UID + 1
	}
	switch {
	case f.Problem != "":
		return explanation{Pending, "the last pass could not finish the folder: " + f.Problem}
	case f.Source.UIDValidity == 0:
		return explanation{Pending, "no pass has finished the folder yet"}
	case f.Source.UIDValidity != v.validity[m.folder]:
		return explanation{Pending, "the source renumbered the folder since the last pass"}
	case m.uid >= next:
		return explanation{Pending, "newer than the last pass"}
	}
	return explanation{Missing, "it has no row in the ledger, though it is older than the last pass"}
}

func (v *verifier) ofRow(f ledger.Folder, m sighting, row ledger.Message) explanation {
	switch {
	case row.Stage == ledger.Intended:
		return explanation{Pending, "it is in doubt whether it arrived; the next pass finds out"}
	case row.Stage == ledger.Refiling:
		return explanation{Pending, "it is being filed anew; the next pass finds out where it is"}
	case row.Stage == ledger.Parked:
		return explanation{Parked, row.Reason}
	case expungedByUs(row), row.SourceGone && row.Fate == ledger.Copied:
		return explanation{Pending, "it had left the source and is there again"}
	case row.Fate == ledger.Delivered:
		return explanation{Delivered, row.Reason}
	case row.Fate == ledger.Deleted:
		return explanation{Deleted, row.Reason}
	case isCovered(row) && !v.letters[row.Origin]:
		return explanation{Pending, "it was " + row.Reason + ", which has it no more; the next pass copies it"}
	case row.Fate == ledger.Skipped:
		return explanation{Skipped, row.Reason}
	case row.Fate == ledger.Refused:
		return v.ofKeptFile(m, row)
	}
	return explanation{Missing, v.whyNoCopy(f, m, row)}
}

// ofKeptFile believes in a kept file only after reading it.
func (v *verifier) ofKeptFile(m sighting, row ledger.Message) explanation {
	sum, err := digestOfFile(row.KeptFile)
	switch {
	case err != nil:
		return explanation{Missing, fmt.Sprintf("it was refused here, and the file that kept it can't be read: %v", err)}
	case m.sum != (digest{}) && m.sum != sum:
		return explanation{Missing, "it was refused here, and the file that kept it has other bytes: " + row.KeptFile}
	}
	return explanation{Refused, row.Reason + ", kept as " + row.KeptFile}
}

func digestOfFile(path string) (digest, error) {
	file, err := os.Open(path)
	if err != nil {
		return digest{}, err
	}
	defer func() { _ = file.Close() }() // only read
	sum := letter.NewDigest()
	_, err = io.Copy(sum, file)
	return sum.Sum(), err
}

// whyNoCopy says what is at the place where the ledger has the copy.
func (v *verifier) whyNoCopy(f ledger.Folder, m sighting, row ledger.Message) string {
	place := placeName(f, row.Place)
	where := fmt.Sprintf("message %d of %q here", row.Place.UID, wire.DecodeName(place))
	if m.sum == (digest{}) {
		return "the source lists it and does not hand it out, so nobody can tell whether it is " + where
	}
	if slices.Contains(v.unopened, place) {
		return where + " should be its copy, but this server refuses to open the folder"
	}
	at := slices.IndexFunc(v.herePlan, func(p placeRead) bool { return p.raw == place })
	if at < 0 {
		return where + " was its copy: the folder has gone since the last pass"
	}
	if v.herePlan[at].validity != row.Place.UIDValidity {
		return where + " was its copy: this server renumbered the folder since the last pass, and none of its messages has these bytes"
	}
	if slices.ContainsFunc(v.copies, func(c sighting) bool { return c.folder == int32(at) && c.uid == row.Place.UID }) {
		return where + " should be its copy and has other bytes"
	}
	return where + " was its copy and has gone since the last pass: its owner deleted it meanwhile, or it was lost"
}

// settleTwins: equal messages are interchangeable. Where one of several is missing, and the ledger explains the
// absence of another one of them that was given a copy, the copy is the missing one's.
func (v *verifier) settleTwins(ctx context.Context, explained map[int32]explanation) error {
	var order []int32
	tried := map[digest]bool{}
	for i, e := range explained {
		sum := v.source[i].sum
		if e.class != Missing || sum == (digest{}) || tried[sum] {
			continue
		}
		tried[sum] = true
		if order == nil {
			order = byDigestAndFolder(v.source)
		}
		if err := v.settleEqual(ctx, equalTo(v.source, order, sum), explained); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) settleEqual(ctx context.Context, equal []int32, explained map[int32]explanation) error {
	missing := slices.DeleteFunc(slices.Clone(equal), func(i int32) bool { return v.found[i] >= 0 || explained[i].class != Missing })
	for _, i := range equal {
		if len(missing) == 0 {
			return nil
		}
		if v.found[i] < 0 {
			continue
		}
		m := v.source[i]
		f := v.known[v.there[m.folder].Raw]
		row, found, err := v.Ledger.Message(ctx, ledger.Key{FolderID: f.ID, UIDValidity: v.validity[m.folder], UID: m.uid})
		if err != nil {
			return err
		}
		e := v.withoutRow(f, m, nil)
		if found {
			e = v.ofRow(f, m, row)
		}
		if e.class != Missing {
			v.found[missing[0]], v.found[i] = v.found[i], -1
			explained[i] = e
			delete(explained, missing[0])
			missing = missing[1:]
		}
	}
	return nil
}
