package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/schedule"
)

const privateAllowed = "source: {allow_private_addresses: true}\n"

// work lets the workers run until the test ends.
func (d *Daemon) work(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.workers.Work(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-done) })
}

func TestPauseEndsARunningPassAndResumeStartsOne(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	source, taken := silent(t)
	d.addAccount(t, d.addDomain(t, source, account.Open), anna, account.Copying)
	d.work(t)
	conn := <-taken
	shown, err := d.Act(t.Context(), anna, control.Pause)
	if err != nil || !shown.Paused {
		t.Fatalf("pausing: %+v, %v", shown, err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the paused pass goes on to speak with the source")
	}
	soon(t, func() error {
		if d.progress.of(anna) != nil {
			return errors.New("the pass of a paused account runs")
		}
		return nil
	})
	a := d.read(t, anna)
	if a.State != account.Copying || a.Stuck != "" || !a.Paused {
		t.Errorf("after the pause: %+v, want a paused account with nothing wrong", a)
	}
	d.workers.Wake()
	if _, err := d.Act(t.Context(), anna, control.Sync); err == nil || !strings.Contains(err.Error(), "is paused") {
		t.Errorf("sync of a paused account: %v", err)
	}
	if _, err := d.Act(t.Context(), anna, control.Resume); err != nil {
		t.Fatal(err)
	}
	select {
	case <-taken:
	case <-time.After(10 * time.Second):
		t.Error("no pass began after the account was resumed")
	}
}

// An account may be paused between its claim and the start of its pass.
func TestPassOfAnAccountPausedMeanwhileDoesNotBegin(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	source, taken := silent(t)
	a := d.addAccount(t, d.addDomain(t, source, account.Open), anna, account.Following)
	must(t, d.store.SetPaused(t.Context(), anna, true))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	outcome := d.runPass(ctx, schedule.Lease{AccountID: a.ID}, a)
	if outcome != (schedule.Outcome{}) || len(taken) > 0 {
		t.Errorf("outcome %+v after %d connections, want none", outcome, len(taken))
	}
}

func TestPassNeverConnectsInsideOurNetworkUnlessAllowed(t *testing.T) {
	d, _ := newDaemon(t, "")
	source, taken := silent(t)
	of := d.addDomain(t, source, account.Open)
	for _, state := range []account.State{account.Joined, account.Following} {
		a := d.addAccount(t, of, account.Address(string(state)+"@"+domain), state)
		d.runPass(t.Context(), schedule.Lease{AccountID: a.ID}, a)
		if a = d.read(t, a.Address); !strings.Contains(a.Stuck, "private address 127.0.0.1") || !strings.Contains(a.Hint, "source.allow_private_addresses") {
			t.Errorf("%s: stuck %q, hint %q", state, a.Stuck, a.Hint)
		}
	}
	if len(taken) > 0 {
		t.Errorf("%d connections were made", len(taken))
	}
	var refused *control.Error
	if _, err := d.lookAtSource(t.Context(), source); !errors.As(err, &refused) || refused.Kind != control.KindInvalid || !strings.Contains(refused.Sentence, "private address 127.0.0.1") {
		t.Errorf("domain add: %v", err)
	}
}

func TestFailedPassIsToldWithTheAccountUntilOneSucceeds(t *testing.T) {
	d, _ := newDaemon(t, "mirror: {retry_max_minutes: 7}\n")
	a := d.addAccount(t, d.addDomain(t, account.Source{Host: "h", Port: 1, TLS: account.TLSNone}, account.Open), anna, account.Following)
	operator := &mirror.Error{Next: mirror.OperatorMustAct, Reach: mirror.ReachSource, Sentence: "The certificate is bad.", Answer: "x509", Hint: "openssl"}
	refused := &mirror.Error{Next: mirror.OperatorMustAct, Reach: mirror.ReachAccount, Sentence: "Refused.", Hint: "import",
		Err: &wire.LoginError{User: "anna", Refused: true, Err: errors.New("no")}}
	for name, c := range map[string]struct {
		err          error
		reason, hint string
		outcome      schedule.Outcome
	}{
		"what passes by itself":      {&mirror.Error{Next: mirror.RetryLater, Sentence: "It is down.", Hint: "nc"}, "It is down.", "nc", schedule.Outcome{Failed: true}},
		"what an operator must mend": {operator, "The certificate is bad. Answer: x509", "openssl", schedule.Outcome{Failed: true, NextPass: 7 * time.Minute}},
		"a source that throttles":    {&mirror.Error{Next: mirror.RetryLater, Sentence: "Leave me alone.", Hint: "sync", After: 5 * time.Minute}, "Leave me alone.", "sync", schedule.Outcome{Failed: true, NextPass: 5 * time.Minute}},
		"a refused credential":       {refused, "Refused.", "import", schedule.Outcome{Stop: true}},
		"a full disk": {fmt.Errorf("recording: %w", errors.New("database or disk is full (13)")),
			"A disk of this server is full; nothing is lost, the pass goes on when there is room. Answer: recording: database or disk is full (13)",
			"df -h " + d.config.StateDir + "   # when there is room: mailstork account sync anna@example.org", schedule.Outcome{Failed: true}},
		"a full disk that the mirror tells": {&mirror.Error{Next: mirror.OperatorMustAct, Sentence: "A disk.", Answer: "no space", Err: syscall.ENOSPC},
			"A disk of this server is full; nothing is lost, the pass goes on when there is room. Answer: no space",
			"df -h " + d.config.StateDir + "   # when there is room: mailstork account sync anna@example.org", schedule.Outcome{Failed: true}},
		"something unforeseen": {errors.New("opening credential: wrong key"), "opening credential: wrong key", "mailstork log anna@example.org", schedule.Outcome{Failed: true}},
	} {
		outcome := d.failed(t.Context(), a, c.err)
		if got := d.read(t, anna); got.Stuck != c.reason || got.Hint != c.hint || outcome != c.outcome {
			t.Errorf("%s:\n got %q, %q, %+v\nwant %q, %q, %+v", name, got.Stuck, got.Hint, outcome, c.reason, c.hint, c.outcome)
		}
	}
	before := d.read(t, anna).Stuck
	d.failed(t.Context(), a, fmt.Errorf("recording: %w", ledger.ErrLeaseLost))
	if got := d.read(t, anna).Stuck; got != before {
		t.Errorf("a lost lease was told: %q", got)
	}
	a = d.read(t, anna)
	must(t, d.complete(t.Context(), &a, mirror.Result{}, time.Now()))
	if got := d.read(t, anna); got.Stuck != "" || got.Hint != "" || got.LastPassAt.IsZero() {
		t.Errorf("after a good pass: stuck %q, hint %q, last pass %v", got.Stuck, got.Hint, got.LastPassAt)
	}
}

func TestPassWithAFolderThatCouldNotBeFinishedIsNotComplete(t *testing.T) {
	d, _ := newDaemon(t, "")
	a := d.addAccount(t, d.addDomain(t, account.Source{}, account.Open), anna, account.Copying)
	bad := mirror.FolderResult{Name: "Sent"}
	bad.Problem = "it can't be opened"
	err := d.complete(t.Context(), &a, mirror.Result{Folders: []mirror.FolderResult{bad, bad}}, time.Now())
	if want := `Folder "Sent" could not be finished: it can't be opened (and 1 more folder).`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if got := d.read(t, anna); got.State != account.Copying || !got.LastPassAt.IsZero() {
		t.Errorf("the account is %s, last pass %v", got.State, got.LastPassAt)
	}
}

func TestSyncWorksForAnImportedAccountAndSaysWhyNotElse(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	of := d.addDomain(t, account.Source{}, account.Open)
	d.addAccount(t, of, anna, account.Listed)
	if _, err := d.Act(t.Context(), anna, control.Sync); err == nil || !strings.Contains(err.Error(), "no password was imported") {
		t.Errorf("an account that is only listed: %v", err)
	}
	if _, err := d.Import(t.Context(), []control.ImportRow{row(1, anna, "guess")}, false); err != nil {
		t.Fatal(err)
	}
	must(t, d.store.SetStuck(t.Context(), anna, "refused", "import"))
	shown, err := d.Act(t.Context(), anna, control.Sync)
	if err != nil || shown.Stuck != "" || shown.NextPassAt.After(time.Now()) {
		t.Errorf("an imported account: %+v, %v", shown, err)
	}
	d.addAccount(t, of, bob, account.Done)
	if _, err := d.Act(t.Context(), bob, control.Sync); err == nil || !strings.Contains(err.Error(), "is done; its password for the source is erased") {
		t.Errorf("an account that is done: %v", err)
	}
}

// nobody is a source where nobody listens.
func nobody(t *testing.T) account.Source {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	return account.Source{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: account.TLSNone}
}

func TestSourceThatIsDownIsToldInEveryViewAndTriedAgain(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed+"mirror: {retry_min_seconds: 1}\n")
	source := nobody(t)
	d.addAccount(t, d.addDomain(t, source, account.Open), anna, account.Following)
	d.work(t)
	soon(t, func() error {
		status, err := d.Status(t.Context())
		if err == nil && (len(status.Stuck) != 1 || status.Domains[0].Stuck != 1) {
			err = fmt.Errorf("status: %+v", status)
		}
		return err
	})
	detail, err := d.Account(t.Context(), anna)
	must(t, err)
	want := fmt.Sprintf("The source %s is down: nobody listens there. Answer: dial tcp %s: connect: connection refused", source.HostPort(), source.HostPort())
	if detail.Stuck != want || !strings.HasPrefix(detail.Hint, fmt.Sprintf("nc -vz 127.0.0.1 %d   #", source.Port)) {
		t.Errorf("got %q, next %q\nwant %q", detail.Stuck, detail.Hint, want)
	}
	soon(t, func() error {
		events, err := d.Events(t.Context(), anna, 0, 100)
		if err == nil && len(events) < 2 {
			err = errors.New("it was not tried again")
		}
		return err
	})
}

func TestTheSourceIsListedBeforeThisServerLetsUsIn(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed) // its destination never says a word
	srv, source := scripted(t, wiretest.Script{})
	a := d.addAccount(t, d.addDomain(t, source, account.Open), anna, account.Joined)
	ctx, stop := context.WithCancel(t.Context())
	var passing sync.WaitGroup
	passing.Go(func() { d.runPass(ctx, schedule.Lease{AccountID: a.ID}, a) })
	soon(t, func() error {
		if lines := srv.Lines(); !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "LIST") }) {
			return fmt.Errorf("the source heard %q only", lines)
		}
		return nil
	})
	stop()
	passing.Wait()
}
