package destination

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
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
	// NotBefore is when the server knows User at the latest: Dovecot looks at its passwd-files once a second.
	NotBefore time.Time
	// Trace sees every line of the dialogue, secrets masked and literals left out.
	Trace wire.Trace
}

// Conn is one connection. It serves one goroutine at a time.
type Conn struct {
	w *wire.Conn
}

// Dial connects and logs in. A refused login is a *wire.LoginError.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	if err := waitUntil(ctx, o.NotBefore); err != nil {
		return nil, err
	}
	w, err := wire.Dial(ctx, wire.Options{
		Address: o.Address, LocalAddress: o.LocalAddress, TLS: o.TLS, CAFile: o.CAFile,
		ServerName: o.ServerName, IdleTimeout: o.IdleTimeout, Trace: o.Trace,
	})
	if err != nil {
		return nil, err
	}
	c := &Conn{w: w}
	if err = c.login(ctx, o); err != nil {
		_ = w.Close()
		return nil, err
	}
	return c, nil
}

func waitUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *Conn) login(ctx context.Context, o Options) error {
	l := wire.Login{User: o.User, Password: o.Password}
	if o.MasterUser != "" {
		separator := o.Separator
		if separator == "" {
			separator = "*"
		}
		l = wire.Login{User: o.User + separator + o.MasterUser, Password: o.MasterPassword}
	}
	if err := c.w.Login(ctx, l); err != nil {
		return err
	}
	if !c.w.Has("QRESYNC") {
		return nil
	}
	return c.do(ctx, "ENABLE", func(cmd *wire.Command) { cmd.Word("QRESYNC") })
}

// do runs one command whose arguments build adds.
func (c *Conn) do(ctx context.Context, verb string, build func(*wire.Command)) error {
	_, err := c.ask(ctx, verb, build)
	return err
}

// ask is do for a command whose completion says something.
func (c *Conn) ask(ctx context.Context, verb string, build func(*wire.Command)) (wire.Reply, error) {
	leave, err := c.w.Enter(ctx)
	if err != nil {
		return wire.Reply{}, err
	}
	cmd := c.w.Begin(verb)
	build(cmd)
	_ = cmd.End(true) // Wait gives its error
	reply, err := cmd.Wait()
	if s := wire.Refused(err); s != nil && s.Status == "BAD" {
		c.w.Drop()
	}
	return reply, leave(err)
}

// simple runs a command whose one argument is a folder.
func (c *Conn) simple(ctx context.Context, verb, raw string) error {
	err := c.do(ctx, verb, func(cmd *wire.Command) { cmd.String(raw) })
	if err != nil {
		return fmt.Errorf("%s of %q: %w", verb, raw, err)
	}
	return nil
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

// Has tells whether the server offers a capability ("MULTIAPPEND").
func (c *Conn) Has(capability string) bool {
	return c.w.Has(capability)
}

// Oddities hands over what was survived since the last call.
func (c *Conn) Oddities() []Oddity {
	return c.w.Oddities()
}

// Namespace is the personal namespace; known after Folders.
func (c *Conn) Namespace() Namespace {
	return c.w.Namespace()
}

// Folders lists the personal folders with their status in one round trip.
func (c *Conn) Folders(ctx context.Context) ([]Folder, error) {
	return c.w.Folders(ctx)
}

// Quota returns the limits that a folder is under, as far as the server tells them.
func (c *Conn) Quota(ctx context.Context, raw string) ([]wire.QuotaRoot, error) {
	return c.w.Quota(ctx, raw)
}

// Create makes a folder; one that exists already is no error.
func (c *Conn) Create(ctx context.Context, raw string) error {
	err := c.simple(ctx, "CREATE", raw)
	if s := wire.Refused(err); s != nil && s.Code == "ALREADYEXISTS" {
		return nil
	}
	return err
}

// Rename gives a folder another name, and Dovecot those below it. UIDVALIDITY and UIDs stay.
func (c *Conn) Rename(ctx context.Context, from, to string) error {
	err := c.do(ctx, "RENAME", func(cmd *wire.Command) { cmd.String(from); cmd.String(to) })
	if err != nil {
		return fmt.Errorf("renaming %q to %q: %w", from, to, err)
	}
	return nil
}

// Unsubscribe ends a subscription; that there is none is no error.
func (c *Conn) Unsubscribe(ctx context.Context, raw string) error {
	return c.simple(ctx, "UNSUBSCRIBE", raw)
}

// Subscribe subscribes to a folder; doing so twice is no error.
func (c *Conn) Subscribe(ctx context.Context, raw string) error {
	return c.simple(ctx, "SUBSCRIBE", raw)
}

// Select opens a folder for StoreFlags and Expunge. To look, use Examine.
func (c *Conn) Select(ctx context.Context, raw string) (Selected, error) {
	return c.w.Open(ctx, raw, false)
}

// Examine opens a folder read-only. List, UIDs, Changes, Headers and Digests work
// on the folder opened last.
func (c *Conn) Examine(ctx context.Context, raw string) (Selected, error) {
	return c.w.Open(ctx, raw, true)
}

// List calls fn for every message whose UID lies in r, with bounded memory.
func (c *Conn) List(ctx context.Context, r UIDRange, fn func(Entry) error) error {
	return c.w.List(ctx, r, fn)
}

// UIDs returns the UIDs of the folder in ascending order.
func (c *Conn) UIDs(ctx context.Context) ([]uint32, error) {
	return c.w.UIDs(ctx)
}

// Flags calls fn with the flags of the messages named, as far as they are there; again when they change meanwhile.
func (c *Conn) Flags(ctx context.Context, uids []uint32, fn func(uid uint32, flags []string)) error {
	return c.w.Flags(ctx, uids, fn)
}

// Changes calls fn for every message whose modseq is above since (UID, Flags and
// ModSeq set) and returns the UIDs that vanished since then. vanished may contain
// UIDs that never existed. A HighestModSeq below since means that Dovecot rebuilt
// its index and that vanished knows nothing: the caller must compare UIDs instead.
func (c *Conn) Changes(ctx context.Context, since uint64, fn func(Entry) error) (vanished UIDSet, err error) {
	return c.w.Changes(ctx, since, c.w.Has("QRESYNC"), fn)
}

// Headers calls fn with the named header fields of each message. The bytes are
// valid until fn returns. missing are the UIDs that did not come.
func (c *Conn) Headers(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, header []byte) error) (missing []uint32, err error) {
	return c.w.Headers(ctx, uids, fields, fn)
}

// Digests reads messages back and calls fn with the digest (letter.Digest) and the
// size of each as stored. missing are the UIDs that did not come.
func (c *Conn) Digests(ctx context.Context, uids []uint32, fn func(uid uint32, size int64, digest [32]byte) error) (missing []uint32, err error) {
	return c.w.Fetch(ctx, uids, func(m wire.Message) error {
		d := letter.NewDigest()
		if _, err := io.Copy(d, m.Body); err != nil {
			return err
		}
		return fn(m.UID, d.Octets(), d.Sum())
	})
}
