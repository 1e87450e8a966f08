package wire

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mailstork/daemon/account"
)

// DefaultIdleTimeout is how long a server may be silent in the middle of a reply.
const DefaultIdleTimeout = 90 * time.Second

const (
	bufferSize  = 64 << 10
	maxOddities = 100
)

// Trace sees one line of the dialogue at a time, for a protocol log: sent tells the
// direction. Secrets are masked as "***" and literals left out before it is called.
type Trace func(sent bool, line string)

// Options say where a server is and how to speak with it.
type Options struct {
	Address      string     // host:port
	LocalAddress netip.Addr // when valid, what the outgoing socket is bound to
	TLS          account.TLSMode
	CAFile       string // PEM file that replaces the system's certificate authorities
	ServerName   string // the name in the certificate; "" is the host of Address
	Pin          string // the only key that the server may show (account.ParsePin); "" asks the authorities
	IdleTimeout  time.Duration
	Trace        Trace
	// ReadOnly refuses to send any command that could change something (L5).
	ReadOnly bool
	// Compress and Link decide whether a read-only connection is compressed; without a
	// Link the connection learns alone.
	Compress Compress
	Link     *Link
	// PublicOnly refuses to connect inside our own network: Dial returns an
	// *account.PrivateAddressError.
	PublicOnly bool
}

// Conn is one IMAP connection.
type Conn struct {
	opt    Options
	base   net.Conn // the TCP connection under everything, for closing
	idle   *idleConn
	stream net.Conn // what commands are written to, before compression
	d      decoder
	w      *bufio.Writer

	tls          *tls.ConnectionState // nil without TLS
	link         *Link
	inflated     *inflater // nil while nothing is compressed
	askedDeflate bool
	loggedIn     bool
	sampled      sample

	mu      sync.Mutex // held by the call that is under way
	partial bool       // a command was begun and not ended
	tag     string     // random, so that no message body can forge a completion
	seq     int
	pending []*Command
	ahead   []*Command // those among pending that nobody has asked for yet
	cutOff  bool       // the last Visit was sent in part: nothing may follow it
	replies int        // since the last completion; at most maxReplies
	caps    map[string]bool
	preauth bool

	maxReplies int
	masks      [][]byte // what a server may quote while it judges the login
	said       string   // behind the last "+"
	complaint  string   // of a server about a token
	serverID   map[string]string

	failMu sync.Mutex
	err    error

	bye       *StatusError
	odd       []Oddity
	oddMore   int
	selected  Selected
	namespace Namespace
	lateUID   bool // this server names the UID behind the body
	noModSeq  bool // it offers CONDSTORE and refuses it in an EXAMINE
	flags     map[string]string
}

// Dial connects, secures the connection as Options say, and reads the greeting.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = DefaultIdleTimeout
	}
	d := net.Dialer{Timeout: 30 * time.Second}
	if o.LocalAddress.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(o.LocalAddress, 0))
	}
	if o.PublicOnly {
		d.Control = account.RefusePrivate
	}
	nc, err := d.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", o.Address, err)
	}
	return start(ctx, nc, o)
}

