package provider

import "strings"

// inboxed is a server that keeps everything below the inbox, with dots.
func inboxed(s *Store) {
	for _, f := range s.Folders {
		if f.Raw != "INBOX" {
			f.Raw = "INBOX." + f.Raw
		}
	}
}

func folders() []Profile {
	inboxPlaces := map[string]string{"INBOX.Letters": "Letters"}
	return []Profile{
		{
			Name: "list-separator-nil", Server: "no hierarchy: the separator is `NIL`", Seen: "seznam.cz (go-imap issue 329), UW-IMAP 2007f (Thunderbird for Android issue 1936), MsgServe 8.01 (OfflineIMAP issue 663)",
			Does:    "takes every name as one part",
			Quirk:   Quirk{List: separated("NIL"), Seed: put("a.b(1999-2007)"), Replies: map[string]string{"NAMESPACE": "TAG BAD no\r\n"}},
			Outcome: Outcome{Places: map[string]string{"a.b(1999-2007)": "a_b(1999-2007)"}},
		},
		{
			Name: "list-separator-empty", Server: "the separator is an empty string", Seen: goIMAP,
			Does:  "takes every name as one part",
			Quirk: Quirk{List: separated(`""`), Replies: map[string]string{"NAMESPACE": "TAG BAD no\r\n"}},
		},
		{
			Name: "list-name-number", Server: "a name that is a number, as an atom", Seen: "Vandelay 1.0.7 had to learn it",
			Does:  "takes it for a name",
			Quirk: Quirk{Seed: put("2019"), List: listedAs("2019", named("2019"))},
		},
		{
			Name: "list-name-nil", Server: "a folder called `NIL`, as an atom", Seen: "hand-made servers",
			Does:  "takes it for a name",
			Quirk: Quirk{Seed: put("NIL"), List: listedAs("NIL", named("NIL"))},
		},
		{
			Name: "list-name-unquoted", Server: "names with spaces and brackets, unquoted", Seen: goIMAP,
			Does:  "takes everything up to the line end for the name",
			Quirk: Quirk{Seed: put("old (2009) mail"), List: listedAs("old (2009) mail", named("old (2009) mail"))},
		},
		{
			Name: "list-name-literal", Server: "names as literals", Seen: "Cyrus, Exchange (imapy pull request 29)",
			Does:  "takes them",
			Quirk: Quirk{Seed: put(`say "so"`), List: func(l *Listed) { l.Name = literal(l.Folder.Raw) }},
		},
		{
			Name: "list-name-quotes-unescaped", Server: "forgets to escape quotes within a name", Seen: "go-imap issue 659 (the same in envelopes)",
			Does:  "takes what stands between the outermost quotes",
			Quirk: Quirk{Seed: put(`say "so" twice`), List: listedAs(`say "so" twice`, named(`"say "so" twice"`))},
		},
		{
			Name: "list-name-slash", Server: "`/` and `^` in names, where the separator is another character", Seen: "Exchange, Gmail (imapsync FAQ.Gmail), Cyrus with dots",
			Does:    "keeps `^`; writes `_` for what Dovecot takes for a separator",
			Quirk:   Quirk{Seed: func(s *Store) { put("a/b^c")(s); put("q.r/s")(s) }, List: separated(`"."`), Replies: map[string]string{"NAMESPACE": "* NAMESPACE ((\"\" \".\")) NIL NIL\r\nTAG OK\r\n"}},
			Outcome: Outcome{Places: map[string]string{"a/b^c": "a_b^c", "q.r/s": "q/r_s"}},
		},
		{
			Name: "list-inbox-prefix", Server: "keeps everything below `INBOX.`, and says so in NAMESPACE", Seen: "Courier, Cyrus, Aruba, OVH",
			Does:    "leaves the prefix out",
			Quirk:   Quirk{Seed: inboxed, List: separated(`"."`), Replies: map[string]string{"NAMESPACE": "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\nTAG OK\r\n"}},
			Outcome: Outcome{Places: inboxPlaces},
		},
		{
			Name: "list-inbox-prefix-unsaid", Server: "keeps everything below `INBOX.`, and has no NAMESPACE", Seen: "Courier before 1.5",
			Does:    "recognises the prefix when every folder has it",
			Quirk:   Quirk{Seed: inboxed, List: separated(`"."`), Capabilities: plainCapabilities},
			Outcome: Outcome{Places: inboxPlaces},
		},
		{
			Name: "list-inbox-twice", Server: "a folder `INBOX.INBOX` beside the inbox", Seen: "imapsync issues 324 and 400, imap-backup issue 113",
			Does:    "keeps the two apart",
			Quirk:   Quirk{Seed: func(s *Store) { put("INBOX")(s); inboxed(s); put("INBOX.INBOX")(s); put("INBOX.INBOX.x")(s) }, List: separated(`"."`), Replies: map[string]string{"NAMESPACE": "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\nTAG OK\r\n"}},
			Outcome: Outcome{Places: map[string]string{"INBOX.Letters": "Letters", "INBOX.INBOX": "INBOX/INBOX", "INBOX.INBOX.x": "INBOX/x"}},
		},
		{
			Name: "list-inbox-case", Server: "calls the inbox `Inbox`", Seen: "Exchange, RFC 9051 §5.1",
			Does:  "knows it in any case",
			Quirk: Quirk{List: listedAs("INBOX", named(`"Inbox"`))},
		},
		{
			Name: "list-names-case", Server: "folders whose names differ in case only", Seen: "Dovecot, Cyrus and every other server with a file system below",
			Does:    "gives the second a name of its own, which no mail program mixes up",
			Quirk:   Quirk{Seed: func(s *Store) { put("letters")(s); put("LETTERS")(s) }},
			Outcome: Outcome{Places: map[string]string{"LETTERS": "LETTERS", "Letters": "Letters-2", "letters": "letters-3"}},
		},
		{
			Name: "list-name-utf8", Server: "names in UTF-8 instead of modified UTF-7", Seen: "imap-backup issue 119",
			Does:    "reads them as UTF-8",
			Quirk:   Quirk{Seed: put("Entwürfe"), List: listedAs("Entwürfe", named("\"Entwürfe\""))},
			Outcome: Outcome{Places: map[string]string{"Entwürfe": "Drafts"}},
		},
		{
			Name: "list-name-latin1", Server: "names in Latin-1", Seen: goIMAP,
			Does:    "reads them as Latin-1",
			Quirk:   Quirk{Seed: put("B\xfccher")},
			Outcome: Outcome{Places: map[string]string{"B\xfccher": "B&APw-cher"}},
		},
		{
			Name: "list-name-invalid-utf7", Server: "names with a bare `&`", Seen: "`R&D`: " + goIMAP + "; Yandex (modern-email/defects issue 46)",
			Does:    "reads them as they stand, and asks with the octets that the server sent",
			Quirk:   Quirk{Seed: func(s *Store) { put("R&D")(s); put("&BBAEMQQyACYEMwQ0BDU-")(s) }},
			Outcome: Outcome{Places: map[string]string{"R&D": "R&-D", "&BBAEMQQyACYEMwQ0BDU-": "&-BBAEMQQyACYEMwQ0BDU-"}},
		},
		{
			Name: "list-twice", Server: "lists a folder twice", Seen: "Exchange public folders, Courier with shared folders",
			Does:  "copies it once",
			Reads: `source: duplicate-folder: "Letters"`,
			Quirk: Quirk{List: listedAs("Letters", func(l *Listed) { l.After = l.String() })},
		},
		{
			Name: "list-noselect", Server: "folders that only hold others (`\\Noselect`, `\\NonExistent`)", Seen: "Cyrus, Dovecot, Gmail (`[Gmail]`)",
			Does: "never opens them",
			Quirk: Quirk{Seed: func(s *Store) {
				s.Add("top", `\Noselect`, `\HasChildren`)
				s.Add("gone", `\NonExistent`)
				put("top/below")(s)
			}},
		},
		{
			Name: "list-noselect-unsaid", Server: "lists a folder that cannot be opened, without saying so", Seen: "Exchange (`Files`), Zimbra chats",
			Does:  "copies the others and tells",
			Reads: `Files: the source does not tell its state`,
			Quirk: Quirk{Seed: func(s *Store) { s.Add("Files") }, Status: nil, Replies: map[string]string{`EXAMINE "Files"`: "TAG NO [CANNOT] not a mail folder\r\n", `STATUS "Files"`: "TAG NO [CANNOT] not a mail folder\r\n"},
				Capabilities: plainCapabilities},
		},
		{
			Name: "list-foreign", Server: "shared folders and those of other people among one's own", Seen: "Cyrus, Zimbra, Exchange public folders",
			Does: "leaves out what NAMESPACE calls other people's or shared",
			Quirk: Quirk{Seed: func(s *Store) { s.Add("Other Users/bob").Fill(2); s.Add("Public/news").Fill(2) },
				Replies: map[string]string{"NAMESPACE": "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Public/\" \"/\"))\r\nTAG OK\r\n"}},
			Outcome: Outcome{Arrives: func(f *Folder, m *Message) *Message {
				if strings.HasPrefix(f.Raw, "Other") || strings.HasPrefix(f.Raw, "Public") {
					return nil
				}
				return m
			}},
		},
		{
			Name: "list-locked", Server: "a folder that may not be read (`[NOPERM]`)", Seen: "Zimbra shares (imapsync FAQ.Zimbra), Nextcloud Mail issue 1735",
			Does:    "copies the others and tells",
			Reads:   `Locked: the source refuses it: opening "Locked": the server answered EXAMINE with "NO [NOPERM] no"`,
			Quirk:   Quirk{Seed: put("Locked"), Replies: map[string]string{`EXAMINE "Locked"`: "TAG NO [NOPERM] no\r\n"}},
			Outcome: Outcome{Arrives: notIn("Locked")},
		},
		{
			Name: "list-ends-connection", Server: "opening one folder ends the connection", Seen: "Zimbra with a locked share (imapsync FAQ.Zimbra)",
			Does:    "leaves the folder out after two tries, copies the others and tells",
			Reads:   `Locked: the source ended the connection 2 times over it`,
			Quirk:   Quirk{Seed: put("Locked"), Replies: map[string]string{`EXAMINE "Locked"`: "<<CLOSE>>"}},
			Outcome: Outcome{Arrives: notIn("Locked")},
		},
		{
			Name: "list-extended-refused", Server: "offers LIST-EXTENDED and answers BAD to it", Seen: "Vandelay 1.0.2 had to learn it",
			Does:  "asks plainly",
			Quirk: Quirk{Instead: refusing("RETURN")},
		},
		{
			Name: "list-special-use-refused", Server: "offers LIST-EXTENDED and knows no RETURN (SPECIAL-USE)", Seen: "Vandelay 1.0.7 had to learn it",
			Does:  "asks without; the special folders are known by name",
			Quirk: Quirk{Instead: refusing("SPECIAL-USE")},
		},
		{
			Name: "list-no-special-use", Server: "declares no special folders", Seen: "Courier, Exchange, most servers before 2012",
			Does:    "knows special folders by their names, in twelve languages",
			Quirk:   Quirk{Capabilities: plainCapabilities, Seed: func(s *Store) { put("Gesendet")(s); put("Cestino")(s); s.Folder("Posted").Attributes = nil }},
			Outcome: Outcome{Places: map[string]string{"Gesendet": "Sent", "Cestino": "Trash"}},
		},
		{
			Name: "list-xlist", Server: "names special folders in XLIST only", Seen: "Gmail before 2014, IceWarp, SmarterMail",
			Does:  "asks XLIST",
			Quirk: Quirk{Capabilities: plainCapabilities + " XLIST", List: listedAs("INBOX", func(l *Listed) { l.Attributes = append(l.Attributes, `\Inbox`) })},
		},
		{
			Name: "list-lsub-refused", Server: "knows no LSUB", Seen: "RFC 9051 §E leaves LSUB out",
			Does:  "goes without subscriptions",
			Quirk: Quirk{Capabilities: plainCapabilities, Replies: map[string]string{"LSUB": "TAG BAD no such command\r\n"}},
		},
		{
			Name: "list-namespace-refused", Server: "offers NAMESPACE and answers BAD or NO", Seen: "Domino",
			Does:  "takes the separator from LIST",
			Quirk: Quirk{Replies: map[string]string{"NAMESPACE": "TAG NO not now\r\n"}},
		},
		{
			Name: "list-extended-items", Server: "CHILDINFO and OLDNAME behind names", Seen: "servers with LIST-EXTENDED, RFC 5258 §4",
			Does:  "leaves them off",
			Quirk: Quirk{List: func(l *Listed) { l.Name += ` ("CHILDINFO" ("SUBSCRIBED"))` }},
		},
	}
}

// notIn leaves one folder out.
func notIn(raw string) func(*Folder, *Message) *Message {
	return func(f *Folder, m *Message) *Message {
		if f.Raw == raw {
			return nil
		}
		return m
	}
}

// refusing answers BAD to every command that contains a word.
func refusing(word string) func(*Server, Command) (string, bool) {
	return func(_ *Server, c Command) (string, bool) {
		return "TAG BAD no such argument\r\n", strings.Contains(c.Args, word)
	}
}
