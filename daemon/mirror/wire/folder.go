package wire

// Namespace is the part of the folder tree that belongs to the account
// (RFC 2342): what stands before every name, and what stands between its parts.
type Namespace struct {
	Prefix    string // as on the wire, "" or for example "INBOX."
	Separator byte   // 0 when the server has no hierarchy
}

// Folder is one folder of a listing. Raw identifies it on its server; Name is what
// its owner calls it, and within one listing no two folders share a Name.
type Folder struct {
	Raw        string   // as on the wire (modified UTF-7), the argument of every command
	Name       []string // decoded path without the namespace prefix; the inbox is ["INBOX"]
	Separator  byte     // 0 when the folder has no hierarchy
	SpecialUse string   // one of the Use constants, "" when the server names none
	Subscribed bool
	Selectable bool // false: it only has children (\Noselect, \NonExistent)
	Status     Status
	// Problem says why this one folder could not be looked at. It never fails the
	// listing: the other folders are still good.
	Problem error
}

// Status is what STATUS told. A Has field is false when the server left the item
// out; the value is then zero and means nothing.
type Status struct {
	Messages         uint32
	UIDNext          uint32
	UIDValidity      uint32
	HighestModSeq    uint64
	HasMessages      bool
	HasUIDNext       bool
	HasUIDValidity   bool
	HasHighestModSeq bool // false also when the server answered 0 (no modseqs kept)
}

// The special uses of RFC 6154, in the spelling that Folder.SpecialUse has.
// \Inbox comes from XLIST and is not one of them: the inbox is known by name.
const (
	UseAll     = `\All`
	UseArchive = `\Archive`
	UseDrafts  = `\Drafts`
	UseFlagged = `\Flagged`
	// UseImportant is RFC 8457's: what the server takes for important, once more.
	UseImportant = `\Important`
	UseJunk      = `\Junk`
	UseSent      = `\Sent`
	UseTrash     = `\Trash`
)

// Selected is the state of a folder at the moment it was opened.
type Selected struct {
	Raw            string
	UIDValidity    uint32 // 0: the server named none, so no UID may be remembered
	UIDNext        uint32 // 0: not told
	Exists         uint32
	HighestModSeq  uint64 // 0: not told, or NOMODSEQ
	Flags          []string
	PermanentFlags []string // contains `\*` when new keywords may be made
	ReadOnly       bool
	UIDNotSticky   bool // RFC 4315: UIDs of this folder do not last
}
