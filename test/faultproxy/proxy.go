package faultproxy

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// At is where a connection is broken.
type At string

const (
	Never         At = "never"
	BeforeRequest At = "before the request"                    // the server never sees it
	AfterRequest  At = "after the request"                     // the server executes it while the client is gone: a ghost
	Late          At = "after the request, which comes late"   // the same, but not before Rules.Late returns
	ReplyLost     At = "before the reply"                      // the server has executed it
	MidLiteral    At = "in the middle of a literal"            // of a command
	MidReply      At = "in the middle of a literal of a reply" // of the server
	lateAnswer       = 5 * time.Second                         // how long the answer to a late command is waited for
)

// Rules are what a proxy does beside breaking; each may be zero.
type Rules struct {
	Counts  func(command string) bool   // only these count
	Ends    func(command string) bool   // these end the connection, each time
	Refuse  func(command string) string // the answer to a command that the server shall not see; "" lets it pass
	Rewrite func(reply string) string   // changes a line of the server
	Sees    func(command string)        // is told every command
	OnFire  func()                      // runs when a boundary is reached, before anything breaks
	Late    func()                      // what a late command waits for; the client is gone
	// Ghost are commands whose client is cut off, while the server gets them only when the channel is closed; nil: none.
	// Only together with Refuse.
	Ghost func(command string) <-chan struct{}
}

// Proxy breaks one connection at one boundary, once for each Arm. Its methods may be called from any goroutine.
type Proxy struct {
	Rules
	// How many there were since Arm, and whether the boundary was reached.
	Commands, Literals atomic.Int64
	Fired              atomic.Bool

	listener net.Listener
	server   string
	from     net.IP // so that the server sees the client's own address
	plan     atomic.Value
	serving  sync.WaitGroup
	sessions sync.WaitGroup
}

// plan is where to break: at the n-th command, or literal.
type plan struct {
	at At
	n  int64
}

// New listens on loopback for clients of the server, to which it connects from an address of its own.
func New(server string, from net.IP, r Rules) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a proxy to %s: %w", server, err)
	}
	p := &Proxy{Rules: r, listener: listener, server: server, from: from}
	p.Arm(Never, 0)
	p.serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.sessions.Go(func() { p.serve(client) })
		}
	})
	return p, nil
}

// Address is where clients connect.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Listener may be closed to refuse further clients.
func (p *Proxy) Listener() net.Listener { return p.listener }

// Close ends the proxy when its clients are gone.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.serving.Wait()
	p.Idle()
	return err
}

// Idle returns when every session has ended, also those whose client is gone. No client may come meanwhile.
func (p *Proxy) Idle() { p.sessions.Wait() }

// Arm prepares the next break, at the n-th command (or literal) from now.
func (p *Proxy) Arm(at At, n int64) {
	p.plan.Store(plan{at, n})
	p.Commands.Store(0)
	p.Literals.Store(0)
	p.Fired.Store(false)
}

func (p *Proxy) serve(client net.Conn) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: p.from}}
	upstream, err := dialer.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	s := &session{Proxy: p, client: client, upstream: upstream, answered: make(chan struct{})}
	s.lost.Store("")
	s.late.Store("")
	var done sync.WaitGroup
	done.Go(s.replies)
	s.requests()
	s.cut()
	done.Wait()
}

// fire breaks nothing itself. Only the first to reach the boundary gets true.
func (p *Proxy) fire() bool {
	if !p.Fired.CompareAndSwap(false, true) {
		return false
	}
	if p.OnFire != nil {
		p.OnFire()
	}
	return true
}

func (p *Proxy) due(at At, count int64) bool {
	return p.plan.Load() == plan{at, count} && !p.Fired.Load()
}

func (p *Proxy) breaks(at At) bool { return p.plan.Load().(plan).at == at }
