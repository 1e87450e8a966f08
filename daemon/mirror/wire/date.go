package wire

import (
	"strings"
	"time"
)

// dateLayouts: as the RFC says first, then what servers were seen to write.
var dateLayouts = []string{
	"2-Jan-2006 15:04:05 -0700", "2-Jan-2006 15:04:05 MST", "2-Jan-2006 15:04:05",
	"2-Jan-06 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 -0700",
}

// ParseDate reads an INTERNALDATE (RFC 9051 §9, date-time): "17-Jul-1996 02:44:25
// -0700", with a one-digit day with or without its space. zoned is false when the
// server named no zone; the time is then taken as UTC, which is at most 14 hours
// wrong where today's date would be wrong by years.
func ParseDate(s string) (t time.Time, zoned, ok bool) {
	s = strings.TrimSpace(s)
	for _, layout := range dateLayouts {
		t, err := time.Parse(layout, s)
		if err != nil || t.Year() < 1 {
			continue
		}
		// Of two digits 00 to 49 are 20xx (RFC 5322 §4.3); package time draws the line at 69.
		if strings.Contains(layout, "-06 ") && t.Year() >= 2050 {
			t = t.AddDate(-100, 0, 0)
		}
		_, offset := t.Zone()
		named := strings.HasSuffix(layout, "MST")
		if named && offset == 0 {
			return t.UTC(), strings.HasSuffix(s, " GMT") || strings.HasSuffix(s, " UTC"), true
		}
		return t, strings.HasSuffix(layout, "-0700") || named, true
	}
	return time.Time{}, false, false
}

// FormatDate writes a date the way a server must accept it: the instant, in UTC.
func FormatDate(t time.Time) string { return t.UTC().Format("_2-Jan-2006 15:04:05 -0700") }
