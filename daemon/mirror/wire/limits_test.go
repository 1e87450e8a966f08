package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
)

// S3: a server that sends too much of anything ends its connection, and our memory
// stays what it was.
func TestEveryThingAServerCanMakeLargeIsCapped(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for _, c := range []struct{ name, list, fetch, search, what string }{
		{"a line without end", "", "* 1 FETCH (UID 1 FLAGS (" + many("x", 100_000), "", "line"},
		{"a status text", "", "* OK " + many("x", 100_000) + "\r\n", "", "line"},
		{"a quoted string", "* LIST () \"/\" \"" + many("x", 100_000) + "\"\r\n", "", "", "line"},
		{"a folder name of a gigabyte", "* LIST () \"/\" {1000000000}\r\n", "", "", "literal"},
		{"nesting", "", "* 1 FETCH (ENVELOPE " + many("(", 100) + "\r\n", "", "nesting"},
		{"nesting of attributes", "* LIST " + many("(", 100) + "\r\n", "", "", "nesting"},
		{"flags", "", "* 1 FETCH (FLAGS (" + many("x ", 30_000) + ")\r\n", "", "items"},
		{"members", "* LIST (" + many("x ", 30_000) + ") \"/\" x\r\n", "", "", "items"},
		{"unknown members", "", "* 1 FETCH (X (" + many("x ", 30_000) + ")\r\n", "", "items"},
		{"a literal beyond 4 GiB", "", "* 1 FETCH (UID 1 BODY[] {99999999999}\r\n", "", "literal"},
		{"UIDs", "", "", "* ESEARCH (TAG \"x\") UID ALL 1:4294967295\r\n", "uids"},
		{"what is no UID", "", "", "* SEARCH" + many(" x", 30_000) + "\r\n", "items"},
		{"folders", many("* LIST () \"/\" x%d\r\n", 100_010), "", "", "folders"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.Contains(c.list, "%d") {
				var b strings.Builder
				for i := range strings.Count(c.list, "%d") {
					fmt.Fprintf(&b, "* LIST () \"/\" x%d\r\n", i)
				}
				c.list = b.String()
			}
			conn, _ := open(t, wiretest.Script{Capabilities: "ESEARCH", Replies: map[string]string{
				"LIST": c.list + statusOK, "UID FETCH": c.fetch + statusOK, "UID SEARCH": c.search + statusOK,
			}})
			var err error
			switch {
			case c.list != "":
				_, err = conn.Folders(ctx(t))
			case c.fetch != "":
				_, err = conn.Fetch(ctx(t), []uint32{1}, func(wire.Message) error { return nil })
			default:
				_, err = conn.UIDs(ctx(t))
			}
			var ce *wire.CapError
			if !errors.As(err, &ce) || ce.What != c.what {
				t.Errorf("got %v, want a cap on %s", err, c.what)
			}
		})
	}
}

func TestOddRepliesWithoutEndAreCountedNotKept(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": strings.Repeat("* 1 FETCH (UID 0 FLAGS ())\r\n", 50_000) + statusOK}})
	if err := conn.List(ctx(t), wire.UIDRange{From: 1}, func(wire.Entry) error { return nil }); err != nil {
		t.Fatal(err)
	}
	odd := conn.Oddities()
	if len(odd) != 101 || odd[100].Detail != "49900 further oddities" || len(conn.Oddities()) != 0 {
		t.Errorf("got %d, the last %v", len(odd), odd[len(odd)-1])
	}
}

