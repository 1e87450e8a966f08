package corpus

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// Kind is one way in which a message can be awkward.
type Kind struct {
	Name    string
	Content []byte
	Flags   []string
	Date    time.Time // zero: an ordinary one
	Copies  int       // so many of it; 0 is one
}

// Kinds returns messages that servers and programs get wrong, each of its own kind. They are meant to be put into a
// Maildir as files, since APPEND would mend some of them.
func Kinds() []Kind {
	kinds := kindsOf(sizes, lineEnds, controls, encodings, headers, messageIDs, dates, texts, structures, signed, traces, flags, lengths)
	for i := range kinds {
		if kinds[i].Date.IsZero() {
			kinds[i].Date = time.Date(2018, 3, 4, 5, 6, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute)
		}
	}
	return kinds
}

func kindsOf(groups ...func() []Kind) (all []Kind) {
	for _, group := range groups {
		all = append(all, group()...)
	}
	return all
}

// head is a usual header; its subject names the kind.
func head(subject string) string {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '.'
	}, strings.ToLower(subject))
	return "From: Ada <ada@example.net>\r\nTo: anna@example.org\r\nSubject: " + subject +
		"\r\nDate: Sun, 4 Mar 2018 05:06:07 +0100\r\nMessage-ID: <" + id + "@awkward.example.net>\r\n"
}

func kind(name, content string) Kind { return Kind{Name: name, Content: []byte(content)} }

// body is a usual header and an unusual body.
func body(name, text string) Kind { return kind(name, head(name)+"\r\n"+text) }

// header is a usual body under an unusual header.
func header(name, fields string) Kind { return kind(name, head(name)+fields+"\r\nHello.\r\n") }

func sizes() []Kind {
	return []Kind{
		kind("no octets at all", ""),
		kind("one octet", "x"),
		kind("one LF", "\n"),
		kind("one CRLF", "\r\n"),
		kind("one CR", "\r"),
		kind("one NUL", "\x00"),
		kind("two octets", "ab"),
		kind("header without its end", head("header without its end")),
		kind("header cut in the middle", strings.TrimSuffix(head("header cut in the middle"), "example.net>\r\n")),
		kind("header and nothing else", head("header and nothing else")+"\r\n"),
		kind("body without header", "\r\nThis is all body.\r\n"),
		kind("neither header nor empty line", "This is neither header nor body.\r\n"),
		{Name: "a hundred identical twins", Content: []byte(head("a hundred identical twins") + "\r\nThe same again.\r\n"), Copies: 100},
	}
}

func lineEnds() []Kind {
	unix := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	return []Kind{
		body("no final line end", "The end"),
		kind("bare LF", unix(head("bare LF")+"\r\none\r\ntwo\r\n")),
		kind("CRLF in the header and LF below", head("CRLF in the header and LF below")+"\r\none\ntwo\n"),
		kind("LF in the header and CRLF below", unix(head("LF in the header and CRLF below"))+"\none\r\ntwo\r\n"),
		kind("CR as line end", strings.ReplaceAll(head("CR as line end")+"\r\none\r\ntwo\r\n", "\r\n", "\r")),
		body("CR in the middle of a line", "one\rtwo\r\n"),
		body("CR CR LF", "one\r\r\ntwo\r\r\n"),
		body("nine CRs before LF", "one\r\r\r\r\r\r\r\r\r\ntwo\r\n"),
		body("LF CR", "one\n\rtwo\n\r"),
		body("CRs at the very end", "one\r\n\r\r\r"),
		body("only empty lines", strings.Repeat("\r\n", 500)),
		body("spaces and tabs at line ends", "one  \r\ntwo\t\r\n \t \r\n"),
		header("CR inside a header field", "X-Odd: one\rtwo\r\n"),
		header("CR CR LF in the header", "X-Odd: one\r\r\nX-Even: two\r\n"),
	}
}

