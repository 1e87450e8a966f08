// Package line is a way between a client and a server on the loopback, which a test can make far, slow, short of octets
// or silent, and can cut. A test that needs the middle of something grants what leads there and no more, so that
// the middle lasts as long as it is needed, however fast or slow the machine is.
package line

import (
	"io"
	"net"
	"sync"
	"time"
)

// Line is such a way. Its limits are on what the server says.
type Line struct {
	oneWay   time.Duration
	server   string
	listener net.Listener
	carrying sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	pace    int       // octets a second, over all connections together; 0: any
	busy    time.Time // until when the line is taken at this pace
	grant   int       // octets that a new connection brings before it falls silent; noLimit: any number
	open    map[*connection]bool
	next    *Kept
	closed  bool
}

// Kept is a connection that is there, and carries nothing before Over is closed.
type Kept struct{ There, Over chan struct{} }

const noLimit = -1

// New returns a line on which everything arrives oneWay later, in either direction.
func New(oneWay time.Duration) *Line {
	l := &Line{oneWay: oneWay, grant: noLimit, open: map[*connection]bool{}}
	l.changed = sync.NewCond(&l.mu)
	return l
}

// Open returns where the way to the server begins. It is called once.
func (l *Line) Open(server string) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	l.server, l.listener = server, listener
	l.carrying.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			l.carrying.Go(func() { l.carry(client) })
		}
	})
	return l.Address(), nil
}

// Address is where the way begins.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Close ends the line and everything on it.
func (l *Line) Close() {
	if l.listener == nil {
		return // it was never opened
	}
	_ = l.listener.Close() // nothing was promised to whoever connects later
	l.mu.Lock()
	l.closed = true
	next := l.next
	l.next = nil
	l.mu.Unlock()
	if next != nil {
		close(next.There) // nobody waits for a connection that will not come
	}
	l.Cut()
	l.carrying.Wait()
}

// Pace sets how many octets a second the server can say, over all connections together; 0 lifts it.
func (l *Line) Pace(octets int) { l.set(func() { l.pace = octets }) }

// Grant lets the server say so many octets on each connection, those to come and, from now on, those that there are; then
// the connection falls silent until the next grant. Logins are let through while what takes more stands still.
func (l *Line) Grant(octets int) {
	l.set(func() {
		l.grant = octets
		for c := range l.open {
			c.left = octets
		}
	})
}

// Hurry lifts both limits.
func (l *Line) Hurry() {
	l.Pace(0)
	l.Grant(noLimit)
}

// Cut ends the connections that there are.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		c.end()
	}
	l.changed.Broadcast()
}

// KeepNext keeps the next connection waiting, from its first octet on.
func (l *Line) KeepNext() *Kept {
	k := &Kept{make(chan struct{}), make(chan struct{})}
	l.set(func() { l.next = k })
	return k
}

func (l *Line) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.changed.Broadcast()
}

// connection is one client's. Its ends are closed together.
type connection struct {
	client, server net.Conn
	left           int // under the line's lock
	ended          chan struct{}
	once           sync.Once
}

func (c *connection) end() {
	c.once.Do(func() {
		close(c.ended)
		_, _ = c.client.Close(), c.server.Close() // it ends, however it ends
	})
}

func (l *Line) carry(client net.Conn) {
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		_ = client.Close() // the client sees a closed connection
		return
	}
	c := &connection{client: client, server: server, ended: make(chan struct{})}
	l.mu.Lock()
	keep := l.next
	l.next = nil
	c.left = l.grant
	l.open[c] = true
	if l.closed {
		c.end()
	}
	l.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() {
		if keep != nil {
			close(keep.There)
			select {
			case <-keep.Over:
			case <-c.ended:
			}
		}
		l.convey(c, c.server, c.client, func(int) bool { return true })
	})
	both.Go(func() { l.convey(c, c.client, c.server, func(octets int) bool { return l.take(c, octets) }) })
	both.Wait()
	l.mu.Lock()
	delete(l.open, c)
	l.mu.Unlock()
}

// parcel is some octets and when they arrive.
type parcel struct {
	at     time.Time
	octets []byte
}

// convey carries one direction, a little at a time, each when it is allowed and then oneWay later.
func (l *Line) convey(c *connection, to io.Writer, from io.Reader, allowed func(octets int) bool) {
	defer l.wake(c)
	parcels := make(chan parcel, 1024)
	var arriving sync.WaitGroup
	arriving.Go(func() {
		for p := range parcels {
			time.Sleep(time.Until(p.at))
			if _, err := to.Write(p.octets); err != nil {
				l.wake(c)
			}
		}
	})
	for {
		octets := make([]byte, 8<<10)
		n, err := from.Read(octets)
		if n > 0 && allowed(n) {
			parcels <- parcel{time.Now().Add(l.oneWay), octets[:n]}
		}
		if err != nil {
			break
		}
	}
	close(parcels)
	arriving.Wait()
}

// wake ends a connection, and whatever waits for octets on it.
func (l *Line) wake(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.end()
	l.changed.Broadcast()
}

// take waits until the server may say so many octets; false: the connection has ended, and nothing is taken.
func (l *Line) take(c *connection, octets int) bool {
	l.mu.Lock()
	for c.left != noLimit && c.left < octets {
		select {
		case <-c.ended:
			l.mu.Unlock()
			return false
		default:
			l.changed.Wait()
		}
	}
	if c.left != noLimit {
		c.left -= octets
	}
	if l.pace == 0 {
		l.mu.Unlock()
		return true
	}
	if now := time.Now(); l.busy.Before(now) {
		l.busy = now
	}
	l.busy = l.busy.Add(time.Duration(octets) * time.Second / time.Duration(l.pace))
	turn := time.NewTimer(time.Until(l.busy))
	l.mu.Unlock()
	defer turn.Stop()
	select {
	case <-turn.C:
		return true
	case <-c.ended:
		return false
	}
}
