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
