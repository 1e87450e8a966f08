package provider

import (
	"fmt"
	"strings"
)

func uids() []Profile {
	return []Profile{
		{
			Name: "uid-behind-body", Server: "names the UID behind the body", Seen: "libero.it (log in imapsync issue 272); go-imap 2.0.0-beta.8 drops such messages without a word",
			Does:  "asks for every message alone, so that it is certain whose a body is",
			Reads: "names the UID behind the body: messages are fetched one by one",
			Quirk: Quirk{Fetch: inBodies(moveLast("UID"))},
		},
		{
			Name: "flags-behind-body", Server: "names flags and date behind the body", Seen: "Exchange 2007",
			Does:  "the same",
			Reads: "messages are fetched one by one",
			Quirk: Quirk{Fetch: inBodies(moveLast("FLAGS", "INTERNALDATE"))},
		},
		{
			Name: "uid-missing", Server: "leaves the UID out of replies to a UID FETCH of bodies", Seen: "RFC 9051 §6.4.9 demands it; hand-made servers",
			Does:  "asks for every message alone: then there is no doubt whose the body is",
			Reads: "messages are fetched one by one",
			Quirk: Quirk{Fetch: inBodies(without("UID"))},
		},
		{
			Name: "uid-twice", Server: "gives a message out twice", Seen: "Courier when mail arrives meanwhile",
			Does:  "takes the first",
			Reads: `source: duplicate-uid: 2 of "INBOX"`,
			Quirk: Quirk{Fetch: second(func(l *Line) { l.After = l.String() })},
		},
		{
			Name: "uid-of-others", Server: "gives out messages that nobody asked for", Seen: "servers that answer n:* with the last message",
			Does:  "never takes them",
			Reads: `source: unasked-uid: 77 of "INBOX"`,
			Quirk: Quirk{Fetch: inBodies(second(before("* 77 FETCH (UID 77 FLAGS () INTERNALDATE \"" + someDate + "\" BODY[] {3}\r\nabc)\r\n")))},
		},
		{
			Name: "uid-zero", Server: "a message has the UID 0", Seen: "smtp4dev (its issue 2116)",
			Does:  "never takes it: nobody could ask for it",
			Reads: `source: no-uid: message number 1 of "INBOX"`,
			Quirk: Quirk{Fetch: inListings(second(before("* 1 FETCH (UID 0 FLAGS () RFC822.SIZE 3)\r\n")))},
		},
		{
			Name: "uids-unordered", Server: "gives messages out in any order", Seen: "Exchange, Dovecot with obox",
			Does:  "takes them in any order",
			Quirk: Quirk{Instead: shuffled},
		},
		{
			Name: "search-in-pieces", Server: "answers SEARCH in several lines, unordered, with a space at the end", Seen: "Yahoo, Domino",
			Does: "puts them together",
			Quirk: Quirk{Capabilities: plainCapabilities, Instead: func(s *Server, c Command) (string, bool) {
				return "* SEARCH 3 1 \r\n* SEARCH 2 4 (MODSEQ 7)\r\nTAG OK\r\n", c.Verb == "UID SEARCH" && c.Folder == "INBOX"
			}},
		},
		{
			Name: "search-refused", Server: "refuses SEARCH", Seen: "IceWarp with its index switched off (imapsync FAQ.IceWarp)",
			Does:  "asks FETCH for the UIDs",
			Quirk: Quirk{Capabilities: plainCapabilities, Replies: map[string]string{"UID SEARCH": "TAG NO search is off\r\n"}},
		},
		{
			Name: "uidvalidity-zero", Server: "UIDVALIDITY is 0", Seen: "SmarterMail 13 (MailKit issue 150), modern-email/defects issue 52",
			Does:  "copies the other folders and tells: nothing could be kept in step",
			Reads: "Letters: the source does not number its messages lastingly",
			Quirk: Quirk{Status: func(t *Told) {
				if t.Folder.Raw == "Letters" {
					told("UIDVALIDITY", "0")(t)
				}
			}, Open: inFolder("Letters", opened("UIDVALIDITY", "OK [UIDVALIDITY 0] x"))},
			Outcome: Outcome{Arrives: notIn("Letters")},
		},
		{
			Name: "uidvalidity-missing", Server: "tells no UIDVALIDITY", Seen: "hand-made servers, smtp4dev",
			Does:  "the same",
			Reads: "Letters: the source does not number its messages lastingly",
			Quirk: Quirk{Status: func(t *Told) {
				if t.Folder.Raw == "Letters" {
					told("UIDVALIDITY", "")(t)
				}
			}, Open: inFolder("Letters", opened("UIDVALIDITY", ""))},
			Outcome: Outcome{Arrives: notIn("Letters")},
		},
		{
			Name: "uidnotsticky", Server: "`[UIDNOTSTICKY]`: UIDs do not last", Seen: "UW-IMAP with mbox files, RFC 4315 §2",
			Does:    "the same",
			Reads:   "Letters: the source does not number its messages lastingly",
			Quirk:   Quirk{Open: inFolder("Letters", opened("UIDVALIDITY", "OK [UIDVALIDITY 4001] x\r\n* NO [UIDNOTSTICKY] UIDs do not last"))},
			Outcome: Outcome{Arrives: notIn("Letters")},
		},
		{
			Name: "uidvalidity-changes", Server: "UIDVALIDITY changes between two connections, in the middle of a pass", Seen: "ProtonMail Bridge issue 220, OfflineIMAP issues 62 and 633",
			Does:  "looks at the folder anew: messages are recognised, nothing is copied twice",
			Quirk: Quirk{Instead: renumbering}, Outcome: Outcome{Passes: 2},
		},
		{
			Name: "uidnext-missing", Server: "tells no UIDNEXT", Seen: "Winmail Pro 5.1 (modern-email/defects issue 43), mail.163.com (issue 15)",
			Does:  "lists in full with every pass",
			Quirk: Quirk{Status: told("UIDNEXT", ""), Open: opened("UIDNEXT", "")},
		},
		{
			Name: "uidnext-zero", Server: "UIDNEXT is 0", Seen: "MailKit issue 1010",
			Does:  "lists in full with every pass",
			Quirk: Quirk{Status: told("UIDNEXT", "0"), Open: opened("UIDNEXT", "OK [UIDNEXT 0] x")},
		},
		{
			Name: "status-empty", Server: "answers STATUS with an empty list", Seen: "mail.163.com (modern-email/defects issue 15)",
			Does:  "opens every folder",
			Quirk: Quirk{Status: func(t *Told) { t.Items = nil }},
		},
		{
			Name: "status-wrong-name", Server: "spells the name in STATUS in another way than in LIST", Seen: "Exchange (`Inbox`), Dovecot with raw UTF-8 in NOTIFY",
			Does:  "takes it for the answer to what was asked",
			Reads: `source: unknown-status: "LETTERS"`,
			Quirk: Quirk{Capabilities: plainCapabilities, Status: func(t *Told) { t.Name = strings.ToUpper(t.Name) }},
		},
		{
			Name: "status-lies", Server: "STATUS counts other messages than there are", Seen: "Exchange (its count is of a snapshot), Zimbra",
			Does:  "believes the listing",
			Quirk: Quirk{Status: told("MESSAGES", "17")},
		},
		{
			Name: "exists-lies", Server: "EXAMINE counts no messages where there are some", Seen: "hand-made servers",
			Does:  "believes STATUS when the two differ, and lists",
			Quirk: Quirk{Open: func(f *Folder, lines []string) []string { return opened("EXISTS", "0 EXISTS")(f, lines) }},
		},
		{
			Name: "modseq-none", Server: "`[NOMODSEQ]`", Seen: "Cyrus before 2.4, RFC 7162 §3.1.2.2",
			Does:  "lists in full with every pass",
			Quirk: Quirk{Status: told("HIGHESTMODSEQ", "0"), Open: opened("HIGHESTMODSEQ", "OK [NOMODSEQ] x")},
		},
		{
			Name: "modseq-zero", Server: "HIGHESTMODSEQ is 0", Seen: "Purelymail (its issue 446)",
			Does:  "lists in full with every pass",
			Quirk: Quirk{Status: told("HIGHESTMODSEQ", "0"), Open: opened("HIGHESTMODSEQ", "OK [HIGHESTMODSEQ 0] x")},
		},
		{
			Name: "modseq-negative", Server: "modseqs are -1", Seen: "MailKit issue 1686",
			Does:  "lists in full with every pass",
			Quirk: Quirk{Status: told("HIGHESTMODSEQ", "-1"), Open: opened("HIGHESTMODSEQ", "OK [HIGHESTMODSEQ -1] x")},
		},
		{
			Name: "modseq-backwards", Server: "HIGHESTMODSEQ goes backwards, and a message is gone that no reply tells of", Seen: "Dovecot 2.3 and 2.4 after its index was rebuilt",
			Does:  "lists in full",
			Quirk: Quirk{Instead: backwards}, Outcome: Outcome{Passes: 2},
		},
		{
			Name: "modseq-unsaid", Server: "tells no MODSEQ in answers to CHANGEDSINCE", Seen: "SmarterMail (sync-engine pull request 504)",
			Does:  "needs none: the mark is that of the folder",
			Quirk: Quirk{Fetch: without("MODSEQ"), Instead: changing}, Outcome: Outcome{Passes: 2},
		},
	}
}

