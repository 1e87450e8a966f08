package mirror_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

// early is a lab whose inbox has more than the newest that come first.
func early(t *testing.T, dest testbed.DestinationOptions) *lab {
	l := newLab(t, labOptions{dest: dest})
	l.put("INBOX", upTo(1, 40)...)
	l.flag(l.there, "INBOX", 38, "+", `\Seen`, "work")
	l.put("Archive", 50, 51)
	l.options.Newest, l.options.Refile, l.options.Pairs = 8, true, 1
	return l
}

// beforeRefiling runs the first pass up to the intent of re-filing.
func (l *lab) beforeRefiling() {
	l.t.Helper()
	l.stopAt("record refile")
}

func (l *lab) stopAt(step string) {
	l.t.Helper()
	here := errors.New("here")
	l.options.Step = func(_ context.Context, point string) error {
		if point == step {
			return here
		}
		return nil
	}
	_, err := mirror.Pass(l.ctx(), l.options)
	l.options.Step = nil
	if !errors.Is(err, here) {
		l.t.Fatalf("the pass ended in %v before %q", err, step)
	}
}

func TestUIDOrderOfTheInboxIsDateOrderAfterTheFirstPass(t *testing.T) {
	l := early(t, testbed.DestinationOptions{RawLog: true})
	l.pass()
	l.wantDateOrder("INBOX", 40)
	l.wantSame()
	l.wantRows(map[string]int{"copied": 42})
	before, err := l.dest.Commands()
	l.do(err)
	l.pass()
	after, err := l.dest.Commands()
	l.do(err)
	if sent := changing(after[len(before):]); len(sent) > 0 {
		t.Errorf("the second pass sent %q", sent)
	}
	copies := slices.DeleteFunc(slices.Clone(after), func(c string) bool { return !strings.Contains(c, "UID COPY") })
	if len(copies) != 1 || !strings.Contains(copies[0], "UID COPY 1:8 ") {
		t.Errorf("filed anew with %q, want the eight early ones in one command", copies)
	}
	l.put("INBOX", 41, 42)
	l.pass()
	l.wantDateOrder("INBOX", 42)
}

func TestNothingIsFiledAnewWithoutGainOrLeave(t *testing.T) {
	for name, change := range map[string]func(*lab){
		"all are the newest":           func(l *lab) { l.options.Newest = 100 },
		"nobody waits":                 func(l *lab) { l.options.Newest = 0 },
		"the operator doesn't want it": func(l *lab) { l.options.Refile = false },
	} {
		t.Run(name, func(t *testing.T) {
			l := early(t, testbed.DestinationOptions{RawLog: true})
			change(l)
			l.pass()
			l.wantSame()
			commands, err := l.dest.Commands()
			l.do(err)
			for _, c := range commands {
				if strings.Contains(c, "COPY") || strings.Contains(c, "EXPUNGE") {
					t.Errorf("%q was sent", c)
				}
			}
		})
	}
}

func TestRefilingTouchesOnlyWhatIsOursAndStillThere(t *testing.T) { // L3, L4
	l := early(t, testbed.DestinationOptions{})
	l.beforeRefiling()
	l.do(l.dest.Deliver("x@example.net", letterN(90), owner))
	delivered := l.find(l.here, "INBOX", 90)
	l.do(l.here.Delete(l.find(l.here, "INBOX", 35)))
	l.do(l.here.Create("Friends"))
	l.do(l.here.Move("Friends", l.find(l.here, "INBOX", 36)))
	l.flag(l.here, "INBOX", 37, "+", `\Flagged`)
	l.flag(l.here, "INBOX", 38, "-", "work")
	for range 2 {
		l.pass()
		l.wantNumbers("INBOX", slices.Concat(upTo(1, 34), upTo(37, 40), []int{90})...)
		l.wantNumbers("Friends", 36)
		for n, want := range map[int]string{37: `\Flagged`, 38: `\Seen`} {
			if got := l.flagsOf(l.here, "INBOX", n); got != want {
				t.Errorf("letter %d has %q here, want %q", n, got, want)
			}
		}
		if now := l.find(l.here, "INBOX", 90); now != delivered {
			t.Errorf("the delivered letter has UID %d, it had %d", now, delivered)
		}
		if first, last := l.find(l.here, "INBOX", 34), l.find(l.here, "INBOX", 37); last < first {
			t.Errorf("letter 37 has UID %d, letter 34 has %d", last, first)
		}
	}
	l.wantRows(map[string]int{"copied": 40, "deleted": 2})
}

