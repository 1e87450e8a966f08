package mirror_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailstork/daemon/mirror"
	"mailstork/test/compare"
)

// What its owner did here, and what went wrong before, after or beside it. Three passes later everything is as the
// owner left it, and the mail that came to the source meanwhile is here too. Reading is done by test/compare, which
// shares no code with the mirror.
func TestUserWins(t *testing.T) { // L2, L3
	table := make([]string, len(userWins))
	t.Run("rows", func(t *testing.T) {
		for i, row := range userWins {
			t.Run(row.name, func(t *testing.T) {
				l := newLab(t, labOptions{})
				l.put("INBOX", 1, 2, 3, 4)
				row.act(l)
				before := l.read()
				for n := range 3 {
					l.put("INBOX", 100+n)
					l.pass()
				}
				table[i] = fmt.Sprintf("%-46s %s", row.name, l.judge(before))
			})
		}
	})
	t.Logf("after three passes:\n%s", strings.Join(table, "\n"))
}

var userWins = []struct {
	name string
	act  func(l *lab)
}{
	{"deleted", func(l *lab) { l.firstPass(); l.ownerDeletes() }},
	{"moved", func(l *lab) { l.firstPass(); l.ownerMoves() }},
	{"re-flagged", func(l *lab) { l.firstPass(); l.ownerFlags() }},
	{"UIDVALIDITY changed at the source", func(l *lab) {
		l.firstPass()
		l.ownerActs()
		l.renumber(l.there, "Work")
	}},
	{"UIDVALIDITY changed here", func(l *lab) {
		l.firstPass()
		l.ownerActs()
		l.renumber(l.here, "Work")
	}},
	{"UIDVALIDITY changed on both sides", func(l *lab) {
		l.firstPass()
		l.ownerActs()
		l.renumber(l.there, "Work")
		l.renumber(l.here, "Work")
	}},
	{"ledger lost", func(l *lab) {
		l.firstPass()
		l.ownerMoves()
		l.ownerFlags()
		l.openStore(l.t.TempDir() + "/another.db")
	}},
	{"in doubt, then moved", func(l *lab) {
		l.inDoubt() // the only batch has landed, and nobody was told
		l.do(l.here.Create("Friends"))
		l.do(l.here.Move("Friends", l.find(l.here, "INBOX", 2)))
		l.do(l.here.Move("Friends", l.find(l.here, "INBOX", 3)))
	}},
}

func (l *lab) firstPass() {
	l.t.Helper()
	l.put("Work", 10, 11, 12, 12, 13, 14, 15, 16, 17) // 12 is there twice
	l.flag(l.there, "Work", 10, "+", `\Seen`, "work")
	l.flag(l.there, "Work", 15, "+", `\Seen`)
	l.pass()
}

func (l *lab) ownerDeletes() {
	l.t.Helper()
	for _, n := range []int{10, 11, 14} {
		l.do(l.here.Delete(l.find(l.here, "Work", n)))
	}
}

func (l *lab) ownerMoves() {
	l.t.Helper()
	l.do(l.here.Create("Friends"))
	for _, n := range []int{13, 15, 16} {
		l.do(l.here.Move("Friends", l.find(l.here, "Work", n)))
	}
}

func (l *lab) ownerFlags() {
	l.t.Helper()
	l.flag(l.here, "Work", 17, "+", `\Flagged`, "mine")
	l.flag(l.here, "INBOX", 1, "+", `\Seen`, `\Answered`)
	l.flag(l.here, "INBOX", 2, "+", `\Draft`)
	if slices.Contains(l.numbers(l.here, "Work"), 10) {
		l.flag(l.here, "Work", 10, "-", `\Seen`, "work")
	}
}

// ownerActs does it all, and a pass learns of it.
func (l *lab) ownerActs() {
	l.t.Helper()
	l.ownerDeletes()
	l.ownerMoves()
	l.ownerFlags()
	l.pass()
}

// read is what the owner has here: folder, bytes, flags and date of each message, and how often.
func (l *lab) read() map[string]int {
	l.t.Helper()
	a, err := compare.Read(l.here)
	l.do(err)
	seen := map[string]int{}
	for name, folder := range a.Folders {
		for _, m := range folder.Messages {
			seen[fmt.Sprintf("%s in %s with (%s)", m.Label, name, m.Flags)]++
		}
	}
	return seen
}

// judge compares what is here with what its owner left and what came since.
func (l *lab) judge(before map[string]int) string {
	l.t.Helper()
	for n := range 3 {
		before[fmt.Sprintf("letter %d in INBOX with ()", 100+n)]++
	}
	var lost, more []string
	after := l.read()
	for what, n := range before {
		if after[what] < n {
			lost = append(lost, fmt.Sprintf("%s (%d of %d)", what, after[what], n))
		}
	}
	for what, n := range after {
		if before[what] < n {
			more = append(more, fmt.Sprintf("%s (%d instead of %d)", what, n, before[what]))
		}
	}
	report, err := mirror.Verify(l.ctx(), l.options, mirror.VerifyOptions{Reread: true})
	l.do(err)
	gaps := report.Unexplained()
	if len(lost)+len(more)+len(gaps)+report.Twice > 0 {
		l.t.Errorf("not as its owner left it: %q; here and not wanted: %q; verification: %q, %d twice", lost, more, gaps, report.Twice)
	}
	return fmt.Sprintf("%d lost or altered, %d back, twice or overwritten, %d unexplained", len(lost), len(more), len(gaps)+report.Twice)
}