func controls() []Kind {
	return []Kind{
		body("NUL in the body", "before\x00after\x00\x00\r\n"),
		header("NUL in the header", "X-Odd: before\x00after\r\n"),
		body("many NULs", strings.Repeat("\x00", 70_000)),
		body("control-Z at the end", "The end of the file as DOS knew it.\r\n\x1a"),
		header("escape sequences", "X-Odd: \x1b[2J\x1b]0;owned\x07\r\n"),
		body("every octet", everyByte()+"\r\n"),
		header("every octet in a header field", "X-Odd: "+strings.NewReplacer("\r", "", "\n", "").Replace(everyByte())+"\r\n"),
		body("form feed, vertical tab, backspace", "a\fb\vc\bd\x7f\r\n"),
	}
}

func encodings() []Kind {
	var wide []byte
	for _, unit := range utf16.Encode([]rune("\ufeffHello, störk 🎉\r\n")) {
		wide = append(wide, byte(unit), byte(unit>>8))
	}
	return []Kind{
		header("Latin-1 in the header", "X-Odd: Gr\xf6\xdfe\r\n"),
		header("UTF-8 in the header", "X-Odd: Größe 日本語 🎉\r\n"),
		header("KOI8-R in the header", "X-Odd: \xf0\xd2\xc9\xd7\xc5\xd4\r\n"),
		header("Shift-JIS with a backslash octet", "X-Odd: \x83\x5c\x95\x5c\r\n"),
		header("ISO-2022-JP without its end", "X-Odd: \x1b$B$3$s\r\n"),
		header("broken UTF-8", "X-Odd: \xc3\x28 \xe2\x82 \xf8\x88\x80\x80\x80\r\n"),
		header("encoded word cut short", "X-Odd: =?utf-8?B?R3I=\r\n =?utf-8?Q?=?= =?nowhere?Q?x?=\r\n"),
		kind("byte order mark first", "\xef\xbb\xbf"+head("byte order mark first")+"\r\nHello.\r\n"),
		kind("body in UTF-16", head("body in UTF-16")+"Content-Type: text/plain; charset=utf-16\r\n\r\n"+string(wide)),
		kind("all of it in UTF-16", string(wide)),
		kind("base64 that is none", head("base64 that is none")+"Content-Transfer-Encoding: base64\r\n\r\n!!!! not base64 =\r\n===\r\n"),
		kind("quoted-printable that is none", head("quoted-printable that is none")+"Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ = =\r\n=0\r\n"),
		kind("8-bit text said to be 7-bit", head("8-bit text said to be 7-bit")+"Content-Transfer-Encoding: 7bit\r\n\r\n\xe9\xe8\r\n"),
	}
}

func headers() []Kind {
	return []Kind{
		header("ten thousand header lines", strings.Repeat("X-Trace: one more\r\n", 10_000)),
		header("header of 64 KiB", "X-Long: "+strings.Repeat("0123456789abcde ", 4096)+"\r\n"),
		header("header of 300 KiB, folded", "X-Long:"+strings.Repeat(" 0123456789abcde\r\n", 18_000)),
		header("line without colon", "This line has no colon\r\n"),
		header("line that is only a colon", ":\r\n: value\r\n"),
		header("space before the colon", "X-Odd : value\r\n"),
		header("field name of 5,000 octets", strings.Repeat("X", 5_000)+": value\r\n"),
		header("folded with only white space", "X-Odd: one\r\n \r\n\t\r\n  two\r\n"),
		kind("first line is folded", " continued from nowhere\r\n"+head("first line is folded")+"\r\nHello.\r\n"),
		header("subject twice", "Subject: another one\r\nSUBJECT: and one more\r\n"),
		header("empty fields", "Cc:\r\nBcc: \r\nReply-To:\t\r\nSender:\r\n \r\n"),
		header("a thousand recipients", "Cc: "+strings.Repeat("Somebody <somebody@example.net>,\r\n ", 1_000)+"last@example.net\r\n"),
		header("address without end", "Cc: \"Somebody <somebody@example.net>, (a (comment (in (comments\r\n"),
	}
}

