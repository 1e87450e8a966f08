package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
)

// FuzzTokeniser lets a server say anything to every question. Whatever it says, each
// call ends, with a result or a classified error; what was not asked for is never
// handed on; and nothing is handed on that is longer than it claims.
func FuzzTokeniser(f *testing.F) {
	for _, s := range []string{
		"* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 9 BODY[] {3}\r\nabc)\r\n",
		"* 1 FETCH (BODY[] ~{3+}\r\nabc UID 1 X-GM-LABELS (a \"b\" {1}\r\nc) MODSEQ (7))\r\n* BYE x\r\n",
		"* LIST (\\Sent) \"/\" {3}\r\nabc\r\n* LIST () NIL R&D\r\n* STATUS x (MESSAGES 1)\r\n* LSUB () \"\" \"x\"\r\n",
		"* ESEARCH (TAG \"a\") UID ALL 1:3,7\r\n* SEARCH 1 2 3\r\n* VANISHED (EARLIER) 1:9\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n",
		"* OK [UIDVALIDITY 1] x\r\n* OK [FOO\r\n* FLAGS (a]b)\r\n* 9 EXISTS\r\n+ \r\n",
		"* QUOTA \"a\" (STORAGE 1 2 MESSAGE 3)\r\n* STATUS INBOX (SIZE 9)\r\n* QUOTA (a) b\r\n",
		"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (DATE)] \"x\" FLAGS ((()",
		"* 1 FETCH (X-GM-MSGID 18446744073709551615 UID 1)\r\n* 2 FETCH (UID 2 X-GM-MSGID (1 -2 {1}\r\n3))\r\n* 3 FETCH (UID 3 RFC822.SIZE 4 X-GM-MSGID",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, greeting := range []string{
			"* OK hi\r\n",
			"* OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER AUTH=LOGIN LOGINDISABLED] hi\r\n",
			"* PREAUTH [CAPABILITY IMAP4rev1 ID XLIST] hi\r\n",
			"* PREAUTH [CAPABILITY IMAP4rev1 NAMESPACE LIST-EXTENDED LIST-STATUS CONDSTORE ESEARCH] hi\r\n",
			"* PREAUTH [CAPABILITY IMAP4rev1 X-GM-EXT-1] hi\r\n",
		} {
			for _, ask := range questions {
				c, err := wire.NewForTest(t.Context(), &noise{said: said, out: []byte(greeting)}, wire.Options{ReadOnly: true})
				if err != nil {
					t.Fatal(err)
				}
				ask(t, c)
			}
		}
		c, err := wire.NewForTest(t.Context(), &noise{said: said, out: []byte("* PREAUTH [CAPABILITY IMAP4rev1 QUOTA STATUS=SIZE] hi\r\n")}, wire.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Sizes(t.Context(), []string{"INBOX", "x"})
		_, _ = c.Quota(t.Context(), "INBOX")
	})
}

// questions are all that a server is asked; each must end, whatever the answer.
var questions = []func(*testing.T, *wire.Conn){
	func(t *testing.T, c *wire.Conn) {
		_ = c.Login(t.Context(), wire.Login{User: "a", Password: secret.FromString("b")})
		_, _ = c.Open(t.Context(), "INBOX", true)
		if id := c.ServerID(); len(id) > 30*450 {
			t.Errorf("a server's ID of %d octets", len(id))
		}
	},
	func(t *testing.T, c *wire.Conn) {
		source := &tokens{list: []string{"t1", "t2", "t3", "t4"}}
		if _ = c.Login(t.Context(), wire.Login{User: "a", Tokens: source}); len(source.refused) > 2 {
			t.Errorf("%d tokens were shown", len(source.refused))
		}
	},
	func(t *testing.T, c *wire.Conn) {
		_ = c.Login(t.Context(), wire.Login{User: "a", Password: secret.FromString("b"), Mechanism: wire.XMasterAuth, Become: "c"})
	},
	func(t *testing.T, c *wire.Conn) {
		folders, _ := c.Folders(t.Context())
		names := map[string]bool{}
		for _, f := range folders {
			name := strings.Join(f.Name, "\x00")
			if names[name] || len(f.Name) == 0 {
				t.Errorf("two folders are called %q", f.Name)
			}
			names[name] = true
		}
	},
	func(t *testing.T, c *wire.Conn) {
		take := func(e wire.Entry) error {
			if e.UID < 1 || e.UID > 3 {
				t.Errorf("handed on UID %d", e.UID)
			}
			return nil
		}
		_ = c.List(t.Context(), wire.UIDRange{From: 1, To: 3}, take)
	},
	func(t *testing.T, c *wire.Conn) {
		uids, _ := c.UIDs(t.Context())
		for i := 1; i < len(uids); i++ {
			if uids[i] <= uids[i-1] {
				t.Errorf("UID %d behind %d", uids[i], uids[i-1])
			}
		}
		_, _ = c.Changes(t.Context(), 1, true, func(wire.Entry) error { return nil })
	},
	func(t *testing.T, c *wire.Conn) {
		got := map[uint32]bool{}
		missing, err := c.Fetch(t.Context(), []uint32{1, 2}, func(m wire.Message) error {
			n, err := io.Copy(io.Discard, m.Body)
			if m.UID < 1 || m.UID > 2 || got[m.UID] || err == nil && n != m.Size {
				t.Errorf("handed on UID %d with %d of %d octets", m.UID, n, m.Size)
			}
			got[m.UID] = true
			return err
		})
		if err == nil && len(missing)+len(got) != 2 {
			t.Errorf("of 2 messages %v came and %v are missing", got, missing)
		}
	},
	func(t *testing.T, c *wire.Conn) {
		_, _ = c.Headers(t.Context(), []uint32{1}, []string{"DATE"}, func(_ uint32, h []byte) error {
			if len(h) > 64<<10 {
				t.Errorf("a header of %d octets", len(h))
			}
			return nil
		})
	},
}

