package wire_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
)

// shown is one line per folder, in the order of Raw.
func shown(folders []wire.Folder) string {
	var out []string
	for _, f := range folders {
		s := strings.Join(f.Name, "|")
		if f.SpecialUse != "" {
			s += " " + f.SpecialUse
		}
		if f.Subscribed {
			s += " subscribed"
		}
		if !f.Selectable {
			s += " noselect"
		}
		if f.Status.HasMessages {
			s += fmt.Sprintf(" %d", f.Status.Messages)
		}
		if f.Problem != nil {
			s += " problem"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

const statusOK = "TAG OK done\r\n"

func TestFolderListsOfOddServersAreRead(t *testing.T) {
	for _, c := range []struct{ name, list, want string }{
		{"plain", `* LIST () "/" Sent`, "Sent"},
		{"quoted", `* LIST () "/" "My \"Sent\""`, `My "Sent"`},
		{"literal", "* LIST () \"/\" {4}\r\nSent", "Sent"},
		{"modified UTF-7", `* LIST () "/" "Entw&APw-rfe/&ZeVnLIqe-"`, "Entwürfe|日本語"},
		{"invalid modified UTF-7", `* LIST () "/" "R&D"`, "R&D"},
		{"Latin-1", "* LIST () \"/\" \"Entw\xfcrfe\"", "Entwürfe"},
		{"UTF-8", `* LIST () "/" "Entwürfe"`, "Entwürfe"},
		{"unquoted with spaces", `* LIST () "/" My Sent Mail`, "My Sent Mail"},
		{"unquoted with brackets", `* LIST () "/" Sent (old)`, "Sent (old)"},
		{"unescaped quotes", `* LIST () "/" "My "best" mail"`, `My "best" mail`},
		{"a number", `* LIST () "/" 2019`, "2019"},
		{"extended data", `* LIST () "/" Sent ("CHILDINFO" ("SUBSCRIBED"))`, "Sent"},
		{"extended data behind a quoted name", `* LIST () "/" "Sent" ("CHILDINFO" ("SUBSCRIBED"))`, "Sent"},
		{"empty separator", `* LIST () "" "a/b"`, "a/b"},
		{"NIL separator", `* LIST () NIL "a/b"`, "a/b"},
		{"unquoted separator", `* LIST () . a.b`, "a|b"},
		{"backslash as separator", `* LIST () "\\" "a\b"`, "a|b"},
		{"double spaces", `*  LIST  (\Sent  )  "/"  "Sent"`, `Sent \Sent`},
		{"attributes NIL", `* LIST NIL "/" Sent`, "Sent"},
		{"special uses in any case", `* LIST (\hasnochildren \SENT \Subscribed) "/" Gesendet`, `Gesendet \Sent subscribed`},
		{"noselect", `* LIST (\Noselect) "/" "[Gmail]"`, "[Gmail] noselect"},
		{"nonexistent", `* LIST (\NonExistent \HasChildren) "/" x`, "x noselect"},
		{"a separator at the end", `* LIST () "/" "Sent/"`, "Sent"},
		{"twice", "* LIST () \"/\" Sent\r\n* LIST (\\Sent) \"/\" Sent", `Sent \Sent`},
		{"no name", "* LIST () \"/\" \"\"\r\n* LIST ()\r\n* LIST\r\n* LIST () \"/\" Sent", "Sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, _ := open(t, wiretest.Script{Replies: map[string]string{
				"LIST": "* LIST () \"/\" inbox\r\n" + c.list + "\r\n" + statusOK, "STATUS": statusOK,
			}})
			folders, err := conn.Folders(ctx(t))
			got := shown(folders)
			if err != nil || !slices.Contains(strings.Split(got, "; "), c.want) || len(folders) != 2 {
				t.Errorf("got %q, %v, want INBOX and %q; oddities %v", got, err, c.want, conn.Oddities())
			}
		})
	}
}

