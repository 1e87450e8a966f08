package mirror_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

// wipe empties the destination account and begins a new ledger: the next run starts like the first.
func (l *lab) wipe() {
	l.t.Helper()
	l.here.Cut()
	l.do(l.fence(l.ctx()))
	l.do(os.RemoveAll(l.dest.Home(owner)))
	l.openStore(filepath.Join(l.t.TempDir(), "ledger.db"))
	l.here = l.login(l.dest, "new")
}

// untilDone repeats the pass at once, as a service that restarts does, until it ends well.
func (l *lab) untilDone() (passes int) {
	l.t.Helper()
	for passes = 1; passes <= 6; passes++ {
		result, err := mirror.Pass(l.ctx(), l.options)
		if err == nil && len(result.Problems()) == 0 {
			return passes
		}
		var known *mirror.Error
		if err != nil && (!errors.As(err, &known) || known.Next != mirror.RetryLater) {
			l.t.Fatalf("pass: %v, want an error to retry", err)
		}
	}
	l.t.Fatalf("after %d passes the account is still not in sync", passes)
	return passes
}

// everyNth thins the fault matrices of the everyday tests (-short); make e2e runs them whole.
func everyNth() int64 {
	if testing.Short() {
		return 5
	}
	return 1
}

// TestCutsLoseNothingAndDoubleNothing cuts the connection to a real Dovecot at every command and literal of a first
// pass, each in every way, and goes on at once. (L1, L2)
func TestCutsLoseNothingAndDoubleNothing(t *testing.T) {
	l := newLab(t, labOptions{})
	var all []int
	for n := range 130 { // two batches
		all = append(all, n+1)
	}
	l.put("INBOX", all...)
	l.put("Work", 1, 1, 2) // equal messages
	want := l.content(l.there)
	p := newProxy(t, l.dest.IMAPAddress, rules{})
	l.options.Destination = l.to(p.address())
	l.options.Pairs = 1

	l.pass()
	sparse := everyNth()
	commands, literals := p.commands.Load(), p.literals.Load()
	if commands < 8 || literals != 133 {
		t.Fatalf("a clean pass has %d commands and %d literals", commands, literals)
	}
	faults, passes := 0, 0
	for _, at := range []cutAt{beforeRequest, afterRequest, replyLost, midLiteral} {
		count, step := commands, int64(1)
		switch at {
		case beforeRequest: // nothing is in doubt: fewer are enough
			step = 3
		case midLiteral:
			count, step = literals, 29
		}
		step *= sparse
		for n := int64(1); n <= count; n += step {
			l.wipe()
			p.arm(at, n)
			passes += l.untilDone()
			if p.fired.Load() {
				faults++
			}
			if diff := cmp.Diff(want, l.content(l.here)); diff != "" {
				t.Fatalf("after a cut %s %d source and destination differ (-source +destination):\n%s", at, n, diff)
			}
			l.wantRows(map[string]int{"copied": 133})
			found, err := l.ledger.CheckSettled(l.ctx(), l.account.ID)
			if err != nil || len(found) > 0 {
				t.Fatalf("after a cut %s %d: %v %v", at, n, found, err)
			}
			p.arm(never, 0)
			if again := l.pass(); again.Appended != 0 {
				t.Fatalf("after a cut %s %d and recovery a further pass appended %d messages", at, n, again.Appended)
			}
		}
	}
	t.Logf("%d cuts, %d passes", faults, passes)
	if faults < 20/int(sparse) {
		t.Errorf("only %d cuts happened", faults)
	}
}

// TestSourceCutsLoseNothingAndDoubleNothing does the same on the other side: at every command, and in bodies.
func TestSourceCutsLoseNothingAndDoubleNothing(t *testing.T) {
	l := newLab(t, labOptions{})
	var all []int
	for n := range 130 {
		all = append(all, n+1)
	}
	l.put("INBOX", all...)
	l.put("Work", 1, 1, 2)
	want := l.content(l.there)
	p := newProxy(t, l.source.IMAPAddress, rules{})
	l.options.Source.Server = endpoint(t, p.address())
	l.options.Pairs = 1
	l.pass()
	commands, sparse := p.commands.Load(), everyNth()
	for _, at := range []cutAt{beforeRequest, replyLost, midReply} {
		count, step := commands-1, int64(1) // nobody waits for the answer to the last, LOGOUT
		switch at {
		case beforeRequest:
			step = 3
		case midReply:
			count, step = 133, 31
		}
		step *= sparse
		for n := int64(1); n <= count; n += step {
			l.wipe()
			p.arm(at, n)
			l.untilDone()
			if !p.fired.Load() {
				t.Errorf("no cut happened %s %d", at, n)
			}
			if diff := cmp.Diff(want, l.content(l.here)); diff != "" {
				t.Fatalf("after a cut %s %d source and destination differ (-source +destination):\n%s", at, n, diff)
			}
			l.wantRows(map[string]int{"copied": 133})
		}
	}
}

