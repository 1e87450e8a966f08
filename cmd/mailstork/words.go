package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// clean makes text of servers harmless for a terminal: no escape sequences, no right-to-left tricks.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// count writes 12345 as 12,345.
func count[N ~int | ~int64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// doneOf writes "4,120 of 9,800 (42 %)". 100 % means all: it is never rounded up to.
func doneOf(done, total int64) string {
	if total == 0 {
		return count(done)
	}
	return fmt.Sprintf("%s of %s (%d %%)", count(done), count(total), done*100/total)
}

// octets writes a size in the unit that keeps it short.
func octets(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	size, unit := float64(n), 0
	for size >= 1024 && unit < len(units)-1 {
		size, unit = size/1024, unit+1
	}
	if size < 10 && unit > 0 {
		return fmt.Sprintf("%.1f %s", size, units[unit])
	}
	return fmt.Sprintf("%.0f %s", size, units[unit])
}

// span writes a duration in at most two units.
func span(d time.Duration) string {
	switch d = d.Abs(); {
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 10*time.Minute && d%time.Minute >= time.Second:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour && d%time.Hour >= time.Minute:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// when writes a time as seen from now: "5 min ago", "in 3 h", "now", "–" for never.
func when(now, t time.Time) string {
	switch d := t.Sub(now).Truncate(time.Second); {
	case t.IsZero():
		return "–"
	case d > 0:
		return "in " + span(d)
	case d < 0:
		return span(d) + " ago"
	}
	return "now"
}

// at writes a time both ways; a time that never was is written as never.
func (a app) at(t time.Time, never string) string {
	if t.IsZero() {
		return never
	}
	return t.In(a.zone).Format("2006-01-02 15:04:05") + " (" + when(a.now(), t) + ")"
}

func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
