package mirror_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/test/testbed"
)

func TestFolderIsLookedAtWhenItIsNotAsThePassLeftIt(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(l *lab)
		looked    bool
		deleted   int
	}{
		"untouched":                        {func(*lab) {}, false, 0},
		"its owner only read":              {func(l *lab) { l.flag(l.here, "Work", 11, "+", `\Seen`) }, false, 0},
		"its owner removed a letter":       {func(l *lab) { l.remove("Work", 11) }, true, 1},
		"its owner put a letter elsewhere": {func(l *lab) { l.do(l.here.Move("INBOX", l.find(l.here, "Work", 11))) }, true, 1},
		"somebody else brought a letter":   {func(l *lab) { l.bring(99) }, true, 0},
		"one came and one went":            {func(l *lab) { l.bring(99); l.remove("Work", 11) }, true, 1},
		"a day went by":                    {func(l *lab) { l.options.Now = func() time.Time { return time.Now().Add(25 * time.Hour) } }, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, labOptions{dest: testbed.DestinationOptions{RawLog: true}})
			l.put("Work", 10, 11, 12)
			l.pass()
			l.put("Work", 13)
			c.meanwhile(l)
			if looked := l.looks(); looked != c.looked {
				t.Errorf("the pass looked into the folder here: %v, want %v", looked, c.looked)
			}
			want := map[string]int{"copied": 4}
			if c.deleted > 0 {
				want = map[string]int{"copied": 4 - c.deleted, "deleted": c.deleted}
			}
			l.wantRows(want)
			if now := l.numbers(l.here, "Work"); !slices.Contains(now, 13) {
				t.Errorf("%v are here, want the new one among them", now)
			}
		})
	}
}

// A letter of somebody else comes while the pass stores one, and its owner removes one of ours: the numbers are those that
// the pass counted.
func TestFolderIsLookedAtWhenALetterCameDuringThePass(t *testing.T) {
	l := newLab(t, labOptions{dest: testbed.DestinationOptions{RawLog: true}})
	l.put("Work", 10, 11, 12)
	brought := false
	l.options.Step = func(_ context.Context, point string) error {
		if point == "record batch" && !brought { // the intent
			brought = true
			l.bring(99)
		}
		return nil
	}
	l.pass()
	l.options.Step = nil
	l.remove("Work", 11)
	l.put("Work", 13)
	if !l.looks() {
		t.Error("the pass did not look into the folder")
	}
	l.wantRows(map[string]int{"copied": 3, "deleted": 1})
	l.wantNumbers("Work", 10, 12, 13, 99)
}

// The rows of a folder that is not worked on may have their places in one that is.
func TestFolderThatHoldsMessagesOfAnotherIsLookedAt(t *testing.T) {
	l := newLab(t, labOptions{dest: testbed.DestinationOptions{RawLog: true}})
	l.put("Work", 10, 11)
	l.put("Old", 20, 21)
	l.mapTo(map[string]string{"Old": "Work"})
	l.pass()
	l.pass() // each of both saved the mark
	l.put("Work", 12)
	if !l.looks() {
		t.Error("the pass did not look into the folder")
	}
	l.wantNumbers("Work", 10, 11, 12, 20, 21)
	l.wantRows(map[string]int{"copied": 5})
}

// looks runs a pass and tells whether it listed a folder here.
func (l *lab) looks() bool {
	l.t.Helper()
	from := l.commands()
	l.pass()
	commands, err := l.dest.Commands()
	l.do(err)
	return slices.ContainsFunc(commands[from:], func(c string) bool { return strings.Contains(c, "UID SEARCH") })
}

func (l *lab) bring(n int) {
	l.t.Helper()
	_, err := l.here.AppendAll("Work", []testbed.Message{{Date: sent, Content: letterN(n)}})
	l.do(err)
}

func (l *lab) remove(folder string, n int) {
	l.t.Helper()
	l.do(l.here.Delete(l.find(l.here, folder, n)))
}

// An owner who opens a large folder for the first time does not wait until Dovecot has moved every new file of it.
func TestFolderThatWasFilledHasBeenOpened(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("Archive", upTo(1, 500)...)
	l.put("Work", 501)
	l.pass()
	for folder, want := range map[string]string{"Archive": "* 0 RECENT", "Work": "* 1 RECENT"} {
		lines, err := l.here.Command("SELECT %s", folder)
		l.do(err)
		if !slices.ContainsFunc(lines, func(line testbed.Line) bool { return line.String() == want }) {
			t.Errorf("%s is opened with %q, want %q", folder, lines, want)
		}
	}
	l.put("Archive", upTo(502, 1100)...)
	l.pass()
	lines, err := l.here.Command("SELECT Archive")
	l.do(err)
	if !slices.ContainsFunc(lines, func(line testbed.Line) bool { return line.String() == "* 599 RECENT" }) {
		t.Errorf("what came later is not new for its owner: %q", lines)
	}
}
