package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

// open logs in to a script and opens INBOX.
func open(t testing.TB, s wiretest.Script) (*wire.Conn, *wiretest.Server) {
	t.Helper()
	srv := wiretest.Start(t, s)
	c, err := wire.Dial(ctx(t), wire.Options{Address: srv.Address, IdleTimeout: 5 * time.Second, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err = c.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Open(ctx(t), "INBOX", true); err != nil {
		t.Fatal(err)
	}
	return c, srv
}

// listed runs List against one reply and shows what came.
func listed(t testing.TB, c *wire.Conn) string {
	t.Helper()
	var out []string
	err := c.List(ctx(t), wire.UIDRange{From: 1}, func(e wire.Entry) error {
		s := fmt.Sprintf("%d %v", e.UID, e.Flags)
		if e.HasDate {
			s += e.InternalDate.UTC().Format(" 2006-01-02T15:04")
		}
		if e.HasSize {
			s += fmt.Sprintf(" %d", e.Size)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Errorf("the reply ended the connection: %v", err)
	}
	return strings.Join(out, "; ")
}

// Each of these ends a go-imap connection (reference/libraries.md §1.3). Here none
// does: the messages after it still come.
func TestOddRepliesToAListingDoNotEndTheConnection(t *testing.T) {
	const good = "* 9 FETCH (UID 9 FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 99)\r\n"
	const then = "9 [\\Seen] 1996-07-17T09:44 99"
	const date = ` INTERNALDATE "01-Jan-2020 00:00:00 +0000" RFC822.SIZE 5`
	for _, c := range []struct{ name, reply, want string }{
		{"VANISHED", "* VANISHED (EARLIER) 1:5\r\n", ""},
		{"LSUB", "* LSUB () \"/\" foo\r\n", ""},
		{"XLIST", "* XLIST (\\Inbox) \"/\" INBOX\r\n", ""},
		{"an unknown reply", "* XGOOGLE (a \"b\" {3}\r\n)\r\n c)\r\n", ""},
		{"a number and an unknown reply", "* 12 XYZ foo\r\n", ""},
		{"a status without closing bracket", "* OK [FOO\r\n", ""},
		{"a status without text", "* OK\r\n", ""},
		{"a status that looks like a literal", "* OK hello {5}\r\n", ""},
		{"untagged NO and BAD", "* NO full\r\n* BAD sad\r\n", ""},
		{"an empty line", "\r\n", ""},
		{"a lone star", "*\r\n* \r\n", ""},
		{"somebody else's tag", "zz9 OK done\r\n", ""},
		{"X-GM-LABELS", "* 1 FETCH (X-GM-LABELS (\\Inbox \"a b\" {2}\r\nxx) UID 1 FLAGS ()" + date + ")\r\n", "1 [] 2020-01-01T00:00 5; "},
		{"EMAILID", "* 1 FETCH (EMAILID (M123) THREADID NIL UID 1 FLAGS ()" + date + ")\r\n", "1 [] 2020-01-01T00:00 5; "},
		{"ENVELOPE with deep nesting", "* 1 FETCH (ENVELOPE (\"a\" ((NIL NIL {1}\r\nx \"c\")) NIL) UID 1 FLAGS ()" + date + ")\r\n", "1 [] 2020-01-01T00:00 5; "},
		{"a date without zone", "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"17-Jul-1996 02:44:25\")\r\n", "1 [] 1996-07-17T02:44; "},
		{"the year 0", "* 1 FETCH (UID 1 INTERNALDATE \"00-Jan-0000 00:00:00 +0000\" FLAGS (\\Seen))\r\n", "1 [\\Seen]; "},
		{"a one-digit day", "* 1 FETCH (UID 1 INTERNALDATE \"7-Jul-1996 02:44:25 +0000\" FLAGS ())\r\n", "1 [] 1996-07-07T02:44; "},
		{"no date", "* 1 FETCH (UID 1 INTERNALDATE NIL FLAGS ())\r\n", "1 []; "},
		{"an unquoted date", "* 1 FETCH (UID 1 FLAGS () INTERNALDATE 17-Jul-1996 02:44:25 -0700)\r\n", "1 []; "},
		{"a space behind the flags", "* 1 FETCH (UID 1 FLAGS (\\Seen )" + date + ")\r\n", "1 [\\Seen] 2020-01-01T00:00 5; "},
		{"a flag with a bracket", "* 1 FETCH (UID 1 FLAGS (a]b [c \\SEEN)" + date + ")\r\n", "1 [[c \\Seen a]b] 2020-01-01T00:00 5; "},
		{"a backslash alone", "* 1 FETCH (UID 1 FLAGS (\\ \\Recent \\flagged \\Flagged)" + date + ")\r\n", "1 [\\Flagged] 2020-01-01T00:00 5; "},
		{"8-bit keywords", "* 1 FETCH (UID 1 FLAGS (\xfcml \"quoted one\")" + date + ")\r\n", "1 [quoted one \xfcml] 2020-01-01T00:00 5; "},
		{"double spaces", "*  1  FETCH  (  UID  1  FLAGS  (  \\Seen  x  )" + date + "  )  \r\n", "1 [\\Seen x] 2020-01-01T00:00 5; "},
		{"no space before a list", "* 1 FETCH(UID 1 FLAGS(x)" + date + ")\r\n", "1 [x] 2020-01-01T00:00 5; "},
		{"a negative size", "* 1 FETCH (UID 1 FLAGS () RFC822.SIZE -1)\r\n", "1 []; "},
		{"a size beyond 32 bits", "* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 99999999999)\r\n", "1 []; "},
		{"flags that are none", "* 1 FETCH (UID 1 FLAGS NIL" + date + ")\r\n", "1 [] 2020-01-01T00:00 5; "},
		{"a list among flags", "* 1 FETCH (UID 1 FLAGS ((x)) RFC822.SIZE 5)\r\n", "1 []; "},
		{"no closing bracket", "* 1 FETCH (UID 1 FLAGS (x) RFC822.SIZE 5\r\n", "1 [x] 5; "},
		{"bare LF", "* 1 FETCH (UID 1 FLAGS (x) RFC822.SIZE 5)\n", "1 [x] 5; "},
		{"lower case", "* 1 fetch (uid 1 flags (x) rfc822.size 5)\r\n", "1 [x] 5; "},
		{"UID zero, missing, not a number", "* 1 FETCH (UID 0)\r\n* 2 FETCH (FLAGS ())\r\n* 3 FETCH (UID x FLAGS ())\r\n", ""},
		{"an unsolicited FETCH", "* 3 FETCH (FLAGS (\\Seen))\r\n", ""},
		{"a duplicate UID", "* 1 FETCH (UID 1 FLAGS (x))\r\n* 2 FETCH (UID 1 FLAGS (y))\r\n", "1 [x]; "},
		{"no list at all", "* 1 FETCH\r\n* 1 FETCH UID 1\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": c.reply + good + "TAG OK done\r\n"}})
			if got := listed(t, conn); got != c.want+then {
				t.Errorf("got  %q\nwant %q\noddities %v", got, c.want+then, conn.Oddities())
			}
			if got := listed(t, conn); got != c.want+then {
				t.Errorf("the second time: got %q", got)
			}
		})
	}
}

