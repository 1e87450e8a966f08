package live

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// relay is the way to the source, which can be made slow, or keep one connection waiting.
type relay struct {
	listener net.Listener
	server   string
	pace     atomic.Int64         // octets per second from the source, of each connection; 0: any
	next     atomic.Pointer[wait] // the next connection waits for it
	all      sync.WaitGroup
	mu       sync.Mutex
	conns    map[net.Conn]bool
}

func newRelay(t *testing.T, server string) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, server: server, conns: map[net.Conn]bool{}}
	r.all.Go(r.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		r.cut()
		r.all.Wait()
	})
	return r, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		upstream, err := net.Dial("tcp", r.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		r.mu.Lock()
		r.conns[client], r.conns[upstream] = true, true
		r.mu.Unlock()
		keep := r.next.Swap(nil)
		r.all.Go(func() {
			defer r.end(client, upstream)
			if keep != nil {
				close(keep.there)
				<-keep.over
			}
			_, _ = io.Copy(upstream, client)
		})
		r.all.Go(func() { defer r.end(client, upstream); _, _ = io.Copy(slow{client, r}, upstream) })
	}
}

// wait is for a connection that a test keeps waiting.
type wait struct{ there, over chan struct{} }

// keepNext lets the next connection wait, from its first octet on, until over is closed.
func (r *relay) keepNext() *wait {
	w := &wait{make(chan struct{}), make(chan struct{})}
	r.next.Store(w)
	return w
}

func (r *relay) end(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(r.conns, c)
	}
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		_ = c.Close()
	}
}

// slow lets octets through at the relay's pace.
type slow struct {
	io.Writer
	r *relay
}

func (s slow) Write(p []byte) (int, error) {
	if pace := s.r.pace.Load(); pace > 0 {
		time.Sleep(time.Duration(len(p)) * time.Second / time.Duration(pace))
	}
	return s.Writer.Write(p)
}
