package mirror_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

// awkward are messages that servers and programs get wrong.
func awkward() []testbed.Message {
	return []testbed.Message{
		{Date: sent, Content: letterN(900), Flags: []string{`\Seen`, `\Answered`, "$Forwarded", "work"}},
		{Date: sent, Content: letterN(901), Flags: []string{`\Flagged`, `\Draft`}},
		{Date: time.Date(1999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -7*3600)), Content: letterN(902)},
		{Date: sent, Content: []byte("Subject: letter 903\r\nFrom: \xe9t\xe9 <a@b>\r\n\r\n8-bit header \xff\r\n")},
		{Date: sent, Content: []byte("no header at all\r\n")},
		{Date: sent, Content: []byte("\r\nonly a body\r\n")},
		{Date: sent, Content: []byte("Subject: letter 904\n\nbare line feeds\n")},
		{Date: sent, Content: []byte("Subject: letter 905\r\n\r\nno final line end")},
		{Date: sent, Content: letterN(906), Flags: []string{"work"}},
		{Date: sent, Content: letterN(906), Flags: []string{"work"}}, // the same again
		{Date: sent, Content: bytes.Replace(letterN(906), []byte("Hello"), []byte("Other"), 1)},
		{Date: sent, Content: letterN(907, slices.Repeat([]string{strings.Repeat("x", 70)}, 40_000)...)}, // 2.9 MB
	}
}

func TestFirstPassBringsEverythingAsItIs(t *testing.T) {
	l := newLab(t, labOptions{source: testbed.SourceOptions{SpecialUse: map[string]string{"Gesendet": `\Sent`}}})
	l.put("INBOX", 1, 2, 3)
	_, err := l.there.AppendAll("INBOX", awkward())
	l.do(err)
	l.put("Work.2024.Bills & Co", 4, 5)
	l.put("Été.日本", 6)
	l.put("Empty")
	l.put("Gesendet", 7)

	result := l.pass()

	want := map[string]string{"INBOX": "INBOX", "Work.2024.Bills & Co": "Work/2024/Bills & Co", "Été.日本": "Été/日本", "Gesendet": "Sent"}
	there, here := l.content(l.there), l.content(l.here)
	for from, to := range want {
		if diff := cmp.Diff(there[from], here[to]); diff != "" {
			t.Errorf("%q and %q differ (-source +destination):\n%s", from, to, diff)
		}
	}
	if len(here) != len(want) {
		t.Errorf("there are %d folders with mail here, want %d", len(here), len(want))
	}
	folders, err := l.here.Folders()
	l.do(err)
	if i := slices.IndexFunc(folders, func(f testbed.FolderInfo) bool { return f.Name == "Empty" }); i < 0 || !folders[i].Subscribed {
		t.Errorf("the empty folder is not here, or not subscribed: %+v", folders)
	}
	if result.Source != 19 || result.New != 19 || result.Appended != 19 || result.Total.Fates[ledger.Copied] != 19 {
		t.Errorf("result: %+v, want 19 messages", result)
	}
}

func TestSecondPassSendsNothingThatChanges(t *testing.T) {
	l := newLab(t, labOptions{source: testbed.SourceOptions{RawLog: true}, dest: testbed.DestinationOptions{RawLog: true}})
	l.put("INBOX", 1, 2, 3)
	l.put("Work", 4)
	l.pass()
	before, err := l.dest.Commands()
	l.do(err)
	atSource, err := l.source.Commands()
	l.do(err)
	result := l.pass()
	after, err := l.dest.Commands()
	l.do(err)
	if sent := changing(after[len(before):]); len(sent) > 0 {
		t.Errorf("the second pass sent %q", sent)
	}
	again, err := l.source.Commands()
	l.do(err)
	for _, c := range again[len(atSource):] {
		if strings.Contains(c, "EXAMINE") || strings.Contains(c, "FETCH") {
			t.Errorf("the second pass opened a folder at the source: %q", c)
		}
	}
	if result.New != 0 || result.Appended != 0 || result.Total.Fates[ledger.Copied] != 4 {
		t.Errorf("result: %+v, want 4 copied before and nothing new", result)
	}
}

