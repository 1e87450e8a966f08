package mirror_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

// keyworded are 32 letters, each with a keyword of its own and one that all have.
func keyworded() (all []testbed.Message) {
	for i := range 32 {
		all = append(all, testbed.Message{Date: sent, Content: letterN(i), Flags: []string{fmt.Sprintf("kw%02d", i), "common"}})
	}
	return all
}

func limitsOf(r mirror.Result) string {
	for _, f := range r.Folders {
		if f.Limits != "" {
			return f.Limits
		}
	}
	return ""
}

// TestKeywordsThatMaildirHasNoLetterForAreNamed also measures that these are the ones: Dovecot's index is removed, and
// exactly they are lost.
func TestKeywordsThatMaildirHasNoLetterForAreNamed(t *testing.T) { // L6
	l := newLab(t, labOptions{})
	_, err := l.there.AppendAll("INBOX", keyworded())
	l.do(err)
	l.put("Work", 50)
	result := l.pass()
	if got := limitsOf(result); !strings.Contains(got, "on 7 messages: kw25 (1), kw26 (1)") || !strings.Contains(got, "kw31 (1)") {
		t.Errorf("told %q, want the seven from kw25 on", got)
	}
	l.wantSame() // they are here, for now
	l.put("Work", 51)
	if got := limitsOf(l.pass()); !strings.Contains(got, "kw31") {
		t.Errorf("a later pass tells %q", got)
	}

	l.here.Cut()
	l.do(filepath.Walk(filepath.Dir(l.dest.ConfFile), func(path string, _ os.FileInfo, err error) error {
		if err == nil && strings.HasPrefix(filepath.Base(path), "dovecot.index") {
			return os.Remove(path)
		}
		return nil
	}))
	l.here = l.login(l.dest, "new")
	_, err = l.here.Examine("INBOX")
	l.do(err)
	lost := 0
	for i := range 32 {
		uids, err := l.here.Search(fmt.Sprintf("KEYWORD kw%02d", i))
		l.do(err)
		if len(uids) == 0 {
			lost++
		}
		if (len(uids) == 0) != (i >= 25) {
			t.Errorf("kw%02d is lost: %v", i, len(uids) == 0)
		}
	}
	if lost != 7 {
		t.Errorf("%d keywords were lost with the index, want 7", lost)
	}
}

func TestKeywordsThatFitAreNotMentioned(t *testing.T) {
	l := newLab(t, labOptions{})
	_, err := l.there.AppendAll("INBOX", keyworded()[:25])
	l.do(err)
	if got := limitsOf(l.pass()); got != "" {
		t.Errorf("told %q", got)
	}
	l.do(l.there.Flag([]uint32{l.find(l.there, "INBOX", 1)}, "+", "one-too-many"))
	if got := limitsOf(l.pass()); !strings.Contains(got, "one-too-many (1)") {
		t.Errorf("after one more at the source: told %q", got)
	}
}

func TestWhatCanNotFitIsNotBegunAndSaysHowMuchIsMissing(t *testing.T) { // L1
	l := newLab(t, labOptions{})
	line := strings.Repeat("x", 1022)
	for n := range 6 {
		_, err := l.there.Append("INBOX", nil, sent, letterN(n+1, strings.Split(strings.Repeat(line+" ", 40), " ")...))
		l.do(err)
	}
	l.quota("100")
	_, err := mirror.Pass(l.ctx(), l.options)
	var known *mirror.Error
	if !errors.As(err, &known) || known.Next != mirror.OperatorMustAct || known.Reach != mirror.ReachAccount {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"too small by 141 KiB: 241 KiB are to be copied and 100 KiB are free", `QUOTA "User quota" (STORAGE 0 100)`} {
		if !strings.Contains(known.Error(), want) {
			t.Errorf("told %q, want %q", known.Error(), want)
		}
	}
	if !strings.HasPrefix(known.Hint, "doveadm quota get -u "+owner) {
		t.Errorf("hint %q", known.Hint)
	}
	l.wantNumbers("INBOX")
	l.wantRows(map[string]int{})
	l.quota("1024")
	l.pass()
	l.wantSame()
}

// TestTrashMayHaveALimitOfItsOwn: Dovecot's QUOTA does not tell it, so that only its answers to APPEND count.
func TestTrashMayHaveALimitOfItsOwn(t *testing.T) {
	l := newLab(t, labOptions{dest: testbed.DestinationOptions{Version: testbed.Dovecot23, Quota: "20K", ExtraConfig: "plugin {\n  quota_rule2 = Trash:storage=+500K\n}\n"}})
	l.do(l.there.Create("Trash"))
	_, err := l.there.Append("Trash", nil, sent, letterN(1, strings.Split(strings.Repeat(strings.Repeat("x", 1022)+" ", 40), " ")...))
	l.do(err)
	l.put("INBOX", 2)
	l.pass()
	l.wantNumbers("Trash", 1)
}
