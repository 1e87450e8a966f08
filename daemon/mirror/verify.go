package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// Class is where one message of the source is accounted for. Every message is in exactly one class (L1).
type Class string

// The classes. Here and Elsewhere are seen, by digest and multiplicity; the ledger has no say in them. It only explains
// the others.
const (
	Here      Class = "here"      // in the folder that stands for the source's
	Elsewhere Class = "elsewhere" // in another folder: its owner moved it here
	Delivered Class = "delivered" // it reached us by SMTP, with other bytes
	Deleted   Class = "deleted"   // the ledger knows that its owner deleted it
	Skipped   Class = "skipped"
	Refused   Class = "refused" // and the file has its bytes
	Parked    Class = "parked"
	Pending   Class = "pending" // newer than the last pass, or that pass did not get to it
	Missing   Class = "missing" // nothing explains it
	Twice     Class = "twice"   // not of a source message: one copy too many of it, where the mirror appended one
)

// maxFindings bounds what a report lists one by one; the numbers are exact.
const maxFindings = 1000

// Classes are those of source messages, in the order of reports.
var Classes = []Class{Here, Elsewhere, Delivered, Deleted, Skipped, Refused, Parked, Pending, Missing}

// VerifyReport accounts for every message of an account (L1).
type VerifyReport struct {
	Folders    []VerifiedFolder
	Findings   []Finding // missing, twice, pending, parked, refused, skipped: at most maxFindings, the worst first
	Twice      int
	HereOnly   int // messages here beyond those of the source: delivered here, copied by their owner, or gone there
	Exceptions []ledger.Exception
	At         time.Time
}

// VerifiedFolder accounts for one folder of the source, as it is listed there now.
type VerifiedFolder struct {
	Name            string // as its owner calls it
	SourceName      string // as on the wire
	DestinationName string // empty when no pass has found a place for it yet
	Messages        int
	Classes         map[Class]int // their sum is Messages
	Octets          int64         // of those that are here or elsewhere
	Problem         string        // why the folder could not be read; then Messages is 0 and means nothing
	Limits          string        // what of it this server can't keep for good (L6), as the last pass found
}

// Finding is one message that a person may want to look at. Nothing of what its writer wrote is in it.
type Finding struct {
	Class     Class
	Folder    string // as its owner calls it: of the source; of this server for Twice
	UID       uint32
	MessageID string    // as sent, cut short; empty when it has none
	Date      time.Time // INTERNALDATE
	Why       string

	folder int32 // index of a sighting's folder
}

// Count adds up one class over all folders.
func (r VerifyReport) Count(class Class) (n int) {
	for _, f := range r.Folders {
		n += f.Classes[class]
	}
	return n
}

// Unexplained says what stands against L1, in words; empty is the proof.
func (r VerifyReport) Unexplained() (gaps []string) {
	for _, f := range r.Folders {
		if f.Problem != "" {
			gaps = append(gaps, fmt.Sprintf("folder %q: %s", f.Name, f.Problem))
		}
	}
	open := r.Count(Missing) + r.Count(Pending)
	for _, f := range r.Findings {
		if f.Class == Missing || f.Class == Pending {
			gaps = append(gaps, fmt.Sprintf("folder %q: message %d of the source is %s: %s", f.Folder, f.UID, f.Class, f.Why))
			open--
		}
	}
	if open > 0 {
		gaps = append(gaps, fmt.Sprintf("%d more messages of the source", open))
	}
	return gaps
}

// VerifyOptions say how thorough a verification is.
type VerifyOptions struct {
	// Reread fetches every message of the source again. Without it a source message has the digest that was taken when
	// it was copied, and the source is only listed.
	Reread bool
}

// Verify lists both sides afresh, takes the digest of everything that is here, and compares with multiplicity: folder
// by folder, then over the whole account. What is not here is explained by the ledger, or missing. It changes nothing
// on either side nor in the ledger. Whoever holds the lease may call it; a pass beside it would make it lie.
func Verify(ctx context.Context, o Options, how VerifyOptions) (VerifyReport, error) {
	o, err := o.filled()
	if err != nil {
		return VerifyReport{}, err
	}
	v := &verifier{round: newRound(&pass{Options: o, breaks: map[string]int{}}), how: how}
	defer v.close()
	err = v.run(ctx)
	v.report.At = o.Now()
	return v.report, o.explain(err)
}

type verifier struct {
	*round
	how    VerifyOptions
	report VerifyReport

	known    map[string]ledger.Folder // by source name
	there    []wire.Folder            // the source's folders; a sighting's folder is an index, here too
	validity []uint32                 // of each, 0 when it was not read
	herePlan []placeRead
	notice   ledger.Notice
	unopened []string // destination folders that this server refuses to open
	source   []sighting
	copies   []sighting
	found    []int32         // for each of source: the index in copies, or -1
	letters  map[uint64]bool // origins of which a row stands for more than another sighting
}

