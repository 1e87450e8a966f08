package wire_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
)

// named shows the source's own names of the messages in a listing, by UID.
func named(t *testing.T, c *wire.Conn, from uint32) string {
	t.Helper()
	var out []string
	err := c.List(ctx(t), wire.UIDRange{From: from}, func(e wire.Entry) error {
		out = append(out, fmt.Sprintf("%d is %d", e.UID, e.Origin))
		return nil
	})
	if err != nil {
		t.Errorf("the reply ended the connection: %v", err)
	}
	return strings.Join(out, ", ")
}

// gmail is a server that names its letters and says this of them.
func gmail(t *testing.T, replies map[string]string) (*wire.Conn, *wiretest.Server) {
	t.Helper()
	return open(t, wiretest.Script{Capabilities: "IMAP4rev1 CONDSTORE X-GM-EXT-1", Replies: replies})
}

func TestNameThatTheSourceGivesALetterIsReadOrReportedAndCostsNothingElse(t *testing.T) {
	const good = "* 9 FETCH (X-GM-MSGID 1278455344230334865 UID 9 FLAGS () RFC822.SIZE 9)\r\nTAG OK done\r\n"
	for _, c := range []struct{ name, value, want string }{
		{"Gmail's own example", "1278455344230334865", "1278455344230334865"},
		{"the largest of 64 bits", "18446744073709551615", "18446744073709551615"},
		{"leading zeros", "0017", "17"},
		{"quoted", "\"17\"", "17"},
		{"a literal", "{2}\r\n17", "17"},
		{"none", "NIL", "0, reported"},
		{"beyond 64 bits", "18446744073709551616", "0, reported"},
		{"negative", "-17", "0, reported"},
		{"with a plus", "+17", "0, reported"},
		{"in hexadecimal", "0x17", "0, reported"},
		{"words", "abc", "0, reported"},
		{"empty", "\"\"", "0, reported"},
		{"a list", "(17 18)", "0, reported"},
		{"very long", strings.Repeat("9", 5000), "0, reported"},
		{"with a space", "\"1 7\"", "0, reported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, _ := gmail(t, map[string]string{"UID FETCH": "* 1 FETCH (UID 1 X-GM-MSGID " + c.value + " FLAGS () RFC822.SIZE 5)\r\n" + good})
			got := named(t, conn, 1)
			for _, o := range conn.Oddities() {
				if len(o.Detail) > 1000 {
					t.Errorf("an oddity of %d octets", len(o.Detail))
				}
				got = strings.Replace(got, "1 is 0", "1 is 0, reported", 1)
			}
			if want := "1 is " + c.want + ", 9 is 1278455344230334865"; got != want {
				t.Errorf("got  %s\nwant %s\noddities %v", got, want, conn.Oddities())
			}
		})
	}
}

func TestNamesOfLettersAreAskedForOnlyWhereTheServerHasThem(t *testing.T) {
	for _, c := range []struct {
		capabilities string
		want         bool
	}{{"IMAP4rev1", false}, {"IMAP4rev1 X-GM-EXT-1", true}} {
		conn, server := open(t, wiretest.Script{Capabilities: c.capabilities, Replies: map[string]string{"UID FETCH": "TAG OK done\r\n", "FETCH": "TAG OK done\r\n"}})
		_ = named(t, conn, 1)
		_ = conn.Newest(ctx(t), 3, func(wire.Entry) error { return nil })
		n := 0
		for _, line := range server.Lines() {
			if strings.Contains(line, "X-GM-MSGID") {
				n++
			}
		}
		if n > 0 != c.want {
			t.Errorf("with %q, %d questions for names: %q", c.capabilities, n, server.Lines())
		}
	}
}

// Gmail's listing may be asked for behind the changes, before these have come. A line of the changes that tells a size and
// no name is none of the listing: taken for one, the letter would be unknown and copied twice.
func TestLineThatTellsASizeUnaskedIsNotTakenForOneOfTheListing(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Capabilities: "IMAP4rev1 CONDSTORE X-GM-EXT-1", Answer: func(line string) (string, bool) {
		switch {
		case strings.Contains(line, "CHANGEDSINCE"):
			return "* 1 FETCH (UID 1 RFC822.SIZE 5 FLAGS (x))\r\n* 7 FETCH (UID 7 RFC822.SIZE 5 FLAGS (x))\r\nTAG OK done\r\n", true
		case strings.HasPrefix(line, "UID FETCH 7:*"):
			return "* 7 FETCH (UID 7 RFC822.SIZE 5 FLAGS (x) X-GM-MSGID 17)\r\nTAG OK done\r\n", true
		}
		return "", false
	}})
	ahead(t, conn, wire.Visit{Raw: "INBOX", Changes: 4, List: wire.UIDRange{From: 7}})
	if _, err := conn.Open(ctx(t), "INBOX", true); err != nil {
		t.Fatal(err)
	}
	var changed []uint32
	if _, err := conn.Changes(ctx(t), 4, false, func(e wire.Entry) error { changed = append(changed, e.UID); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := named(t, conn, 7); got != "7 is 17" || !slices.Equal(changed, []uint32{1, 7}) {
		t.Errorf("listed: %s, want 7 is 17; changed %v, want [1 7]", got, changed)
	}
}

// Dovecot 2.3 answers a FETCH beside a search that stands before it; a line whose name can't be read is one of the listing
// all the same. Else it would be missing there, and the folder would never be finished.
func TestLineOfTheListingWithANameThatCantBeReadIsKeptForTheListing(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Capabilities: "IMAP4rev1 CONDSTORE X-GM-EXT-1", Answer: func(line string) (string, bool) {
		switch {
		case strings.HasPrefix(line, "UID SEARCH"):
			return "* 7 FETCH (UID 7 RFC822.SIZE 5 FLAGS (x) X-GM-MSGID what)\r\n* SEARCH 1 7\r\nTAG OK done\r\n", true
		case strings.HasPrefix(line, "UID FETCH"):
			return "TAG OK done\r\n", true
		}
		return "", false
	}})
	ahead(t, conn, wire.Visit{Raw: "INBOX", UIDs: true, Changes: 4, List: wire.UIDRange{From: 7}})
	if _, err := conn.Open(ctx(t), "INBOX", true); err != nil {
		t.Fatal(err)
	}
	if uids, err := conn.UIDs(ctx(t)); err != nil || !slices.Equal(uids, []uint32{1, 7}) {
		t.Fatalf("the search gives %v, %v", uids, err)
	}
	if _, err := conn.Changes(ctx(t), 4, false, func(wire.Entry) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := named(t, conn, 7); got != "7 is 0" {
		t.Errorf("listed: %q, want 7 without a name", got)
	}
}
