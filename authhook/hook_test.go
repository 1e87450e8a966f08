package authhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

func TestProvenPasswordIsAdmittedOnceAndThenDecidedHere(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "Anna@Example.org ", "right", Yes, "proven")
	b.verifier.err = &SourceProblem{What: "down"}
	b.want(t, "anna@example.org", "right", Yes, "hash") // A3
	b.want(t, "anna@example.org", "other", No, "wrong") // A2
	if got := b.provisioner.admitted["anna@example.org"]; len(got) != 1 || got[0] != "right" || b.verifier.asked != 1 {
		t.Errorf("admitted %q after %d questions, want one of each", got, b.verifier.asked)
	}
	if d := b.login(t, "anna@example.org", "right"); d.UID != 5000 || d.GID != 5001 || d.Home != "/var/vmail/anna@example.org" {
		t.Errorf("userdb fields: got %+v", d)
	}
}

func TestWrongPasswordAdmitsNobodyAndIsNotAskedAgainForAWhile(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "anna@example.org", "wrong", No, "wrong")
	b.want(t, "anna@example.org", "wrong", No, "remembered")
	b.want(t, "ANNA@example.org", "wrong", No, "remembered")
	if b.verifier.asked != 1 || b.provisioner.count() != 0 {
		t.Errorf("asked %d times, admitted %d; want 1 and 0", b.verifier.asked, b.provisioner.count())
	}
	b.verifier.right = "wrong" // the owner changed it at the source
	b.clock = b.clock.Add(10 * time.Minute)
	b.want(t, "anna@example.org", "wrong", Yes, "proven")
}

func TestStoredHashSurvivesEveryOtherPassword(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "anna@example.org", "right", Yes, "proven")
	stored := b.provisioner.accounts["anna@example.org"].PasswordHash
	b.verifier.right = "new at the source"
	b.want(t, "anna@example.org", "new at the source", No, "wrong") // A2: renewal is never a side effect
	b.want(t, "anna@example.org", "new at the source", No, "remembered")
	b.want(t, "anna@example.org", "right", Yes, "hash")
	if now := b.provisioner.accounts["anna@example.org"].PasswordHash; now != stored {
		t.Errorf("the hash changed from %s to %s", stored, now)
	}
}

func TestChangedHashMakesARefusedPasswordGoodAtOnce(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "anna@example.org", "right", Yes, "proven")
	b.want(t, "anna@example.org", "new", No, "wrong")
	hash, err := b.hasher.hash(t.Context(), secret.FromString("new"))
	if err != nil {
		t.Fatal(err)
	}
	a := b.provisioner.accounts["anna@example.org"]
	a.PasswordHash = hash
	b.provisioner.accounts["anna@example.org"] = a
	b.want(t, "anna@example.org", "new", Yes, "hash")
}

func TestSourceTroubleIsNeverAWrongPassword(t *testing.T) {
	for name, err := range map[string]error{
		"down":     &SourceProblem{What: "nobody listens"},
		"no INBOX": &SourceProblem{What: "no INBOX", Sent: true},
		"unknown":  errors.New("something else"),
		"wrapped":  fmt.Errorf("asking: %w", &SourceProblem{What: "down"}),
	} {
		b := newBench(t, nil)
		b.verifier.err = err
		b.want(t, "anna@example.org", "right", TryLater, "source")
		if b.provisioner.count() != 0 {
			t.Errorf("%s: somebody was admitted (A1)", name)
		}
		b.verifier.err = nil
		b.want(t, "anna@example.org", "right", Yes, "proven")
	}
}