func messageIDs() []Kind {
	without := func(name, fields, text string) Kind {
		return kind(name, "From: ada@example.net\r\nSubject: "+name+"\r\n"+fields+"\r\n"+text+"\r\n")
	}
	return []Kind{
		without("no Message-ID", "", "Hello."),
		without("no Message-ID", "", "Hello again."),
		without("empty Message-ID", "Message-ID: \r\n", "Hello."),
		without("Message-ID of two brackets", "Message-ID: <>\r\n", "Hello."),
		without("shared Message-ID", "Message-ID: <shared@awkward.example.net>\r\n", "The first."),
		without("shared Message-ID", "Message-ID: <shared@awkward.example.net>\r\n", "The second."),
		without("shared Message-ID", "Message-ID: <shared@awkward.example.net>\r\n", "The second. "),
		without("Message-ID of 10 KB", "Message-ID: <"+strings.Repeat("m", 10_000)+"@example.net>\r\n", "Hello."),
		without("two Message-IDs", "Message-ID: <a@example.net>\r\nMessage-ID: <b@example.net>\r\n", "Hello."),
		without("Message-ID with spaces, quotes, no brackets", "Message-ID: a \"b\\ c@ example . net\r\n", "Hello."),
		without("folded Message-ID", "Message-ID:\r\n <folded@example.net>\r\n", "Hello."),
	}
}

func dates() []Kind {
	dated := func(name, value string) Kind {
		return kind(name, "From: ada@example.net\r\nSubject: "+name+"\r\n"+value+"Message-ID: <"+strings.ReplaceAll(name, " ", ".")+"@d>\r\n\r\nHello.\r\n")
	}
	at := func(name string, date time.Time) Kind {
		k := body(name, "Hello.\r\n")
		k.Date = date
		return k
	}
	return []Kind{
		dated("no Date", ""),
		dated("Date in words", "Date: yesterday, after lunch\r\n"),
		dated("Date with two digits", "Date: 1 Jan 99 0:0 EST\r\n"),
		dated("Date on the 31st of February", "Date: Wed, 31 Feb 2018 25:61:61 +9999\r\n"),
		dated("two Dates", "Date: Sun, 4 Mar 2018 05:06:07 +0100\r\nDate: Sun, 4 Mar 2001 05:06:07 +0100\r\n"),
		at("received on the first day of Unix", time.Unix(86_399, 0)),
		at("received before 1970", time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC)),
		at("received in 1901", time.Date(1901, 12, 13, 20, 45, 53, 0, time.UTC)),
		at("received on the last day of 31 bits", time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC)),
		at("received after 2038", time.Date(2040, 2, 29, 12, 0, 0, 0, time.UTC)),
		at("received in a leap second's minute", time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC)),
		at("received in the hour that summer time skips", time.Date(2018, 3, 25, 1, 30, 0, 0, time.UTC)),
		at("received in the hour that comes twice", time.Date(2018, 10, 28, 0, 30, 0, 0, time.UTC)),
	}
}

func flags() (all []Kind) {
	for i, set := range [][]string{
		{`\Seen`}, {`\Answered`}, {`\Flagged`}, {`\Deleted`}, {`\Draft`}, {`\Answered`, `\Deleted`, `\Draft`, `\Flagged`, `\Seen`},
		{"$MDNSent"}, {"$Forwarded", "$Junk", "$NotJunk", "$Phishing"}, {"NonJunk", "$Label1", "important-1", "a.b_c", "odd.-_$1"},
	} {
		k := body(fmt.Sprintf("flags %d: %s", i+1, strings.ReplaceAll(strings.Join(set, " "), `\`, "")), "Hello.\r\n")
		k.Flags = set
		all = append(all, k)
	}
	return all
}
