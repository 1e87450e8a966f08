package daemon

import (
	"slices"
	"testing"
)

func TestAQuirkIsToldOncePerAccountAndCounted(t *testing.T) {
	var o oddities
	seen := []string{"source: no-uid: message number 1", "source: notice: NO full", "source: no-uid: message number 2"}
	want := []string{"source: no-uid: message number 1 (and 1 more of the kind)", "source: notice: NO full"}
	if got := o.fresh("anna@example.org", seen); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := o.fresh("anna@example.org", append(seen, "source: late-uid: x")); !slices.Equal(got, []string{"source: late-uid: x"}) {
		t.Errorf("the second time: got %q", got)
	}
	if got := o.fresh("bob@example.org", seen[:1]); len(got) != 1 {
		t.Errorf("another account: got %q", got)
	}
	if got := o.fresh("anna@example.org", []string{"nonsense"}); !slices.Equal(got, []string{"nonsense"}) {
		t.Errorf("a line without a kind: got %q", got)
	}
}
