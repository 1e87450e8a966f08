package ledger

import (
	"strings"
	"testing"
)

func TestFlagChangesAreThoseOfTheSourceOnly(t *testing.T) {
	for _, c := range []struct{ base, next, add, remove string }{
		{`\Seen`, `\Seen`, "", ""},
		{"", `\Flagged \Seen`, `\Flagged \Seen`, ""},
		{`\Seen work`, `work`, "", `\Seen`},
		{`$Forwarded`, `$forwarded`, "", ""},
		{`\Answered`, `\Flagged`, `\Flagged`, `\Answered`},
	} {
		add, remove := FlagChanges(c.base, c.next)
		if strings.Join(add, " ") != c.add || strings.Join(remove, " ") != c.remove {
			t.Errorf("from %q to %q: add %v remove %v, want add %q remove %q", c.base, c.next, add, remove, c.add, c.remove)
		}
	}
}

func TestJoinedFlagsAreSortedAndSingle(t *testing.T) {
	if got, want := JoinFlags([]string{"work", `\Seen`, "Work", `\Answered`}), `\Answered \Seen Work`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
