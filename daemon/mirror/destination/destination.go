package destination

import (
	"context"
	"net/netip"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
)

// The vocabulary of listings is shared with the source.
type (
	Folder    = wire.Folder
	Status    = wire.Status
	Selected  = wire.Selected
	Entry     = wire.Entry
	UIDRange  = wire.UIDRange
	UIDSet    = wire.UIDSet
	Oddity    = wire.Oddity
	Namespace = wire.Namespace
)

// Options say where the destination is and what opens it.
type Options struct {
	Address string // host:port
	// LocalAddress, when valid, is what the outgoing socket is bound to, so that
	// our sessions can be told from the owner's (see Fence).
	LocalAddress netip.Addr
	User         string
	// MasterUser and MasterPassword log in as User*MasterUser. With an empty
	// MasterUser, Password is User's own.
	MasterUser     string
	MasterPassword secret.Secret
	Password       secret.Secret
	// Separator stands between user and master user; "" means "*".
	Separator  string
	TLS        account.TLSMode // "" means TLSNone: Dovecot on loopback
	CAFile     string
	ServerName string
	// IdleTimeout ends the connection when nothing moves for so long; 0 means
	// wire.DefaultIdleTimeout.
	IdleTimeout time.Duration
	// Trace sees every line of the dialogue, secrets masked and literals left out.
	Trace wire.Trace
}

// Conn is one connection. It serves one goroutine at a time.
type Conn struct {
	w *wire.Conn
}

// Dial connects and logs in. A refused login is a *wire.LoginError.
func Dial(ctx context.Context, o Options) (*Conn, error) { panic("body follows") }

// Close logs out without waiting for the answer. It may be called twice, and from
// another goroutine to end a call that is under way.
func (c *Conn) Close() error { panic("body follows") }

// Err is nil while the connection can be used.
func (c *Conn) Err() error { panic("body follows") }

// Has tells whether the server offers a capability ("MULTIAPPEND").
func (c *Conn) Has(capability string) bool { panic("body follows") }

// Oddities hands over what was survived since the last call.
func (c *Conn) Oddities() []Oddity { panic("body follows") }

// Namespace is the personal namespace; known after Folders.
func (c *Conn) Namespace() Namespace { panic("body follows") }

// Folders lists the personal folders with their status in one round trip.
func (c *Conn) Folders(ctx context.Context) ([]Folder, error) { panic("body follows") }

// Create makes a folder; one that exists already is no error.
func (c *Conn) Create(ctx context.Context, raw string) error { panic("body follows") }

// Subscribe subscribes to a folder; doing so twice is no error.
func (c *Conn) Subscribe(ctx context.Context, raw string) error { panic("body follows") }

// Select opens a folder for StoreFlags and Expunge. To look, use Examine.
func (c *Conn) Select(ctx context.Context, raw string) (Selected, error) { panic("body follows") }

// Examine opens a folder read-only. List, UIDs, Changes, Headers and Digests work
// on the folder opened last.
func (c *Conn) Examine(ctx context.Context, raw string) (Selected, error) { panic("body follows") }

// List calls fn for every message whose UID lies in r, with bounded memory.
func (c *Conn) List(ctx context.Context, r UIDRange, fn func(Entry) error) error {
	panic("body follows")
}

// UIDs returns the UIDs of the folder in ascending order.
func (c *Conn) UIDs(ctx context.Context) ([]uint32, error) { panic("body follows") }

// Changes calls fn for every message whose modseq is above since (UID, Flags and
// ModSeq set) and returns the UIDs that vanished since then. vanished may contain
// UIDs that never existed. A HighestModSeq below since means that Dovecot rebuilt
// its index and that vanished knows nothing: the caller must compare UIDs instead.
func (c *Conn) Changes(ctx context.Context, since uint64, fn func(Entry) error) (vanished UIDSet, err error) {
	panic("body follows")
}

// Headers calls fn with the named header fields of each message. The bytes are
// valid until fn returns. missing are the UIDs that did not come.
func (c *Conn) Headers(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, header []byte) error) (missing []uint32, err error) {
	panic("body follows")
}

// Digests reads messages back and calls fn with the digest (letter.Digest) and the
// size of each as stored. missing are the UIDs that did not come.
func (c *Conn) Digests(ctx context.Context, uids []uint32, fn func(uid uint32, size int64, digest [32]byte) error) (missing []uint32, err error) {
	panic("body follows")
}

// FlagChange is how StoreFlags changes flags.
type FlagChange int

const (
	AddFlags FlagChange = iota
	RemoveFlags
	ReplaceFlags
)

// StoreFlags changes flags and keywords of messages in the selected folder. Flags
// that Dovecot cannot keep are left out and returned as unkept.
func (c *Conn) StoreFlags(ctx context.Context, uids []uint32, change FlagChange, flags []string) (unkept []string, err error) {
	panic("body follows")
}

// Expunge deletes exactly these messages of the selected folder (L4): UID STORE
// \Deleted, then UID EXPUNGE; never EXPUNGE. A UID that is gone already is no error.
func (c *Conn) Expunge(ctx context.Context, uids []uint32) error { panic("body follows") }
