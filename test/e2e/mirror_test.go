package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstork/test/compare"
	"mailstork/test/corpus"
	"mailstork/test/line"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

// compareWithSource fails the test when the two sides of anna's account differ in any folder, message, flag or date.
func compareWithSource(t *testing.T, s *site.Site) {
	t.Helper()
	differences, err := compare.Accounts(sourceOwner(t, s, anna), login(t, s, anna, annaPass), compare.Options{})
	must(t, err)
	if len(differences) > 0 {
		t.Errorf("%d differences between source and destination:\n%s", len(differences), compare.Report(differences, 30))
	}
}

func TestFirstPassCopiesEverythingWithinBoundedMemory(t *testing.T) { // L1, L6
	s := start(t, nil)
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Standard()))
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	compareWithSource(t, s)
	const limit = 100 << 20
	if peak := peakMemory(t, s.PID()); peak > limit {
		t.Errorf("the daemon's peak memory was %d MiB, want at most %d MiB", peak>>20, limit>>20)
	} else {
		t.Logf("the daemon's peak memory was %d MiB", peak>>20)
	}
}

// peakMemory is VmHWM of a process, in octets (proc(5)).
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	must(t, err)
	return kib << 10
}

func TestPassWithoutChangesSendsNoChangingCommandAndDeletedStaysDeleted(t *testing.T) { // L3, L5
	s := start(t, func(o *site.Options) {
		o.Dest.RawLog, o.Source.RawLog = true, true
		o.Config = map[string]map[string]any{"mirror": {"pass_interval_seconds": 3600}}
	})
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	owner := login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	passes(t, s, anna, 1) // what the first pass itself changed is looked at once more

	atSource, err := s.Source.Commands()
	must(t, err)
	here, err := s.Dest.Commands()
	must(t, err)
	passes(t, s, anna, 2)
	checkNoChange(t, "source", s.Source.Commands, len(atSource))
	checkNoChange(t, "destination", s.Dest.Commands, len(here))

	_, err = owner.Select("INBOX")
	must(t, err)
	uids, err := owner.Search("ALL")
	must(t, err)
	must(t, owner.Create("Kept"))
	must(t, owner.Delete(uids[0], uids[3]))
	must(t, owner.Move("Kept", uids[5]))
	passes(t, s, anna, 3)
	status, err := owner.Examine("INBOX")
	must(t, err)
	if want := len(uids) - 3; status.Messages != want {
		t.Errorf("INBOX has %d messages after three passes, want %d", status.Messages, want)
	}
}

func checkNoChange(t *testing.T, side string, commands func() ([]string, error), before int) {
	t.Helper()
	all, err := commands()
	must(t, err)
	if len(all) == before {
		t.Errorf("no command at all reached the %s: the test looks at the wrong place", side)
	}
	for _, command := range all[before:] {
		for _, verb := range []string{"APPEND", "STORE", "EXPUNGE", "COPY", "MOVE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "SELECT"} {
			if words := strings.Fields(strings.ToUpper(command)); len(words) > 1 && (words[1] == verb || len(words) > 2 && words[1] == "UID" && words[2] == verb) {
				t.Errorf("a pass with nothing to do sent %q to the %s", command, side)
			}
		}
	}
}

// Fifty times during the first pass the daemon is killed without warning and started again at once. However fast the
// machine is, the first pass outlasts them: in a life of the daemon each of its two connections to the source brings
// oneLife octets at most, and there are always more than those to be copied, because new mail arrives when there is too
// little. A message that is too large for one life is no part of it.
func TestKilledDaemonLosesNothingAndDoublesNothing(t *testing.T) { // L1, L2
	const (
		kills   = 50
		oneLife = 750 << 10
		enough  = 700 // messages: some 3 MB
	)
	way := line.New(0)
	way.Pace(1200 << 10)
	way.Grant(oneLife)
	s := start(t, func(o *site.Options) { o.Via = way.Open })
	t.Cleanup(way.Close)
	mail := corpus.Standard()
	for i, folder := range mail.Folders {
		mail.Folders[i].Messages = slices.DeleteFunc(folder.Messages, func(m testbed.Message) bool { return len(m.Content) > oneLife/2 })
	}
	must(t, corpus.Seed(s.Source, anna, annaPass, mail))
	total := mail.Messages()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	login(t, s, anna, annaPass)
	var a struct {
		Messages struct{ Accounted int }
	}
	for n := range kills {
		time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond) // a second of it may be the start
		if a, err := s.WaitState(anna, "copying"); err != nil {
			t.Fatalf("kill %d would not hit the first pass: %v (%s)", n+1, err, a.State)
		}
		must(t, s.JSON(&a, "account", "show", anna), s.Kill(syscall.SIGKILL))
		if total-a.Messages.Accounted < enough {
			arrivals := corpus.Arrivals(uint64(n), enough)
			must(t, corpus.Seed(s.Source, anna, annaPass, arrivals))
			total += arrivals.Messages()
		}
		must(t, s.StartDaemon())
	}
	must(t, s.JSON(&a, "account", "show", anna))
	t.Logf("after %d kills %d of %d messages have a fate", kills, a.Messages.Accounted, total)
	if a.Messages.Accounted == 0 {
		t.Error("nothing was copied between the kills: they hit the same moment again and again")
	}
	way.Hurry()
	waitState(t, s, anna, "following")
	passes(t, s, anna, 1)
	compareWithSource(t, s)
}
