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

func (l *lab) rename(c *testbed.Client, from, to string) {
	l.t.Helper()
	_, err := c.Examine("INBOX") // Dovecot disconnects who has the folder open
	l.do(err)
	_, err = c.Command(`RENAME "%s" "%s"`, from, to)
	l.do(err)
}

// appends counts the messages that were sent to the destination by commands after the first n.
func (l *lab) appends(n int) (found []string) {
	l.t.Helper()
	commands, err := l.dest.Commands()
	l.do(err)
	return slices.DeleteFunc(commands[n:], func(c string) bool { return !strings.Contains(c, "APPEND ") })
}

func (l *lab) commands() int {
	l.t.Helper()
	commands, err := l.dest.Commands()
	l.do(err)
	return len(commands)
}

func (l *lab) hereHas(folder string) (has, subscribed bool) {
	l.t.Helper()
	folders, err := l.here.Folders()
	l.do(err)
	i := slices.IndexFunc(folders, func(f testbed.FolderInfo) bool { return f.Name == folder })
	return i >= 0 && folders[i].Holds(), i >= 0 && folders[i].Subscribed
}

func TestRenamedFolderIsRenamedHereBeforeTheSwitch(t *testing.T) {
	l := newLab(t, labOptions{dest: testbed.DestinationOptions{RawLog: true}})
	l.options.Policy.Switched = false
	l.put("Old", 1, 2, 2)
	l.put("Old.Sub", 3)
	l.put("Old.Sub.Deep", 4)
	l.pass()
	l.rename(l.there, "Old", "New")
	l.put("New", 5)
	from := l.commands()
	result := l.pass()
	if result.Appended != 1 || len(l.appends(from)) != 1 {
		t.Errorf("%d messages were appended by %q, want the new one", result.Appended, l.appends(from))
	}
	l.wantNumbers("New", 1, 2, 2, 5)
	l.wantNumbers("New/Sub", 3)
	l.wantNumbers("New/Sub/Deep", 4)
	for folder, want := range map[string]bool{"Old": false, "Old/Sub": false, "New": true, "New/Sub": true, "New/Sub/Deep": true} {
		if has, _ := l.hereHas(folder); has != want {
			t.Errorf("folder %q is here: %v", folder, has)
		}
	}
	l.wantRows(map[string]int{"copied": 6})
	from = l.commands()
	l.pass()
	commands, err := l.dest.Commands()
	l.do(err)
	if sent := changing(commands[from:]); len(sent) > 0 {
		t.Errorf("the pass after it sent %q", sent)
	}
}

func TestRenamedFolderKeepsItsPlaceHereAfterTheSwitch(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("Old", 1, 2)
	l.pass()
	l.rename(l.there, "Old", "New")
	l.flag(l.there, "New", 1, "+", `\Seen`)
	l.put("New", 3)
	result := l.pass()
	if result.Appended != 1 {
		t.Errorf("%d messages were appended, want the new one", result.Appended)
	}
	l.wantNumbers("Old", 1, 2, 3)
	if has, _ := l.hereHas("New"); has {
		t.Error("a second folder was made")
	}
	if got := l.flagsOf(l.here, "Old", 1); got != `\Seen` {
		t.Errorf("letter 1 has %q here", got)
	}
}

func TestRenamedFolderThatSomebodyUsedHereKeepsItsPlace(t *testing.T) { // L4
	for name, use := range map[string]func(*lab){
		"a flag was changed":    func(l *lab) { l.flag(l.here, "Old", 1, "+", `\Flagged`) },
		"a message was removed": func(l *lab) { l.do(l.here.Delete(l.find(l.here, "Old", 2))) },
		"mail was put there": func(l *lab) {
			_, err := l.here.AppendAll("Old", []testbed.Message{{Date: sent, Content: letterN(70)}})
			l.do(err)
		},
		"a folder was made below it": func(l *lab) { l.do(l.here.Create("Old/Mine")) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, labOptions{})
			l.options.Policy.Switched = false
			l.put("Old", 1, 2, 3)
			l.pass()
			use(l)
			want := l.content(l.here)
			l.rename(l.there, "Old", "New")
			l.pass()
			l.pass()
			if diff := cmp.Diff(want, l.content(l.here)); diff != "" {
				t.Errorf("the rename changed something here (-before +after):\n%s", diff)
			}
		})
	}
}

