package mirror

import (
	"bufio"
	"bytes"
	"io"
	"net/mail"
	"strings"
	"time"
)

// maxDateHeader is how much of a header is looked at for a date.
const maxDateHeader = 64 << 10

// dateFromLetter finds a date for a message of which the source tells none: without one this server would take the
// present, and old mail would look new for ever. It returns the body anew, whole.
func dateFromLetter(body io.Reader, size int64, now time.Time) (again io.Reader, date time.Time, told string) {
	buffered := bufio.NewReaderSize(body, maxDateHeader)
	head, _ := buffered.Peek(int(min(size, maxDateHeader))) // what went wrong comes again with the next Read
	date, field := headerDate(head, now)
	if field == "" {
		return buffered, date, "the source tells no date: neither does the letter, so it has today's"
	}
	return buffered, date, "the source tells no date: that of its " + field + " header was taken"
}

// headerDate reads the date of the topmost Received header, which was written when the letter arrived, else that of the
// Date header, which its sender wrote. A date before 1970 or in the future is none.
func headerDate(header []byte, now time.Time) (date time.Time, field string) {
	received, sent := time.Time{}, time.Time{}
	for name, value := range headerFields(header) {
		switch {
		case strings.EqualFold(name, "Received") && received.IsZero():
			received = parseLetterDate(value[strings.LastIndexByte(value, ';')+1:], now)
		case strings.EqualFold(name, "Date") && sent.IsZero():
			sent = parseLetterDate(value, now)
		}
	}
	switch {
	case !received.IsZero():
		return received, "Received"
	case !sent.IsZero():
		return sent, "Date"
	}
	return time.Time{}, ""
}

func parseLetterDate(text string, now time.Time) time.Time {
	t, err := mail.ParseDate(strings.TrimSpace(text))
	if err != nil || t.Unix() <= 0 || t.After(now.Add(24*time.Hour)) {
		return time.Time{}
	}
	return t
}

// headerFields gives the fields of a header block, unfolded, up to its empty line or its end.
func headerFields(header []byte) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		for len(header) > 0 {
			line, rest := cutLine(header)
			if len(line) == 0 {
				return
			}
			for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
				var more []byte
				more, rest = cutLine(rest)
				line = append(line[:len(line):len(line)], more...)
			}
			header = rest
			name, value, _ := strings.Cut(string(line), ":")
			if !yield(strings.TrimRight(name, " \t"), value) {
				return
			}
		}
	}
}

func cutLine(text []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}