// inFolder bends the EXAMINE of one folder only.
func inFolder(raw string, bend func(*Folder, []string) []string) func(*Folder, []string) []string {
	return func(f *Folder, lines []string) []string {
		if f.Raw == raw {
			return bend(f, lines)
		}
		return lines
	}
}

// shuffled turns the order of the inbox around, as it is listed.
func shuffled(s *Server, c Command) (string, bool) {
	if c.Verb != "UID FETCH" || c.Folder != "INBOX" {
		return "", false
	}
	var b strings.Builder
	_, asked := word(c.Args)
	messages := s.Store.Folder("INBOX").Messages
	for i := len(messages) - 1; i >= 0; i-- {
		b.WriteString((&Line{Number: i + 1, Items: itemsOf(messages[i], asked, false)}).String())
	}
	return b.String() + "TAG OK\r\n", true
}

// renumbering gives Letters other UIDs and another UIDVALIDITY when its messages are asked for the first time.
func renumbering(s *Server, c Command) (string, bool) {
	if c.Verb != "UID FETCH" || c.Folder != "Letters" || !strings.Contains(c.Args, "BODY.PEEK[]") || !s.once("renumbered") {
		return "", false
	}
	f := s.Store.Folder("Letters")
	f.Validity += 100
	for _, m := range f.Messages {
		m.UID += 50
	}
	f.Next += 50
	return "<<CLOSE>>", true
}

