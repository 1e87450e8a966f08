package mirror

import (
	"fmt"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
)

// Policy is what the admin and the account's state say about a pass.
type Policy struct {
	// Switched: the destination is the truth (DESIGN §2). New mail is added; what left the source stays here.
	Switched bool
	// MaxMessageOctets skips larger messages, with a reason in the ledger; 0 means no limit.
	MaxMessageOctets int64
	// MassDeletion: an operator has confirmed that the deletions which the guard held back are meant.
	MassDeletion bool
	// OwnerAtSource: its owner works there, through us, so that much may have been tidied away since the last pass.
	OwnerAtSource bool
}

// SourceMessage is one line of the source listing.
type SourceMessage struct {
	UID         uint32
	Size        int64  // RFC822.SIZE as told: good for comparing with the same server's word, no identity
	Date        int64  // INTERNALDATE, Unix seconds; 0 when not told
	Flags       string // what shall be here too, see keepFlags
	FlagsKnown  bool
	HeaderRead  bool // Fingerprint is known, zero meaning that the letter has none
	Fingerprint letter.Fingerprint
	BodyRead    bool
	Digest      [letter.DigestSize]byte
	Origin      uint64 // the source's own identity of the letter; 0: it tells none
}

// DestinationMessage is a message here for which no row stands.
type DestinationMessage struct {
	UID         uint32
	Size        int64
	HeaderRead  bool
	Fingerprint letter.Fingerprint
	BodyRead    bool
	Digest      [letter.DigestSize]byte
}

// FolderView is one source folder and its rows.
type FolderView struct {
	Folder ledger.Folder
	// Listed: UIDs and Messages hold what the source has. False when nothing changed there since the mark.
	Listed      bool
	UIDValidity uint32
	UIDs        []uint32 // of all messages, ascending; empty for a folder that left the source
	// Left: the source has no folder of that name any more.
	Left bool
	// Afresh is the place here that the folder would get if those that left the source held none; "" where it has one.
	Afresh   string
	Messages []SourceMessage // ascending; every message without a living row, and those whose flags may have changed
	Rows     ledger.Rows
	Skip     string // why nothing new of it is copied; empty: it is
	Gathers  int    // above 0: it shows messages of other folders once more, see folderRule
}

// DestinationView is one destination folder.
type DestinationView struct {
	Missing     bool
	UIDValidity uint32
	UIDNext     uint32
	UIDs        []uint32 // of all messages, ascending
	Foreign     []DestinationMessage
	Special     bool // mail programs know it by its name or its role
}

// View is everything that the planner looks at.
type View struct {
	Policy       Policy
	Folders      []FolderView
	Destinations map[string]*DestinationView // by name; a folder that is missing here was not looked at
	Deliveries   []Delivery
	Rows         int // rows of the whole account whose message is at the source
	// Gathering: the source has a folder that shows messages of others once more, and only the rest of it is copied.
	// Others is then what the ledger has of folders that are not among Folders.
	Gathering bool
	Others    []OtherRow
	// Blind: one of those folders could not be looked at, so that nobody knows what is archived there.
	Blind bool
	// Unseen: the source does not show what is archived, or an admin does not want it. What left a folder may be there.
	Unseen bool
}

// OtherRow is a row of a folder that is not looked at in this pass.
type OtherRow struct {
	Key     ledger.Key
	Origin  uint64
	Folder  *ledger.Folder
	Gathers int
	Stage   ledger.Stage
	Fate    ledger.Fate
	Ours    bool   // the mirror appended it
	Gone    bool   // it left the source
	Place   string // the folder here in which its copy is or was
}

// has tells whether an ascending list holds uid.
func has(uids []uint32, uid uint32) bool {
	_, found := slices.BinarySearch(uids, uid)
	return found
}

// placeName is the destination folder in which a row's message is.
func placeName(f ledger.Folder, place ledger.Place) string {
	if place.Folder != "" {
		return place.Folder
	}
	return f.DestinationName
}