func TestStatusComesWithTheListOrOneByOne(t *testing.T) {
	const list = "* LIST () \"/\" INBOX\r\n* LIST (\\Noselect) \"/\" Top\r\n* LIST () \"/\" \"My Sent\"\r\n* LIST () \"/\" Shut\r\n"
	conn, srv := open(t, wiretest.Script{
		Capabilities: "NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE",
		Replies: map[string]string{
			"LIST": list + "* STATUS inbox (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 12)\r\n* STATUS My Sent ( MESSAGES 4 UIDNEXT x )\r\n" + statusOK,
			// Shut was left out of the list, as RFC 5819 §2 has it, and says why when asked.
			"STATUS": "TAG NO [NOPERM] no\r\n",
		},
	})
	folders, err := conn.Folders(ctx(t))
	if err != nil || shown(folders) != "INBOX 3; My Sent 4; Shut problem; Top noselect" {
		t.Errorf("got %q, %v", shown(folders), err)
	}
	if st := folders[0].Status; st.UIDNext != 9 || st.UIDValidity != 7 || st.HighestModSeq != 12 || !st.HasHighestModSeq || folders[1].Status.HasUIDNext {
		t.Errorf("got %+v and %+v", st, folders[1].Status)
	}
	if got := srv.Lines()[4:]; !slices.Equal(got, []string{"NAMESPACE",
		`LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))`,
		`STATUS "Shut" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)`}) {
		t.Errorf("sent %q", got)
	}

	conn, srv = open(t, wiretest.Script{Replies: map[string]string{
		"LIST": list, "LSUB": "* LSUB () \"/\" \"My Sent\"\r\n* LSUB (\\Noselect) \"/\" INBOX\r\n" + statusOK,
		"STATUS":             "* STATUS elsewhere (MESSAGES 5)\r\n" + statusOK,
		`STATUS "Shut"`:      "TAG BAD no\r\n",
		`STATUS "INBOX"`:     "* STATUS \"INBOX\" (UIDNEXT 2 MESSAGES 6)\r\n" + statusOK,
		`LIST "" "*"`:        list + statusOK,
		`LIST "" "*" RETURN`: "TAG BAD what\r\n",
	}})
	folders, err = conn.Folders(ctx(t))
	if err != nil || shown(folders) != "INBOX 6; My Sent subscribed 5; Shut problem; Top noselect" {
		t.Errorf("one by one: got %q, %v; sent %q", shown(folders), err, srv.Lines())
	}
}

// landscape.md §3.28: LIST-EXTENDED without SPECIAL-USE answers BAD.
func TestAListOptionThatIsRefusedIsLeftOut(t *testing.T) {
	conn, srv := open(t, wiretest.Script{Capabilities: "LIST-EXTENDED LIST-STATUS", Replies: map[string]string{
		`LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE`: "* LIST () \"/\" half\r\nTAG BAD unknown option\r\n",
		`LIST "" "*" RETURN (SUBSCRIBED STATUS`:      "* LIST (\\Subscribed) \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 1)\r\n" + statusOK,
	}})
	folders, err := conn.Folders(ctx(t))
	if err != nil || shown(folders) != "INBOX subscribed 1" {
		t.Errorf("got %q, %v; sent %q", shown(folders), err, srv.Lines())
	}
}

func TestOnlyThePersonalNamespaceIsListedAndItsPrefixIsNoPartOfTheName(t *testing.T) {
	for _, c := range []struct{ name, namespace, list, want string }{
		{"Courier", `(("INBOX." ".")) NIL (("shared." "."))`,
			`* LIST () "." INBOX|* LIST () "." INBOX.Sent|* LIST () "." INBOX.a.b|* LIST () "." shared.x|* LIST (\Noselect) "." shared`, "INBOX; Sent; a|b"},
		{"others inside", `(("" "/")) (("Other Users/" "/")) (("Public/" "/"))`,
			`* LIST () "/" INBOX|* LIST () "/" "Other Users/bob"|* LIST () "/" Public/x|* LIST () "/" INBOX/Kid|* LIST () "/" Publicity`, "INBOX; INBOX|Kid; Publicity"},
		{"a folder that would be a second inbox", `(("INBOX." ".")) NIL NIL`, `* LIST () "." INBOX|* LIST () "." INBOX.INBOX`, "INBOX; INBOX|INBOX"},
		{"no NAMESPACE, all below the inbox", "", `* LIST () "." INBOX|* LIST () "." Inbox.Sent`, "INBOX; Sent"},
		{"no NAMESPACE, not all below the inbox", "", `* LIST () "." INBOX|* LIST () "." INBOX.Sent|* LIST () "." x`, "INBOX; INBOX|Sent; x"},
		{"with extensions", `(("" "/" "X-PARAM" ("FLAG1" "FLAG2"))) NIL NIL`, `* LIST () "/" INBOX`, "INBOX"},
	} {
		s := wiretest.Script{Replies: map[string]string{"LIST": strings.ReplaceAll(c.list, "|", "\r\n") + "\r\n" + statusOK, "STATUS": statusOK}}
		if c.namespace != "" {
			s.Capabilities = "NAMESPACE"
			s.Replies["NAMESPACE"] = "* NAMESPACE " + c.namespace + "\r\n" + statusOK
		}
		conn, _ := open(t, s)
		folders, err := conn.Folders(ctx(t))
		if err != nil || shown(folders) != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, shown(folders), err, c.want)
		}
	}
}