// TestStopsAtEveryStep stops a pass before every durable write and every changing call, as a crash would. (L1, L2)
func TestStopsAtEveryStep(t *testing.T) {
	l := newLab(t, labOptions{})
	var all []int
	for n := range 110 {
		all = append(all, n+1)
	}
	l.put("INBOX", all...)
	l.put("Work", 1, 1)
	want := l.content(l.there)
	l.options.Pairs = 1
	crash := errors.New("crash")
	for stop := 1; ; stop += int(everyNth()) {
		steps := 0
		l.options.Step = func(_ context.Context, point string) error {
			if point == "add" { // a message in a batch that was not sent is no step
				return nil
			}
			if steps++; steps >= stop {
				return crash
			}
			return nil
		}
		_, err := mirror.Pass(l.ctx(), l.options)
		l.options.Step = nil
		if err == nil {
			t.Logf("%d steps", stop-1)
			if stop < 10 {
				t.Errorf("a pass had only %d steps", stop-1)
			}
			return
		}
		if !errors.Is(err, crash) {
			t.Fatal(err)
		}
		l.untilDone()
		if diff := cmp.Diff(want, l.content(l.here)); diff != "" {
			t.Fatalf("after a stop at step %d source and destination differ (-source +destination):\n%s", stop, diff)
		}
		l.wantRows(map[string]int{"copied": 112})
		l.wipe()
	}
}

// inDoubt runs a pass whose APPEND lands while its reply is lost.
func (l *lab) inDoubt() {
	l.t.Helper()
	p := newProxy(l.t, l.dest.IMAPAddress, rules{counts: func(command string) bool { return strings.HasPrefix(command, "APPEND") }})
	l.options.Destination = l.to(p.address())
	p.arm(replyLost, 1)
	_, err := mirror.Pass(l.ctx(), l.options)
	var known *mirror.Error
	if !errors.As(err, &known) || known.Next != mirror.RetryLater || !p.fired.Load() {
		l.t.Fatalf("the pass with a lost reply ended in %v", err)
	}
	l.do(l.fence(l.ctx()))
}

func TestInDoubtAndStillHereIsConfirmed(t *testing.T) { // L2
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2)
	l.inDoubt()
	l.wantRows(map[string]int{"intended": 2})
	l.wantNumbers("INBOX", 1, 2)
	l.pass()
	l.wantNumbers("INBOX", 1, 2)
	l.wantRows(map[string]int{"copied": 2})
}

func TestInDoubtAndDeletedByItsOwnerIsParked(t *testing.T) { // L3
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.inDoubt()
	l.do(l.here.Delete(l.find(l.here, "INBOX", 1)))
	for range 3 {
		l.pass()
		l.wantNumbers("INBOX")
	}
	l.wantRows(map[string]int{"parked": 1})
	exceptions, err := l.ledger.Exceptions(l.ctx(), l.account.ID)
	if err != nil || len(exceptions) != 1 || exceptions[0].Stage != ledger.Parked || !strings.Contains(exceptions[0].Reason, "not copied again") {
		t.Errorf("the parked message is reported as %+v %v", exceptions, err)
	}
}

func TestInDoubtBatchThatNeverLandedIsCopied(t *testing.T) { // L1
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	crash := errors.New("crash")
	l.options.Step = func(_ context.Context, point string) error {
		if point == "send" {
			return crash
		}
		return nil
	}
	if _, err := mirror.Pass(l.ctx(), l.options); !errors.Is(err, crash) {
		t.Fatal(err)
	}
	l.options.Step = nil
	l.wantRows(map[string]int{"intended": 3})
	l.do(l.dest.Deliver("x@example.net", letterN(70), owner)) // somebody else's message in the range,
	l.do(l.dest.Deliver("x@example.net", letterN(71), owner)) // and one that came and went
	l.do(l.here.Delete(l.find(l.here, "INBOX", 71)))
	l.pass()
	l.wantNumbers("INBOX", 1, 2, 3, 70)
}

