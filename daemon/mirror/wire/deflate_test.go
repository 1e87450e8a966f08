package wire_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
)

// deflating is a server behind a pipe that compresses its answers after COMPRESS, as
// RFC 4978 has it. From the second compressed command on, or early from the first, raw
// gives the octets that go out, if it is set.
type deflating struct {
	t     testing.TB
	reply func(line string) string
	raw   func() io.Reader
	early bool
}

func (d deflating) dial(o wire.Options) (*wire.Conn, error) {
	here, there := net.Pipe()
	d.t.Cleanup(func() { _, _ = here.Close(), there.Close() })
	go d.serve(there)
	return wire.NewForTest(ctx(d.t), here, o)
}

func (d deflating) serve(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	var in io.Reader = nc
	say := func(text string) { _, _ = io.WriteString(nc, text) }
	say("* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi\r\n")
	for compressed := -1000; ; {
		line, err := readLine(in)
		tag, command, _ := strings.Cut(line, " ")
		switch {
		case err != nil:
			return
		case command == "COMPRESS DEFLATE":
			say(tag + " OK now\r\n")
			in = flate.NewReader(oneByOne{nc})
			z, _ := flate.NewWriter(nc, flate.BestSpeed)
			say = func(text string) { _, _ = io.WriteString(z, text); _ = z.Flush() }
			compressed = 0
		case d.raw != nil && (compressed == 1 || d.early && compressed == 0):
			_, _ = io.Copy(nc, d.raw())
			return
		default:
			text := ""
			if d.reply != nil {
				text = d.reply(command)
			}
			say(text + tag + " OK done\r\n")
			compressed++
		}
	}
}

// oneByOne keeps flate from reading ahead.
type oneByOne struct{ io.Reader }

func (r oneByOne) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return b[0], err
}

func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := (oneByOne{r}); ; {
		c, err := b.ReadByte()
		if err != nil {
			return "", err
		}
		if c == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, c)
	}
}

func login(t *testing.T, c *wire.Conn) error {
	return c.Login(ctx(t), wire.Login{User: "a", Password: secret.FromString("b")})
}

