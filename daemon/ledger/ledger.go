package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailstork/daemon/letter"
)

// Fate is what became of a source message.
type Fate string

// The fates of DESIGN §1.
const (
	Copied    Fate = "copied"    // it is here, with the digest in the row
	Delivered Fate = "delivered" // it reached us by SMTP anyway
	Deleted   Fate = "deleted"   // its owner deleted it (here, or at the source while that was the truth)
	Skipped   Fate = "skipped"   // a rule of the admin
	Refused   Fate = "refused"   // we could not store it; the original bytes are kept
)

// Fates are all fates in the order of reports.
var Fates = []Fate{Copied, Delivered, Deleted, Skipped, Refused}

// Stage is how certain a row is. A row that does not exist is a message that is new.
type Stage string

// The stages of a row: intended → confirmed | parked; and confirmed → refiling → confirmed.
const (
	Intended  Stage = "intended"  // its APPEND may have taken effect; only a look behind the fence can tell (L2)
	Confirmed Stage = "confirmed" // its fate is settled
	Refiling  Stage = "refiling"  // it is copied, and a second copy may be behind it in its folder, with a UID from Intent.UIDNext on
	Parked    Stage = "parked"    // its APPEND may have taken effect and its owner may have removed it: reported, never repeated
)

// AlsoIn begins the reason of a skipped message of which another folder of the source has the letter.
const AlsoIn = "also in "

// Mark is the state of a folder on one side up to which everything has been looked at.
type Mark struct {
	UIDValidity uint32
	UIDNext     uint32
	ModSeq      uint64 // 0: the server keeps none
	Messages    uint32
}

// Folder is one folder of the source and where it is kept here. Names are as on the wire.
type Folder struct {
	ID              int64 // 0: not saved yet
	SourceName      string
	Source          Mark
	DestinationName string
	Destination     Mark
	Ours            bool      // every message here had a row when Destination was saved
	ComparedAt      time.Time // the last full comparison of both sides
	Problem         string    // why the last pass could not finish this folder

	Name        string // as its owner calls it, "/" between the parts
	Role        string // what it is for, empty when nothing special
	Mapped      bool   // an admin chose DestinationName
	SkipRule    string // why its messages were left out when it was last finished; empty: they were copied
	LimitOctets int64  // the largest message that was copied then; 0: no limit
	Limits      string // what of it this server can't keep for good (L6), for people
	Gathers     bool   // when it was last finished, only what is in no other folder was copied from it
	// RenamedFrom is the name here before a RENAME to DestinationName of which nobody knows yet whether it took effect.
	RenamedFrom string
}

// Key is the identity of a source message. UIDVALIDITY is part of it: a UID alone means nothing.
type Key struct {
	FolderID    int64
	UIDValidity uint32
	UID         uint32
}

func (k Key) String() string {
	return fmt.Sprintf("message %d of folder %d (UIDVALIDITY %d)", k.UID, k.FolderID, k.UIDValidity)
}

// Place is where a message is at the destination. The zero value is nowhere.
type Place struct {
	Folder      string // as on the wire; empty: the destination folder of the row's folder
	UIDValidity uint32
	UID         uint32
}

// Intent says which APPEND a message was part of, and where to look for it afterwards.
type Intent struct {
	Batch   string // unique; the server stores all messages of one batch or none of them
	UIDNext uint32 // no message of the batch has a smaller UID
}

// Message is one row: a source message and its fate.
type Message struct {
	Key
	Stage       Stage
	Fate        Fate
	Reason      string // of skipped, refused, parked; what was repaired or could not be kept
	KeptFile    string // where the bytes of a refused message are
	Place       Place
	Appended    bool // the mirror stored it, so it may follow the source's flags and deletions (L4)
	Intent      Intent
	Digest      [letter.DigestSize]byte // zero when the body was never read
	Fingerprint letter.Fingerprint
	Size        int64
	Date        int64  // INTERNALDATE, Unix seconds
	Flags       string // the source's flags as last applied here: the base of the three-way merge; see JoinFlags
	SourceGone  bool   // it is no longer in the source listing; the row stays for L3
	Origin      uint64 // what the source itself calls the letter, the same in all its folders; 0: it tells nothing
}

// Lease is the right to write for one account. The zero Epoch is valid only for an account that nobody ever claimed.
type Lease struct {
	Owner string
	Epoch int64
}

// ErrLeaseLost means that another worker may hold the account by now: stop at once; nothing was written.
var ErrLeaseLost = errors.New("the lease was lost")

// ErrBroken is wrapped by an error that means a broken invariant: a bug, not a circumstance.
var ErrBroken = errors.New("broken invariant")

// Database is what the ledger needs of the store.
type Database interface {
	Reader() *sql.DB
	Write(ctx context.Context, work func(tx *sql.Tx) error) error
}

// Ledger reads and writes the rows of all accounts. It may be used by many goroutines.
type Ledger struct{ db Database }

// New returns the ledger in a database that has its tables.
func New(db Database) *Ledger { return &Ledger{db: db} }

// Writer returns what writes for one account under a lease.
func (l *Ledger) Writer(accountID int64, lease Lease) *Writer {
	return &Writer{db: l.db, account: accountID, lease: lease}
}