func TestNothingIsSettledBeforeTheFence(t *testing.T) { // L2
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.inDoubt()
	stuck := errors.New("a session is still there")
	l.options.Fence = func(context.Context) error { return stuck }
	if _, err := mirror.Pass(l.ctx(), l.options); !errors.Is(err, stuck) {
		t.Errorf("the pass ended in %v, want the fence's error", err)
	}
	l.wantRows(map[string]int{"intended": 1})
	l.options.Fence = l.fence
	l.pass()
	l.wantNumbers("INBOX", 1)
}

func TestLostLeaseStopsThePassBeforeItSends(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2)
	l.options.Lease = ledger.Lease{Owner: "another", Epoch: 7}
	_, err := mirror.Pass(l.ctx(), l.options)
	if !errors.Is(err, ledger.ErrLeaseLost) {
		t.Errorf("got %v, want ErrLeaseLost", err)
	}
	l.wantNumbers("INBOX")
}

// TestFullAccountStopsCleanlyAndResumes is about a Dovecot that does not tell its quota before it is asked to append.
func TestFullAccountStopsCleanlyAndResumes(t *testing.T) {
	for name, octets := range map[string]int{"a batch of small messages": 3 << 10, "a message that asks before its body is sent": 2 << 20} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, labOptions{dest: testbed.DestinationOptions{ExtraConfig: "protocol imap {\n  mail_plugins = quota\n}\n"}})
			line := strings.Repeat("x", 62)
			for n := range 60 {
				size := octets
				if octets > 1<<20 && n > 0 {
					size = 0
				}
				_, err := l.there.Append("INBOX", nil, sent, letterN(n+1, slices.Repeat([]string{line}, size/64)...))
				l.do(err)
			}
			l.put("Work", 100)
			l.quota("100")
			_, err := mirror.Pass(l.ctx(), l.options)
			var known *mirror.Error
			if !errors.As(err, &known) || known.Next != mirror.OperatorMustAct || known.Reach != mirror.ReachAccount ||
				!strings.Contains(known.Answer, "OVERQUOTA") || known.Hint == "" {
				t.Fatalf("got %#v, want a full account, the server's answer and a hint", err)
			}
			if found := l.rows()["intended"]; found > 0 {
				t.Errorf("%d messages are left in doubt by an answer", found)
			}
			l.quota("102400")
			l.untilDone()
			l.wantSame()
		})
	}
}

// quota limits the account here, and returns when Dovecot knows it.
func (l *lab) quota(kilobytes string) {
	l.t.Helper()
	l.do(l.dest.AddAccount(owner, "new", l.dest.QuotaField(kilobytes+"k")))
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := l.dest.Doveadm("-f", "tab", "quota", "get", "-u", owner)
		l.do(err)
		if strings.Contains(out, "\t"+kilobytes+"\t") {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("the quota does not change: %s", out)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestMessageThatDovecotRefusesIsKeptAndHoldsUpNobody(t *testing.T) {
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	l.put("INBOX", 1, 2)
	// Dovecot can't append a message without octets, but a source that has one is easily made.
	l.emptyMessage()
	l.put("INBOX", 3)
	result := l.pass()
	l.wantNumbers("INBOX", 1, 2, 3)
	if result.Total.Fates[ledger.Refused] != 1 || result.Total.Fates[ledger.Copied] != 3 {
		t.Errorf("fates: %v, want one refused and three copied", result.Total.Fates)
	}
	exceptions, err := l.ledger.Exceptions(l.ctx(), l.account.ID)
	l.do(err)
	if len(exceptions) != 1 || exceptions[0].Reason == "" {
		t.Fatalf("exceptions: %+v, want the refused message with its reason", exceptions)
	}
	info, err := os.Stat(exceptions[0].KeptFile)
	if err != nil || info.Size() != 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("its bytes are kept as %v %v, want an empty private file", info, err)
	}
	if again := l.pass(); again.New != 0 {
		t.Errorf("a further pass saw %d new messages", again.New)
	}
}

// emptyMessage puts a file of no octets into the source's inbox.
func (l *lab) emptyMessage() {
	l.t.Helper()
	box := filepath.Join(l.source.Home(owner), "Maildir", "cur")
	path := filepath.Join(box, "1500000000.M1P1.lab,S=0,W=0:2,")
	l.do(os.WriteFile(path, nil, 0o600))
	info, err := os.Stat(box)
	l.do(err)
	l.do(chownLike(path, info))
	status, err := l.there.Examine("INBOX")
	l.do(err)
	if status.Messages == 0 {
		l.t.Fatal("the source has no messages")
	}
}

func TestRefusedBatchCostsOnlyTheMessageThatIsRefused(t *testing.T) { // L6
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3, 4)
	l.flag(l.there, "INBOX", 2, "+", "poison", `\Seen`)
	p := newProxy(t, l.dest.IMAPAddress, rules{refuse: func(command string) string {
		if strings.HasPrefix(command, "APPEND") && strings.Contains(command, "poison") {
			return "NO [CANNOT] This keyword is not liked here"
		}
		return ""
	}})
	l.options.Destination = l.to(p.address())
	l.pass()
	l.wantNumbers("INBOX", 1, 2, 3, 4)
	l.wantRows(map[string]int{"copied": 4})
	if got := l.flagsOf(l.here, "INBOX", 2); got != `\Seen` {
		t.Errorf("the message has %q here, want the flags that can be kept", got)
	}
	exceptions, err := l.ledger.Exceptions(l.ctx(), l.account.ID)
	if err != nil || len(exceptions) != 1 || exceptions[0].Reason != "not kept here: its keywords" {
		t.Errorf("exceptions: %+v %v, want the message with what was not kept", exceptions, err)
	}
	if left, err := filepath.Glob(l.options.KeepDir + "/*"); err != nil || len(left) > 0 {
		t.Errorf("%q is left of the tries", left)
	}
}

