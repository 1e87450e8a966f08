package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// VerifyReport accounts for every message of an account (L1).
type VerifyReport struct {
	Folders     []VerifiedFolder
	Exceptions  []ledger.Exception // skipped, refused, parked, and copies that are not kept in every detail
	Unexplained []string           // what stands against L1; empty is the proof
	At          time.Time
}

// VerifiedFolder accounts for one folder of the source, as it is listed there now. Its messages are the sum of Fates
// and Parked, unless something is unexplained.
type VerifiedFolder struct {
	Name            string // as its owner calls it
	SourceName      string // as on the wire
	DestinationName string
	Messages        int
	Fates           map[ledger.Fate]int
	Parked          int
	Octets          int64 // of the copied ones
}

// Verify lists the source again and reads every copy back: each message in the source listing has exactly one row
// with a fate, and each copy is here with its digest, or its owner removed it here. It changes nothing on either
// side nor in the ledger. Run it after a pass without problems; whoever holds the lease may call it.
func Verify(ctx context.Context, o Options) (VerifyReport, error) {
	o, err := o.filled()
	if err != nil {
		return VerifyReport{}, err
	}
	v := &verifier{round: newRound(&pass{Options: o, breaks: map[string]int{}})}
	defer v.close()
	err = v.run(ctx)
	v.report.At = o.Now()
	return v.report, o.explain(err)
}

type verifier struct {
	*round
	report VerifyReport
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.connect(ctx); err != nil {
		return err
	}
	there, _, err := v.list(ctx)
	if err != nil {
		return err
	}
	known, err := v.Ledger.Folders(ctx, v.Account.ID)
	if err != nil {
		return err
	}
	for _, line := range sorted(there) {
		if !line.Selectable {
			continue
		}
		i := slices.IndexFunc(known, func(f ledger.Folder) bool { return f.SourceName == line.Raw })
		f := ledger.Folder{SourceName: line.Raw}
		if i >= 0 {
			f = known[i]
		}
		if err := v.folder(ctx, line, f); err != nil {
			return fmt.Errorf("verifying folder %q: %w", line.Raw, err)
		}
	}
	v.report.Exceptions, err = v.Ledger.Exceptions(ctx, v.Account.ID)
	return err
}

func (v *verifier) unexplained(format string, values ...any) {
	v.report.Unexplained = append(v.report.Unexplained, fmt.Sprintf(format, values...))
}

func (v *verifier) folder(ctx context.Context, line wire.Folder, f ledger.Folder) error {
	name := strings.Join(line.Name, "/")
	v.phase("verifying", name)
	selected, err := v.pairs[0].examine(ctx, line.Raw)
	if err != nil {
		return onSource(err)
	}
	uids, err := v.pairs[0].source.UIDs(ctx)
	if err != nil {
		return onSource(err)
	}
	rows, err := v.Ledger.Messages(ctx, f.ID)
	if err != nil {
		return err
	}
	result := VerifiedFolder{Name: name, SourceName: line.Raw, DestinationName: f.DestinationName, Messages: len(uids), Fates: map[ledger.Fate]int{}}
	byUID := map[uint32]ledger.Message{}
	for _, row := range rows {
		if row.UIDValidity == selected.UIDValidity {
			byUID[row.UID] = row
		}
	}
	copies := map[string][]ledger.Message{}
	for _, uid := range uids {
		row, found := byUID[uid]
		switch {
		case !found:
			v.unexplained("folder %q: message %d of the source has no row in the ledger", name, uid)
		case row.Stage == ledger.Intended:
			v.unexplained("folder %q: message %d of the source is in doubt", name, uid)
		case row.Stage == ledger.Parked:
			result.Parked++
		case row.Fate == ledger.Copied:
			place := placeName(f, row.Place)
			copies[place] = append(copies[place], row)
		default:
			result.Fates[row.Fate]++
		}
	}
	for _, place := range slices.Sorted(mapKeys(copies)) {
		if err := v.copies(ctx, &result, place, copies[place]); err != nil {
			return err
		}
	}
	v.report.Folders = append(v.report.Folders, result)
	return nil
}

// copies reads back what one destination folder holds of a source folder.
func (v *verifier) copies(ctx context.Context, result *VerifiedFolder, place string, rows []ledger.Message) error {
	if here := v.here[place]; here == nil || !here.exists {
		result.Fates[ledger.Deleted] += len(rows) // its owner removed the whole folder
		return nil
	}
	conn := v.pairs[0].destination
	selected, err := conn.Examine(ctx, place)
	if err != nil {
		return onDestination(err)
	}
	wanted := map[uint32]ledger.Message{}
	var uids []uint32
	for _, row := range rows {
		if row.Place.UIDValidity != selected.UIDValidity {
			v.unexplained("folder %q: %q was renumbered here since message %d was copied: run a pass", result.Name, place, row.UID)
			continue
		}
		wanted[row.Place.UID] = row
		uids = append(uids, row.Place.UID)
	}
	slices.Sort(uids)
	missing, err := conn.Digests(ctx, uids, func(uid uint32, _ int64, sum digest) error {
		row := wanted[uid]
		if row.Digest != sum {
			v.unexplained("folder %q: the copy of message %d is not what was read from the source (digest %x, want %x)", result.Name, row.UID, sum, row.Digest)
			return nil
		}
		result.Fates[ledger.Copied]++
		result.Octets += row.Size
		return nil
	})
	if err != nil {
		return onDestination(err)
	}
	if len(missing) > 0 {
		present, err := conn.UIDs(ctx)
		if err != nil {
			return onDestination(err)
		}
		for _, uid := range missing {
			if has(present, uid) {
				v.unexplained("folder %q: the copy of message %d can't be read back", result.Name, wanted[uid].UID)
				continue
			}
			result.Fates[ledger.Deleted]++
		}
	}
	if result.Fates[ledger.Deleted] == 0 {
		delete(result.Fates, ledger.Deleted)
	}
	return nil
}
