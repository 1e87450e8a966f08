package line

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// talker is a server that says so many octets to everybody, at once, and then hears what it is told.
func talker(t *testing.T, says int) (address string, heard chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	heard = make(chan string, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = conn.Write(bytes.Repeat([]byte("x"), says)) // the client sees what came
				all, _ := io.ReadAll(conn)
				heard <- string(all)
			}()
		}
	}()
	return listener.Addr().String(), heard
}

func opened(t *testing.T, l *Line, says int) (heard chan string) {
	t.Helper()
	address, heard := talker(t, says)
	if _, err := l.Open(address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return heard
}

func dial(t *testing.T, l *Line) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// comes reads for a while, and tells how much came.
func comes(t *testing.T, conn net.Conn, want int) int {
	t.Helper()
	deadline := 300 * time.Millisecond // for what must not come
	if want > 0 {
		deadline = 10 * time.Second
	}
	if err := conn.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	n, err := io.ReadFull(conn, make([]byte, max(want, 1)))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return n
}

func TestWhatIsNotGrantedDoesNotCome(t *testing.T) {
	l := New(0)
	opened(t, l, 100_000)
	l.Grant(50_000)
	conn := dial(t, l)
	n := comes(t, conn, 50_000-8<<10) // a part of what is read at once is not let through
	for more := 1; more > 0; n += more {
		more = comes(t, conn, 0)
	}
	if n > 50_000 {
		t.Errorf("%d octets came, 50000 were granted", n)
	}
	l.Hurry()
	if n += comes(t, conn, 100_000-n); n != 100_000 {
		t.Errorf("%d of 100000 octets came without a limit", n)
	}
}

func TestOneConnectionThatHasSpentItsGrantHoldsUpNoOther(t *testing.T) {
	l := New(0)
	opened(t, l, 4000)
	l.Grant(3999)
	first := dial(t, l)
	if n := comes(t, first, 0); n != 0 {
		t.Errorf("%d octets came, and all of them at once were not granted", n)
	}
	l.Grant(4000)
	if n := comes(t, dial(t, l), 4000); n != 4000 {
		t.Errorf("%d of 4000 granted octets came on a new connection", n)
	}
	if n := comes(t, first, 4000); n != 4000 {
		t.Errorf("%d of 4000 granted octets came on the first connection", n)
	}
}

func TestAKeptConnectionSaysNothingUntilItMay(t *testing.T) {
	l := New(0)
	heard := opened(t, l, 1)
	kept := l.KeepNext()
	conn := dial(t, l)
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	<-kept.There
	if other := dial(t, l); comes(t, other, 1) != 1 || comes(t, conn, 1) != 1 {
		t.Error("the server was not heard")
	}
	close(kept.Over)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := <-heard; got != "hello" {
		t.Errorf("the server heard %q", got)
	}
}

func TestALineIsFarSlowAndCut(t *testing.T) {
	l := New(50 * time.Millisecond)
	opened(t, l, 40_000)
	l.Pace(200_000)
	began := time.Now()
	conn := dial(t, l)
	if n := comes(t, conn, 40_000); n != 40_000 {
		t.Errorf("%d of 40000 octets came", n)
	}
	if took := time.Since(began); took < 240*time.Millisecond { // 200 ms for the octets, and 50 ms of way
		t.Errorf("it took %v", took)
	}
	l.Cut()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a cut connection: %v", err)
	}
}
