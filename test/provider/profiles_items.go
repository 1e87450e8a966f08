package provider

import (
	"fmt"
	"strconv"
	"strings"
)

// dated is a letter whose Received header has another date than its Date header.
const dated = "Received: from a.example by b.example; Tue, 5 May 2015 10:11:12 +0200\r\nReceived: from c.example by a.example; Tue, 5 May 2015 10:11:00 +0200\r\n" +
	"From: b@example.net\r\nDate: Mon, 4 May 2015 09:00:00 +0000\r\nSubject: dated\r\nMessage-ID: <dated@example.net>\r\n\r\nDated.\r\n"

const receivedDate = " 5-May-2015 08:11:12 +0000"

// letterDate is what the letters of the store say in their Date header.
const letterDate = "17-Jul-2020 02:44:25 +0000"

// secondDated is the outcome when the source tells no date of the second message of the inbox.
func secondDated(date string) Outcome {
	return Outcome{Arrives: func(f *Folder, m *Message) *Message {
		if f.Raw == "INBOX" && m.UID == 2 {
			changed := *m
			changed.Date = date
			return &changed
		}
		return m
	}}
}

func dates() []Profile {
	const reads = "the source tells no date: "
	received := func(s *Store) { s.Folder("INBOX").Messages[1].Body = dated }
	return []Profile{
		{
			Name: "date-missing", Server: "leaves INTERNALDATE out", Seen: "sent mail of one server (imap2maildir pull request 28)",
			Does:  "takes the date of the topmost Received header, else of the Date header; never today's",
			Reads: reads + "that of its Received header was taken",
			Quirk: Quirk{Seed: received, Fetch: second(without("INTERNALDATE"))}, Outcome: secondDated(receivedDate),
		},
		{
			Name: "date-nil", Server: "INTERNALDATE is `NIL`", Seen: "imapsync issue 345",
			Does:  "the same",
			Reads: reads + "that of its Date header was taken",
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", "NIL"))}, Outcome: secondDated(letterDate),
		},
		{
			Name: "date-zero", Server: "INTERNALDATE is `00-Jan-0000 00:00:00 +0000`", Seen: "Domino 10.0.1 (MailKit issue 1236)",
			Does:  "the same",
			Reads: `source: bad-item: message 2 of "INBOX": INTERNALDATE: not a date: 00-Jan-0000 00:00:00 +0000`,
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", `"00-Jan-0000 00:00:00 +0000"`))}, Outcome: secondDated(letterDate),
		},
		{
			Name: "date-impossible", Server: "INTERNALDATE is the 31st of June", Seen: "MailKit issue 254",
			Does:  "the same",
			Reads: `not a date: 31-Jun-2005 00:00:00 +0000`,
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", `"31-Jun-2005 00:00:00 +0000"`))}, Outcome: secondDated(letterDate),
		},
		{
			Name: "date-none-at-all", Server: "leaves INTERNALDATE out, and the letter has no date either", Seen: "drafts",
			Does:    "lets this server take the present, and says so",
			Reads:   reads + "neither does the letter, so it has today's",
			Quirk:   Quirk{Seed: func(s *Store) { s.Folder("INBOX").Messages[1].Body = "Subject: undated\r\n\r\nHello.\r\n" }, Fetch: second(without("INTERNALDATE"))},
			Outcome: secondDated(""),
		},
		{
			Name: "date-two-digit-year", Server: "a year of two digits", Seen: "servers from before 2000",
			Does:  "reads it as RFC 5322 §4.3 says: 00 to 49 is 20xx, the rest 19xx",
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", `"03-Mar-19 23:59:59 -0700"`))},
		},
		{
			Name: "date-no-zone", Server: "no zone", Seen: goIMAP,
			Does:  "takes it for UTC",
			Reads: `source: date-without-zone: message 2 of "INBOX"`,
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", `"04-Mar-2019 06:59:59"`))},
		},
		{
			Name: "date-zone-name", Server: "a zone with a name", Seen: "hand-made servers",
			Does:  "knows GMT and UTC",
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", `"04-Mar-2019 06:59:59 GMT"`))},
		},
		{
			Name: "date-one-digit-day", Server: "a day of one digit, without its space", Seen: "imap2maildir pull request 26",
			Does:  "reads it",
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", `"4-Mar-2019 06:59:59 +0000"`))},
		},
		{
			Name: "date-of-letters", Server: "writes INTERNALDATE the way letters do", Seen: "asimap (its pull request 458)",
			Does:  "reads it",
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", `"Sun, 3 Mar 2019 23:59:59 -0700"`))},
		},
		{
			Name: "date-unquoted", Server: "forgets the quotes", Seen: goIMAP,
			Does:  "reads the rest of the line, and takes the date of the letter",
			Reads: reads + "that of its Date header was taken",
			Quirk: Quirk{Fetch: second(with("INTERNALDATE", "03-Mar-2019 23:59:59 -0700"))}, Outcome: secondDated(letterDate),
		},
	}
}