// difference is what listing and rows of one folder say about each other.
type difference struct {
	view    *FolderView
	fresh   []SourceMessage  // in the listing, without a row; may share the listing's memory
	lost    []ledger.Message // rows whose message has left the listing
	stale   []ledger.Message // rows under another UIDVALIDITY
	lapsed  []ledger.Message // rows of messages that were left out and would not be now, or for another reason
	back    []ledger.Message // rows of messages that had left the listing and are in it again
	changed []flagChange
	covered []coveredMessage // in the listing of a folder that gathers, without a row, and another folder has the letter
	renewed []ledger.Message // rows of such a folder whose copy has gone in favour of another one that has left since
}

type flagChange struct {
	row   ledger.Message
	flags string
}

// compare finds the difference. All is ascending, so one walk is enough.
func compare(f *FolderView, policy Policy, g *gathered) *difference {
	d := &difference{view: f}
	if !f.Listed {
		return d
	}
	alive := make([]uint32, 0, f.Rows.Len())
	uids, messages := f.UIDs, f.Messages
	for i := range f.Rows.Len() {
		key, gone := f.Rows.Key(i), f.Rows.Gone(i)
		if key.UIDValidity != f.UIDValidity {
			if !gone {
				d.stale = append(d.stale, f.Rows.At(i))
			}
			continue
		}
		for len(uids) > 0 && uids[0] < key.UID {
			uids = uids[1:]
		}
		for len(messages) > 0 && messages[0].UID < key.UID {
			messages = messages[1:]
		}
		listed, read := len(uids) > 0 && uids[0] == key.UID, len(messages) > 0 && messages[0].UID == key.UID
		if !listed {
			if !gone {
				d.lost = append(d.lost, f.Rows.At(i))
			}
			continue
		}
		if !gone && !read { // nearly all of them
			alive = append(alive, key.UID)
			continue
		}
		row := f.Rows.At(i)
		if gone {
			d.back = append(d.back, row)
			if expungedByUs(row) {
				continue // copied again, as if it had no row
			}
		}
		if read && g.lapsed(row, f, policy) {
			d.lapsed = append(d.lapsed, row)
			continue
		} else if read && g.renews(row, f) {
			d.renewed = append(d.renewed, row)
			continue
		}
		alive = append(alive, row.UID)
		if read && messages[0].FlagsKnown && messages[0].Flags != row.Flags {
			d.changed = append(d.changed, flagChange{row, messages[0].Flags})
		}
	}
	if len(alive) == 0 && f.Gathers == 0 { // a first pass: no second copy of all of them
		d.fresh = slices.Clip(f.Messages)
		return d
	}
	for _, m := range f.Messages {
		if has(alive, m.UID) {
			continue
		}
		if c, covered := g.of(m.Origin, f.Gathers); covered && policy.skipReason(f.Skip, m.Size) == "" {
			d.covered = append(d.covered, coveredMessage{m, g.reason(c)})
			continue
		}
		d.fresh = append(d.fresh, m)
	}
	return d
}

// lapsed tells whether a message was left out for a reason that does not hold any more.
func lapsed(row ledger.Message, skip string, policy Policy) bool {
	return row.Fate == ledger.Skipped && row.Stage == ledger.Confirmed && row.Reason != policy.skipReason(skip, row.Size)
}

// skipReason says why a message is not copied; empty when it is.
func (p Policy) skipReason(skip string, size int64) string {
	if skip == "" && p.MaxMessageOctets > 0 && size > p.MaxMessageOctets {
		return fmt.Sprintf("larger than the limit: %d of %d octets", size, p.MaxMessageOctets)
	}
	return skip
}

// expungedByUs tells whether the mirror itself removed its copy, following the source. When the source has the
// message again (a listing was cut short, a backup was restored there), appending it again brings nothing back that
// its owner removed here.
func expungedByUs(row ledger.Message) bool {
	return row.Fate == ledger.Deleted && row.Appended && row.Reason == reasonSource
}

// Reasons that the ledger keeps with a fate.
const (
	reasonSource = "its owner deleted it at the source"
	reasonHere   = "its owner deleted or moved it here"
	reasonFound  = "found here, put there by somebody else"
	reasonOther  = "the same letter was found here, with other bytes"
)
