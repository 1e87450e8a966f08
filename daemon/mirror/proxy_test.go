package mirror_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"mailstork/test/faultproxy"
)

// cutAt is where the proxy cuts a connection.
type cutAt = faultproxy.At

const (
	never         = faultproxy.Never
	beforeRequest = faultproxy.BeforeRequest
	afterRequest  = faultproxy.AfterRequest
	replyLost     = faultproxy.ReplyLost
	midLiteral    = faultproxy.MidLiteral
	midReply      = faultproxy.MidReply
)

// proxy stands between the mirror and a server and cuts one connection at one command, once.
type proxy struct {
	*faultproxy.Proxy
	listener           io.Closer
	commands, literals *atomic.Int64
	fired              *atomic.Bool
}

// rules are what a proxy does beside cutting; each may be nil.
type rules struct {
	counts  func(command string) bool   // only these count
	ends    func(command string) bool   // these end the connection, each time
	refuse  func(command string) string // the answer to a command that the server shall not see; "" lets it pass
	rewrite func(reply string) string   // changes a line of the server
	// ghost are commands whose client is cut off, while the server gets them only when the channel is closed; nil: none.
	ghost func(command string) <-chan struct{}
}

func newProxy(t testing.TB, server string, r rules) *proxy {
	t.Helper()
	p, err := faultproxy.New(server, net.IP(ours.AsSlice()), faultproxy.Rules{Counts: r.counts, Ends: r.ends, Refuse: r.refuse, Rewrite: r.rewrite, Ghost: r.ghost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // the listener may be closed already
	return &proxy{Proxy: p, listener: p.Listener(), commands: &p.Commands, literals: &p.Literals, fired: &p.Fired}
}

func (p *proxy) address() string { return p.Address() }

// arm prepares the next cut, at the n-th command (or literal) from now.
func (p *proxy) arm(at cutAt, n int64) { p.Arm(at, n) }