func TestWhoIsNotOursIsLeftToOthersWithoutAskingTheSource(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "anna@elsewhere.org", "right", NotOurs, "unknown_domain")
	b.want(t, "anna@example.com", "right", NotOurs, "closed")
	b.want(t, "unlisted@example.net", "right", NotOurs, "unlisted")
	b.want(t, "anna+shop@example.org", "right", NotOurs, "unlisted") // another spelling of anna, for many servers
	for _, user := range []string{"root", "", "@", "a@b", "anna@example.org@", "an na@example.org", "anna\x00@example.org", "../x@example.org"} {
		b.want(t, user, "right", NotOurs, "no_address")
	}
	if b.verifier.asked != 0 || b.provisioner.count() != 0 {
		t.Errorf("asked %d times, admitted %d", b.verifier.asked, b.provisioner.count())
	}
	b.want(t, "listed@example.net", "right", Yes, "proven")
	if b.verifier.users[0] != "l.isted" {
		t.Errorf("asked the source for %q, want the account's name there", b.verifier.users[0])
	}
}

func TestClosedDomainStillKnowsItsOwners(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "anna@example.org", "right", Yes, "proven")
	d := b.provisioner.domains["example.org"]
	d.State = account.Closed
	b.provisioner.domains["example.org"] = d
	b.want(t, "anna@example.org", "right", Yes, "hash")
	b.want(t, "anna@example.org", "wrong", NotOurs, "closed")
	b.want(t, "bert@example.org", "right", NotOurs, "closed")
}

func TestUnusablePasswordsAreRefusedWithoutAskingAnybody(t *testing.T) {
	b := newBench(t, nil)
	for _, password := range []string{"", "a\x00b", "a\rb", "a\nb"} {
		b.want(t, "anna@example.org", password, No, "unusable")
	}
	if b.verifier.asked != 0 {
		t.Errorf("asked %d times", b.verifier.asked)
	}
}

func TestTroubleInTheStoreIsNeverAWrongPassword(t *testing.T) {
	b := newBench(t, nil)
	b.provisioner.err = errors.New("disk full")
	b.want(t, "anna@example.org", "right", TryLater, "store")
	b.provisioner.err = nil
	b.provisioner.accounts["anna@example.org"] = account.Account{ID: 4, PasswordHash: "{UNKNOWN}x"}
	b.want(t, "anna@example.org", "right", TryLater, "hash")
}

// failingAdmit proves that a yes is said only after the account is kept.
type failingAdmit struct{ *fakeProvisioner }

func (p failingAdmit) Admit(context.Context, account.Address, string, secret.Secret) error {
	return errors.New("disk full")
}

func TestYesIsSaidOnlyAfterTheAccountIsKept(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Provisioner = failingAdmit{o.Provisioner.(*fakeProvisioner)} })
	b.want(t, "anna@example.org", "right", TryLater, "admit")
}

func TestTwoHundredFirstLoginsOfOneAccountAreOneLoginAtTheSource(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.hold = make(chan struct{})
	var all sync.WaitGroup
	decisions := make([]Decision, 200)
	for i := range decisions {
		all.Go(func() { decisions[i] = b.login(t, "anna@example.org", "right") })
	}
	waitFor(t, "the first question", func() bool { return b.verifier.count() == 1 })
	close(b.verifier.hold)
	all.Wait()
	for i, d := range decisions {
		if d.Result != Yes {
			t.Errorf("login %d: got %s (%s, %v)", i, d.Result, d.Why, d.Err)
		}
	}
	if b.verifier.asked != 1 || b.provisioner.count() != 1 {
		t.Errorf("asked %d times, admitted %d; want 1 and 1", b.verifier.asked, b.provisioner.count())
	}
}

func TestDifferentPasswordsOfOneAccountTakeTurns(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Guard.Account, o.Guard.Source = guard.Budget{Failures: 1000, Window: time.Minute}, guard.Budget{Failures: 2000, Window: time.Minute}
	})
	b.verifier.pace = time.Millisecond
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { b.login(t, "anna@example.org", fmt.Sprintf("wrong %d", i)) })
	}
	all.Go(func() { b.login(t, "anna@example.org", "right") })
	all.Wait()
	if b.verifier.most != 1 || b.provisioner.count() != 1 {
		t.Errorf("%d logins at once, %d admitted; want 1 and 1", b.verifier.most, b.provisioner.count())
	}
	b.want(t, "anna@example.org", "right", Yes, "hash")
}