// placeRead is a destination folder as it was when it was read.
type placeRead struct {
	raw      string
	validity uint32
	next     uint32 // the UIDs below were looked at
}

// sighting is one message seen on one side. 100,000 of them take 6 MB.
type sighting struct {
	sum    digest // zero: not known, equals nothing
	size   int64
	date   int64
	uid    uint32
	folder int32
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.connect(ctx); err != nil {
		return err
	}
	if err := v.listBoth(ctx); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return v.readSource(groupCtx) })
	group.Go(func() error { return v.readHere(groupCtx, v.herePlan) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := v.match(ctx); err != nil {
		return err
	}
	v.phase("explaining", "")
	explained, err := v.explainAll(ctx)
	if err != nil {
		return err
	}
	if err := v.settleTwins(ctx, explained); err != nil {
		return err
	}
	v.count(explained)
	if err := v.extras(ctx); err != nil {
		return err
	}
	if err := v.nameFindings(ctx); err != nil {
		return err
	}
	v.report.Exceptions, err = v.Ledger.Exceptions(ctx, v.Account.ID)
	return err
}

// listBoth asks both sides for their folders, and the ledger only for which stands for which.
func (v *verifier) listBoth(ctx context.Context) error {
	v.phase("listing", "")
	there, here, err := v.list(ctx)
	if err != nil {
		return err
	}
	folders, err := v.Ledger.Folders(ctx, v.Account.ID)
	if err != nil {
		return err
	}
	if v.notice, err = v.Ledger.Notice(ctx, v.Account.ID); err != nil {
		return err
	}
	v.known = map[string]ledger.Folder{}
	for _, f := range folders {
		v.known[f.SourceName] = f
	}
	total := 0
	for _, line := range sorted(there) {
		if line.Selectable {
			v.there = append(v.there, line)
			v.report.Folders = append(v.report.Folders, VerifiedFolder{Name: strings.Join(line.Name, "/"), SourceName: line.Raw,
				DestinationName: v.known[line.Raw].DestinationName, Limits: v.known[line.Raw].Limits, Classes: map[Class]int{}})
			total += int(line.Status.Messages)
		}
	}
	v.validity = make([]uint32, len(v.there))
	for _, line := range sorted(here) {
		if line.Selectable {
			v.herePlan = append(v.herePlan, placeRead{raw: line.Raw})
			total += int(line.Status.Messages)
		}
	}
	v.tell(func(now *Progress) { now.Phase, now.Of = "verifying", total })
	return nil
}

// match compares what was seen. Mail moves while we read: what its owner moved from a folder that was not read yet to
// one that had been is looked for once more.
func (v *verifier) match(ctx context.Context) error {
	v.found = matchSightings(v.source, v.copies, v.pairing())
	if !slices.Contains(v.found, -1) {
		return nil
	}
	here, err := v.pairs[0].destination.Folders(ctx)
	if err != nil {
		return onDestination(err)
	}
	var more []placeRead
	for _, line := range sorted(here) {
		if !line.Selectable {
			continue
		}
		i := slices.IndexFunc(v.herePlan, func(p placeRead) bool { return p.raw == line.Raw })
		switch {
		case i < 0:
			more = append(more, placeRead{raw: line.Raw})
		case line.Status.UIDNext > v.herePlan[i].next:
			more = append(more, v.herePlan[i])
		}
	}
	if len(more) == 0 {
		return nil
	}
	if err := v.readHere(ctx, more); err != nil {
		return err
	}
	v.found = matchSightings(v.source, v.copies, v.pairing())
	return nil
}

// pairing gives the index of the destination folder that stands for each source folder, or -1.
func (v *verifier) pairing() []int32 {
	index := map[string]int32{}
	for i, p := range v.herePlan {
		index[p.raw] = int32(i)
	}
	pairs := make([]int32, len(v.there))
	for i, f := range v.report.Folders {
		place, found := index[f.DestinationName]
		if pairs[i] = place; !found {
			pairs[i] = -1
		}
	}
	return pairs
}

// count puts every source message in its class.
func (v *verifier) count(explained map[int32]explanation) {
	pairs := v.pairing()
	for i, m := range v.source {
		f := &v.report.Folders[m.folder]
		f.Messages++
		at := v.found[i]
		if at < 0 {
			e := explained[int32(i)]
			f.Classes[e.class]++
			if e.class != Delivered && e.class != Deleted && !(e.class == Skipped && strings.HasPrefix(e.why, ledger.AlsoIn)) {
				v.report.Findings = append(v.report.Findings, Finding{Class: e.class, Folder: f.Name, UID: m.uid, Date: instant(m.date), Why: e.why, folder: m.folder})
			}
			continue
		}
		f.Octets += v.copies[at].size
		if v.copies[at].folder == pairs[m.folder] {
			f.Classes[Here]++
		} else {
			f.Classes[Elsewhere]++
		}
	}
}
