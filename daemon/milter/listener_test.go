package milter

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
)

func TestConnectionBeyondTheLimitIsClosedAtOnce(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	var open []net.Conn
	for range maxConnections {
		open = append(open, dialRaw(t, s))
	}
	// The last ones may not have been accepted yet; a refused one ends without a byte.
	await(t, "a refused connection", func() bool {
		conn := dialRaw(t, s)
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(make([]byte, 1))
		return n == 0 && err == io.EOF
	})
	if s.Stats().Refused == 0 {
		t.Error("no refused connection was counted")
	}
	for _, conn := range open {
		conn.Close()
	}
	await(t, "a free place", func() bool {
		session, err := gomilter.NewClientWithOptions(s.network, s.address, gomilter.ClientOptions{ReadTimeout: time.Second}).Session()
		if err != nil {
			return false
		}
		session.Close()
		return true
	})
}

func dialRaw(t testing.TB, s *served) net.Conn {
	t.Helper()
	conn, err := net.Dial(s.network, s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestShutdownEndsIdleSessionsAndLetsTheCurrentLetterFinish(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	idle, busy := dialRaw(t, s), s.dial(t)
	busy.envelope("4ABC", "anna@example.org")
	busy.headers(sample("1")...)
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	_ = idle.SetReadDeadline(time.Now().Add(drainWithin / 2))
	if _, err := idle.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the idle session has not ended: %v", err)
	}
	busy.end("4ABC")
	if got := len(s.memory.all()); got != 1 {
		t.Errorf("%d letters recorded, want the one that was under way", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("serving ended with %v", err)
	}
	if _, err := busy.Mail("a@x", nil); err == nil {
		t.Error("a session took another letter after the service had ended")
	}
}

func TestShutdownIsNotForgottenWhenItComesBetweenTwoReads(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	idle := &frameConn{Conn: near}
	idle.drain()
	go func() { _, _ = far.Write(frame('Q', "")) }()
	if n, err := idle.Read(make([]byte, 10)); err != io.EOF {
		t.Errorf("read %d bytes, %v: the session would wait for Postfix until it is killed", n, err)
	}
}

func TestShutdownWaitsForASilentLetterOnlyBriefly(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	silent := s.dial(t)
	silent.envelope("4ABC", "anna@example.org")
	started := time.Now()
	if err := s.stop(); err != nil {
		t.Errorf("serving ended with %v", err)
	}
	if took := time.Since(started); took > drainWithin+time.Second {
		t.Errorf("ending took %v, want about %v", took, drainWithin)
	}
}

func TestServeEndsWithAnErrorWhenItsListenerBreaks(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := New(Config{Recorder: &memory{}}).Serve(context.Background(), ln); err == nil {
		t.Error("no error although nobody can connect any more")
	}
}
