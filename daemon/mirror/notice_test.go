package mirror_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

// plain is a notice in few words.
type plain struct{}

func (plain) Letter(revision int, s mirror.Standing) ([]byte, error) {
	return fmt.Appendf(nil, "From: postmaster@example.org\r\nTo: %s\r\nSubject: notice %d\r\nMessage-ID: <notice.%d@example.org>\r\n\r\n%d of %d, %d left out, %d of %d folders to come, complete: %v\r\n",
		owner, revision, revision, s.Copied, s.Messages, s.LeftOut, s.FoldersLeft, s.Folders, s.Complete), nil
}

func (plain) Revision(id string) (revision int, ours bool) {
	_, err := fmt.Sscanf(id, "<notice.%d@example.org>", &revision)
	return revision, err == nil
}

// welcomed is an account with 42 letters, whose owner sees the newest 8 first, and is told.
func welcomed(t *testing.T, dest testbed.DestinationOptions) *lab {
	l := early(t, dest)
	l.options.Notice, l.options.Welcome = plain{}, true
	return l
}

// sighting is a notice as its owner sees it.
type sighting struct {
	Folder, Subject, Text, Flags string
	uid                          uint32
}

// notices are all that are here, in any folder.
func (l *lab) notices() (all []sighting) {
	l.t.Helper()
	folders, err := l.here.Folders()
	l.do(err)
	for _, f := range folders {
		if !f.Holds() {
			continue
		}
		status, err := l.here.Examine(f.Name)
		l.do(err)
		if status.Messages == 0 {
			continue
		}
		uids, err := l.here.Search("HEADER Message-ID <notice.")
		l.do(err)
		for _, uid := range uids {
			lines, err := l.here.Command("UID FETCH %d (FLAGS BODY.PEEK[])", uid)
			l.do(err)
			tokens, err := lines[0].Tokens()
			l.do(err)
			one := sighting{Folder: f.Name, uid: uid}
			for items := tokens[2].List; len(items) > 1; items = items[2:] {
				if items[0].Text == "BODY[]" {
					one.Subject = between(items[1].Text, "Subject: ", "\r\n")
					one.Text = strings.TrimSpace(between(items[1].Text, "\r\n\r\n", "\r\n"))
				}
			}
			flags := slices.DeleteFunc(strings.Fields(between(lines[0].String(), "FLAGS (", ")")), func(f string) bool { return f == `\Recent` })
			slices.Sort(flags)
			one.Flags = strings.Join(flags, " ")
			all = append(all, one)
		}
	}
	return all
}

const allHere = "42 of 42, 0 left out, 0 of 2 folders to come, complete: true"

// wantNotice wants exactly one, in the inbox, with this text.
func (l *lab) wantNotice(text, flags string) sighting {
	l.t.Helper()
	all := l.notices()
	if len(all) != 1 || all[0].Folder != "INBOX" || all[0].Text != text || all[0].Flags != flags {
		l.t.Fatalf("got the notices %+v, want one in the inbox that says %q, with the flags %q", all, text, flags)
	}
	return all[0]
}

func (l *lab) wantNoNotice() {
	l.t.Helper()
	if all := l.notices(); len(all) > 0 {
		l.t.Fatalf("got the notices %+v, want none", all)
	}
}

// wantSameButNotice is wantSame, and leaves out the notice of the inbox.
func (l *lab) wantSameButNotice() {
	l.t.Helper()
	here := l.content(l.here)
	_, err := l.here.Examine("INBOX")
	l.do(err)
	notices, err := l.here.Search("HEADER Message-ID <notice.")
	l.do(err)
	for _, uid := range notices {
		lines, err := l.here.CommandStream(fmt.Sprintf("UID FETCH %d (UID BODY.PEEK[])", uid), digestLiteral)
		l.do(err)
		sum := between(lines[0].String(), `BODY[] "`, `"`)
		here["INBOX"] = slices.DeleteFunc(here["INBOX"], func(k kept) bool { return k.Digest == sum })
	}
	if diff := cmp.Diff(l.content(l.there), here); diff != "" {
		l.t.Errorf("source and destination differ (-source +destination):\n%s", diff)
	}
}