func TestLoginsAtSourcesAreBounded(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.ParallelVerifications = 7
		o.Guard.Source = guard.Budget{Failures: 1000, Window: time.Minute}
	})
	b.verifier.hold = make(chan struct{})
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() { b.login(t, fmt.Sprintf("a%d@example.org", i), "right") })
	}
	waitFor(t, "seven questions", func() bool { return b.verifier.count() == 7 })
	close(b.verifier.hold)
	all.Wait()
	if b.verifier.mostAll != 7 || b.provisioner.count() != 40 {
		t.Errorf("%d at once, %d admitted; want 7 and 40", b.verifier.mostAll, b.provisioner.count())
	}
}

func TestGuardStopsBeforeTheSourceBansUs(t *testing.T) {
	b := newBench(t, nil)
	for i := range 100 {
		d := b.login(t, fmt.Sprintf("a%d@example.org", i), "wrong")
		if i < 4 && d.Result != No || i >= 4 && (d.Result != TryLater || d.Why != "guard") {
			t.Fatalf("login %d: got %s (%s)", i, d.Result, d.Why)
		}
	}
	b.want(t, "anna@example.org", "right", TryLater, "guard")
	if b.verifier.asked != 4 {
		t.Errorf("the source saw %d wrong passwords, want 4", b.verifier.asked)
	}
	b.clock = b.clock.Add(10 * time.Minute)
	b.want(t, "anna@example.org", "right", Yes, "proven")
}

func TestParallelWrongPasswordsStayWithinTheBudgetToo(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.hold = make(chan struct{})
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() { b.login(t, fmt.Sprintf("a%d@example.org", i), "wrong") })
	}
	waitFor(t, "four questions", func() bool { return b.verifier.count() == 4 })
	waitFor(t, "the others", func() bool {
		b.flights.mu.Lock()
		defer b.flights.mu.Unlock()
		return len(b.flights.underway) == 60
	})
	close(b.verifier.hold)
	all.Wait()
	told := map[string]int{}
	for _, d := range b.journal.decisions {
		told[d.Why]++
	}
	if b.verifier.asked != 4 || told["wrong"] != 4 || told["guard"] != 56 {
		t.Errorf("the source saw %d wrong passwords, want 4; %v", b.verifier.asked, told)
	}
}

func TestRightPasswordsUseUpNoBudget(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.pace = time.Millisecond
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() { b.want(t, fmt.Sprintf("a%d@example.org", i), "right", Yes, "proven") })
	}
	all.Wait()
}

func TestOneAccountCannotUseUpTheBudgetOfItsSource(t *testing.T) {
	b := newBench(t, nil)
	for i := range 10 {
		b.login(t, "anna@example.org", fmt.Sprintf("wrong %d", i))
	}
	if b.verifier.asked != 3 {
		t.Errorf("the source saw %d wrong passwords of one account, want 3", b.verifier.asked)
	}
	b.want(t, "bert@example.org", "right", Yes, "proven")
}

func TestTroubleBeforeThePasswordWasSentUsesUpNoBudget(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.err = &SourceProblem{What: "nobody listens"}
	for range 20 {
		b.want(t, "anna@example.org", "right", TryLater, "source")
	}
	b.verifier.err = &SourceProblem{What: "hung up", Sent: true}
	for range 3 {
		b.want(t, "anna@example.org", "right", TryLater, "source")
	}
	b.want(t, "anna@example.org", "right", TryLater, "guard")
}