// start speaks over an open connection; it owns nc.
func start(ctx context.Context, nc net.Conn, o Options) (*Conn, error) {
	c := &Conn{
		opt: o, base: nc, tag: strings.ToLower(rand.Text()[:6]),
		flags: map[string]string{}, maxReplies: maxReplies, link: o.Link,
	}
	if c.link == nil {
		c.link = &Link{}
	}
	if err := c.greet(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

// use makes nc the stream of the connection.
func (c *Conn) use(nc net.Conn) {
	c.stream = nc
	c.d.r = bufio.NewReaderSize(nc, bufferSize)
	c.w = bufio.NewWriterSize(nc, bufferSize)
}

// idleConn gives every single read and write its own deadline, so that a slow
// transfer may take hours and a silent one may not. It counts what comes.
type idleConn struct {
	net.Conn
	idle   time.Duration
	octets int64
	waited time.Duration
}

func (c *idleConn) Read(p []byte) (int, error) {
	began := time.Now()
	if err := c.SetReadDeadline(began.Add(c.idle)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.octets += int64(n)
	c.waited += time.Since(began)
	return n, c.named(err, "nothing came")
}

func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	return n, c.named(err, "nothing was taken")
}

func (c *idleConn) named(err error, what string) error {
	if isDeadline(err) {
		return fmt.Errorf("%s for %v: %w", what, c.idle, err)
	}
	return err
}

func isDeadline(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// Enter begins a call: it waits for no other, checks that the connection is whole
// and lets the context close it. The returned function ends the call and dresses
// its error.
func (c *Conn) Enter(ctx context.Context) (leave func(error) error, err error) {
	c.mu.Lock()
	if err = c.Err(); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	return func(err error) error {
		stop()
		if c.bye != nil {
			_ = c.fail(c.farewell())
		}
		c.mu.Unlock()
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("%w (%v)", context.Cause(ctx), err)
		}
		return err
	}, nil
}

// fail ends the connection; the first reason stays.
func (c *Conn) fail(err error) error {
	c.failMu.Lock()
	defer c.failMu.Unlock()
	if c.err == nil {
		c.err = err
		_ = c.base.Close()
	}
	return err
}

// broken ends the connection because of err, preferring the server's own farewell
// and the reason why we closed it ourselves.
func (c *Conn) broken(err error) error {
	c.failMu.Lock()
	first := c.err
	c.failMu.Unlock()
	if first == nil && c.inflated != nil && inflationFailed(err) {
		c.link.forbid()
	}
	switch {
	case first != nil:
		return first
	case c.bye != nil:
		return c.fail(c.farewell())
	case errors.Is(err, io.EOF):
		return c.fail(fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF))
	}
	return c.fail(err)
}

// Err is nil while the connection can be used.
func (c *Conn) Err() error {
	c.failMu.Lock()
	defer c.failMu.Unlock()
	return c.err
}

// Drop ends the connection at once, without a word.
func (c *Conn) Drop() { c.fail(ErrClosed) }

// Close says LOGOUT if no call is under way, and ends the connection. It does not
// wait for the server, at most a second for the network to take the word.
func (c *Conn) Close() error {
	if c.mu.TryLock() {
		defer time.AfterFunc(time.Second, c.Drop).Stop()
		if c.Err() == nil && !c.partial {
			c.seq++
			_, _ = fmt.Fprintf(c.w, "%s%d LOGOUT\r\n", c.tag, c.seq)
			_ = c.w.Flush()
		}
		c.mu.Unlock()
	}
	c.Drop()
	return nil
}

// Namespace is the personal namespace, known after Folders.
func (c *Conn) Namespace() Namespace { return c.namespace }

// Has tells whether the server offers a capability.
func (c *Conn) Has(capability string) bool { return c.caps[strings.ToUpper(capability)] }

// Capabilities are those that the server told last, in order.
func (c *Conn) Capabilities() []string { return slices.Sorted(maps.Keys(c.caps)) }

// TLS is what the handshake agreed on; nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState { return c.tls }

// Remote is the address that the connection leads to; invalid when it is no TCP connection.
func (c *Conn) Remote() netip.Addr {
	if tcp, ok := c.base.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// Oddities hands over what was survived since the last call.
func (c *Conn) Oddities() []Oddity {
	out := c.odd
	if c.oddMore > 0 {
		out = append(out, Oddity{Kind: "more", Detail: fmt.Sprintf("%d further oddities", c.oddMore)})
	}
	c.odd, c.oddMore = nil, 0
	return out
}

func (c *Conn) note(kind, format string, args ...any) {
	if len(c.odd) >= maxOddities {
		c.oddMore++
		return
	}
	detail := c.hidden(fmt.Sprintf(format, args...))
	if len(detail) > 300 {
		detail = detail[:300] + "…"
	}
	c.odd = append(c.odd, Oddity{Kind: kind, Detail: detail})
}

func (c *Conn) trace(sent bool, line string) {
	if c.opt.Trace != nil {
		c.opt.Trace(sent, c.hidden(line))
	}
}

func (c *Conn) setCapabilities(words []string) {
	c.caps = make(map[string]bool, len(words))
	for _, w := range words {
		c.caps[strings.ToUpper(w)] = true
	}
}
