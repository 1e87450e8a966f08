package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Violation is a broken invariant, with the number that DESIGN §3 gives it.
type Violation struct {
	Invariant string // "L1"
	What      string
}

func (v Violation) String() string { return v.Invariant + ": " + v.What }

// Check looks at every row of an account and returns what breaks an invariant, as far as the ledger alone can tell.
// It holds at any moment between two transactions, also after a crash.
func (l *Ledger) Check(ctx context.Context, accountID int64) ([]Violation, error) {
	folders, err := l.Folders(ctx, accountID)
	if err != nil {
		return nil, err
	}
	c := checker{claims: map[claim]Key{}, places: map[string]Folder{}}
	for _, f := range folders {
		messages, err := l.Messages(ctx, f.ID)
		if err != nil {
			return nil, err
		}
		c.folder(f, messages)
	}
	n, err := l.Notice(ctx, accountID)
	if other, taken := c.claims[claim{inbox, n.UIDValidity, n.UID}]; taken && n.UID != 0 {
		c.report("L4", "%s and the notice both stand for message %d of the inbox", other, n.UID)
	}
	return c.found, errors.Join(err, l.checkTally(ctx, accountID, &c))
}

// checkTally: what people are told is what the rows add up to.
func (l *Ledger) checkTally(ctx context.Context, accountID int64, c *checker) error {
	t, err := l.Tally(ctx, accountID)
	if err != nil || !t.kept {
		return err
	}
	counted, err := l.recount(ctx, accountID)
	if err != nil {
		return err
	}
	now, err := l.Tally(ctx, accountID)
	if err == nil && now.revision == t.revision && !reflect.DeepEqual(t.counts, counted) {
		c.report("L1", "the kept tally says %+v, the rows say %+v", t.counts, counted)
	}
	return err
}

// CheckSettled is Check for an account whose pass has ended well: in addition nothing is in doubt.
func (l *Ledger) CheckSettled(ctx context.Context, accountID int64) ([]Violation, error) {
	found, err := l.Check(ctx, accountID)
	if err != nil {
		return nil, err
	}
	folders, err := l.Folders(ctx, accountID)
	if err != nil {
		return nil, err
	}
	for _, f := range folders {
		if f.RenamedFrom != "" {
			found = append(found, Violation{"L2", fmt.Sprintf("folder %q: nobody knows whether %q was renamed to %q", f.SourceName, f.RenamedFrom, f.DestinationName)})
		}
	}
	intended, err := l.Intended(ctx, accountID)
	if err != nil {
		return nil, err
	}
	n, err := l.Notice(ctx, accountID)
	if err != nil {
		return nil, err
	}
	if n.IntentUIDNext != 0 {
		found = append(found, Violation{"L2", fmt.Sprintf("nobody knows whether revision %d of the notice is here", n.Revision)})
	}
	refiling, err := l.Refiling(ctx, accountID)
	for _, m := range append(intended, refiling...) {
		found = append(found, Violation{"L1", fmt.Sprintf("%s is still %s after the pass", m.Key, m.Stage)})
	}
	return found, err
}

type claim struct {
	folder           string
	uidValidity, uid uint32
}

type checker struct {
	claims map[claim]Key     // who stands for a message here
	places map[string]Folder // by destination folder
	found  []Violation
}

func (c *checker) report(invariant, format string, values ...any) {
	c.found = append(c.found, Violation{invariant, fmt.Sprintf(format, values...)})
}

func (c *checker) folder(f Folder, messages []Message) {
	if other, taken := c.places[f.DestinationName]; taken && !other.Mapped && !f.Mapped {
		c.report("L6", "folders %q and %q are both kept in %q, which nobody asked for", other.SourceName, f.SourceName, f.DestinationName)
	}
	if _, taken := c.places[f.DestinationName]; !taken || !f.Mapped {
		c.places[f.DestinationName] = f
	}
	present := 0
	for _, m := range messages {
		c.message(f, m)
		if !m.SourceGone && m.UIDValidity == f.Source.UIDValidity {
			present++
		}
	}
	// A folder whose mark was saved was finished: every message that the source had then has a row (L1).
	if f.Source.UIDValidity != 0 && f.Problem == "" && uint32(present) < f.Source.Messages {
		c.report("L1", "folder %q had %d messages at the source, %d rows are present", f.SourceName, f.Source.Messages, present)
	}
}

func (c *checker) message(f Folder, m Message) {
	if m.UID == 0 || m.UIDValidity == 0 {
		c.report("L1", "%s has no identity", m.Key)
	}
	if !slices.Contains(Fates, m.Fate) {
		c.report("L1", "%s has the fate %q", m.Key, m.Fate)
	}
	switch m.Stage {
	case Intended:
		c.intended(m)
	case Parked:
		if m.Reason == "" {
			c.report("L1", "%s is parked without a reason", m.Key)
		}
	case Confirmed:
		c.confirmed(m)
	case Refiling:
		c.confirmed(m)
		if m.Fate != Copied || !m.Appended || m.Intent.Batch == "" || m.Intent.UIDNext <= m.Place.UID {
			c.report("L2", "%s is filed anew, but nobody could find it again (%s, UID %d, UIDNEXT %d, batch %q)",
				m.Key, m.Fate, m.Place.UID, m.Intent.UIDNext, m.Intent.Batch)
		}
	default:
		c.report("L1", "%s has the stage %q", m.Key, m.Stage)
	}
	if (m.Stage == Confirmed || m.Stage == Refiling) && m.Place.UID != 0 {
		place := claim{m.Place.Folder, m.Place.UIDValidity, m.Place.UID}
		if place.folder == "" {
			place.folder = f.DestinationName
		}
		if other, taken := c.claims[place]; taken {
			c.report("L2", "%s and %s both stand for message %d of %q", other, m.Key, m.Place.UID, place.folder)
		}
		c.claims[place] = m.Key
	}
}

func (c *checker) intended(m Message) {
	if m.Place.UID != 0 || m.Place.UIDValidity == 0 || m.Intent.UIDNext == 0 || m.Intent.Batch == "" {
		c.report("L2", "%s is intended, but nobody could find it again (UIDVALIDITY %d, UIDNEXT %d, batch %q, UID %d)",
			m.Key, m.Place.UIDValidity, m.Intent.UIDNext, m.Intent.Batch, m.Place.UID)
	}
	if m.Digest == [len(m.Digest)]byte{} {
		c.report("L2", "%s is intended without a digest", m.Key)
	}
	if m.Fate != Copied || !m.Appended {
		c.report("L2", "%s is intended with the fate %q", m.Key, m.Fate)
	}
}

func (c *checker) confirmed(m Message) {
	switch m.Fate {
	case Copied:
		if m.Place.UID == 0 || m.Place.UIDValidity == 0 {
			c.report("L1", "%s is copied to nowhere", m.Key)
		}
		if m.Digest == [len(m.Digest)]byte{} {
			c.report("L1", "%s is copied without a digest", m.Key)
		}
	case Skipped, Refused:
		if strings.TrimSpace(m.Reason) == "" {
			c.report("L1", "%s is %s without a reason", m.Key, m.Fate)
		}
		if m.Fate == Refused && m.KeptFile == "" {
			c.report("L1", "%s is refused and its bytes were not kept", m.Key)
		}
	}
	if m.Appended && m.Fate != Copied && m.Fate != Deleted {
		c.report("L4", "%s was appended by the mirror, but its fate is %s", m.Key, m.Fate)
	}
}