// noise is a connection to a server that answers every command with said and an OK
// in one breath, and is gone when it has nothing left to say.
type noise struct {
	said, out, line []byte
	deflated        bool // after COMPRESS, said is all that comes, as it is
}

func (n *noise) Read(p []byte) (int, error) {
	if len(n.out) == 0 {
		return 0, io.EOF
	}
	k := copy(p, n.out)
	n.out = n.out[k:]
	return k, nil
}

func (n *noise) Write(p []byte) (int, error) {
	for _, b := range p {
		if n.line = append(n.line, b); b != '\n' {
			continue
		}
		tag, command, _ := bytes.Cut(n.line, []byte(" "))
		if n.deflated && bytes.HasPrefix(command, []byte("COMPRESS")) {
			n.out = append(append(append(n.out, tag...), " OK now\r\n"...), n.said...)
			n.said = nil
			return len(p), nil
		}
		n.out = append(n.out, n.said...)
		if bytes.HasSuffix(n.line, []byte("}\r\n")) {
			n.out = append(n.out, "\r\n+ go\r\n"...)
		} else {
			n.out = append(append(append(n.out, "\r\n"...), tag...), " OK done\r\n"...)
		}
		n.line = n.line[:0]
	}
	return len(p), nil
}

func (*noise) Close() error                     { return nil }
func (*noise) LocalAddr() net.Addr              { return nil }
func (*noise) RemoteAddr() net.Addr             { return nil }
func (*noise) SetDeadline(time.Time) error      { return nil }
func (*noise) SetReadDeadline(time.Time) error  { return nil }
func (*noise) SetWriteDeadline(time.Time) error { return nil }

// endless never stops talking, in replies that mean nothing.
type endless struct {
	noise
	left []byte
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(e.left) == 0 {
			e.left = []byte(strings.Repeat("* X\n", 16<<10))
		}
		k := copy(p[n:], e.left)
		e.left, n = e.left[k:], n+k
	}
	return n, nil
}

// S3: a server that answers for ever is told from one that answers at length.
func TestRepliesWithoutEndAreCapped(t *testing.T) {
	c, err := wire.NewForTest(t.Context(), &endless{left: []byte("* PREAUTH [CAPABILITY IMAP4rev1] hi\n")}, wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.LimitRepliesForTest(100_000)
	_, err = c.UIDs(t.Context())
	var ce *wire.CapError
	if !errors.As(err, &ce) || ce.What != "replies" {
		t.Errorf("got %v", err)
	}
}

// FuzzThrottle: whatever a refusal says, the wait is none or a bearable one.
func FuzzThrottle(f *testing.F) {
	f.Add("THROTTLED", "Suggested Backoff Time: 299961 milliseconds")
	f.Add("", "suggested backoff time 999999999999s")
	f.Fuzz(func(t *testing.T, code, text string) {
		after := wire.ThrottleForTest(code, text)
		if after < 0 || after > 24*time.Hour || after > 0 && after < time.Second {
			t.Errorf("wait %v", after)
		}
	})
}

// FuzzDate: a date is none, or one with a year that a server can be told.
func FuzzDate(f *testing.F) {
	for _, s := range []string{"17-Jul-1996 02:44:25 -0700", "3-Mar-19 23:59:59 -0700", "Sun, 3 Mar 2019 23:59:59 -0700", "00-Jan-0000 00:00:00 +0000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if at, _, ok := wire.ParseDate(text); ok && (at.Year() < 1 || at.Year() > 9999) {
			t.Errorf("%q is %v", text, at)
		}
	})
}
