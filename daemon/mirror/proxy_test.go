package mirror_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// cutAt is where the proxy cuts a connection.
type cutAt string

const (
	never         cutAt = "never"
	beforeRequest cutAt = "before the request" // the server never sees it
	afterRequest  cutAt = "after the request"  // the server executes it while we are gone: a ghost
	replyLost     cutAt = "before the reply"   // the server has executed it
	midLiteral    cutAt = "in the middle of a literal"
	midReply      cutAt = "in the middle of a literal of a reply"
)

// proxy stands between the mirror and the destination and cuts one connection at one command, once.
type proxy struct {
	t        testing.TB
	listener net.Listener
	server   string
	from     net.IP // so that Dovecot sees our address

	plan     atomic.Value // cutPlan
	commands atomic.Int64
	literals atomic.Int64
	fired    atomic.Bool
	rules
}

// cutPlan is where to cut: at the n-th command, or literal.
type cutPlan struct {
	at cutAt
	n  int64
}

// rules are what a proxy does beside cutting; each may be nil.
type rules struct {
	counts  func(command string) bool   // only these count
	ends    func(command string) bool   // these end the connection, each time
	refuse  func(command string) string // the answer to a command that the server shall not see; "" lets it pass
	rewrite func(reply string) string   // changes a line of the server
}

func newProxy(t testing.TB, server string, r rules) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, listener: listener, server: server, from: net.IP(ours.AsSlice()), rules: r}
	p.arm(never, 0)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// arm prepares the next cut, at the n-th command (or literal) from now.
func (p *proxy) arm(at cutAt, n int64) {
	p.plan.Store(cutPlan{at, n})
	p.commands.Store(0)
	p.literals.Store(0)
	p.fired.Store(false)
}

type session struct {
	*proxy
	client, upstream net.Conn
	lost             atomic.Value // the tag whose reply is lost
}

func (p *proxy) serve(client net.Conn) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: p.from}}
	upstream, err := dialer.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	s := &session{proxy: p, client: client, upstream: upstream}
	s.lost.Store("")
	var done sync.WaitGroup
	done.Go(s.replies)
	s.requests()
	s.cut()
	done.Wait()
}

func (s *session) cut() { _ = s.client.Close(); _ = s.upstream.Close() }

func (s *session) fire() {
	s.fired.Store(true)
	s.cut()
}

func (s *session) due(at cutAt, count int64) bool {
	return s.plan.Load() == cutPlan{at, count} && !s.fired.Load()
}

func (s *session) cuts(at cutAt) bool { return s.plan.Load().(cutPlan).at == at }

// requests forwards commands with their literals.
func (s *session) requests() {
	in := bufio.NewReaderSize(s.client, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if s.ends != nil && s.ends(rest) {
			return
		}
		count := int64(-1)
		if s.counts == nil || s.counts(rest) {
			count = s.commands.Add(1)
		}
		if s.due(beforeRequest, count) {
			s.fire()
			return
		}
		if s.due(replyLost, count) {
			s.lost.Store(tag)
		}
		if s.refuse != nil {
			if !s.hold(in, line, tag) {
				return
			}
			continue
		}
		if !s.forward(in, line) {
			return
		}
		if s.due(afterRequest, count) {
			s.fire()
			return
		}
	}
}

// forward passes one command on: lines, and literals between them.
func (s *session) forward(in *bufio.Reader, line string) bool {
	for {
		if _, err := io.WriteString(s.upstream, line); err != nil {
			return false
		}
		size, literal := literalSize(line)
		if !literal {
			return true
		}
		if s.due(midLiteral, s.literals.Add(1)) {
			_, _ = io.CopyN(s.upstream, in, size/2)
			s.fire()
			return false
		}
		if _, err := io.CopyN(s.upstream, in, size); err != nil {
			return false
		}
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return false
		}
	}
}

// hold reads a whole command before it decides whether the server sees it.
func (s *session) hold(in *bufio.Reader, line, tag string) bool {
	var whole, text bytes.Buffer
	for {
		whole.WriteString(line)
		text.WriteString(line)
		size, literal := literalSize(line)
		if !literal {
			break
		}
		if _, err := io.CopyN(&whole, in, size); err != nil {
			return false
		}
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return false
		}
	}
	var err error
	if no := s.refuse(strings.TrimPrefix(text.String(), tag+" ")); no != "" {
		_, err = fmt.Fprintf(s.client, "%s %s\r\n", tag, no)
	} else {
		_, err = whole.WriteTo(s.upstream)
	}
	return err == nil
}

func literalSize(line string) (int64, bool) {
	line = strings.TrimRight(line, "\r\n")
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(line[open+1:len(line)-1], "+"), 10, 64)
	return n, err == nil
}

// replies forwards answers, and cuts instead of forwarding the one that is to be lost.
func (s *session) replies() {
	defer s.cut()
	in := bufio.NewReaderSize(s.upstream, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if tag, _, _ := strings.Cut(line, " "); tag == s.lost.Load() && tag != "" {
			s.fire()
			return
		}
		if s.rewrite != nil {
			line = s.rewrite(line)
		}
		if _, err := io.WriteString(s.client, line); err != nil {
			return
		}
		size, literal := literalSize(line)
		if literal && s.cuts(midReply) && s.due(midReply, s.literals.Add(1)) {
			_, _ = io.CopyN(s.client, in, size/2)
			s.fire()
			return
		}
		if _, err := io.CopyN(s.client, in, size); err != nil {
			return
		}
	}
}
