package provider

// goIMAP is where the replies were tried that end a connection of a strict program.
const goIMAP = "go-imap 2.0.0-beta.8 gives up here"

func replies() []Profile {
	return []Profile{
		{
			Name: "vanished-unasked", Server: "`* VANISHED` in the middle of a FETCH", Seen: "servers with QRESYNC, RFC 7162 §3.2.10; " + goIMAP,
			Does:  "passes over it: what vanished is found by comparing UIDs",
			Quirk: Quirk{Before: map[string]string{"UID FETCH": "* VANISHED (EARLIER) 900:905\r\n"}},
		},
		{
			Name: "lsub-unasked", Server: "`* LSUB` where nobody asked for it", Seen: goIMAP,
			Does:  "passes over it",
			Quirk: Quirk{Before: map[string]string{"UID FETCH": "* LSUB () \"/\" elsewhere\r\n", "UID SEARCH": "* LSUB () \".\" elsewhere\r\n"}},
		},
		{
			Name: "xlist-unasked", Server: "`* XLIST` where nobody asked for it", Seen: "Gmail before 2014; " + goIMAP,
			Does:  "passes over it",
			Quirk: Quirk{Before: map[string]string{"UID FETCH": "* XLIST (\\Inbox) \"/\" Elsewhere\r\n"}},
		},
		{
			Name: "unknown-reply", Server: "replies of its own invention, with lists, strings and literals in them", Seen: goIMAP,
			Does:  "passes over them, literals included",
			Quirk: Quirk{Before: map[string]string{"UID ": "* XVENDOR (a \"b)\" {5}\r\n)\r\n* c (d))\r\n* 12 XYZ foo\r\n", "EXAMINE": "* XVENDOR\r\n"}},
		},
		{
			Name: "gmail-items", Server: "`X-GM-LABELS`, `X-GM-MSGID` and `X-GM-THRID` in every FETCH reply", Seen: "Gmail; " + goIMAP,
			Does:  "passes over the items that it has not asked for",
			Quirk: Quirk{Fetch: also("X-GM-MSGID 17 X-GM-THRID 18 X-GM-LABELS", "(\\Inbox \"a b\" {2}\r\nx))")},
		},
		{
			Name: "object-items", Server: "`EMAILID` and `THREADID` in every FETCH reply", Seen: "servers with OBJECTID, RFC 8474; " + goIMAP,
			Does:  "passes over the items that it has not asked for",
			Quirk: Quirk{Fetch: also("EMAILID", "(M6d99) THREADID NIL")},
		},
		{
			Name: "envelope-unasked", Server: "an `ENVELOPE` that nobody asked for, with unescaped quotes and deep lists", Seen: "go-imap issue 659",
			Does:  "passes over it; envelopes are never asked for",
			Quirk: Quirk{Fetch: also("ENVELOPE", "(\"d\" ((NIL NIL {3}\r\na)b \"c\")) NIL ((((\"x\")))))")},
		},
		{
			Name: "rfc822-for-body", Server: "names the body `RFC822` though `BODY[]` was asked for", Seen: goIMAP,
			Does:  "takes it",
			Quirk: Quirk{Fetch: rename("BODY[]", "RFC822")},
		},
		{
			Name: "body-with-origin", Server: "names the body `BODY[]<0>`", Seen: "servers that answer every FETCH as a partial one",
			Does:  "takes it",
			Quirk: Quirk{Fetch: rename("BODY[]", "BODY[]<0>")},
		},
		{
			Name: "literal8", Server: "sends bodies as literal8 (`~{n}`)", Seen: "servers with BINARY, RFC 3516; " + goIMAP,
			Does:  "takes them",
			Quirk: Quirk{Fetch: value("BODY[]", func(v string) string { return "~" + v })},
		},
		{
			Name: "literal-plus-from-server", Server: "announces bodies as `{n+}`, with a space behind", Seen: "seen in proxies that reuse a client's writer",
			Does:  "takes them",
			Quirk: Quirk{Fetch: value("BODY[]", nonSynchronising)},
		},
		{
			Name: "double-spaces", Server: "two spaces where one belongs, one before `)`, none before `(`", Seen: "imap.qq.com: `FETCH (UID 19436 )` (JavaMail issue 209); Zimbra; " + goIMAP,
			Does:  "reads any number of spaces",
			Quirk: Quirk{Fetch: spaced},
		},
		{
			Name: "code-without-end", Server: "`* OK [FOO` without the closing bracket", Seen: goIMAP,
			Does:  "takes the line for text",
			Quirk: Quirk{Before: map[string]string{"UID ": "* OK [FOO\r\n* OK\r\n* OK hello {5}\r\n"}},
		},
		{
			Name: "untagged-no-and-bad", Server: "untagged `NO` and `BAD` in between", Seen: "disk and parser warnings of UW-IMAP and Cyrus",
			Does:  "goes on and shows them",
			Reads: `source: notice: NO the disk is nearly full`,
			Quirk: Quirk{Before: map[string]string{"UID FETCH": "* NO the disk is nearly full\r\n* BAD sad\r\n"}},
		},
		{
			Name: "alert", Server: "`[ALERT]` that a person should see", Seen: "Gmail, Yahoo, RFC 9051 §7.1",
			Does:  "shows it",
			Reads: `source: notice: OK [ALERT] this server closes on 1 May`,
			Quirk: Quirk{Before: map[string]string{"EXAMINE": "* OK [ALERT] this server closes on 1 May\r\n"}},
		},
		{
			Name: "empty-lines", Server: "empty lines, a lone `*`, a tag that nobody used", Seen: "hand-made servers and antivirus proxies",
			Does:  "passes over them",
			Reads: `source: unknown-tag: "zz9"`,
			Quirk: Quirk{Before: map[string]string{"UID ": "\r\n*\r\n* \r\nzz9 OK done\r\n"}},
		},
		{
			Name: "bare-lf", Server: "ends lines with LF alone", Seen: "antivirus proxies",
			Does:  "takes LF for a line end; bodies are counted, not searched",
			Quirk: Quirk{Fetch: inListings(func(l *Line) { l.Verbatim = trimCR(l.String()) })},
		},
		{
			Name: "lower-case", Server: "writes keywords and items in lower case", Seen: "hand-made servers",
			Does:  "reads them in any case",
			Quirk: Quirk{Fetch: lowered},
		},
		{
			Name: "bracket-missing", Server: "forgets the bracket that ends a FETCH reply", Seen: "hand-made servers",
			Does:  "takes the line end for it",
			Quirk: Quirk{Fetch: inListings(func(l *Line) { l.Verbatim = withoutEnd(l.String()) })},
		},
		{
			Name: "fetch-unasked", Server: "tells flags of other messages while a folder is read, without UID", Seen: "RFC 9051 §7.5.2: every server may, when the owner reads mail meanwhile",
			Does:  "never takes such a line for a message",
			Quirk: Quirk{Before: map[string]string{"UID FETCH": "* 2 FETCH (FLAGS (\\Seen))\r\n"}},
			Reads: "source: no-uid: message number 2",
		},
		{
			Name: "expunge-unasked", Server: "`* 9 EXPUNGE`, `* 3 EXISTS`, `* 0 RECENT` while a folder is read", Seen: "every server when the owner deletes mail meanwhile",
			Does:  "passes over them: messages are known by UID, never by number",
			Quirk: Quirk{Before: map[string]string{"UID FETCH": "* 9 EXPUNGE\r\n* 3 EXISTS\r\n* 0 RECENT\r\n"}},
		},
	}
}