func TestMessageThatIsRefusedForNowIsTriedByTheNextPass(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2)
	l.put("Work", 3)
	p := newProxy(t, l.dest.IMAPAddress, rules{refuse: func(command string) string {
		if strings.HasPrefix(command, "APPEND INBOX") || strings.HasPrefix(command, `APPEND "INBOX"`) {
			return "NO [SERVERBUG] Internal error occurred"
		}
		return ""
	}})
	l.options.Destination = l.to(p.address())
	result, err := mirror.Pass(l.ctx(), l.options)
	l.do(err)
	if problems := result.Problems(); len(problems) != 1 || problems[0].Name != "INBOX" || result.Total.Fates[ledger.Refused] > 0 {
		t.Errorf("problems %+v, fates %v, want INBOX left for later and nothing refused for good", problems, result.Total.Fates)
	}
	l.wantNumbers("Work", 3)
	l.options.Destination = l.to(l.dest.IMAPAddress)
	l.pass()
	l.wantSame()
}

func TestMessageDeletedAtTheSourceWhileItIsCopiedNeedsNoRow(t *testing.T) { // L1
	l := newLab(t, labOptions{})
	var all []int
	for n := range 40 {
		all = append(all, n+1)
	}
	l.put("Archive", all...)
	last := l.find(l.there, "Archive", 40)
	var deleted sync.Once
	l.options.Progress = func(now mirror.Progress) {
		if now.Phase == "copying" { // it was listed, and is asked for next
			deleted.Do(func() { l.do(l.there.Delete(last)) })
		}
	}
	l.options.Pairs = 1
	l.pass() // with the ledger checker
	l.options.Progress = nil
	l.wantNumbers("Archive", all[:39]...)
	l.pass()
	l.wantRows(map[string]int{"copied": 39})
}

func TestMissingAppendUIDIsSettledByDigest(t *testing.T) { // L2
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 1, 2)
	p := newProxy(t, l.dest.IMAPAddress, rules{rewrite: func(reply string) string {
		if before, rest, found := strings.Cut(reply, "[APPENDUID "); found {
			_, after, _ := strings.Cut(rest, "] ")
			return before + after
		}
		return reply
	}})
	l.options.Destination = l.to(p.address())
	l.pass()
	l.pass()
	l.wantSame()
	l.wantRows(map[string]int{"copied": 3})
}

// What arrived in doubt is not in our count of a folder. A removal by its owner must not make that count right.
func TestRemovalAfterADoubtIsSeen(t *testing.T) { // L3
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	var silent atomic.Bool
	p := newProxy(t, l.dest.IMAPAddress, rules{rewrite: func(reply string) string {
		if before, rest, found := strings.Cut(reply, "[APPENDUID "); found && silent.CompareAndSwap(false, true) {
			_, after, _ := strings.Cut(rest, "] ")
			return before + after
		}
		return reply
	}})
	l.options.Destination, l.options.Batch, l.options.Pairs = l.to(p.address()), 1, 1
	l.pass()
	if !silent.Load() {
		t.Fatal("nothing was in doubt")
	}
	l.do(l.here.Delete(l.find(l.here, "INBOX", 2)))
	l.pass()
	l.wantRows(map[string]int{"copied": 2, "deleted": 1})
	l.wantNumbers("INBOX", 1, 3)
}