// backwards takes a message out and turns the modseq back when the second pass begins.
func backwards(s *Server, c Command) (string, bool) {
	if c.Verb == "AUTHENTICATE" && s.counts["once copied"] > 0 && s.once("rebuilt") {
		s.bent = true
		f := s.Store.Folder("Letters")
		f.Messages, f.ModSeq = f.Messages[1:], 1
		for _, m := range f.Messages {
			m.ModSeq = 1
		}
	}
	if c.Verb == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[]") {
		s.once("copied")
	}
	return "", false
}

// promises are capabilities that a server offers and then refuses.
func promises() []Profile {
	refuse := func(verb, word string) func(*Server, Command) (string, bool) {
		return func(_ *Server, c Command) (string, bool) {
			return "TAG BAD no such argument\r\n", c.Verb == verb && strings.Contains(c.Args, word)
		}
	}
	return []Profile{
		{
			Name: "promise-list-status", Server: "offers LIST-STATUS and answers BAD", Seen: "Purelymail (matcha issue 1433)",
			Does:  "asks STATUS for each folder",
			Quirk: Quirk{Instead: refuse("LIST", "STATUS (")},
		},
		{
			Name: "promise-esearch", Server: "offers ESEARCH and answers BAD or NO", Seen: "Arcor (MailKit issue 839), Proton Bridge (msgvault pull request 211)",
			Does:  "asks plainly",
			Quirk: Quirk{Instead: refuse("UID SEARCH", "RETURN")},
		},
		{
			Name: "promise-condstore-open", Server: "offers CONDSTORE and refuses it in EXAMINE", Seen: "Purelymail (its issue 452)",
			Does:  "opens without",
			Quirk: Quirk{Instead: refuse("EXAMINE", "CONDSTORE")},
		},
		{
			Name: "promise-condstore-status", Server: "offers CONDSTORE and refuses HIGHESTMODSEQ in STATUS", Seen: "Yahoo with its own XYMHIGHESTMODSEQ (imap-client pull request 40)",
			Does:  "asks without",
			Quirk: Quirk{Instead: refusing("HIGHESTMODSEQ")},
		},
		{
			Name: "promise-changedsince", Server: "offers CONDSTORE and refuses CHANGEDSINCE", Seen: "Yahoo (imap-client pull request 40)",
			Does: "lists in full",
			Quirk: Quirk{Instead: func(s *Server, c Command) (string, bool) {
				if c.Verb == "UID FETCH" && strings.Contains(c.Args, "CHANGEDSINCE") {
					return "TAG BAD no such argument\r\n", true
				}
				return changing(s, c)
			}}, Outcome: Outcome{Passes: 2},
		},
		{
			Name: "promise-sasl-plain", Server: "offers AUTH=PLAIN and answers BAD", Seen: "proxies in front of old servers",
			Does:  "logs in with LOGIN",
			Quirk: Quirk{Replies: map[string]string{"AUTHENTICATE": "TAG BAD no such command\r\n"}},
		},
		{
			Name: "promise-several-lines", Server: "tells its capabilities in two lines", Seen: "hand-made proxies",
			Does: "believes the last line",
			Quirk: Quirk{Instead: func(_ *Server, c Command) (string, bool) {
				return "* CAPABILITY IMAP4rev1\r\n* CAPABILITY " + plainCapabilities + " SPECIAL-USE\r\nTAG OK\r\n", c.Verb == "CAPABILITY"
			}},
		},
	}
}

