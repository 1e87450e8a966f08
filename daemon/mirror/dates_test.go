package mirror

import (
	"io"
	"strings"
	"testing"
	"time"
)

var datesNow = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func TestADateIsFoundInTheHeaderThatKnowsItBest(t *testing.T) {
	const sent, received = "Date: Mon, 4 May 2015 09:00:00 +0000\r\n", "Received: from a by b;\r\n\tTue, 5 May 2015 10:11:12 +0200 (CEST)\r\n"
	for _, c := range []struct{ name, header, field, want string }{
		{"arrival before sending", sent + received, "Received", "2015-05-05T08:11:12Z"},
		{"the topmost of two arrivals", received + "Received: from c by a; Mon, 4 May 2015 09:00:01 +0000\r\n" + sent, "Received", "2015-05-05T08:11:12Z"},
		{"an arrival without date", "Received: from a by b\r\n" + sent, "Date", "2015-05-04T09:00:00Z"},
		{"an arrival in the future", "Received: from a by b; Tue, 5 May 2035 10:11:12 +0200\r\n" + sent, "Date", "2015-05-04T09:00:00Z"},
		{"bare line feeds", "Subject: x\nDate: 4 May 2015 09:00 +0000\n\nDate: 1 Jan 2000 00:00 +0000\n", "Date", "2015-05-04T09:00:00Z"},
		{"a date before mail was kept", "Date: Thu, 1 Jan 1960 00:00:00 +0000\r\n", "", "0001-01-01T00:00:00Z"},
		{"a date in the body only", "Subject: x\r\n\r\n" + sent, "", "0001-01-01T00:00:00Z"},
		{"nothing", "", "", "0001-01-01T00:00:00Z"},
	} {
		date, field := headerDate([]byte(c.header), datesNow)
		if got := date.UTC().Format(time.RFC3339); got != c.want || field != c.field {
			t.Errorf("%s: got %s from %q, want %s from %q", c.name, got, field, c.want, c.field)
		}
	}
}

// FuzzDateFromLetter: whatever a letter says, its bytes are handed on as they are (L6), and a date is one that this
// server can keep.
func FuzzDateFromLetter(f *testing.F) {
	f.Add("Received: x; Tue, 5 May 2015 10:11:12 +0200\r\nDate: Mon, 4 May 2015 09:00:00 +0000\r\n\r\nbody")
	f.Add("Date:\n 4 May 2015 09:00 (a(b)c) GMT\n")
	f.Fuzz(func(t *testing.T, body string) {
		again, date, told := dateFromLetter(strings.NewReader(body), int64(len(body)), datesNow)
		octets, err := io.ReadAll(again)
		if err != nil || string(octets) != body {
			t.Errorf("got %q, %v", octets, err)
		}
		if told == "" || !date.IsZero() && (date.Unix() <= 0 || date.After(datesNow.Add(24*time.Hour))) {
			t.Errorf("told %q, date %v", told, date)
		}
	})
}
