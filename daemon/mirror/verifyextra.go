package mirror

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// extras finds copies beyond the number of source messages: one too many in a folder where the mirror itself appended
// one of them breaks L2, unless its owner copied it there. In other folders it is the owner's business.
func (v *verifier) extras(ctx context.Context) error {
	given := make([]bool, len(v.copies))
	for _, at := range v.found {
		if at >= 0 {
			given[at] = true
		}
	}
	pairs, order := v.pairing(), byDigestAndFolder(v.source)
	for at, c := range v.copies {
		if given[at] {
			continue
		}
		of, ours, err := v.appendedOneOf(ctx, equalTo(v.source, order, c.sum), c.folder, pairs)
		if err != nil {
			return err
		}
		if !ours {
			v.report.HereOnly++
			continue
		}
		v.report.Twice++
		v.report.Findings = append(v.report.Findings, Finding{Class: Twice, Folder: wire.DecodeName(v.herePlan[c.folder].raw), UID: c.uid,
			Date: instant(of.date), Why: "there is one more of it here than at the source: it was appended twice, or its owner copied it", folder: c.folder})
	}
	return nil
}

// appendedOneOf finds, among equal source messages, one that the mirror appended to a folder here.
func (v *verifier) appendedOneOf(ctx context.Context, equal []int32, place int32, pairs []int32) (of sighting, found bool, err error) {
	for _, i := range equal {
		m := v.source[i]
		if pairs[m.folder] != place || v.found[i] < 0 || v.copies[v.found[i]].folder != place {
			continue
		}
		f := v.known[v.there[m.folder].Raw]
		row, known, err := v.Ledger.Message(ctx, ledger.Key{FolderID: f.ID, UIDValidity: v.validity[m.folder], UID: m.uid})
		if err != nil || known && row.Appended {
			return m, err == nil, err
		}
	}
	return sighting{}, false, nil
}

func instant(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}

// nameFindings keeps the worst findings and asks for their Message-IDs.
func (v *verifier) nameFindings(ctx context.Context) error {
	rank := map[Class]int{Missing: 0, Twice: 1, Pending: 2, Parked: 3, Refused: 4, Skipped: 5}
	slices.SortStableFunc(v.report.Findings, func(a, b Finding) int { return cmp.Compare(rank[a.Class], rank[b.Class]) })
	all := v.report.Findings[:min(len(v.report.Findings), maxFindings)]
	v.report.Findings = all
	pr := v.pairs[0]
	for i, line := range v.there {
		asked := asked(all, func(f Finding) bool { return f.Class != Twice && f.folder == int32(i) })
		if len(asked) == 0 {
			continue
		}
		if _, err := pr.examine(ctx, line.Raw); err != nil {
			return onSource(err)
		}
		if _, err := pr.source.Headers(ctx, slices.Sorted(maps.Keys(asked)), identityFields, takeIdentity(asked)); err != nil && (wire.Refused(err) == nil || pr.source.Err() != nil) {
			return onSource(err)
		}
	}
	for i, place := range v.herePlan {
		asked := asked(all, func(f Finding) bool { return f.Class == Twice && f.folder == int32(i) })
		if len(asked) == 0 {
			continue
		}
		if _, err := pr.destination.Examine(ctx, place.raw); err != nil {
			return onDestination(err)
		}
		if _, err := pr.destination.Headers(ctx, slices.Sorted(maps.Keys(asked)), identityFields, takeIdentity(asked)); err != nil {
			return onDestination(err)
		}
	}
	return nil
}

var identityFields = []string{"Message-ID"}

func asked(all []Finding, wanted func(Finding) bool) map[uint32]*Finding {
	found := map[uint32]*Finding{}
	for i := range all {
		if wanted(all[i]) {
			found[all[i].UID] = &all[i]
		}
	}
	return found
}

const maxMessageID = 200

// takeIdentity notes Message-IDs, unfolded and bounded: one of 10 KB names nothing any more.
func takeIdentity(asked map[uint32]*Finding) func(uid uint32, header []byte) error {
	return func(uid uint32, header []byte) error {
		_, value, found := bytes.Cut(header, []byte(":"))
		if f := asked[uid]; f != nil && found {
			id := strings.Join(strings.Fields(strings.ToValidUTF8(string(value), "?")), " ")
			f.MessageID = strings.ToValidUTF8(id[:min(len(id), maxMessageID)], "")
		}
		return nil
	}
}