func TestNoticeIsOneLetterAtEveryMomentAndEndsWithTheLastText(t *testing.T) {
	l := welcomed(t, testbed.DestinationOptions{RawLog: true})
	var seen []string
	replacing := false
	l.options.Step = func(_ context.Context, point string) error {
		if replacing = replacing || point == "record notice intended"; point == "record notice" {
			replacing = false
		}
		now := l.notices()
		if len(now) > 2 || len(now) == 2 && !replacing {
			t.Errorf("before %q there are %+v", point, now)
		}
		for _, one := range now {
			if !slices.Contains(seen, one.Text) {
				seen = append(seen, one.Text)
			}
		}
		return nil
	}
	l.pass()
	l.options.Step = nil
	if want := []string{"8 of 42, 0 left out, 2 of 2 folders to come, complete: false", allHere}; !slices.Equal(seen, want) {
		t.Errorf("its owner saw %q, want %q", seen, want)
	}
	last := l.wantNotice(allHere, "")
	if status, err := l.here.Examine("INBOX"); err != nil || last.uid != uint32(status.UIDNext)-1 {
		t.Errorf("it has UID %d, and is not the last before %d", last.uid, status.UIDNext)
	}
	l.wantSameButNotice()
	l.wantRows(map[string]int{"copied": 42})
	before := l.commands()
	l.pass()
	commands, err := l.dest.Commands()
	l.do(err)
	for _, c := range commands[before:] {
		if !strings.Contains(c, "LIST") && !strings.Contains(c, "LOGOUT") && !strings.Contains(c, "ENABLE") && !strings.Contains(c, "NAMESPACE") && !strings.Contains(c, "CAPABILITY") {
			t.Errorf("a pass that has nothing to do sent %q", c)
		}
	}
	l.wantNotice(allHere, "")
	report, err := mirror.Verify(l.ctx(), l.options, mirror.VerifyOptions{})
	if err != nil || report.HereOnly != 0 || report.Twice != 0 || len(report.Unexplained()) > 0 {
		t.Errorf("verification: %d here only, %d twice, %q, %v", report.HereOnly, report.Twice, report.Unexplained(), err)
	}
}

func TestNoticeTellsOfProgressWhileMessagesAreCopied(t *testing.T) {
	l := welcomed(t, testbed.DestinationOptions{})
	l.options.NoticeEvery = 1
	var seen []string
	l.options.Step = func(_ context.Context, point string) error {
		for _, one := range l.notices() {
			if !slices.Contains(seen, one.Text) {
				seen = append(seen, one.Text)
			}
		}
		return nil
	}
	l.pass()
	l.options.Step = nil
	want := []string{"8 of 42, 0 left out, 2 of 2 folders to come, complete: false", "40 of 42, 0 left out, 1 of 2 folders to come, complete: false", allHere}
	if !slices.Equal(seen, want) {
		t.Errorf("its owner saw %q, want %q", seen, want)
	}
	l.wantSameButNotice()
}

func TestNobodyIsToldWhoIsNotToBe(t *testing.T) {
	l := welcomed(t, testbed.DestinationOptions{})
	l.options.Welcome = false
	l.pass()
	l.wantNoNotice()
	l.wantSame()
}

// An account that was copied before its owner came is all here when he comes.
func TestWhoComesWhenAllIsHereIsToldSoAtOnceAndNothingIsListedForIt(t *testing.T) {
	l := welcomed(t, testbed.DestinationOptions{RawLog: true})
	l.options.Welcome = false
	l.pass()
	l.options.Welcome = true
	before := l.commands()
	l.pass()
	l.wantNotice(allHere, "")
	l.here.Cut()
	l.do(l.fence(l.ctx()))
	commands, err := l.dest.Commands()
	l.do(err)
	appends := slices.IndexFunc(commands[before:], func(c string) bool { return strings.Contains(c, " APPEND ") })
	if appends < 0 {
		t.Fatalf("no APPEND in %q", commands[before:])
	}
	l.here = l.login(l.dest, "new")
	before = l.commands()
	l.pass()
	commands, err = l.dest.Commands()
	l.do(err)
	for _, c := range commands[before:] {
		if strings.Contains(c, "EXAMINE") || strings.Contains(c, "SELECT") {
			t.Errorf("the pass after the notice sent %q", c)
		}
	}
}