func TestWhatIsDroppedIsReported(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 1)\r\n* 3 FETCH (UID 0)\r\n* 4 FETCH (UID 8)\r\n* FOO {\r\nTAG OK done\r\n"}})
	var got []uint32
	if err := conn.List(ctx(t), wire.UIDRange{From: 1, To: 5}, func(e wire.Entry) error { got = append(got, e.UID); return nil }); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, o := range conn.Oddities() {
		kinds = append(kinds, o.Kind)
	}
	if !slices.Equal(got, []uint32{1}) || !slices.Equal(kinds, []string{"duplicate-uid", "no-uid", "unasked-uid"}) {
		t.Errorf("got %v, reported %v", got, kinds)
	}
}

func TestFlagsAreThoseToldLastAndOfAskedMessagesOnly(t *testing.T) {
	reply := "* 1 FETCH (UID 3 FLAGS (x))\r\n* 2 FETCH (UID 4 FLAGS (y))\r\n* 3 FETCH (FLAGS (z))\r\n* 1 FETCH (UID 3 FLAGS (\\Seen))\r\n* 5 FETCH (UID 9)\r\nTAG OK done\r\n"
	conn, server := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": reply}})
	got := map[uint32]string{}
	if err := conn.Flags(ctx(t), []uint32{3, 9}, func(uid uint32, flags []string) { got[uid] = strings.Join(flags, " ") }); err != nil {
		t.Fatal(err)
	}
	if want := (map[uint32]string{3: `\Seen`}); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if sent := server.Lines(); !slices.Contains(sent, "UID FETCH 3,9 (UID FLAGS)") {
		t.Errorf("sent %q", sent)
	}
	conn, _ = open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": "TAG NO not now\r\n"}})
	if err := conn.Flags(ctx(t), []uint32{3}, func(uint32, []string) {}); wire.Refused(err) == nil {
		t.Errorf("got %v, want the server's refusal", err)
	}
}