func TestSilentSourceEndsInTryLaterWithinTheTimeout(t *testing.T) {
	b := newBench(t, func(o *Options) { o.VerifyTimeout = 50 * time.Millisecond })
	b.verifier.hold = make(chan struct{})
	defer close(b.verifier.hold)
	began := time.Now()
	b.want(t, "anna@example.org", "right", TryLater, "source")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// closesWhenProven ends the hook while the source says yes.
type closesWhenProven struct{ bench *bench }

func (v closesWhenProven) Verify(context.Context, account.Source, string, secret.Secret) error {
	v.bench.flights.cancel()
	return nil
}

func TestProvenPasswordIsKeptEvenIfTheDaemonIsStopping(t *testing.T) {
	b := newBench(t, nil)
	b.Hook.verifier = closesWhenProven{b}
	b.want(t, "anna@example.org", "right", Yes, "proven")
}

func TestWhoeverGoesAwayLeavesTheLoginToOthers(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.hold = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	password := secret.FromString("right")
	gone := make(chan Decision)
	go func() { gone <- b.Decide(ctx, Attempt{User: "anna@example.org", Password: password}) }()
	waitFor(t, "the question", func() bool { return b.verifier.count() == 1 })
	cancel()
	if d := <-gone; d.Result != TryLater || d.Why != "deadline" {
		t.Errorf("got %s (%s), want try_later", d.Result, d.Why)
	}
	password.Wipe() // as the endpoint does
	close(b.verifier.hold)
	waitFor(t, "the account", func() bool { return b.provisioner.count() == 1 })
	if got := b.provisioner.admitted["anna@example.org"][0]; got != "right" {
		t.Errorf("admitted with %q", got)
	}
}

func TestWaitingLoginsAreBoundedAndTheRestIsToldToTryLater(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.hold = make(chan struct{})
	var all sync.WaitGroup
	for i := range mostWaiting {
		all.Go(func() { b.login(t, fmt.Sprintf("a%d@example.org", i), "right") })
	}
	waitFor(t, "all waiting", func() bool {
		b.flights.mu.Lock()
		defer b.flights.mu.Unlock()
		return len(b.flights.underway) == mostWaiting
	})
	b.want(t, "one@example.org", "right", TryLater, "busy")
	close(b.verifier.hold)
	all.Wait()
}

func TestPanicOfAVerifierIsTryLaterAndFreesTheAccount(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Verifier = &panicsOnce{Verifier: o.Verifier} })
	b.want(t, "anna@example.org", "right", TryLater, "panic")
	b.want(t, "anna@example.org", "right", Yes, "proven")
}

type panicsOnce struct {
	Verifier
	once sync.Once
}

func (v *panicsOnce) Verify(ctx context.Context, src account.Source, user string, password secret.Secret) error {
	v.once.Do(func() { panic("verifier broken") })
	return v.Verifier.Verify(ctx, src, user, password)
}

func TestCloseEndsWhatWaitsAndRefusesTheRest(t *testing.T) {
	b := newBench(t, nil)
	b.verifier.hold = make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { b.want(t, "anna@example.org", "right", TryLater, "source") })
	waitFor(t, "the question", func() bool { return b.verifier.count() == 1 })
	b.Close()
	all.Wait()
	b.want(t, "bert@example.org", "right", TryLater, "busy")
}

func TestEveryDecisionIsToldOnceWithoutPasswords(t *testing.T) {
	b := newBench(t, nil)
	b.login(t, "anna@example.org", "right")
	b.login(t, "bert@example.org", canary)
	b.login(t, canary, canary) // people type passwords where user names belong
	if len(b.journal.decisions) != 3 {
		t.Fatalf("got %d decisions, want 3", len(b.journal.decisions))
	}
	for _, d := range b.journal.decisions {
		if text := fmt.Sprintf("%+v %v", d, d.Err); strings.Contains(text, canary) || strings.Contains(text, "right") {
			t.Errorf("the journal was told %s", text)
		}
	}
}

func TestHookWithoutItsPartsDoesNotStart(t *testing.T) {
	if _, err := New(t.Context(), Options{Provisioner: newFakeProvisioner(), Verifier: newFakeVerifier(), Journal: &fakeJournal{}, Notebook: newFakeNotebook()}); err == nil {
		t.Error("started without a client secret")
	}
}

// waitFor polls, since nothing tells the test when a login has reached a place.
func waitFor(t *testing.T, what string, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