func TestSourceIsNeverChanged(t *testing.T) { // L5
	l := newLab(t, labOptions{source: testbed.SourceOptions{RawLog: true}})
	l.put("INBOX", 1, 2, 3)
	before := l.content(l.there)
	own, err := l.source.Commands()
	l.do(err)
	l.pass()
	l.put("INBOX", 4)
	l.pass()
	commands, err := l.source.Commands()
	l.do(err)
	for _, c := range changing(commands[len(own):]) {
		if !strings.Contains(c, "letter 4") && !strings.HasPrefix(c, "t") { // the owner's own commands
			t.Errorf("a pass sent %q to the source", c)
		}
	}
	after := l.content(l.there)
	if diff := cmp.Diff(before["INBOX"], slices.DeleteFunc(after["INBOX"], func(k kept) bool { return !slices.Contains(before["INBOX"], k) })); diff != "" {
		t.Errorf("the source has changed:\n%s", diff)
	}
}

func TestNewMailFollows(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2)
	l.pass()
	l.put("INBOX", 3)
	l.put("New folder", 4)
	result := l.pass()
	l.wantSame()
	if result.New != 2 || result.Appended != 2 {
		t.Errorf("result: %+v, want 2 new messages", result)
	}
}

// flagsOf are the flags of letter n in a folder.
func (l *lab) flagsOf(c *testbed.Client, folder string, n int) string {
	l.t.Helper()
	uid := l.find(c, folder, n)
	lines, err := c.Command("UID FETCH %d (FLAGS)", uid)
	l.do(err)
	flags := slices.DeleteFunc(strings.Fields(between(lines[0].String(), "FLAGS (", ")")), func(f string) bool { return f == `\Recent` })
	slices.Sort(flags)
	return strings.Join(flags, " ")
}

func (l *lab) flag(c *testbed.Client, folder string, n int, change string, flags ...string) {
	l.t.Helper()
	l.do(c.Flag([]uint32{l.find(c, folder, n)}, change, flags...))
}

func TestFlagsMergeThreeWays(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3, 4)
	l.flag(l.there, "INBOX", 3, "+", `\Seen`, "work")
	l.pass()
	l.flag(l.there, "INBOX", 1, "+", `\Seen`, "$Label1") // changed at the source only
	l.flag(l.here, "INBOX", 2, "+", `\Flagged`)          // changed here only
	l.flag(l.there, "INBOX", 3, "-", "work")             // removed at the source, while the owner
	l.flag(l.here, "INBOX", 3, "-", `\Seen`)             // removes another one here
	l.flag(l.there, "INBOX", 4, "+", `\Answered`)        // the same on both sides
	l.flag(l.here, "INBOX", 4, "+", `\Answered`)
	l.flag(l.there, "INBOX", 2, "+", `\Deleted`) // says something about the folder there
	want := map[int]string{1: `$Label1 \Seen`, 2: `\Flagged`, 3: ``, 4: `\Answered`}
	for range 3 { // and they stay so
		l.pass()
		for n, flags := range want {
			if got := l.flagsOf(l.here, "INBOX", n); got != flags {
				t.Errorf("letter %d has %q here, want %q", n, got, flags)
			}
		}
	}
}

func TestBeforeTheSwitchTheSourceIsFollowed(t *testing.T) {
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	l.put("INBOX", 1, 2, 3, 4, 5)
	l.put("Done", 6)
	l.pass()
	l.do(l.there.Delete(l.find(l.there, "INBOX", 1)))
	l.do(l.there.Move("Done", l.find(l.there, "INBOX", 2)))
	l.do(l.dest.Deliver("x@example.net", letterN(70), owner)) // not ours, not touched (L4)
	l.flag(l.here, "INBOX", 3, "+", `\Flagged`)               // changed since
	l.do(l.there.Delete(l.find(l.there, "INBOX", 3)))
	l.pass()
	l.wantNumbers("INBOX", 3, 4, 5, 70)
	l.wantNumbers("Done", 2, 6)
	l.wantRows(map[string]int{"copied": 5, "deleted": 2, "gone": 3})
	l.pass()
	l.wantNumbers("INBOX", 3, 4, 5, 70)
}

func TestAfterTheSwitchNothingIsUndone(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	l.put("Done", 6)
	l.pass()
	l.do(l.there.Delete(l.find(l.there, "INBOX", 1)))
	l.do(l.there.Move("Done", l.find(l.there, "INBOX", 2)))
	l.do(l.here.Delete(l.find(l.here, "INBOX", 3)))
	l.do(l.there.Move("Done", l.find(l.there, "INBOX", 3)))
	l.pass()
	l.pass()
	l.wantNumbers("INBOX", 1, 2)
	l.wantNumbers("Done", 6)
	l.wantRows(map[string]int{"copied": 3, "deleted": 1, "gone": 1})
}