func TestNoticeThatItsOwnerRemovedNeverComesBack(t *testing.T) { // L3
	for name, act := range map[string]func(l *lab, uid uint32) (left int){
		"deletes it": func(l *lab, uid uint32) int { l.do(l.here.Delete(uid)); return 0 },
		"moves it": func(l *lab, uid uint32) int {
			l.do(l.here.Create("Kept"))
			l.do(l.here.Move("Kept", uid))
			return 1
		},
		"marks it as deleted": func(l *lab, uid uint32) int { l.do(l.here.Flag([]uint32{uid}, "+", `\Deleted`)); return 1 },
	} {
		t.Run(name, func(t *testing.T) {
			l := welcomed(t, testbed.DestinationOptions{})
			l.options.NoticeEvery = 1
			l.stopAt("record refile")
			one := l.notices()
			if len(one) != 1 {
				t.Fatalf("got %+v", one)
			}
			_, err := l.here.Select("INBOX")
			l.do(err)
			left := act(l, one[0].uid)
			for range 3 {
				l.pass()
				l.put("INBOX", 60+len(l.numbers(l.there, "INBOX")))
			}
			if now := l.notices(); len(now) != left || left == 1 && now[0].Text != one[0].Text {
				t.Errorf("got %+v, want %d as it was", now, left)
			}
		})
	}
}

func TestWhatItsOwnerMarkedOnTheNoticeGoesAlong(t *testing.T) {
	l := welcomed(t, testbed.DestinationOptions{})
	l.stopAt("record refile")
	one := l.notices()
	_, err := l.here.Select("INBOX")
	l.do(err)
	l.do(l.here.Flag([]uint32{one[0].uid}, "+", `\Seen`, `\Flagged`, "later"))
	l.pass()
	l.wantNotice(allHere, `\Flagged \Seen later`)
}

// stopAtStep runs a pass that ends before its n-th step; false: it has fewer.
func (l *lab) stopAtStep(n int) (point string, stopped bool) {
	l.t.Helper()
	here := errors.New("here")
	steps := 0
	l.options.Step = func(_ context.Context, p string) error {
		if steps++; steps == n {
			point = p
			return here
		}
		return nil
	}
	_, err := mirror.Pass(l.ctx(), l.options)
	l.options.Step = nil
	if err != nil && point == "" { // a connection that was ended with an answer on its way says that first
		l.t.Fatal(err)
	}
	return point, err != nil
}

// A process that ends at any step, twice in a row, leaves one notice; and none where its owner removed it meanwhile.
func TestStopsAtEveryStepLeaveOneNoticeOrNoneThatWasRemoved(t *testing.T) { // L1, L2, L3
	l := welcomed(t, testbed.DestinationOptions{})
	every := int(everyNth())
	for n := 1; ; n += every {
		point, stopped := l.stopAtStep(n)
		if !stopped {
			if n < 30/every {
				t.Fatalf("only %d steps", n)
			}
			break
		}
		l.stopAtStep(2)
		l.untilDone()
		if all := l.notices(); len(all) != 1 || all[0].Text != allHere {
			t.Fatalf("after a stop at step %d, before %q: %+v", n, point, all)
		}
		l.wantSameButNotice()
		l.wantRows(map[string]int{"copied": 42})
		l.wipe()

		l.stopAtStep(n)
		l.do(l.fence(l.ctx())) // what is still under way arrives, so that its owner deletes what there will be
		before := l.notices()
		_, err := l.here.Select("INBOX")
		l.do(err)
		for _, one := range before {
			l.do(l.here.Delete(one.uid))
		}
		l.untilDone()
		if all := l.notices(); len(before) > 0 && len(all) > 0 {
			t.Fatalf("after a stop at step %d, before %q, its owner deleted %+v, and got %+v", n, point, before, all)
		}
		l.wantSameButNotice()
		l.wantRows(map[string]int{"copied": 42})
		l.wipe()
	}
}