// changing sets a flag at the source after the first pass, so that the second has changes to ask for.
func changing(s *Server, c Command) (string, bool) {
	if c.Verb == "AUTHENTICATE" && s.counts["once copied"] > 0 && s.once("changed") {
		f := s.Store.Folder("Letters")
		f.ModSeq++
		f.Messages[0].Flags, f.Messages[0].ModSeq = []string{`\Flagged`}, f.ModSeq
		f.Put(Letter("late"), someDate)
	}
	if c.Verb == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[]") {
		s.once("copied")
	}
	return "", false
}

func refusals() []Profile {
	first := func(verb, reply string) func(*Server, Command) (string, bool) {
		return func(s *Server, c Command) (string, bool) { return reply, c.Verb == verb && s.once(verb) }
	}
	code := func(code, says string) Profile {
		return Profile{
			Name: "login-" + strings.ToLower(code), Server: "refuses the login with `[" + code + "]`, for now", Seen: says,
			Does:  "says nothing about the password, and tries again later",
			Reads: "lets nobody in for now. Answer: NO [" + code + "] later",
			Quirk: Quirk{Instead: first("AUTHENTICATE", "TAG NO ["+code+"] later\r\n")}, Outcome: Outcome{Passes: 2},
		}
	}
	return []Profile{
		code("UNAVAILABLE", "RFC 5530 §3; Dovecot when its user base is down"),
		code("LIMIT", "RFC 5530 §3; Yahoo, Fastmail"),
		code("INUSE", "RFC 5530 §3; Gmail, UW-IMAP"),
		{
			Name: "open-overquota", Server: "`[OVERQUOTA]` when a folder is opened", Seen: "hosters that lock a full account",
			Does:    "copies the other folders and tells",
			Reads:   `Letters: the source refuses it: opening "Letters": the server answered EXAMINE with "NO [OVERQUOTA] pay first"`,
			Quirk:   Quirk{Replies: map[string]string{`EXAMINE "Letters"`: "TAG NO [OVERQUOTA] pay first\r\n"}},
			Outcome: Outcome{Arrives: notIn("Letters")},
		},
		{
			Name: "open-inuse", Server: "`[INUSE]` when a folder is opened, once", Seen: "UW-IMAP, Domino",
			Does:  "copies the other folders, tells, and comes back with the next pass",
			Reads: `"NO [INUSE] locked"`,
			Quirk: Quirk{Instead: func(s *Server, c Command) (string, bool) {
				return "TAG NO [INUSE] locked\r\n", c.Verb == "EXAMINE" && strings.HasPrefix(c.Args, `"Letters"`) && s.counts["AUTHENTICATE"] == 1
			}}, Outcome: Outcome{Passes: 2},
		},
		{
			Name: "login-not-connected", Server: "says OK to a wrong password, and `BAD User is authenticated but not connected` to everything behind it", Seen: "Exchange (imapsync FAQ.Exchange)",
			Does:  "takes a password for proven only when INBOX could be opened (A1); the pass stops, and is tried again later",
			Reads: "User is authenticated but not connected",
			Quirk: Quirk{Instead: func(_ *Server, c Command) (string, bool) {
				return "TAG BAD User is authenticated but not connected.\r\n", c.Verb != "CAPABILITY" && c.Verb != "AUTHENTICATE" && c.Verb != "LOGOUT"
			}}, Outcome: Outcome{Never: true},
		},
		{
			Name: "throttle-bye", Server: "`* BYE Request is throttled. Suggested Backoff Time: 299961 milliseconds`", Seen: "Office 365, Amazon WorkMail (OfflineIMAP issue 666), imapsync issue 272",
			Does:  "stops at once, and leaves the server alone for as long as it asks",
			Reads: "wants to be left alone for 5m0s; then the pass goes on. Answer: BYE Request is throttled. Suggested Backoff Time: 299961 milliseconds",
			Quirk: Quirk{Instead: first("EXAMINE", "* BYE Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n<<CLOSE>>")}, Outcome: Outcome{Passes: 2},
		},
		{
			Name: "throttle-no", Server: "the same as `NO`", Seen: "Outlook.com (imap_tools issue 135)",
			Does:  "stops at once, and leaves the server alone for as long as it asks",
			Reads: "wants to be left alone for 5m0s; then the pass goes on. Answer: NO Request is throttled. Suggested Backoff Time: 299910 milliseconds",
			Quirk: Quirk{Instead: first("UID FETCH", "TAG NO Request is throttled. Suggested Backoff Time: 299910 milliseconds\r\n")}, Outcome: Outcome{Passes: 2},
		},
		{
			Name: "throttle-bad", Server: "the same as `BAD`, and BYE behind it", Seen: "Office 365 (email-oauth2-proxy issue 191)",
			Does:  "stops at once, and leaves the server alone for as long as it asks",
			Reads: "wants to be left alone for 1m29s; then the pass goes on. Answer: BAD Request is throttled. Suggested Backoff Time: 89117 milliseconds",
			Quirk: Quirk{Instead: first("UID FETCH", "TAG BAD Request is throttled. Suggested Backoff Time: 89117 milliseconds\r\n* BYE Connection closed. 14\r\n<<CLOSE>>")}, Outcome: Outcome{Passes: 2},
		},
		{
			Name: "throttle-ok", Server: "`OK Success [THROTTLED]`, and goes slowly", Seen: "Gmail (node-imap issue 593)",
			Does: "goes on",
			Quirk: Quirk{Replies: nil, Instead: func(_ *Server, c Command) (string, bool) {
				return "TAG OK Success [THROTTLED]\r\n", c.Verb == "AUTHENTICATE"
			}},
		},
		{
			Name: "bye-and-ok", Server: "says BYE in the middle of a FETCH, and OK behind it", Seen: "Dovecot and Cyrus at shutdown; go-imap 2.0.0-beta.8 calls it a success",
			Does: "believes the BYE: what did not come is asked for again",
			Quirk: Quirk{Instead: func(s *Server, c Command) (string, bool) {
				if c.Verb != "UID FETCH" || !strings.Contains(c.Args, "BODY.PEEK[]") || c.Folder != "INBOX" || !s.once("bye") {
					return "", false
				}
				return fmt.Sprintf("* 1 FETCH (UID 1 FLAGS (\\Seen) INTERNALDATE %q BODY[] %s)\r\n* BYE restarting\r\nTAG OK done\r\n<<CLOSE>>", someDate, literal(Letter("one"))), true
			}},
		},
		{
			Name: "greeting-preauth", Server: "greets with PREAUTH", Seen: "servers behind a tunnel",
			Does:  "asks for nothing more",
			Quirk: Quirk{Greeting: "* PREAUTH [CAPABILITY " + usualCapabilities + "] ready\r\n", Replies: map[string]string{"AUTHENTICATE": "TAG BAD already in\r\n", "LOGIN": "TAG BAD already in\r\n"}},
		},
		{
			Name: "greeting-bye", Server: "greets with BYE", Seen: "Dovecot and Courier with too many connections from one address",
			Does:  "tries again later",
			Reads: "BYE [UNAVAILABLE] too many connections",
			Quirk: Quirk{Greeting: "* BYE [UNAVAILABLE] too many connections\r\n<<CLOSE>>"}, Outcome: Outcome{Never: true},
		},
		{
			Name: "one-connection", Server: "lets a user in once at a time", Seen: "Dovecot's mail_max_userip_connections, Courier's MAXPERIP, Yahoo",
			Does:  "copies over the connection that it has, and tells",
			Reads: "source: few-connections: no other one was let in beside those that are open, and the pass goes on with them: logging in as \"anna@example.org\": the server answered AUTHENTICATE with \"NO [LIMIT] too many connections\"",
			Quirk: Quirk{
				Seed: func(s *Store) { s.Folder("Letters").Fill(1300) },
				Instead: func(s *Server, c Command) (string, bool) {
					return "TAG NO [LIMIT] too many connections\r\n", c.Verb == "AUTHENTICATE" && s.counts["AUTHENTICATE"] == 2 // then it is the next pass
				},
			},
		},
		{
			Name: "greeting-banner", Server: "lines before the greeting", Seen: "antivirus proxies",
			Does:  "passes over them",
			Reads: `source: unknown-tag: "hello,"`,
			Quirk: Quirk{Greeting: "hello, this is a virus scanner\r\n* OK ready\r\n"},
		},
		{
			Name: "silence", Server: "never answers one command", Seen: "go-imap 2.0.0-beta.8 waits for ever",
			Does:    "ends the connection after the idle timeout, and comes back with the next pass",
			Reads:   "nothing came for",
			Quirk:   Quirk{Instead: func(s *Server, c Command) (string, bool) { return "", c.Verb == "UID FETCH" && c.Folder == "Letters" }},
			Outcome: Outcome{Idle: true, Arrives: notIn("Letters")},
		},
	}
}