// flagged is the outcome when the second message of the inbox has other flags here.
func flagged(flags ...string) Outcome {
	return Outcome{Arrives: func(f *Folder, m *Message) *Message {
		if f.Raw == "INBOX" && m.UID == 2 {
			changed := *m
			changed.Flags = flags
			return &changed
		}
		return m
	}}
}

func flags() []Profile {
	give := func(flags string) func(*Line) { return second(with("FLAGS", flags)) }
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("label-%d", i))
	}
	return []Profile{
		{
			Name: "flags-space", Server: "a space behind the last flag", Seen: "iCloud (swift-nio-imap issue 480), SurgeMail 8.0e (modern-email/defects issue 48)",
			Does:  "reads them",
			Quirk: Quirk{Fetch: give(`( \Answered \Seen  $Forwarded )`), Open: opened("FLAGS", `OK [PERMANENTFLAGS ( \*)]`)},
		},
		{
			Name: "flags-quoted", Server: "flags in quotes", Seen: "InterMail 8.04 (MailKit issue 771)",
			Does:  "takes the quotes off",
			Quirk: Quirk{Fetch: give(`("\\Answered" \Seen "$Forwarded")`)},
		},
		{
			Name: "flags-case", Server: "system flags in other case", Seen: "hand-made servers",
			Does:  "knows them in any case",
			Quirk: Quirk{Fetch: give(`(\ANSWERED \seen $Forwarded)`)},
		},
		{
			Name: "flags-bracket", Server: "`]` and `[` in keywords", Seen: "RFC 9051 §9 forbids `]`; " + goIMAP,
			Does:  "keeps `[`; says that `]` can't be kept here",
			Reads: "not kept here: a]b",
			Quirk: Quirk{Fetch: give(`(\Seen a]b [c)`)}, Outcome: flagged(`\Seen`, "[c"),
		},
		{
			Name: "flags-backslash", Server: "a backslash alone", Seen: goIMAP,
			Does:  "passes over it",
			Quirk: Quirk{Fetch: give(`(\ \Answered \Seen $Forwarded)`)},
		},
		{
			Name: "flags-8bit", Server: "8-bit keywords", Seen: "Kerio, hMailServer",
			Does:  "says that they can't be kept here",
			Reads: "not kept here: gel\xf6st",
			Quirk: Quirk{Fetch: give("(\\Seen gel\xf6st)")}, Outcome: flagged(`\Seen`),
		},
		{
			Name: "flags-unknown-system", Server: "flags of its own with a backslash (`\\$NOTJUNK`, `\\FORWARDED`)", Seen: "imap-backup issue 133",
			Does:  "says that they can't be kept here: a flag with a backslash makes an APPEND fail",
			Reads: `not kept here: \$NOTJUNK, \FORWARDED`,
			Quirk: Quirk{Fetch: give(`(\Seen \$NOTJUNK \FORWARDED)`)}, Outcome: flagged(`\Seen`),
		},
		{
			Name: "flags-recent", Server: "`\\Recent` on every message", Seen: "every server of RFC 3501",
			Does:  "leaves it out: it belongs to a session, not to a message",
			Quirk: Quirk{Fetch: give(`(\Recent \Answered \Seen $Forwarded)`)},
		},
		{
			Name: "flags-zimbra", Server: "keywords with a colon and a number", Seen: "Zimbra (imapsync FAQ.Zimbra)",
			Does:  "keeps them: Dovecot takes every atom",
			Quirk: Quirk{Fetch: give(`(\Seen $Zimbra:FLAG51135 work:FLAG7)`)}, Outcome: flagged(`\Seen`, "$Zimbra:FLAG51135", "work:FLAG7"),
		},
		{
			Name: "flags-many", Server: "300 keywords on a message", Seen: "Thunderbird tags of ten years; Dovecot keeps 26 of a folder in file names",
			Does:  "keeps them all",
			Quirk: Quirk{Fetch: give("(" + strings.Join(many, " ") + ")")}, Outcome: flagged(many...),
		},
		{
			Name: "flags-long", Server: "a keyword of 200 characters", Seen: "labels made from subjects",
			Does:  "says that it can't be kept here: Dovecot takes 50",
			Reads: "not kept here: " + strings.Repeat("k", 200),
			Quirk: Quirk{Fetch: give(`(\Seen ` + strings.Repeat("k", 200) + ")")}, Outcome: flagged(`\Seen`),
		},
		{
			Name: "flags-duplicate", Server: "a flag twice, once in other case", Seen: "Exchange",
			Does:  "keeps it once",
			Quirk: Quirk{Fetch: give(`(\Seen \Answered \Seen $Forwarded $FORWARDED)`)}, Outcome: flagged(`\Seen`, `\Answered`, "$FORWARDED"),
		},
		{
			Name: "flags-missing-in-listing", Server: "leaves FLAGS out of listings", Seen: "hand-made servers",
			Does:  "takes those that come with the message",
			Quirk: Quirk{Fetch: inListings(without("FLAGS"))},
		},
		{
			Name: "flags-missing", Server: "leaves FLAGS out everywhere", Seen: "hand-made servers",
			Does:    "copies the message without flags",
			Reads:   "source: late-uid:",
			Quirk:   Quirk{Fetch: without("FLAGS")},
			Outcome: Outcome{Arrives: func(_ *Folder, m *Message) *Message { changed := *m; changed.Flags = nil; return &changed }},
		},
		{
			Name: "flags-nil", Server: "FLAGS is `NIL`", Seen: "hand-made servers",
			Does:  "takes it for no flags",
			Quirk: Quirk{Fetch: give("NIL")}, Outcome: flagged(),
		},
	}
}

