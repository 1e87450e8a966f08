package milter

import (
	"errors"
	"net"
	"sync"
	"time"
)

// boundedListener accepts at most limit connections at a time. One more is closed at once: with
// default_action=accept Postfix goes on without us, where a queue would make it wait.
type boundedListener struct {
	net.Listener
	limit   int
	refused func()
	ended   func(error)

	mu    sync.Mutex
	conns map[*frameConn]bool
	gone  sync.WaitGroup
}

func newBoundedListener(inner net.Listener, limit int) *boundedListener {
	return &boundedListener{Listener: inner, limit: limit, conns: make(map[*frameConn]bool)}
}

// retryAccept is the pause after a failed Accept, as when file descriptors ran out.
const retryAccept = 100 * time.Millisecond

// Accept fails only when the listener is closed: the library would stop serving at any other error.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			time.Sleep(retryAccept)
		default:
			if framed := l.admit(conn); framed != nil {
				return framed, nil
			}
			l.refused()
			_ = conn.Close()
		}
	}
}

func (l *boundedListener) admit(conn net.Conn) *frameConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.limit {
		return nil
	}
	framed := &frameConn{Conn: conn, ended: l.leave}
	l.conns[framed] = true
	l.gone.Add(1)
	return framed
}

func (l *boundedListener) leave(c *frameConn, reason error) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	if reason != nil {
		l.ended(reason)
	}
	l.gone.Done()
}

// drain lets messages that are under way reach their end for at most grace, and returns when every session is over.
func (l *boundedListener) drain(grace time.Duration) {
	l.each((*frameConn).drain)
	force := time.AfterFunc(grace, func() {
		l.each(func(c *frameConn) { _ = c.Conn.Close() })
	})
	defer force.Stop()
	l.gone.Wait()
}

func (l *boundedListener) each(do func(*frameConn)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		do(c)
	}
}
