package wire_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailstork/daemon/mirror/wire"
)

func TestRFC3501ModifiedUTF7(t *testing.T) {
	for name, raw := range map[string]string{
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-", // the example of RFC 3501 §5.1.3
		"R&D":                "R&-D",
		"Entwürfe":           "Entw&APw-rfe",
		"😀":                  "&2D3eAA-",
		"a\tb":               "a&AAk-b",
		"":                   "",
	} {
		if got := wire.EncodeName(name); got != raw {
			t.Errorf("%q is encoded as %q, want %q", name, got, raw)
		}
		if got := wire.DecodeName(raw); got != name {
			t.Errorf("%q is decoded as %q, want %q", raw, got, name)
		}
	}
	for raw, name := range map[string]string{"R&D": "R&D", "&AGE-": "&AGE-", "&APw": "&APw", "&!!-": "&!!-", "\xff&": "ÿ&", "ü": "ü"} {
		if got := wire.DecodeName(raw); got != name {
			t.Errorf("%q, which is not modified UTF-7, reads %q, want %q", raw, got, name)
		}
	}
}

func TestEveryNameSurvivesEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		raw := wire.EncodeName(name)
		if got := wire.DecodeName(raw); got != name {
			t.Fatalf("%q → %q → %q", name, raw, got)
		}
		if strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q → %q", name, raw)
		}
	})
}

// S4: whatever octets a server names its folders with, two of them never become one.
func TestEscapedNamesAreInjective(t *testing.T) {
	octets := rapid.SliceOfN(rapid.SampledFrom([]byte("aA%26&-,+/DÃ¼\x00\xff\xfc")), 0, 12)
	rapid.Check(t, func(t *rapid.T) {
		a, b := string(octets.Draw(t, "a")), string(octets.Draw(t, "b"))
		if a != b && wire.EscapeName(a) == wire.EscapeName(b) {
			t.Fatalf("%q and %q are both %q", a, b, wire.EscapeName(a))
		}
	})
}

func TestDatesOfOddServersAreReadAndWrittenStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"17-Jul-1996 02:44:25 -0700":   "1996-07-17T09:44:25Z zoned",
		" 1-Jul-1996 02:44:25 +0000":   "1996-07-01T02:44:25Z zoned",
		"1-JUL-1996 02:44:25 +0000":    "1996-07-01T02:44:25Z zoned",
		"01-Jul-1996 02:44:25 GMT":     "1996-07-01T02:44:25Z zoned",
		"01-Jul-1996 02:44:25 XYZ":     "1996-07-01T02:44:25Z",
		"01-Jul-1996 02:44:25":         "1996-07-01T02:44:25Z",
		"31-Feb-2020 02:44:25 +0000":   "",
		"00-Jan-0000 00:00:00 +0000":   "",
		"Mon, 7 Feb 1994 21:52:25 UTC": "",
		"":                             "",
	} {
		got := ""
		if d, zoned, ok := wire.ParseDate(text); ok {
			got = d.UTC().Format(time.RFC3339)
			if zoned {
				got += " zoned"
			}
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := wire.FormatDate(time.Date(2001, 2, 3, 4, 5, 6, 0, time.FixedZone("", 7200))); got != " 3-Feb-2001 02:05:06 +0000" {
		t.Errorf("got %q", got)
	}
}

func TestUIDSetsAreCompactAndNeverExpanded(t *testing.T) {
	set := wire.NewUIDSet(7, 3, 2, 1, 3, 4294967295, 4294967294, 4294967295)
	if set.String() != "1:3,7,4294967294:4294967295" || set.Len() != 6 {
		t.Errorf("got %v of %d", set, set.Len())
	}
	rapid.Check(t, func(t *rapid.T) {
		uids := rapid.SliceOf(rapid.Uint32Range(1, 40)).Draw(t, "uids")
		set := wire.NewUIDSet(uids...)
		for u := range uint32(42) {
			if set.Contains(u) != slices.Contains(uids, u) {
				t.Fatalf("%v of %v: Contains(%d) is %v", set, uids, u, set.Contains(u))
			}
		}
	})
}

func TestRFC4315AppendUIDSetsKeepTheirOrder(t *testing.T) {
	for text, want := range map[string]string{"5": "[5]", "5:7,9": "[5 6 7 9]", "9,5:6": "[9 5 6]", "7:5": "[5 6 7]"} {
		got, err := wire.ParseUIDSet(text, 10)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: got %v, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "x", "1:", "1,,2", "1:4294967295", "1:11", "*"} {
		if got, err := wire.ParseUIDSet(text, 10); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestFlagsAreNormalised(t *testing.T) {
	got := wire.NormaliseFlags([]string{"zeta", `\SEEN`, `\Recent`, `\seen`, "", `\`, `\*`, `\Odd`, "Alpha"})
	if fmt.Sprint(got) != `[Alpha \Odd \Seen zeta]` {
		t.Errorf("got %v", got)
	}
}
