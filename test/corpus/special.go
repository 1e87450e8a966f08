package corpus

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"mailstork/test/testbed"
)

// damaged are messages that break one rule each. Dovecot keeps all of them; what
// it reads back has CRLF for LF and 0x80 for NUL.
func damaged(a *author) []testbed.Message {
	head := func(subject string) string { return a.header(subject, a.date()) }
	long := strings.Repeat("0123456789abcdef", 200_000/16)
	contents := []string{
		"\r\nNo header at all, only this line.\r\n",
		"Not a header line, and no empty line follows.\r\n",
		head("Header only, no empty line"),
		head("Header only") + "\r\n",
		strings.ReplaceAll(head("Bare LF")+"\r\none\r\ntwo\r\n", "\r\n", "\n"),
		head("Mixed line ends") + "\r\none\ntwo\r\nthree\rfour\r\r\nfive\r\n",
		head("NUL in the body") + "\r\nbefore\x00after\r\n",
		head("Long line") + "\r\n" + long + "\r\n",
		head("Long header") + "X-Long: " + long[:20_000] + "\r\n\r\nHello.\r\n",
		head("No newline at the end") + "\r\nThe end",
		head("Lines that look like commands") + "\r\n.\r\n..\r\nFrom here on\r\na1 LOGOUT\r\n)\r\n{12}\r\n* BYE\r\n",
		"From: a@example.net\r\nSubject: No Message-ID\r\n\r\nHello.\r\n",
		"From: a@example.net\r\nSubject: No Message-ID\r\n\r\nHello again.\r\n",
		"Message-ID: <>\r\nSubject: Empty Message-ID\r\n\r\nHello.\r\n",
		"Message-ID: <shared@example.net>\r\nSubject: Shared Message-ID\r\n\r\nThe first.\r\n",
		"Message-ID: <shared@example.net>\r\nSubject: Shared Message-ID\r\n\r\nThe second.\r\n",
		head("Every byte") + "\r\n" + everyByte() + "\r\n",
	}
	var messages []testbed.Message
	for _, content := range contents {
		messages = append(messages, testbed.Message{Flags: a.flags(), Date: a.date(), Content: []byte(content)})
	}
	return messages
}

func everyByte() string {
	var out strings.Builder
	for b := range 256 {
		out.WriteByte(byte(b))
	}
	return out.String()
}

// twins are messages with the same bytes in one folder: a pair that is equal in
// everything, and one that differs in flags and date only.
func twins(a *author) []testbed.Message {
	equal := a.ordinary()
	unread := a.ordinary()
	unread.Flags = nil
	read := unread
	read.Flags = []string{`\Seen`, `\Flagged`}
	read.Date = unread.Date.Add(time.Hour)
	// This one is in every folder that has twins.
	everywhere := testbed.Message{
		Date:    time.Date(2010, 10, 10, 10, 10, 10, 0, time.UTC),
		Content: []byte("Message-ID: <everywhere@example.net>\r\nSubject: In two folders\r\n\r\nCopied by its owner.\r\n"),
	}
	return []testbed.Message{equal, equal, unread, read, everywhere}
}

// oddDates are the dates that break parsers: one-digit days, zones at the end of
// the world or off by minutes, the first days of Unix time, a leap second's day.
func oddDates(a *author) []testbed.Message {
	zone := func(minutes int) *time.Location { return time.FixedZone("", minutes*60) }
	var messages []testbed.Message
	for _, date := range []time.Time{
		time.Date(1970, 1, 2, 3, 4, 5, 0, time.UTC),
		time.Date(1970, 1, 3, 0, 0, 0, 0, zone(14*60)),
		time.Date(1982, 8, 13, 12, 0, 0, 0, zone(-12*60)),
		time.Date(1999, 12, 31, 23, 59, 59, 0, zone(-3*60-30)),
		time.Date(2000, 2, 29, 1, 2, 3, 0, zone(5*60+45)),
		time.Date(2005, 6, 7, 8, 9, 10, 0, zone(12*60+45)),
		time.Date(2016, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2021, 3, 28, 2, 30, 0, 0, zone(60)),
		time.Date(2022, 11, 1, 0, 0, 0, 0, zone(-1)),
	} {
		message := a.letter("Dated "+date.Format(time.RFC3339), date, 2)
		message.Flags = a.flags()
		messages = append(messages, message)
	}
	return messages
}

// large are two messages of some megabytes and one of 30.
func large(a *author) []testbed.Message {
	big := a.attachment("Thirty megabytes", a.date(), BigSize)
	big.Flags = []string{`\Seen`, `\Flagged`}
	return []testbed.Message{
		big,
		a.attachment("The whole album", a.date(), 5<<20),
		a.attachment("Scanned contract", a.date(), 8<<20),
	}
}

// keywords are messages with more than system flags.
func keywords(a *author) []testbed.Message {
	var messages []testbed.Message
	for i, flags := range [][]string{
		{"$Forwarded"},
		{"NonJunk", `\Seen`},
		{"$Forwarded", "NonJunk", "$Label1", "$Label2", `\Answered`},
		{"$MDNSent", "$NotPhishing", "important-1", "a.b_c"},
		{`\Seen`, `\Answered`, `\Flagged`, `\Draft`, `\Deleted`},
	} {
		message := a.letter(fmt.Sprintf("Keywords %d", i+1), a.date(), 3)
		message.Flags = flags
		messages = append(messages, message)
	}
	return messages
}

// eightBit are headers with bytes above 127: raw Latin-1, raw UTF-8, raw KOI8-R.
func eightBit(a *author) []testbed.Message {
	var messages []testbed.Message
	for _, subject := range []string{"Gr\xf6\xdfe und H\xf6he", "Größe und Höhe", "\xf0\xd2\xc9\xd7\xc5\xd4", "Привет 🎉"} {
		content := []byte(a.header(subject, a.date()))
		content = bytes.Replace(content, []byte("To: Somebody"), []byte("To: Ren\xe9e"), 1)
		content = append(content, "\r\nH\xe9llo.\r\n"...)
		messages = append(messages, testbed.Message{Flags: a.flags(), Date: a.date(), Content: content})
	}
	return messages
}