func bodies() []Profile {
	announce := func(change func(n int) string) func(*Line) {
		return value("BODY[]", func(v string) string {
			head, body, _ := strings.Cut(v, "\r\n")
			n, _ := strconv.Atoi(strings.Trim(head, "{}"))
			return change(n) + "\r\n" + body
		})
	}
	quoted := func(l *Line) { l.item("BODY[]").Value = quote("short") }
	return []Profile{
		{
			Name: "size-zero", Server: "RFC822.SIZE is 0", Seen: "Vandelay 1.0.5 had to learn it; imapsync issue 163",
			Does:  "copies what comes: the size is a hint",
			Quirk: Quirk{Fetch: with("RFC822.SIZE", "0")},
		},
		{
			Name: "size-small", Server: "RFC822.SIZE is too small", Seen: "hMailServer 5.6.8 (its issue 476), Exchange",
			Does:  "copies what comes: the size is a hint",
			Quirk: Quirk{Fetch: with("RFC822.SIZE", "3")},
		},
		{
			Name: "size-large", Server: "RFC822.SIZE is too large", Seen: "WildDuck (its issue 536), Exchange",
			Does:  "copies what comes: the size is a hint",
			Quirk: Quirk{Fetch: with("RFC822.SIZE", "4294967295")},
		},
		{
			Name: "size-nil", Server: "RFC822.SIZE is `NIL`", Seen: "hand-made servers",
			Does:  "copies what comes",
			Reads: `source: bad-item: message 1 of "INBOX": RFC822.SIZE`,
			Quirk: Quirk{Fetch: with("RFC822.SIZE", "NIL")},
		},
		{
			Name: "size-negative", Server: "RFC822.SIZE is -1", Seen: goIMAP,
			Does:  "copies what comes",
			Reads: `source: bad-item: message 1 of "INBOX": RFC822.SIZE`,
			Quirk: Quirk{Fetch: with("RFC822.SIZE", "-1")},
		},
		{
			Name: "size-missing", Server: "leaves RFC822.SIZE out", Seen: "pobox.com (Mailpile issue 1080)",
			Does:  "copies what comes",
			Quirk: Quirk{Fetch: without("RFC822.SIZE")},
		},
		{
			Name: "body-nil", Server: "the body of one message is `NIL`", Seen: "Exchange (imapsync issue 79)",
			Does:    "copies the others, asks again with every pass, and tells",
			Reads:   "INBOX: the source lists 1 messages that it does not hand out (the first has UID 2)",
			Quirk:   Quirk{Fetch: inBodies(second(with("BODY[]", "NIL")))},
			Outcome: Outcome{Arrives: notSecond},
		},
		{
			Name: "body-missing", Server: "answers everything about one message, but not its body", Seen: "iCloud asked for RFC822 (modern-email/defects issue 36)",
			Does:    "copies the others, asks again with every pass, and tells",
			Reads:   "INBOX: the source lists 1 messages that it does not hand out (the first has UID 2)",
			Quirk:   Quirk{Fetch: inBodies(second(without("BODY[]")))},
			Outcome: Outcome{Arrives: notSecond},
		},
		{
			Name: "body-quoted", Server: "a short body as a quoted string", Seen: "Cyrus (node-imap issue 153)",
			Does:  "takes it",
			Quirk: Quirk{Seed: func(s *Store) { s.Folder("INBOX").Messages[1].Body = "short" }, Fetch: inBodies(second(quoted))},
		},
		{
			Name: "body-empty", Server: "a message without one octet", Seen: "Exchange, after a failed delivery",
			Does:    "keeps it as refused: no server stores such a message",
			Reads:   "refused here: ",
			Quirk:   Quirk{Seed: func(s *Store) { s.Folder("INBOX").Messages[1].Body = "" }},
			Outcome: Outcome{Arrives: notSecond},
		},
		{
			Name: "body-refused", Server: "answers NO when one message is among those that are asked for", Seen: "Cyrus with a broken file, Courier",
			Does:    "copies the others, asks for it again with every pass, and tells",
			Reads:   "(the first has UID 2)",
			Quirk:   Quirk{Instead: unreadable},
			Outcome: Outcome{Arrives: notSecond},
		},
		{
			Name: "body-ends-connection", Server: "ends the connection at one message, every time", Seen: "Exchange with broken MIME, Zimbra",
			Does:  "asks for the messages around it one by one, leaves that one out, copies the others and tells",
			Reads: "INBOX: the source ends the connection over 1 of its messages (the first has UID 2): ",
			Quirk: Quirk{Fetch: inBodies(second(func(l *Line) {
				l.Verbatim = "* 2 FETCH (UID 2 FLAGS () INTERNALDATE \"" + someDate + "\" BODY[] {9000}\r\nFrom: <<CLOSE>>"
			}))},
			Outcome: Outcome{Arrives: notSecond},
		},
		{
			Name: "bodies-end-connection", Server: "ends the connection at every third message of a folder", Seen: "a mail store with bad blocks",
			Does:  "the same, for twenty messages a pass",
			Reads: "Letters: the source ends the connection over 10 of its messages (the first has UID 3): ",
			Quirk: Quirk{Seed: func(s *Store) { s.Folder("Letters").Fill(27) }, Fetch: inBodies(func(l *Line) {
				if l.Folder.Raw == "Letters" && l.Message.UID%3 == 0 {
					l.Verbatim = "<<CLOSE>>"
				}
			})},
			Outcome: Outcome{Arrives: func(f *Folder, m *Message) *Message {
				if f.Raw == "Letters" && m.UID%3 == 0 {
					return nil
				}
				return m
			}},
		},
		{
			Name: "literal-longer", Server: "announces more octets than it sends", Seen: "Exchange after a wrong size in its store",
			Does:    "cuts the connection when nothing comes any more; stores nothing of that message, and leaves it out",
			Reads:   "nothing came for 300ms",
			Quirk:   Quirk{Fetch: inBodies(second(announce(func(n int) string { return fmt.Sprintf("{%d}", n+50_000) })))},
			Outcome: Outcome{Idle: true, Arrives: notSecond},
		},
		{
			Name: "literal-shorter", Server: "announces fewer octets than it sends", Seen: "servers that count LF for CRLF",
			Does:    "sees that something stands behind the body, stores nothing of that message, and leaves it out",
			Reads:   "INBOX: the source ends the connection over 1 of its messages (the first has UID 2): fetching from \"INBOX\": the server sent more of a message than it announced",
			Quirk:   Quirk{Fetch: inBodies(second(announce(func(n int) string { return fmt.Sprintf("{%d}", n-20) })))},
			Outcome: Outcome{Arrives: notSecond},
		},
		{
			Name: "body-bytes", Server: "NUL, 8-bit headers, bare CR and LF, no last line end", Seen: "every old account",
			Does: "copies the octets as they are; what Dovecot writes in its own way is compared in its normal form",
			Quirk: Quirk{Seed: func(s *Store) {
				s.Folder("INBOX").Put("Subject: Gr\xfc\xdfe\r\n\r\na\nb\rc\x00d", someDate)
				s.Folder("INBOX").Put("no header at all", someDate)
				s.Folder("INBOX").Put(Letter("long")+strings.Repeat("x", 20_000)+"\r\n", someDate)
			}},
		},
		{
			Name: "body-equal", Server: "the same message three times in a folder", Seen: "every old account",
			Does: "copies it three times",
			Quirk: Quirk{Seed: func(s *Store) {
				for range 3 {
					s.Folder("Letters").Put(Letter("equal"), someDate)
				}
			}},
		},
	}
}

// unreadable answers NO as soon as the second message of the inbox is asked for with its body.
func unreadable(s *Server, c Command) (string, bool) {
	set, asked := word(c.Args)
	f := s.Store.Folder("INBOX")
	if c.Verb != "UID FETCH" || c.Folder != "INBOX" || !strings.Contains(asked, "BODY.PEEK[]") || !contains(set, 2, f) {
		return "", false
	}
	text := ""
	if contains(set, 1, f) {
		text = (&Line{Number: 1, Items: itemsOf(f.Messages[0], asked, false)}).String()
	}
	return text + "TAG NO message 2 can't be read\r\n", true
}

// notSecond leaves out the second message of the inbox.
func notSecond(f *Folder, m *Message) *Message {
	if f.Raw == "INBOX" && m.UID == 2 {
		return nil
	}
	return m
}