func TestMassDeletionAtTheSourceIsHeldBack(t *testing.T) {
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	var all []int
	for n := range 30 {
		all = append(all, n+1)
	}
	l.put("INBOX", all...)
	l.pass()
	_, err := l.there.Select("INBOX")
	l.do(err)
	uids, err := l.there.Search("ALL")
	l.do(err)
	l.do(l.there.Delete(uids[:25]...))
	result, err := mirror.Pass(l.ctx(), l.options)
	l.do(err)
	if problems := result.Problems(); result.Held != 25 || len(problems) != 1 || !strings.Contains(problems[0].Problem, "25 of 30") {
		t.Errorf("held %d, problems %+v", result.Held, problems)
	}
	l.wantNumbers("INBOX", all...)
	l.options.Policy.MassDeletion = true
	l.pass()
	l.wantNumbers("INBOX", all[25:]...)
}

func TestDirectDeliveryIsNotDoubled(t *testing.T) { // L3
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.pass()
	for n := 10; n < 13; n++ {
		l.put("INBOX", n)
	}
	for n := 10; n < 12; n++ { // 12 reached the source only
		l.do(l.dest.Deliver("bert@example.net", letterN(n), owner))
		l.deliveries.add(int64(n), letterN(n))
	}
	l.do(l.here.Delete(l.find(l.here, "INBOX", 11)))
	l.pass()
	l.wantNumbers("INBOX", 1, 10, 12)
	l.wantRows(map[string]int{"copied": 2, "delivered": 2})
	l.put("INBOX", 10) // its sender sends it again, to the source only
	l.pass()
	l.wantNumbers("INBOX", 1, 10, 10, 12)
}

func TestDirectDeliveryThatTheMilterMissedIsFoundHere(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.pass()
	l.do(l.dest.Deliver("bert@example.net", letterN(10), owner))
	l.put("INBOX", 10)
	l.pass()
	l.wantNumbers("INBOX", 1, 10)
	l.wantRows(map[string]int{"copied": 1, "delivered": 1})
}

func TestLostLedgerDoublesNothing(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	_, err := l.there.AppendAll("INBOX", awkward())
	l.do(err)
	l.put("Work", 4)
	l.pass()
	l.do(l.here.Create("Friends"))
	l.do(l.here.Move("Friends", l.find(l.here, "INBOX", 2)))
	before := l.content(l.here)
	l.openStore(t.TempDir() + "/another.db")
	result := l.pass()
	if diff := cmp.Diff(before, l.content(l.here)); diff != "" {
		t.Errorf("the pass with a new ledger changed the destination:\n%s", diff)
	}
	if result.Appended != 0 {
		t.Errorf("%d messages were appended", result.Appended)
	}
}

func TestUIDValidityChangeAtTheSourceKeepsEverything(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("Work", 1, 2, 2, 3)
	l.flag(l.there, "Work", 1, "+", `\Seen`)
	l.pass()
	l.do(l.here.Delete(l.find(l.here, "Work", 3)))
	l.flag(l.here, "Work", 1, "+", `\Flagged`)
	l.pass()
	l.renumber(l.there, "Work")
	l.put("Work", 5)
	result := l.pass()
	l.wantNumbers("Work", 1, 2, 2, 5)
	if got := l.flagsOf(l.here, "Work", 1); got != `\Flagged \Seen` {
		t.Errorf("letter 1 has %q here", got)
	}
	if result.Appended != 1 {
		t.Errorf("%d messages were appended, want the new one", result.Appended)
	}
	l.wantRows(map[string]int{"copied": 4, "deleted": 1})
}

// renumber gives a folder another UIDVALIDITY and the same messages, as a server that was moved does.
func (l *lab) renumber(c *testbed.Client, folder string) {
	l.t.Helper()
	before, err := c.Examine(folder)
	l.do(err)
	_, err = c.Command(`RENAME "%s" "%s was"`, folder, folder)
	l.do(err)
	deadline := time.Now().Add(time.Minute)
	for { // UIDVALIDITY is made of seconds
		l.do(c.Create(folder))
		status, err := c.Examine(folder)
		l.do(err)
		if status.UIDValidity != before.UIDValidity {
			break
		}
		if time.Now().After(deadline) {
			l.t.Fatal("the folder keeps its UIDVALIDITY")
		}
		_, err = c.Examine("INBOX") // Dovecot disconnects who deletes the folder that is open
		l.do(err)
		_, err = c.Command(`DELETE "%s"`, folder)
		l.do(err)
		time.Sleep(100 * time.Millisecond)
	}
	_, err = c.Select(folder + " was")
	l.do(err)
	l.do(c.Move(folder, uidRange(1, before.UIDNext)...))
	_, err = c.Examine("INBOX")
	l.do(err)
	_, err = c.Command(`DELETE "%s was"`, folder)
	l.do(err)
}

