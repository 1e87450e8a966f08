package testbed

import (
	"fmt"
	"strings"
	"testing"
)

// verdict stands in for a test and remembers how Need ended it.
type verdict struct {
	testing.TB
	text string
}

func (v *verdict) Helper() {}
func (v *verdict) Fatalf(format string, args ...any) {
	v.text += "fatal: " + fmt.Sprintf(format, args...)
}
func (v *verdict) Skip(args ...any) { v.text += "skip: " + fmt.Sprint(args...) }

func TestNeedSkipsWithAReasonAndFailsWhenRequired(t *testing.T) {
	t.Setenv("REQUIRE", "")
	optional := &verdict{TB: t}
	Need(optional, "sh", "no-such-server")
	if !strings.Contains(optional.text, "skip: real server binary not installed: no-such-server") {
		t.Errorf("got %q", optional.text)
	}
	t.Setenv("REQUIRE", "1")
	required := &verdict{TB: t}
	Need(required, "sh", "no-such-server")
	if !strings.Contains(required.text, "fatal: real server binary not installed: no-such-server") {
		t.Errorf("got %q", required.text)
	}
}

func TestNeedNamesTheScriptThatMakesAnotherDovecot(t *testing.T) {
	t.Setenv("MAILSTORK_CACHE", t.TempDir())
	t.Setenv("REQUIRE", "1")
	named := &verdict{TB: t}
	Need(named, "dovecot 2.4")
	t.Setenv(sourceVariable, Dovecot24)
	asked := &verdict{TB: t}
	Need(asked, "dovecot")
	for _, v := range []*verdict{named, asked} {
		if !strings.Contains(v.text, "fatal: ") || !strings.Contains(v.text, "scripts/dovecot-2.4.sh") {
			t.Errorf("got %q", v.text)
		}
	}
}