func TestSubscriptionFollowsARenamedFolder(t *testing.T) {
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	l.put("Old", 1)
	_, err := l.there.Command(`SUBSCRIBE "Old"`)
	l.do(err)
	l.pass()
	l.rename(l.there, "Old", "New")
	l.pass()
	if has, subscribed := l.hereHas("New"); !has || !subscribed {
		t.Errorf("the renamed folder is here: %v, subscribed: %v", has, subscribed)
	}
}

func TestFolderRenamedAndMadeAgainIsTwoFolders(t *testing.T) {
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	l.put("Work", 1, 2)
	l.pass()
	l.rename(l.there, "Work", "Work 2019")
	l.put("Work", 3)
	result := l.pass()
	if result.Appended != 1 {
		t.Errorf("%d messages were appended, want the new one", result.Appended)
	}
	l.wantSame()
	l.wantNumbers("Work", 3)
	l.wantNumbers("Work 2019", 1, 2)
}

func TestFolderDeletedAndMadeAgainHoldsWhatIsThereNow(t *testing.T) {
	for _, switched := range []bool{false, true} {
		t.Run(map[bool]string{false: "before the switch", true: "after the switch"}[switched], func(t *testing.T) {
			l := newLab(t, labOptions{})
			l.options.Policy.Switched = switched
			l.put("Work", 1, 2, 2)
			l.pass()
			l.renumber(l.there, "Work") // with all its messages,
			l.do(l.there.Delete(l.find(l.there, "Work", 1)))
			l.put("Work", 4) // less one, and one more
			result := l.pass()
			if result.Appended != 1 {
				t.Errorf("%d messages were appended, want the new one", result.Appended)
			}
			want := []int{2, 2, 4}
			if switched {
				want = []int{1, 2, 2, 4}
			}
			l.wantNumbers("Work", want...)
		})
	}
}

func TestFoldersThatDifferInCaseOnlyStayApart(t *testing.T) {
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	l.put("Work", 1)
	l.put("WORK", 2)
	l.pass()
	l.wantNumbers("WORK", 2)
	l.wantNumbers("Work-2", 1)
	l.rename(l.there, "Work", "wOrk") // to another spelling
	l.put("wOrk", 3)
	result := l.pass()
	if result.Appended != 1 {
		t.Errorf("%d messages were appended, want the new one", result.Appended)
	}
	l.wantNumbers("Work-2", 1, 3)
}

// TestRenameIsSafeWhereverItStops stops the pass before every step, and cuts the connection in every way around RENAME.
func TestRenameIsSafeWhereverItStops(t *testing.T) { // L2, L4
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	l.put("A", 1, 2)
	l.put("A.Sub", 3)
	l.pass()
	name := "A"
	next := func() {
		l.rename(l.there, name, name+"x")
		name += "x"
	}
	check := func(what string) {
		l.untilDone()
		l.pass()
		l.wantNumbers(name, 1, 2)
		l.wantNumbers(name+"/Sub", 3)
		l.wantRows(map[string]int{"copied": 3})
		if t.Failed() {
			t.Fatal(what)
		}
	}
	crash := errors.New("crash")
	for stop := 1; ; stop++ {
		next()
		steps, at := 0, ""
		l.options.Step = func(_ context.Context, point string) error {
			if steps++; steps >= stop {
				at = point
				return crash
			}
			return nil
		}
		_, err := mirror.Pass(l.ctx(), l.options)
		l.options.Step = nil
		check("after a stop before " + at)
		if err == nil {
			if stop < 6 {
				t.Errorf("the pass had only %d steps", stop-1)
			}
			break
		}
	}
	p := newProxy(t, l.dest.IMAPAddress, rules{counts: func(command string) bool { return strings.HasPrefix(command, "RENAME") }})
	l.options.Destination = l.to(p.address())
	for _, at := range []cutAt{beforeRequest, afterRequest, replyLost} {
		next()
		p.arm(at, 1)
		if _, err := mirror.Pass(l.ctx(), l.options); err == nil || !p.fired.Load() {
			t.Fatalf("the cut %s RENAME went unnoticed: %v", at, err)
		}
		check("after a cut " + string(at))
	}
}