func TestCutsAroundTheNoticeLeaveOne(t *testing.T) { // L2
	l := welcomed(t, testbed.DestinationOptions{})
	p := newProxy(t, l.dest.IMAPAddress, rules{counts: func(c string) bool {
		return strings.HasPrefix(c, "APPEND") || strings.HasPrefix(c, "UID STORE") || strings.HasPrefix(c, "UID EXPUNGE")
	}})
	l.options.Destination = l.to(p.address())
	for _, at := range []cutAt{beforeRequest, afterRequest, replyLost} {
		for n := int64(1); n <= 9; n++ {
			p.arm(at, n)
			l.untilDone()
			if !p.fired.Load() {
				t.Errorf("no cut happened %s %d", at, n)
			}
			if all := l.notices(); len(all) != 1 || all[0].Text != allHere {
				t.Fatalf("after a cut %s %d: %+v", at, n, all)
			}
			l.wantSameButNotice()
			l.wantRows(map[string]int{"copied": 42})
			l.wipe()
		}
	}
}

func TestNoticeIsFoundAgainWhereItsNumberIsLost(t *testing.T) {
	t.Run("a new UIDVALIDITY", func(t *testing.T) {
		l := welcomed(t, testbed.DestinationOptions{})
		l.stopAt("record refile")
		l.renumberInbox()
		l.pass()
		l.wantNotice(allHere, "")
		l.wantSameButNotice()
	})
	t.Run("a new ledger", func(t *testing.T) {
		l := welcomed(t, testbed.DestinationOptions{})
		l.stopAt("record refile")
		l.do(l.fence(l.ctx()))
		l.openStore(filepath.Join(l.t.TempDir(), "ledger.db"))
		l.pass()
		l.wantNotice(allHere, "")
	})
}

// renumberInbox lets Dovecot lose what it knows of the inbox here.
func (l *lab) renumberInbox() {
	l.t.Helper()
	l.here.Cut()
	l.do(l.fence(l.ctx()))
	for _, pattern := range []string{"dovecot-uidlist", "dovecot.index*", "dovecot.list.index*"} {
		files, err := filepath.Glob(filepath.Join(l.dest.Home(owner), "Maildir", pattern))
		l.do(err)
		for _, file := range files {
			l.do(os.Remove(file))
		}
	}
	l.here = l.login(l.dest, "new")
}

func TestServerThatRefusesTheNoticeHoldsUpNothing(t *testing.T) {
	l := welcomed(t, testbed.DestinationOptions{})
	l.options.Welcome = false
	l.pass()
	l.options.Welcome = true
	p := newProxy(t, l.dest.IMAPAddress, rules{refuse: func(c string) string {
		if strings.HasPrefix(c, "APPEND") {
			return "NO [OVERQUOTA] Quota exceeded"
		}
		return ""
	}})
	direct := l.options.Destination
	l.options.Destination = l.to(p.address())
	if result := l.pass(); !slices.ContainsFunc(result.Oddities, func(o string) bool { return strings.Contains(o, "notice") }) {
		t.Errorf("nobody is told: %q", result.Oddities)
	}
	l.wantNoNotice()
	l.options.Destination = direct
	l.pass()
	l.wantNotice(allHere, "")
}

// A letter that vanished while a batch was in doubt would park the batch; the notice is known.
func TestNoticeIsNotTakenForAMessageThatVanished(t *testing.T) {
	l := welcomed(t, testbed.DestinationOptions{})
	l.options.NoticeEvery = time.Nanosecond
	l.stopAt("send")
	l.stopAt("wait")
	l.untilDone()
	l.wantNotice(allHere, "")
	l.wantRows(map[string]int{"copied": 42})
}

// Whoever waits for the account is told beside the inbox, where nothing is written.
func TestHowFarItIsIsToldAtTheBeginningNowAndThenAndAtTheEnd(t *testing.T) {
	for _, every := range []time.Duration{time.Nanosecond, time.Hour} {
		t.Run(every.String(), func(t *testing.T) {
			l := early(t, testbed.DestinationOptions{})
			var all []mirror.Standing
			l.options.Pairs, l.options.Batch, l.options.Newest = 1, 5, 0 // nobody waits for the newest
			l.options.NoticeEvery, l.options.Tell = every, func(s mirror.Standing) { all = append(all, s) }
			l.pass()
			l.wantNoNotice()
			first, last := all[0], all[len(all)-1]
			if first.Complete || first.Messages != 42 || first.Copied >= 42 || !last.Complete || last.Messages != 42 || last.Copied != 42 {
				t.Errorf("got %+v", all)
			}
			if (every == time.Hour) != (len(all) == 2) {
				t.Errorf("it was told %d times: %+v", len(all), all)
			}
		})
	}
}