// landscape.md §3: "no response timeout" and "5 minutes for a literal" of go-imap.
func TestASilentServerEndsAndASlowOneDoesNot(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	slow := make(chan struct{})
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		_, _ = io.WriteString(nc, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")
		tag := readTag(nc)
		_, _ = io.WriteString(nc, "* 1 FETCH (UID 1 FLAGS () INTERNALDATE NIL BODY[] {20}\r\n")
		_, _ = io.WriteString(nc, strings.Repeat("a", 20)+")\r\n"+tag+" OK done\r\n")
		tag = readTag(nc)
		_, _ = io.WriteString(nc, "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {20}\r\n")
		tick := time.NewTicker(50 * time.Millisecond) // in all more than the idle timeout
		defer tick.Stop()
		for range 20 {
			<-tick.C
			_, _ = io.WriteString(nc, "a")
		}
		_, _ = io.WriteString(nc, ")\r\n"+tag+" OK done\r\n")
		<-slow
	}()
	defer close(slow)
	conn, err := wire.Dial(ctx(t), wire.Options{Address: l.Addr().String(), IdleTimeout: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err = conn.List(ctx(t), wire.UIDRange{From: 1}, func(wire.Entry) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got, missing, err := fetched(t, conn, 1); err != nil || len(missing) != 0 {
		t.Errorf("a slow body: got %q, missing %v, %v", got, missing, err)
	}
	start := time.Now()
	_, err = conn.UIDs(ctx(t))
	if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > 2*time.Second {
		t.Errorf("a silent server: got %v after %v", err, time.Since(start))
	}
	if _, err = conn.UIDs(ctx(t)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a broken connection: got %v", err)
	}
}

func readTag(r io.Reader) string {
	var line []byte
	for one := make([]byte, 1); len(line) == 0 || line[len(line)-1] != '\n'; {
		if _, err := r.Read(one); err != nil {
			return ""
		}
		line = append(line, one[0])
	}
	tag, _, _ := strings.Cut(string(line), " ")
	return tag
}

func TestACancelledContextEndsACallAndTheConnection(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID SEARCH": ""}})
	reason := errors.New("lease lost")
	c, cancel := context.WithCancelCause(ctx(t))
	start := time.Now()
	time.AfterFunc(20*time.Millisecond, func() { cancel(reason) })
	if _, err := conn.UIDs(c); !errors.Is(err, reason) || time.Since(start) > 2*time.Second {
		t.Errorf("got %v after %v, want the reason at once", err, time.Since(start))
	}
	if conn.Err() == nil {
		t.Error("the connection is called usable")
	}
	conn, _ = open(t, wiretest.Script{})
	if _, err := conn.UIDs(c); err == nil || conn.Err() != nil {
		t.Errorf("a context cancelled before: got %v and %v", err, conn.Err())
	}
}

func TestCloseFromElsewhereEndsACall(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID SEARCH": ""}})
	time.AfterFunc(20*time.Millisecond, func() { _ = conn.Close() })
	if _, err := conn.UIDs(ctx(t)); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// L5: on a connection of the source nothing that writes can be sent, by anybody.
func TestAReadOnlyConnectionCannotSendACommandThatWrites(t *testing.T) {
	conn, _ := open(t, wiretest.Script{})
	for _, verb := range []string{"STORE", "UID STORE", "EXPUNGE", "UID EXPUNGE", "SELECT", "APPEND", "DELETE", "CREATE", "UID MOVE", "CLOSE"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s may be sent", verb)
				}
			}()
			conn.Begin(verb)
		}()
	}
}

// A message is never in memory: 200 MB pass through and the heap stays small.
func TestBodiesAreNotHeld(t *testing.T) {
	const size = 200 << 20
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = nc.Close() }()
		_, _ = io.WriteString(nc, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")
		tag := readTag(nc)
		_, _ = fmt.Fprintf(nc, "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {%d}\r\n", size)
		block := make([]byte, 1<<20)
		for range size >> 20 {
			_, _ = nc.Write(block)
		}
		_, _ = io.WriteString(nc, ")\r\n"+tag+" OK done\r\n")
	}()
	conn, err := wire.Dial(ctx(t), wire.Options{Address: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var n int64
	if _, err = conn.Fetch(ctx(t), []uint32{1}, func(m wire.Message) (err error) {
		n, err = io.Copy(io.Discard, m.Body)
		return err
	}); err != nil || n != size {
		t.Fatalf("got %d octets, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d MB allocated for one message of 200 MB", grown>>20)
	}
}

// A server that takes nothing any more must not hold up who closes.
func TestCloseDoesNotWaitForTheServer(t *testing.T) {
	here, there := net.Pipe()
	defer func() { _ = there.Close() }()
	go func() { _, _ = io.WriteString(there, "* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n") }()
	conn, err := wire.NewForTest(ctx(t), here, wire.Options{IdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err = conn.Close(); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}