func TestAPersonalNamespaceThatTheStarLeavesOutIsListedToo(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Capabilities: "NAMESPACE", Replies: map[string]string{
		"NAMESPACE":       "* NAMESPACE ((\"\" \"/\")(\"#mh/\" \"/\")) NIL NIL\r\n" + statusOK,
		`LIST "" "*"`:     "* LIST () \"/\" INBOX\r\n" + statusOK,
		`LIST "" "#mh/*"`: "* LIST () \"/\" #mh/old\r\n" + statusOK,
		"STATUS":          statusOK,
	}})
	folders, err := conn.Folders(ctx(t))
	if err != nil || shown(folders) != "#mh|old; INBOX" {
		t.Errorf("got %q, %v", shown(folders), err)
	}
}

// XLIST is what Gmail had before SPECIAL-USE.
func TestXLISTNamesSpecialUses(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Capabilities: "XLIST", Replies: map[string]string{
		"XLIST": "* XLIST (\\Inbox) \"/\" Inbox\r\n* XLIST (\\AllMail) \"/\" all\r\n* XLIST (\\Spam) \"/\" spam\r\n* XLIST (\\Starred) \"/\" star\r\n" + statusOK, "STATUS": statusOK,
	}})
	folders, err := conn.Folders(ctx(t))
	if err != nil || shown(folders) != `INBOX; all \All; spam \Junk; star \Flagged` {
		t.Errorf("got %q, %v", shown(folders), err)
	}
	// The inbox may stand there by the name that its owner reads, and subscriptions come from LSUB.
	conn, _ = open(t, wiretest.Script{Capabilities: "XLIST", Replies: map[string]string{
		"XLIST": "* XLIST (\\Inbox) \"/\" \"Posta in arrivo\"\r\n* XLIST (\\Sent) \"/\" \"[Gmail]/Posta inviata\"\r\n" + statusOK,
		"LSUB":  "* LSUB () \"/\" INBOX\r\n" + statusOK, "STATUS": statusOK,
	}})
	folders, err = conn.Folders(ctx(t))
	if err != nil || shown(folders) != `INBOX subscribed; [Gmail]|Posta inviata \Sent` {
		t.Errorf("a localised inbox: got %q, %v", shown(folders), err)
	}
}

func TestAServerThatOffersXLISTAndRefusesItIsAskedPlainly(t *testing.T) {
	conn, srv := open(t, wiretest.Script{Capabilities: "XLIST", Replies: map[string]string{
		"XLIST": "TAG BAD unknown\r\n", "LIST": "* LIST () \"/\" INBOX\r\n* LIST () \"/\" a\r\n" + statusOK, "LSUB": "TAG NO never\r\n", "STATUS": statusOK,
	}})
	folders, err := conn.Folders(ctx(t))
	if err != nil || shown(folders) != "INBOX; a" {
		t.Errorf("got %q, %v after %q", shown(folders), err, srv.Lines())
	}
}

// L1: an inbox that the listing leaves out is looked for, and only then left out.
func TestAnInboxThatIsNotListedIsFound(t *testing.T) {
	for status, want := range map[string]string{"* STATUS INBOX (MESSAGES 3)\r\nTAG OK\r\n": "INBOX 3; a", "TAG NO [NONEXISTENT] none\r\n": "a"} {
		conn, _ := open(t, wiretest.Script{Replies: map[string]string{
			"LIST": "* LIST () \"/\" a\r\n" + statusOK, "STATUS": statusOK, `STATUS "INBOX"`: status,
		}})
		if folders, err := conn.Folders(ctx(t)); err != nil || shown(folders) != want {
			t.Errorf("got %q, %v, want %q", shown(folders), err, want)
		}
	}
}