// fetched runs Fetch and shows the bodies that came.
func fetched(t testing.TB, c *wire.Conn, uids ...uint32) (string, []uint32, error) {
	t.Helper()
	var out []string
	missing, err := c.Fetch(ctx(t), uids, func(m wire.Message) error {
		b, err := io.ReadAll(m.Body)
		if int64(len(b)) != m.Size && err == nil {
			t.Errorf("UID %d has %d octets and said %d", m.UID, len(b), m.Size)
		}
		out = append(out, fmt.Sprintf("%d %v %q", m.UID, m.Flags, b))
		return err
	})
	return strings.Join(out, "; "), missing, err
}

func TestOddBodiesDoNotEndTheConnection(t *testing.T) {
	const meta = `FLAGS (x) INTERNALDATE "01-Jan-2020 00:00:00 +0000" `
	const last = "* 2 FETCH (UID 2 " + meta + "BODY[] {2}\r\nok)\r\n"
	for _, c := range []struct {
		name, reply, want string
		missing           []uint32
	}{
		{"literal8", "* 1 FETCH (UID 1 " + meta + "BODY[] ~{3}\r\na\x00b)\r\n", `1 [x] "a\x00b"; `, nil},
		{"non-synchronising literal from a server", "* 1 FETCH (UID 1 " + meta + "BODY[] {3+}\r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"RFC822", "* 1 FETCH (UID 1 " + meta + "RFC822 {3}\r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"BODY[]<0>", "* 1 FETCH (UID 1 " + meta + "BODY[]<0> {3}\r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"BINARY[]", "* 1 FETCH (UID 1 " + meta + "BINARY[] {3}\r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"quoted", "* 1 FETCH (UID 1 " + meta + "BODY[] \"a\\\"b\")\r\n", `1 [x] "a\"b"; `, nil},
		{"empty", "* 1 FETCH (UID 1 " + meta + "BODY[] {0}\r\n)\r\n", `1 [x] ""; `, nil},
		{"no space before the literal", "* 1 FETCH (UID 1 " + meta + "BODY[]{3}\r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"spaces behind the announcement", "* 1 FETCH (UID 1 " + meta + "BODY[] {3} \r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"something behind the body", "* 1 FETCH (UID 1 " + meta + "BODY[] {3}\r\nabc X-FOO (1 2) MODSEQ (5))\r\n", `1 [x] "abc"; `, nil},
		{"replies inside a body", "* 1 FETCH (UID 1 " + meta + "BODY[] {43}\r\n)\r\n* 2 FETCH (UID 2 BODY[] {1}\r\nx)\r\na1 OK\r\n)\r\n", `1 [x] ")\r\n* 2 FETCH (UID 2 BODY[] {1}\r\nx)\r\na1 OK\r\n"; `, nil},
		{"a date that is none", "* 1 FETCH (UID 1 FLAGS (x) INTERNALDATE NIL BODY[] {3}\r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"a date that cannot be", "* 1 FETCH (UID 1 FLAGS (x) INTERNALDATE \"00-Jan-0000 00:00:00 +0000\" BODY[] {3}\r\nabc)\r\n", `1 [x] "abc"; `, nil},
		{"NIL", "* 1 FETCH (UID 1 " + meta + "BODY[] NIL)\r\n", "", []uint32{1}},
		{"nothing", "", "", []uint32{1}},
		{"flags alone", "* 1 FETCH (UID 1 FLAGS (x))\r\n", "", []uint32{1}},
		{"a message nobody asked for", "* 7 FETCH (UID 7 " + meta + "BODY[] {3}\r\nabc)\r\n", "", []uint32{1}},
		{"UID zero", "* 1 FETCH (UID 0 " + meta + "BODY[] {3}\r\nabc)\r\n", "", []uint32{1}},
		{"one message twice", "* 1 FETCH (UID 1 " + meta + "BODY[] {3}\r\nabc)\r\n* 1 FETCH (UID 1 " + meta + "BODY[] {3}\r\ndef)\r\n", `1 [x] "abc"; `, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, _ := open(t, wiretest.Script{Answer: func(line string) (string, bool) {
				if strings.HasPrefix(line, "UID FETCH 1:2 ") {
					return c.reply + last + "TAG OK done\r\n", true
				}
				return "TAG OK nothing\r\n", strings.HasPrefix(line, "UID FETCH")
			}})
			got, missing, err := fetched(t, conn, 2, 1)
			if err != nil || got != c.want+`2 [x] "ok"` || !slices.Equal(missing, c.missing) {
				t.Errorf("got %q, missing %v, %v\nwant %q, missing %v\noddities %v", got, missing, err, c.want, c.missing, conn.Oddities())
			}
			if _, err = conn.Open(ctx(t), "INBOX", true); err != nil {
				t.Errorf("the connection is out of step: %v", err)
			}
		})
	}
}

// libraries.md §1.3: with the UID behind the literal, go-imap drops the message
// silently. The body is asked for again, alone, so that it is certain whose it is.
func TestAUIDBehindTheBodyLosesNoMessage(t *testing.T) {
	for name, form := range map[string]string{
		"UID last":            "* %[1]d FETCH (FLAGS (f%[1]d) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {2}\r\nb%[1]d UID %[1]d)\r\n",
		"flags and date last": "* %[1]d FETCH (UID %[1]d BODY[] {2}\r\nb%[1]d FLAGS (f%[1]d) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\")\r\n",
		"all last":            "* %[1]d FETCH (BODY[] {2}\r\nb%[1]d FLAGS (f%[1]d) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" UID %[1]d)\r\n",
	} {
		conn, srv := open(t, wiretest.Script{Answer: func(line string) (string, bool) {
			var set string
			if n, _ := fmt.Sscanf(line, "UID FETCH %s", &set); n == 0 {
				return "", false
			}
			uids := []int{1, 2, 3}
			if set != "1:3" {
				var one int
				_, _ = fmt.Sscan(set, &one)
				uids = []int{one}
			}
			var b strings.Builder
			for _, u := range uids {
				reply := fmt.Sprintf(form, u)
				if !strings.Contains(line, "BODY") {
					reply = fmt.Sprintf("* %[1]d FETCH (UID %[1]d FLAGS (f%[1]d) INTERNALDATE \"01-Jan-2020 00:00:00 +0000\")\r\n", u)
				}
				b.WriteString(reply)
			}
			return b.String() + "TAG OK done\r\n", true
		}})
		for round := range 2 {
			got, missing, err := fetched(t, conn, 1, 2, 3)
			if err != nil || len(missing) > 0 || got != `1 [f1] "b1"; 2 [f2] "b2"; 3 [f3] "b3"` {
				t.Errorf("%s, round %d: got %q, missing %v, %v", name, round, got, missing, err)
			}
		}
		if n := len(srv.Lines()); n != 13 {
			t.Errorf("%s: sent %d commands, want the second round to know the quirk: %q", name, n, srv.Lines())
		}
	}
}

// A body that was handed on under the wrong UID must not be committed.
func TestAnotherMessagesBodyBehindASingleCommandBreaksTheConnection(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Answer: func(line string) (string, bool) {
		if !strings.Contains(line, "BODY") {
			return "TAG OK done\r\n", strings.HasPrefix(line, "UID FETCH")
		}
		return "* 1 FETCH (BODY[] {2}\r\nxx UID 5)\r\nTAG OK done\r\n", true
	}})
	if _, _, err := fetched(t, conn, 4); err == nil || conn.Err() == nil {
		t.Errorf("got %v and %v", err, conn.Err())
	}
}