func TestStopsDuringRefilingLeaveEachMessageOnce(t *testing.T) { // L1, L2
	l := early(t, testbed.DestinationOptions{})
	want := l.content(l.there)
	for _, step := range []string{"record refile", "copy", "expunge", "record refiled", "record marks"} {
		l.stopAt(step)
		l.stopAt(map[bool]string{true: step, false: "record refiled"}[step == "record refile" || step == "record marks"])
		l.flag(l.here, "INBOX", 39, "+", `\Flagged`)
		l.flag(l.here, "INBOX", 39, "-", `\Flagged`)
		l.untilDone()
		if diff := cmp.Diff(want, l.content(l.here)); diff != "" {
			t.Fatalf("after a stop before %q source and destination differ (-source +destination):\n%s", step, diff)
		}
		l.wantDateOrder("INBOX", 40)
		l.wantRows(map[string]int{"copied": 42})
		l.wipe()
	}
}

func TestCutsDuringRefilingLeaveEachMessageOnce(t *testing.T) { // L1, L2
	l := early(t, testbed.DestinationOptions{})
	want := l.content(l.there)
	p := newProxy(t, l.dest.IMAPAddress, rules{counts: func(c string) bool {
		return strings.HasPrefix(c, "UID COPY") || strings.HasPrefix(c, "UID STORE") || strings.HasPrefix(c, "UID EXPUNGE")
	}})
	l.options.Destination = l.to(p.address())
	for _, at := range []cutAt{beforeRequest, afterRequest, replyLost} {
		for n := int64(1); n <= 3; n++ {
			p.arm(at, n)
			l.untilDone()
			if !p.fired.Load() {
				t.Errorf("no cut happened %s %d", at, n)
			}
			if diff := cmp.Diff(want, l.content(l.here)); diff != "" {
				t.Fatalf("after a cut %s %d source and destination differ (-source +destination):\n%s", at, n, diff)
			}
			l.wantDateOrder("INBOX", 40)
			l.wantRows(map[string]int{"copied": 42})
			l.wipe()
		}
	}
}

func TestMarksOfTheOwnerSurviveARefilingCutShort(t *testing.T) {
	l := early(t, testbed.DestinationOptions{})
	l.stopAt("expunge") // now each is here twice
	_, err := l.here.Select("INBOX")
	l.do(err)
	old, err := l.here.Search("HEADER Message-ID <39@example.net>")
	l.do(err)
	if len(old) != 2 {
		t.Fatalf("letter 39 is here %d times, want twice", len(old))
	}
	l.do(l.here.Flag(old[:1], "+", `\Answered`))
	l.pass()
	if got := l.flagsOf(l.here, "INBOX", 39); got != `\Answered` {
		t.Errorf("letter 39 has %q, want what its owner marked on the old copy", got)
	}
}

func TestServerThatRefusesToCopyLeavesEverythingAsItIs(t *testing.T) {
	l := early(t, testbed.DestinationOptions{})
	refused := 0
	p := newProxy(t, l.dest.IMAPAddress, rules{refuse: func(c string) string {
		if strings.HasPrefix(c, "UID COPY") {
			refused++
			return "NO [OVERQUOTA] Quota exceeded"
		}
		return ""
	}})
	l.options.Destination = l.to(p.address())
	result := l.pass()
	l.wantSame()
	if refused != 3 || !slices.ContainsFunc(result.Oddities, func(o string) bool { return strings.Contains(o, "not-refiled") }) {
		t.Errorf("refused %d times, oddities %q; want three tries and a word about it", refused, result.Oddities)
	}
	l.pass()
	if refused != 3 {
		t.Error("a later pass tries again")
	}
}