// Within one listing no two folders have one name, and which of them has the plain
// one does not depend on their order.
func TestNamesStayApart(t *testing.T) {
	lines := []string{`* LIST () "/" "R&D"`, `* LIST () "/" "R&-D"`, "* LIST () \"/\" \"\xfc\"", `* LIST () "/" "ü"`, `* LIST () "/" "&APw-"`, `* LIST () "/" "a//b"`, `* LIST () "/" "a/b"`}
	want := `R&-D=R&D; R&D=R%26D; &APw-=ü; ü=%C3%BC; ` + "\xfc" + `=%FC; a//b=a//b; a/b=a|b`
	for range 2 {
		slices.Reverse(lines)
		conn, _ := open(t, wiretest.Script{Replies: map[string]string{"LIST": strings.Join(lines, "\r\n") + "\r\n" + statusOK, "STATUS": statusOK}})
		folders, err := conn.Folders(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range folders {
			got[f.Raw] = strings.Join(f.Name, "|")
		}
		for _, pair := range strings.Split(want, "; ") {
			raw, name, _ := strings.Cut(pair, "=")
			if got[raw] != name {
				t.Errorf("%q is called %q, want %q", raw, got[raw], name)
			}
		}
	}
}

// A name that needs a literal waits for the server's go-ahead, in the middle of
// commands that do not.
func TestNamesThatNeedALiteralAreSentAsThem(t *testing.T) {
	conn, srv := open(t, wiretest.Script{Replies: map[string]string{
		"LIST":   "* LIST () \"/\" a\r\n* LIST () \"/\" \"\xfc\"\r\n* LIST () \"/\" {3}\r\nx\ny\r\n* LIST () \"/\" \"z\\\"\\\\\"\r\n" + statusOK,
		"STATUS": statusOK,
	}})
	if _, err := conn.Folders(ctx(t)); err != nil {
		t.Fatal(err)
	}
	const items = " (MESSAGES UIDNEXT UIDVALIDITY)"
	if got := srv.Lines()[6:]; !slices.Equal(got, []string{`STATUS "a"` + items, "STATUS {1}\r\n\xfc" + items, "STATUS {3}\r\nx\ny" + items, `STATUS "z\"\\"` + items, `STATUS "INBOX"` + items}) {
		t.Errorf("sent %q", got)
	}
}

func TestOpeningAFolderTellsItsState(t *testing.T) {
	conn, srv := open(t, wiretest.Script{Capabilities: "CONDSTORE", Replies: map[string]string{
		"EXAMINE": "* FLAGS (\\Answered x)\r\n* 12 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 77] x\r\n* OK [UIDNEXT 99] x\r\n* OK [HIGHESTMODSEQ 5] x\r\n* OK [UIDNOTSTICKY] x\r\n* OK [PERMANENTFLAGS (\\seen a]b \\*)] Limited\r\n* OK [UNSEEN\r\nTAG OK [READ-ONLY] done\r\n",
	}})
	s := conn.Selected()
	if s.Exists != 12 || s.UIDValidity != 77 || s.UIDNext != 99 || s.HighestModSeq != 5 || !s.UIDNotSticky || !s.ReadOnly || fmt.Sprint(s.Flags, s.PermanentFlags) != `[\Answered x] [\Seen a]b \*]` {
		t.Errorf("got %+v", s)
	}
	if line := srv.Lines()[3]; line != `EXAMINE "INBOX" (CONDSTORE)` {
		t.Errorf("sent %q", line)
	}
	conn, _ = open(t, wiretest.Script{Capabilities: "CONDSTORE", Replies: map[string]string{`EXAMINE "INBOX" (CONDSTORE)`: "TAG BAD what\r\n"}})
	if conn.Selected().UIDValidity != 7 {
		t.Errorf("without CONDSTORE: got %+v", conn.Selected())
	}
	conn, _ = open(t, wiretest.Script{Replies: map[string]string{`EXAMINE "no"`: "TAG NO [NONEXISTENT] no\r\n"}})
	if _, err := conn.Open(ctx(t), "no", true); wire.Refused(err) == nil || conn.Selected().Raw != "" {
		t.Errorf("got %v and %+v", err, conn.Selected())
	}
}
