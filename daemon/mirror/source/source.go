package source

import (
	"context"
	"io"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
)

// The vocabulary of listings is shared with the destination.
type (
	Folder   = wire.Folder
	Status   = wire.Status
	Selected = wire.Selected
	Entry    = wire.Entry
	UIDRange = wire.UIDRange
	UIDSet   = wire.UIDSet
	Oddity   = wire.Oddity
)

// Options say where the account is and what opens it.
type Options struct {
	Server   account.Source
	User     string
	Password secret.Secret
	// AuthzID, when set, is the account to open with the credential of User (SASL
	// PLAIN, RFC 4616): the way most servers spell a master user.
	AuthzID string
	// IdleTimeout ends the connection when nothing moves for so long; 0 means
	// wire.DefaultIdleTimeout.
	IdleTimeout time.Duration
	// Trace sees every line of the dialogue, secrets masked and literals left out.
	Trace wire.Trace
}

// Message is one message on its way. Body must be read inside the callback; what
// is left unread is skipped. It gives exactly Size bytes, or an error.
type Message struct {
	UID          uint32
	Flags        []string
	HasFlags     bool
	InternalDate time.Time
	HasDate      bool
	Size         int64 // exact octets of Body, known before its first byte
	Body         io.Reader
}

// Conn is one connection. It serves one goroutine at a time.
type Conn struct {
	w *wire.Conn
}

// Dial connects, verifies TLS, logs in and learns the capabilities. A refused
// login is a *wire.LoginError, a bad certificate a *wire.TLSError.
func Dial(ctx context.Context, o Options) (*Conn, error) { panic("body follows") }

// Close logs out without waiting for the answer. It may be called twice, and from
// another goroutine to end a call that is under way.
func (c *Conn) Close() error { panic("body follows") }

// Err is nil while the connection can be used.
func (c *Conn) Err() error { panic("body follows") }

// Has tells whether the server offers a capability ("CONDSTORE").
func (c *Conn) Has(capability string) bool { panic("body follows") }

// Oddities hands over what was survived since the last call (bounded; the last
// one says how many more there were).
func (c *Conn) Oddities() []Oddity { panic("body follows") }

// Folders lists the personal folders with their status, in one round trip where
// the server can. A folder that cannot be looked at has its Problem set.
func (c *Conn) Folders(ctx context.Context) ([]Folder, error) { panic("body follows") }

// Examine opens a folder read-only (L5). List, UIDs, Changes, Headers and Fetch
// work on the folder examined last.
func (c *Conn) Examine(ctx context.Context, raw string) (Selected, error) { panic("body follows") }

// List calls fn for every message whose UID lies in r, in the order of the server,
// with bounded memory. Zero, duplicate and unasked UIDs are dropped and reported.
// An error of fn ends the connection and is returned.
func (c *Conn) List(ctx context.Context, r UIDRange, fn func(Entry) error) error {
	panic("body follows")
}

// UIDs returns the UIDs of the folder in ascending order.
func (c *Conn) UIDs(ctx context.Context) ([]uint32, error) { panic("body follows") }

// Changes calls fn for every message whose modseq is above since; only UID, Flags
// and ModSeq are set. The server must offer CONDSTORE.
func (c *Conn) Changes(ctx context.Context, since uint64, fn func(Entry) error) error {
	panic("body follows")
}

// Headers calls fn with the named header fields of each message, as they stand in
// it. The bytes are valid until fn returns. missing are the UIDs that did not come.
func (c *Conn) Headers(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, header []byte) error) (missing []uint32, err error) {
	panic("body follows")
}

// Fetch streams the messages, each at most once and only if asked for, in the
// order of the server. An error of fn ends the connection and is returned. missing
// are the UIDs that did not come (gone meanwhile, or refused by the server); it is
// right also beside an error.
func (c *Conn) Fetch(ctx context.Context, uids []uint32, fn func(Message) error) (missing []uint32, err error) {
	panic("body follows")
}