// libraries.md §1.3: BYE in the middle and an OK behind it is no success.
func TestEveryAskedUIDIsReconciled(t *testing.T) {
	const one = "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {1}\r\na)\r\n"
	for _, c := range []struct {
		name, reply string
		broken      bool
		refused     bool
		got         string
	}{
		{"BYE and OK", one + "* BYE restarting\r\nTAG OK done\r\nCLOSE", true, false, `1 [] "a"`},
		{"cut in a body", one + "* 2 FETCH (UID 2 FLAGS () INTERNALDATE NIL BODY[] {900}\r\nabcCLOSE", true, false, `1 [] "a"`},
		{"cut between messages", one + "CLOSE", true, false, `1 [] "a"`},
		{"NO with one message", one + "TAG NO some messages could not be read\r\n", false, false, `1 [] "a"`},
		{"NO with none", "TAG NO [NOPERM] no\r\n", false, true, ""},
	} {
		conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": c.reply}})
		got, missing, err := fetched(t, conn, 1, 2, 3)
		want := []uint32{2, 3}
		if c.got == "" {
			want = []uint32{1, 2, 3}
		}
		if (err != nil) != (c.broken || c.refused) || (wire.Refused(err) != nil) != c.refused || !slices.Equal(missing, want) || !strings.HasPrefix(got, c.got) {
			t.Errorf("%s: got %q, missing %v, %v", c.name, got, missing, err)
		}
		if c.broken && conn.Err() == nil {
			t.Errorf("%s: the connection is called usable", c.name)
		}
	}
}

