package e2e

import (
	"io"
	"net"
	"sync"
	"time"
)

// slowLine is a way to a server that carries only so many octets a second in each direction, over all connections.
type slowLine struct {
	octetsPerSecond int

	mu       sync.Mutex
	listener net.Listener
	fast     bool
	left     int       // it carries so many octets more, and then nothing
	busy     time.Time // until when the line is taken
}

// open returns where the way to address begins.
func (l *slowLine) open(address string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	l.listener = listener
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go l.carry(near, address)
		}
	}()
	return listener.Addr().String(), nil
}

func (l *slowLine) carry(near net.Conn, address string) {
	defer near.Close()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return // the client sees a closed connection
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			_, _ = io.Copy(pair[0], slowReader{pair[1], l}) // either end may leave at any time
			ended <- struct{}{}
		}()
	}
	<-ended
}

type slowReader struct {
	net.Conn
	line *slowLine
}

// Read hands on a little at a time, and waits for its turn on the line.
func (r slowReader) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p[:min(len(p), 8<<10)])
	r.line.wait(n)
	return n, err
}

func (l *slowLine) wait(octets int) {
	l.mu.Lock()
	for l.left < octets && !l.fast {
		l.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		l.mu.Lock()
	}
	if l.fast {
		l.mu.Unlock()
		return
	}
	l.left -= octets
	if now := time.Now(); l.busy.Before(now) {
		l.busy = now
	}
	l.busy = l.busy.Add(time.Duration(octets) * time.Second / time.Duration(l.octetsPerSecond))
	until := l.busy
	l.mu.Unlock()
	time.Sleep(time.Until(until))
}

// grant lets so many octets through from now on, whatever was left.
func (l *slowLine) grant(octets int) { l.mu.Lock(); defer l.mu.Unlock(); l.left = octets }

// hurry lifts both limits.
func (l *slowLine) hurry() { l.mu.Lock(); defer l.mu.Unlock(); l.fast = true }

func (l *slowLine) close() {
	l.hurry() // nobody waits for a grant that will not come
	if l.listener != nil {
		_ = l.listener.Close() // nothing was promised to whoever connects later
	}
}
