package source_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

// on23 tells which configuration the sources of these tests have.
func on23() bool { return os.Getenv("DOVECOT_SOURCE") != testbed.Dovecot24 }

// zlibSource is a Dovecot that offers COMPRESS=DEFLATE. With a sessions log it would
// write down compressed octets; so it has none.
func zlibSource(t testing.TB) *testbed.Dovecot {
	t.Helper()
	o := testbed.SourceOptions{Accounts: map[string]string{owner: password}}
	if on23() { // 2.4 offers it without a plugin
		o.ExtraConfig = "protocol imap {\n  mail_plugins = $mail_plugins imap_quota imap_zlib\n}\n"
	}
	d, err := testbed.NewForTest(t).StartSource(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEverythingWorksOverDovecotsCompression(t *testing.T) {
	d := zlibSource(t)
	o := login(t, d)
	const n = 250
	fill(t, o, "INBOX", n)
	for _, s := range []account.Source{
		serverAt(t, d.IMAPAddress, account.TLSNone, ""),
		serverAt(t, d.IMAPSAddress, account.TLSImplicit, d.CAFile),
	} {
		s.Compress = string(wire.CompressAlways)
		var trace []string
		c, err := source.Dial(ctx(t), source.Options{Server: s, User: owner, Password: secret.FromString(password),
			Trace: func(sent bool, line string) { trace = append(trace, line) }})
		if err != nil {
			t.Fatal(err)
		}
		folders, err := c.Folders(ctx(t))
		if err != nil || len(folders) == 0 {
			t.Errorf("folders: %v, %v", folders, err)
		}
		if _, err = c.Examine(ctx(t), "INBOX"); err != nil {
			t.Fatal(err)
		}
		uids, err := c.UIDs(ctx(t))
		if err != nil || len(uids) != n {
			t.Fatalf("UIDs: %d, %v", len(uids), err)
		}
		got := 0
		missing, err := c.Fetch(ctx(t), uids, func(m source.Message) error {
			b, err := io.ReadAll(m.Body)
			if bytes.Equal(b, mail(int(m.UID-1))) {
				got++
			}
			return err
		})
		if err != nil || len(missing) > 0 || got != n {
			t.Errorf("%s: %d of %d messages came whole, %v, %v", s.TLS, got, n, missing, err)
		}
		if !slices.ContainsFunc(trace, func(l string) bool { return strings.HasPrefix(l, `* ID ("name" "Dovecot"`) }) {
			t.Errorf("the trace does not tell what the server is: %q", trace)
		}
		if !slices.ContainsFunc(trace, func(l string) bool { return strings.HasSuffix(l, " COMPRESS DEFLATE") }) {
			t.Errorf("compression was never asked for: %q", trace)
		}
		_ = c.Close()
	}
}

// slowly relays one connection after another at a rate of octets per second from the
// server, and counts them.
func slowly(t testing.TB, to string, rate int) (address string, received func() int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	counts := make(chan int64, 1)
	counts <- 0
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				return
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() {
				defer func() { _ = client.Close() }()
				buf := make([]byte, 16<<10)
				for {
					n, err := server.Read(buf)
					time.Sleep(time.Duration(n) * time.Second / time.Duration(rate)) // the rate of the link
					counts <- <-counts + int64(n)
					if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String(), func() int64 { n := <-counts; counts <- n; return n }
}

// letters are of mixed compressibility: text, and attachments that are noise in base64.
func letters(t testing.TB, o *testbed.Client, n, octets int) {
	t.Helper()
	var all []testbed.Message
	for range n {
		noise := make([]byte, octets/2)
		_, _ = rand.Read(noise)
		body := strings.Repeat("Dear all, please find enclosed\r\n", octets/64) + base64.StdEncoding.EncodeToString(noise)
		all = append(all, testbed.Message{Date: time.Unix(1e9, 0), Content: []byte("Subject: x\r\n\r\n" + body + "\r\n")})
	}
	if _, err := o.AppendAll("INBOX", all); err != nil {
		t.Fatal(err)
	}
}

func TestASlowLinkIsCompressedInTheMiddleOfAConnectionAndAFastOneNever(t *testing.T) {
	d := zlibSource(t)
	letters(t, login(t, d), 40, 64<<10)
	slow, received := slowly(t, d.IMAPAddress, 1<<20)
	for _, c := range []struct {
		address    string
		compressed bool
	}{{d.IMAPAddress, false}, {slow, true}} {
		link := &wire.Link{}
		asked := false
		s := serverAt(t, c.address, account.TLSNone, "")
		conn, err := source.Dial(ctx(t), source.Options{Server: s, User: owner, Password: secret.FromString(password), Link: link,
			Trace: func(sent bool, line string) { asked = asked || sent && strings.HasSuffix(line, "COMPRESS DEFLATE") }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = conn.Examine(ctx(t), "INBOX"); err != nil {
			t.Fatal(err)
		}
		uids, err := conn.UIDs(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		var octets, before int64
		for i := range 2 {
			octets, before = 0, received()
			half := uids[i*len(uids)/2 : (i+1)*len(uids)/2]
			missing, err := conn.Fetch(ctx(t), half, func(m source.Message) error { n, err := io.Copy(io.Discard, m.Body); octets += n; return err })
			if err != nil || len(missing) > 0 {
				t.Fatal(missing, err)
			}
		}
		if asked != c.compressed {
			t.Errorf("at %s: compressed %v", c.address, asked)
		}
		if got := received() - before; c.compressed && got > octets*3/4 {
			t.Errorf("%d octets of mail were %d on the way", octets, got)
		}
		_ = conn.Close()
	}
}
