package mirror

import "mailstork/daemon/ledger"

// Operation is one step of a plan. The types below are all there are.
type Operation interface{ operation() }

// Append copies messages that are new.
type Append struct {
	FolderID int64
	Messages []SourceMessage
}

// Adopt gives a message that is here already its row. Delivery is the one that it was, or 0.
type Adopt struct {
	Key             ledger.Key
	Message         SourceMessage
	Fate            ledger.Fate // copied or delivered
	DestinationName string
	Place           ledger.Place // zero when its delivered copy is not in the folder
	Delivery        int64
	Reason          string
}

// Skip gives a message that a rule leaves out its row.
type Skip struct {
	Key     ledger.Key
	Message SourceMessage
	Reason  string
}

// Unskip makes a message new again that a rule had left out.
type Unskip struct{ Key ledger.Key }

// Yield notes that a copy has gone because another folder of the source has its letter.
type Yield struct {
	Key    ledger.Key
	Reason string
}

// Renew makes room for the row of another copy of a letter, which is still here while this one's has gone.
type Renew struct{ Key ledger.Key }

// Rename gives a row the identity that its message has at the source now.
type Rename struct {
	From, To    ledger.Key
	PlaceFolder string
}

// Relink gives a row the place that its message has here now.
type Relink struct {
	Key   ledger.Key
	Place ledger.Place
}

// SetDeleted notes that the owner removed a message here. It is never appended again (L3).
type SetDeleted struct{ Key ledger.Key }

// SetGone notes that a message left the source.
type SetGone struct{ Key ledger.Key }

// SetBack notes that a message is at the source again. Again: the mirror had removed its own copy, so that the row
// goes and the message is appended like a new one.
type SetBack struct {
	Key   ledger.Key
	Again bool
}

// StoreFlags applies the source's change of flags, and nothing else, to a message that the mirror appended (L4).
type StoreFlags struct {
	Key             ledger.Key
	DestinationName string
	UIDValidity     uint32
	UID             uint32
	Add, Remove     []string
	Flags           string // the next base
}

// Expunge removes a message that the mirror appended and that left the source, if it still has these flags (L4).
type Expunge struct {
	Key             ledger.Key
	DestinationName string
	UIDValidity     uint32
	UID             uint32
	Flags           string
	// After is the message of the source whose copy must be here before this one goes: the same letter in another
	// folder; zero: none must.
	After ledger.Key
	Yield string // not empty: the message is still at the source, and skipped from then on for this reason
}

// RenameFolder lets a folder go on under the name that it has at the source now, with all its rows. Nothing else is
// planned beside it: the account is listed again then.
type RenameFolder struct {
	FolderID, As int64  // As has the new name, and no rows
	Destination  string // the name to give to its place here; empty: it stays
}

// Hold leaves things as they are because too much is missing on one side at once.
type Hold struct {
	FolderID int64
	Messages int // that would be affected in this folder
	Of       int
	Here     bool // missing at the destination; else at the source
	Blind    bool // they left the folder, and the folder that would tell whether they are archived could not be looked at
}

func (Append) operation()       {}
func (Adopt) operation()        {}
func (Skip) operation()         {}
func (Unskip) operation()       {}
func (Yield) operation()        {}
func (Renew) operation()        {}
func (Rename) operation()       {}
func (Relink) operation()       {}
func (SetDeleted) operation()   {}
func (SetGone) operation()      {}
func (SetBack) operation()      {}
func (StoreFlags) operation()   {}
func (Expunge) operation()      {}
func (RenameFolder) operation() {}
func (Hold) operation()         {}