func providers() []Profile {
	return []Profile{
		{
			Name: "dovecot-23-pipelining", Server: "answers a FETCH that was sent behind a SEARCH while the SEARCH is still open", Seen: "Dovecot 2.3.19; RFC 9051 §5.5 allows it",
			Does:  "keeps the lines for the FETCH",
			Quirk: Quirk{Beside: true},
		},
		{
			Name: "gmail-labels", Server: "labels are folders: a message is in each of them and in the folder of all mail (`\\All`)", Seen: "Gmail (imapsync FAQ.Gmail)",
			Does: "copies every folder as it is seen, that of all mail last: nothing that is only archived is left behind. `--all-mail skip` leaves it out, and with it what is only archived",
			Quirk: Quirk{Seed: func(s *Store) {
				s.Folders = s.Folders[:1] // all mail is listed before the others
				all := s.Add("[Gmail]/All Mail", `\All`, `\HasNoChildren`)
				s.Add("[Gmail]", `\Noselect`, `\HasChildren`)
				for _, raw := range []string{"INBOX", "Family", "work/new"} {
					for _, m := range s.Add(raw).Fill(2).Messages {
						all.Put(m.Body, m.Date, m.Flags...)
					}
				}
				all.Put(Letter("archived"), someDate)
			}, Instead: allMailLast},
		},
		{
			Name: "gmail-rest", Server: "the same, and says which are one letter (`X-GM-EXT-1`); the starred and the important ones are in folders of their own, too", Seen: "Gmail",
			Does:    "of these folders copies what no other folder has, into Archive; nothing is read twice",
			Outcome: Outcome{Places: map[string]string{"[Gmail]/All Mail": "Archive"}, Arrives: theRest},
			Quirk: Quirk{Capabilities: usualCapabilities + " X-GM-EXT-1", Seed: labelled, Instead: func(s *Server, c Command) (string, bool) {
				inFolder := c.Folder == "[Gmail]/Starred" || c.Folder == "[Gmail]/Important"
				return "<<CLOSE>>", c.Verb == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[]") && inFolder
			}},
		},
		{
			Name: "folder-cap", Server: "a folder has exactly 1000 messages", Seen: "Gmail with a limit per folder, Yahoo's usual host (imapsync FAQ.Gmail)",
			Does:  "copies them, and warns that the server may hide the others",
			Reads: `source: folder-cap: "Letters" shows exactly 1000 messages: its server may hide the others`,
			Quirk: Quirk{Seed: func(s *Store) { s.Folder("Letters").Fill(997) }},
		},
	}
}

