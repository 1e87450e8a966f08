package source

import (
	"context"
	"errors"
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
	Message  = wire.Message
	Visit    = wire.Visit
)

// Options say where the account is and what opens it.
type Options struct {
	Server   account.Source
	User     string
	Password secret.Secret
	// AuthzID, when set, is the account to open with the credential of User (SASL
	// PLAIN, RFC 4616): the way most servers spell a master user.
	AuthzID string
	// Mechanism and Become are for master users that AuthzID cannot spell.
	Mechanism wire.Mechanism
	Become    string
	// Tokens, when set, take the place of Password.
	Tokens wire.TokenSource
	// Link is what is known of the way to Server; all connections to it may share one.
	Link *wire.Link
	// IdleTimeout ends the connection when nothing moves for so long; 0 means
	// wire.DefaultIdleTimeout.
	IdleTimeout time.Duration
	// PublicOnly refuses a server inside our own network with an
	// *account.PrivateAddressError.
	PublicOnly bool
	// Trace sees every line of the dialogue, secrets masked and literals left out.
	Trace wire.Trace
}

// Conn is one connection. It serves one goroutine at a time.
type Conn struct {
	w *wire.Conn
}

// Dial connects, verifies TLS, logs in and learns the capabilities. A refused
// login is a *wire.LoginError, a bad certificate a *wire.TLSError.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	if o.Tokens != nil { // a token that must be fetched first lets no connection wait
		if _, _, err := o.Tokens.Token(ctx); err != nil {
			return nil, &wire.LoginError{User: o.User, Refused: tokenRefused(err), Err: err}
		}
	}
	c, err := dial(ctx, o)
	var token *wire.TokenError
	if errors.As(err, &token) && token.TryAgain {
		return dial(ctx, o)
	}
	return c, err
}

func tokenRefused(err error) bool {
	var token *wire.TokenError
	return errors.As(err, &token) && token.Refused
}

func dial(ctx context.Context, o Options) (*Conn, error) {
	w, err := wire.Dial(ctx, wire.Options{
		Address: o.Server.HostPort(), TLS: o.Server.TLS, CAFile: o.Server.CAFile, Pin: o.Server.Pin,
		ServerName: o.Server.CertificateName(), IdleTimeout: o.IdleTimeout, Trace: o.Trace, ReadOnly: true,
		PublicOnly: o.PublicOnly, Compress: wire.Compress(o.Server.Compress), Link: o.Link,
	})
	if err != nil {
		return nil, err
	}
	err = w.Login(ctx, wire.Login{
		User: o.User, AuthzID: o.AuthzID, Password: o.Password,
		Mechanism: o.Mechanism, Become: o.Become, Tokens: o.Tokens,
	})
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	return &Conn{w: w}, nil
}

// Close logs out without waiting for the answer. It may be called twice, and from
// another goroutine to end a call that is under way.
func (c *Conn) Close() error {
	return c.w.Close()
}

// Err is nil while the connection can be used.
func (c *Conn) Err() error {
	return c.w.Err()
}

// Has tells whether the server offers a capability ("CONDSTORE").
func (c *Conn) Has(capability string) bool {
	return c.w.Has(capability)
}

// Oddities hands over what was survived since the last call (bounded; the last
// one says how many more there were).
func (c *Conn) Oddities() []Oddity {
	return c.w.Oddities()
}

// Folders lists the personal folders with their status, in one round trip where
// the server can. A folder that cannot be looked at has its Problem set.
func (c *Conn) Folders(ctx context.Context) ([]Folder, error) {
	return c.w.Folders(ctx)
}

// Sizes returns the octets of folders, as far as the server tells them.
func (c *Conn) Sizes(ctx context.Context, raws []string) (map[string]int64, error) {
	return c.w.Sizes(ctx, raws)
}

// Examine opens a folder read-only (L5). List, UIDs, Changes, Headers and Fetch
// work on the folder examined last.
func (c *Conn) Examine(ctx context.Context, raw string) (Selected, error) {
	return c.w.Open(ctx, raw, true)
}

// List calls fn for every message whose UID lies in r, in the order of the server,
// with bounded memory. Zero, duplicate and unasked UIDs are dropped and reported.
// An error of fn ends the connection and is returned.
func (c *Conn) List(ctx context.Context, r UIDRange, fn func(Entry) error) error {
	return c.w.List(ctx, r, fn)
}

// Newest is a List of the last n messages of the folder, whatever their UIDs.
func (c *Conn) Newest(ctx context.Context, n uint32, fn func(Entry) error) error {
	return c.w.Newest(ctx, n, fn)
}

// UIDs returns the UIDs of the folder in ascending order.
func (c *Conn) UIDs(ctx context.Context) ([]uint32, error) {
	return c.w.UIDs(ctx)
}

// Changes calls fn for every message whose modseq is above since; only UID, Flags
// and ModSeq are set. The server must offer CONDSTORE.
func (c *Conn) Changes(ctx context.Context, since uint64, fn func(Entry) error) error {
	_, err := c.w.Changes(ctx, since, false, fn)
	return err
}

// Headers calls fn with the named header fields of each message, as they stand in
// it. The bytes are valid until fn returns. missing are the UIDs that did not come.
func (c *Conn) Headers(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, header []byte) error) (missing []uint32, err error) {
	return c.w.Headers(ctx, uids, fields, fn)
}

// Ahead sends what next names before it is asked for, so that no later call waits
// for a round trip. Nothing but time depends on it.
func (c *Conn) Ahead(ctx context.Context, next wire.Foresight) error {
	return c.w.Ahead(ctx, next)
}

// FetchAhead is a Fetch that sends what next names behind its last command. next
// must not use the connection.
func (c *Conn) FetchAhead(ctx context.Context, uids []uint32, next wire.Foresight, fn func(Message) error) (missing []uint32, err error) {
	return c.w.FetchAhead(ctx, uids, next, fn)
}

// Fetch streams the messages, each at most once and only if asked for, in the
// order of the server. An error of fn ends the connection and is returned. missing
// are the UIDs that did not come (gone meanwhile, or refused by the server); it is
// right also beside an error.
func (c *Conn) Fetch(ctx context.Context, uids []uint32, fn func(Message) error) (missing []uint32, err error) {
	return c.w.Fetch(ctx, uids, fn)
}
