package account

import (
	"errors"
	"strings"
	"testing"
)

func TestParseAddressMakesOneAccountOfManySpellings(t *testing.T) {
	for _, spelling := range []string{"anna@example.org", "ANNA@EXAMPLE.ORG", " Anna@Example.Org\n", "anna@example.org.", "aNNa@eXample.orG"} {
		got, err := ParseAddress(spelling)
		if err != nil || got != "anna@example.org" {
			t.Errorf("ParseAddress(%q) = %q, %v; want anna@example.org", spelling, got, err)
		}
	}
}

func TestParseAddressRefusesWhatCouldEscapeAFolderOrALine(t *testing.T) {
	for _, bad := range []string{"", "anna", "@example.org", "anna@", "a/b@example.org", "../x@example.org", "..@example.org",
		"-x@example.org", "#x@example.org", "a:b@example.org", "a\nb@example.org", "a\x00b@example.org", "a%b@example.org", "a*b@example.org",
		"a b@example.org", "\"a\"@example.org", "ä@example.org", "anna@localhost", "anna@exa mple.org", "anna@-x.org",
		"anna@x..org", "a@b@c.org", strings.Repeat("a", 65) + "@example.org", "a@" + strings.Repeat("b", 64) + ".org",
		"a@" + strings.Repeat("bcd.", 70) + "org"} {
		if got, err := ParseAddress(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("ParseAddress(%q) = %q, %v; want ErrAddress", bad, got, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("Anna@Example.org")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddress(text)
		if err != nil {
			return
		}
		again, err := ParseAddress(string(a))
		if err != nil || again != a {
			t.Fatalf("canonical %q parses as %q, %v", a, again, err)
		}
		if strings.ContainsAny(string(a), "/:%*\x00\r\n\t ") || len(a) > maxAddressOctets {
			t.Fatalf("%q got through", a)
		}
	})
}

func TestWithoutExtension(t *testing.T) {
	for in, want := range map[Address]Address{"a+b@x.org": "a@x.org", "a@x.org": "a@x.org", "+b@x.org": "+b@x.org", "a+b+c@x.org": "a@x.org"} {
		if got := in.WithoutExtension(); got != want {
			t.Errorf("%q.WithoutExtension() = %q, want %q", in, got, want)
		}
	}
}