func TestSearchesOfEveryKindGiveTheUIDs(t *testing.T) {
	for _, c := range []struct{ name, capabilities, reply, want string }{
		{"SEARCH", "", "* SEARCH 1 2 5\r\nTAG OK\r\n", "[1 2 5]"},
		{"SEARCH in pieces, unordered, with junk", "", "* SEARCH 5 0 x 2\r\n* SEARCH 1 2 (MODSEQ 9)\r\nTAG OK\r\n", "[1 2 5]"},
		{"SEARCH with a space at the end", "", "* SEARCH 1 \r\nTAG OK\r\n", "[1]"},
		{"nothing", "", "* SEARCH\r\nTAG OK\r\n", "[]"},
		{"no reply", "", "TAG OK\r\n", "[]"},
		{"ESEARCH", "ESEARCH", "* ESEARCH (TAG \"TAG\") UID ALL 1:3,7\r\nTAG OK\r\n", "[1 2 3 7]"},
		{"ESEARCH of nothing", "ESEARCH", "* ESEARCH (TAG \"TAG\") UID\r\nTAG OK\r\n", "[]"},
		{"ESEARCH backwards", "ESEARCH", "* ESEARCH (TAG \"TAG\") UID COUNT 4 ALL 7,3:1\r\nTAG OK\r\n", "[1 2 3 7]"},
		{"ESEARCH answered by SEARCH", "ESEARCH", "* SEARCH 4\r\nTAG OK\r\n", "[4]"},
	} {
		conn, _ := open(t, wiretest.Script{Capabilities: c.capabilities, Replies: map[string]string{"UID SEARCH": c.reply}})
		uids, err := conn.UIDs(ctx(t))
		if err != nil || fmt.Sprint(uids) != c.want {
			t.Errorf("%s: got %v, %v, want %v", c.name, uids, err, c.want)
		}
	}
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{
		"UID SEARCH": "TAG NO search is off\r\n", "UID FETCH 1:* (UID)": "* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 9)\r\nTAG OK\r\n",
	}})
	if uids, err := conn.UIDs(ctx(t)); err != nil || fmt.Sprint(uids) != "[4 9]" {
		t.Errorf("without SEARCH: got %v, %v", uids, err)
	}
}

func TestASearchLineMayBeLongerThanAnyOtherLine(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("* SEARCH")
	for u := 1; u <= 200_000; u++ {
		fmt.Fprintf(&b, " %d", 2*u)
	}
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID SEARCH": b.String() + "\r\nTAG OK\r\n"}})
	uids, err := conn.UIDs(ctx(t))
	if err != nil || len(uids) != 200_000 || uids[199_999] != 400_000 {
		t.Errorf("got %d UIDs, %v", len(uids), err)
	}
}

func TestHeadersAreCappedAndReconciled(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	conn, srv := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": fmt.Sprintf(
		"* 1 FETCH (BODY[HEADER.FIELDS (DATE \"X-A\")] {7}\r\nDate: 1 UID 1)\r\n* 2 FETCH (UID 2 BODY[HEADER.FIELDS (DATE)] {%d}\r\n%s)\r\n* 3 FETCH (UID 3 BODY[HEADER.FIELDS (DATE)] NIL)\r\nTAG OK\r\n", len(big), big)}})
	got := map[uint32]int{}
	missing, err := conn.Headers(ctx(t), []uint32{1, 2, 3}, []string{"Date", "X-A"}, func(uid uint32, h []byte) error { got[uid] = len(h); return nil })
	if err != nil || got[1] != 7 || got[2] != 64<<10 || !slices.Equal(missing, []uint32{3}) {
		t.Errorf("got %v, missing %v, %v", got, missing, err)
	}
	if line := srv.Lines()[len(srv.Lines())-1]; line != "UID FETCH 1:3 (UID BODY.PEEK[HEADER.FIELDS (Date X-A)])" {
		t.Errorf("sent %q", line)
	}
	if _, err = conn.Headers(ctx(t), []uint32{1}, []string{"Date) FLAGS"}, nil); err == nil {
		t.Error("sent a field name that is none")
	}
}

func TestAnErrorOfTheCallbackEndsTheConnectionAndIsReturned(t *testing.T) {
	mine := errors.New("mine")
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": "* 1 FETCH (UID 1 FLAGS ())\r\nTAG OK\r\n"}})
	err := conn.List(ctx(t), wire.UIDRange{From: 1}, func(wire.Entry) error { return mine })
	if !errors.Is(err, mine) || conn.Err() == nil {
		t.Errorf("got %v and %v", err, conn.Err())
	}
}