func TestEverythingIsReadThroughCompression(t *testing.T) {
	body := strings.Repeat("all work and no play\r\n", 5000)
	d := deflating{t: t, reply: func(line string) string {
		switch {
		case strings.HasPrefix(line, "EXAMINE"):
			return "* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n"
		case strings.HasPrefix(line, "UID FETCH"):
			return fmt.Sprintf("* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"17-Jul-2016 02:44:25 -0700\" BODY[] {%d}\r\n%s)\r\n", len(body), body)
		}
		return ""
	}}
	c, err := d.dial(wire.Options{ReadOnly: true, Compress: wire.CompressAlways, IdleTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err = login(t, c); err == nil {
		_, err = c.Open(ctx(t), strings.Repeat("x", 900), true)
	}
	var got bytes.Buffer
	if err == nil {
		_, err = c.Fetch(ctx(t), []uint32{1}, func(m wire.Message) error { _, err := got.ReadFrom(m.Body); return err })
	}
	if err != nil || got.String() != body {
		t.Fatalf("got %d octets, %v", got.Len(), err)
	}
	if received, inflated, ok := c.DeflatedForTest(); !ok || inflated < int64(len(body)) || received > inflated/10 {
		t.Errorf("received %d for %d, %v", received, inflated, ok)
	}
}

// Once a link is known to be slow, nothing is sent ahead until compression has begun:
// it needs a moment in which nothing is under way.
func TestAskingAheadWaitsForCompression(t *testing.T) {
	sent := make(chan string, 20)
	link := &wire.Link{}
	c, err := deflating{t: t, reply: func(line string) string { sent <- line; return "" }}.dial(wire.Options{ReadOnly: true, Link: link, IdleTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ahead := func(raw string) {
		done := false
		if err := c.Ahead(ctx(t), func() (wire.Visit, bool) { done = !done; return wire.Visit{Raw: raw}, done }); err != nil {
			t.Fatal(err)
		}
	}
	err = login(t, c)
	ahead("a")
	link.NoteForTest(false, 1<<20, time.Minute)
	ahead("b")
	for _, raw := range []string{"a", "b"} {
		if err == nil {
			_, err = c.Open(ctx(t), raw, true)
		}
	}
	close(sent)
	var lines []string
	for line := range sent {
		lines = append(lines, line)
	}
	if got := strings.Join(lines, ", "); err != nil || got != `EXAMINE "a", CAPABILITY, EXAMINE "b"` {
		t.Errorf("sent %s; %v", got, err)
	}
}

// S3: a stream that grows without measure, is damaged, or stops in the middle of a
// block costs one connection; the next one to that server is not compressed.
func TestACompressionThatDoesNotWorkIsNotTriedTwice(t *testing.T) {
	endless := func(line string) func() io.Reader {
		return func() io.Reader {
			r, w := io.Pipe()
			go func() {
				z, _ := flate.NewWriter(w, flate.BestCompression)
				for {
					if _, err := io.WriteString(z, line); err != nil {
						return
					}
				}
			}()
			return r
		}
	}
	for name, c := range map[string]struct {
		raw func() io.Reader
		is  func(error) bool
	}{
		"a bomb of short replies": {endless("* OK aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"), isCap("inflated octets per octet")},
		"a bomb in one line":      {endless("aaaaaaaaaaaaaaaaaaaaaaaaaaa"), isCap("line")},
		"a bomb in a literal":     {func() io.Reader { return io.MultiReader(stored("* X {4000000000}\r\n"), endless("\x00\x00\x00")()) }, isCap("inflated octets per octet")},
		"damage":                  {func() io.Reader { return strings.NewReader("\xff\xff\xff\xff") }, func(err error) bool { return errors.As(err, new(flate.CorruptInputError)) }},
		"a block without an end":  {func() io.Reader { r, _ := io.Pipe(); return io.MultiReader(bytes.NewReader(unflushed("* OK\r\n")), r) }, func(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }},
		"a cut at once":           {func() io.Reader { return strings.NewReader("") }, func(error) bool { return true }},
	} {
		link := &wire.Link{}
		o := wire.Options{ReadOnly: true, Compress: wire.CompressAlways, Link: link, IdleTimeout: 30 * time.Second}
		if name == "a block without an end" {
			o.IdleTimeout = time.Second
		}
		conn, err := deflating{t: t, raw: c.raw, early: name == "a cut at once"}.dial(o)
		if err != nil {
			t.Fatal(err)
		}
		if err = login(t, conn); err == nil {
			_, err = conn.Open(ctx(t), "INBOX", true)
		}
		if err == nil || !c.is(err) {
			t.Errorf("%s: got %v", name, err)
		}
		if link.WantsForTest(wire.CompressAlways) {
			t.Errorf("%s: it would be tried again", name)
		}
		_ = conn.Close()
	}
}

func isCap(what string) func(error) bool {
	return func(err error) bool { var ce *wire.CapError; return errors.As(err, &ce) && ce.What == what }
}

// stored is text in one uncompressed block.
func stored(text string) io.Reader {
	n := len(text)
	return strings.NewReader(string([]byte{0, byte(n), byte(n >> 8), ^byte(n), ^byte(n >> 8)}) + text)
}

// unflushed is the beginning of a compressed block.
func unflushed(text string) []byte {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, flate.HuffmanOnly)
	_, _ = io.WriteString(z, strings.Repeat(text, 100))
	_ = z.Flush()
	return b.Bytes()[:b.Len()-10]
}

func TestOnlyALinkMeasuredToBeSlowIsCompressed(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name            string
		plain, deflated time.Duration // for 10 MB
		want            bool
	}{
		{"nothing is known", 0, 0, false},
		{"a fast link", time.Second, 0, false},
		{"a slow link", 10 * time.Second, 0, true},
		{"a slow link that gains", 10 * time.Second, 5 * time.Second, true},
		{"a slow server, which compression makes slower", 10 * time.Second, 12 * time.Second, false},
		{"no gain worth the work", 10 * time.Second, 9900 * time.Millisecond, false},
	} {
		var l wire.Link
		if c.plain > 0 {
			l.NoteForTest(false, 10*mb, c.plain)
		}
		if c.deflated > 0 {
			l.NoteForTest(true, 10*mb, c.deflated)
		}
		if got := l.WantsForTest(wire.CompressAuto); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if l.WantsForTest(wire.CompressNever) || !l.WantsForTest(wire.CompressAlways) {
			t.Errorf("%s: never or always is not obeyed", c.name)
		}
	}
}

// FuzzInflate gives a compressed connection any bytes: each call ends, and what comes
// out stays in proportion to what went in.
func FuzzInflate(f *testing.F) {
	var good bytes.Buffer
	z, _ := flate.NewWriter(&good, flate.BestSpeed)
	_, _ = io.WriteString(z, "* 1 FETCH (UID 1 FLAGS () BODY[] {3}\r\nabc)\r\n* LIST () \"/\" x\r\n")
	_ = z.Flush()
	f.Add(good.Bytes())
	f.Add([]byte{0, 1, 0, 0xfe, 0xff, '*'})
	f.Add([]byte("\x4b\x4c\x1c\x05\xa3\x60\x14\x0c"))
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, ask := range questions {
			n := &noise{said: said, out: []byte("* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi\r\n"), deflated: true}
			c, err := wire.NewForTest(t.Context(), n, wire.Options{ReadOnly: true, Compress: wire.CompressAlways})
			if err != nil {
				t.Fatal(err)
			}
			_ = login(t, c)
			ask(t, c)
			if received, inflated, ok := c.DeflatedForTest(); ok && inflated > 8<<20+200*received+64<<10 {
				t.Errorf("%d octets became %d", received, inflated)
			}
		}
	})
}