func uidRange(from, to uint32) (all []uint32) {
	for uid := from; uid < to; uid++ {
		all = append(all, uid)
	}
	return all
}

func TestUIDValidityChangeHereRelinks(t *testing.T) { // L3
	l := newLab(t, labOptions{})
	l.put("Work", 1, 2, 3)
	l.pass()
	l.do(l.here.Delete(l.find(l.here, "Work", 2)))
	l.renumber(l.here, "Work")
	result := l.pass()
	l.wantNumbers("Work", 1, 3)
	if result.Appended != 0 {
		t.Errorf("%d messages were appended", result.Appended)
	}
	l.wantRows(map[string]int{"copied": 2, "deleted": 1})
	l.flag(l.there, "Work", 3, "+", `\Seen`)
	l.pass()
	if got := l.flagsOf(l.here, "Work", 3); got != `\Seen` {
		t.Errorf("after relinking letter 3 has %q here, want the source's flag", got)
	}
}

func TestFolderThatItsOwnerDeletedHereStaysDeleted(t *testing.T) { // L3
	l := newLab(t, labOptions{})
	l.put("Work", 1, 2)
	l.pass()
	_, err := l.here.Command(`DELETE "Work"`)
	l.do(err)
	l.pass()
	l.pass()
	folders, err := l.here.Folders()
	l.do(err)
	if slices.ContainsFunc(folders, func(f testbed.FolderInfo) bool { return f.Name == "Work" }) {
		t.Error("the folder is back")
	}
	l.put("Work", 3) // something new comes for it
	l.pass()
	l.wantNumbers("Work", 3)
	l.wantRows(map[string]int{"copied": 1, "deleted": 2})
}

func TestRebuiltIndexAtTheSourceIsComparedInFull(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	for range 10 { // the modseq grows
		l.flag(l.there, "INBOX", 1, "+", `\Flagged`)
		l.flag(l.there, "INBOX", 1, "-", `\Flagged`)
	}
	l.pass()
	l.flag(l.there, "INBOX", 2, "+", `\Seen`)
	l.there.Cut()
	l.do(l.source.Stop())
	files, err := filepath.Glob(filepath.Join(l.source.Home(owner), "Maildir", "dovecot.index*"))
	l.do(err)
	if len(files) == 0 {
		t.Fatal("the source has no index to lose")
	}
	for _, file := range files {
		l.do(os.Remove(file))
	}
	l.do(l.source.Start())
	l.pass()
	if got := l.flagsOf(l.here, "INBOX", 2); got != `\Seen` {
		t.Errorf("letter 2 has %q here, want what was set before the index was rebuilt", got)
	}
	l.wantNumbers("INBOX", 1, 2, 3)
}

// Dovecot counts the owner's own mail programs together with us: with room for two, it lets one of ours in.
func TestSourceWithRoomForOneConnectionIsCopiedWhole(t *testing.T) {
	l := newLab(t, labOptions{source: testbed.SourceOptions{ExtraConfig: "mail_max_userip_connections = 2"}})
	numbers := make([]int, 300)
	for i := range numbers {
		numbers[i] = i
	}
	l.put("INBOX", numbers[:150]...)
	l.put("Old", numbers[150:]...)
	l.options.Pairs, l.options.PairMessages = 4, 100
	result := l.pass()
	if result.Appended != len(numbers) {
		t.Errorf("appended %d", result.Appended)
	}
	l.wantSame()
	refused := slices.DeleteFunc(slices.Clone(result.Oddities), func(o string) bool {
		return !strings.Contains(o, "few-connections: no other one was let in") || !strings.Contains(o, "Maximum number of connections from user+IP exceeded")
	})
	if len(refused) == 0 || len(refused) > 3 {
		t.Errorf("told %q", result.Oddities)
	}
}