// labelled is an account of Gmail: GMID 3 and 4 are archived, everything else has a label.
func labelled(s *Store) {
	s.Folders = s.Folders[:1]
	all := s.Add("[Gmail]/All Mail", `\All`)
	starred, important := s.Add("[Gmail]/Starred", `\Flagged`), s.Add("[Gmail]/Important", `\Important`)
	id := uint64(100)
	for _, raw := range []string{"INBOX", "Family"} {
		for _, m := range s.Add(raw).Fill(2).Messages {
			id++
			m.GMID = id
			all.Put(m.Body, m.Date, m.Flags...).GMID = id
			starred.Put(m.Body, m.Date, m.Flags...).GMID = id
		}
	}
	for _, id := range []uint64{3, 4} {
		body := Letter(fmt.Sprintf("archived-%d", id))
		all.Put(body, someDate).GMID = id
		important.Put(body, someDate).GMID = id
	}
}

// theRest is what of a message in a folder that shows others once more shall be here.
func theRest(f *Folder, m *Message) *Message {
	switch {
	case f.Raw == "[Gmail]/All Mail" && m.GMID > 100, f.Raw == "[Gmail]/Starred", f.Raw == "[Gmail]/Important":
		return nil
	}
	return m
}

// allMailLast ends the connection when the folder of all mail is read before the labels: its copies would come first.
func allMailLast(s *Server, c Command) (string, bool) {
	if c.Verb == "UID FETCH" && strings.Contains(c.Args, "BODY.PEEK[]") {
		s.once("copied " + c.Folder)
	}
	early := s.counts["once copied Family"] == 0 || s.counts["once copied work/new"] == 0
	return "<<CLOSE>>", s.counts["once copied [Gmail]/All Mail"] > 0 && early
}
