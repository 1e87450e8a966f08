package authhook

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

const anna = account.Address("anna@example.org")

// renewing is a bench where anna has logged in with "old", and the source takes "right" since.
func renewing(t *testing.T) *bench {
	b := newBench(t, nil)
	b.verifier.right = "old"
	b.want(t, string(anna), "old", Yes, "proven")
	b.verifier.right = "right"
	return b
}

func (b *bench) refuseCredential(refused bool) {
	b.provisioner.mu.Lock()
	defer b.provisioner.mu.Unlock()
	a := b.provisioner.accounts[anna]
	a.CredentialRefused = refused
	b.provisioner.accounts[anna] = a
}

func TestANewPasswordOfTheSourceIsTriedOnlyWhileTheStoredOneIsRefused(t *testing.T) { // A2
	b := renewing(t)
	b.want(t, string(anna), "right", No, "wrong")
	if b.verifier.count() != 1 {
		t.Errorf("the source was asked %d times while it refuses nothing", b.verifier.count())
	}
	b.refuseCredential(true)
	b.want(t, string(anna), "other", No, "wrong")
	b.want(t, string(anna), "other", No, "remembered")
	if b.verifier.count() != 2 {
		t.Errorf("asked %d times, want the same wrong password once", b.verifier.count())
	}
	b.want(t, string(anna), "right", Yes, "renewed") // though it was wrong before the stored one was refused
	b.want(t, string(anna), "right", Yes, "hash")
	b.want(t, string(anna), "old", No, "wrong") // the hash was replaced, and the source is asked no more
	if b.verifier.count() != 3 || !slices.Equal(b.provisioner.admitted[anna], []string{"old", "right"}) {
		t.Errorf("asked %d times, admitted %q", b.verifier.count(), b.provisioner.admitted[anna])
	}
}

func TestTheOldPasswordWorksHereWhateverTheSourceSays(t *testing.T) { // A3
	b := renewing(t)
	b.refuseCredential(true)
	b.verifier.err = &SourceProblem{What: "gone", Trouble: guard.Unreachable}
	b.want(t, string(anna), "old", Yes, "hash")
	b.want(t, string(anna), "right", TryLater, "source")
	b.want(t, string(anna), "old", Yes, "hash")
	if b.verifier.count() != 2 {
		t.Errorf("the source was asked %d times, want once for the first login and once for the other password", b.verifier.count())
	}
}

func TestGuessingAtARefusedCredentialStaysWithinTheBudget(t *testing.T) {
	b := renewing(t)
	b.refuseCredential(true)
	for i := range 20 {
		b.login(t, string(anna), fmt.Sprint("guess", i))
	}
	if got := b.verifier.count() - 1; got > guard.DefaultAccount.Failures {
		t.Errorf("%d guesses reached the source, want at most %d", got, guard.DefaultAccount.Failures)
	}
	b.want(t, string(anna), "old", Yes, "hash")
}

func TestADoneAccountOrAClosedDomainRenewsNothing(t *testing.T) { // S1
	for name, change := range map[string]func(*bench){
		"done": func(b *bench) {
			a := b.provisioner.accounts[anna]
			a.State = account.Done
			b.provisioner.accounts[anna] = a
		},
		"closed": func(b *bench) {
			d := b.provisioner.domains["example.org"]
			d.State = account.Closed
			b.provisioner.domains["example.org"] = d
		},
	} {
		b := renewing(t)
		b.refuseCredential(true)
		change(b)
		if d := b.login(t, string(anna), "right"); d.Result == Yes || b.verifier.count() != 1 {
			t.Errorf("%s: %s, the source was asked %d times", name, d.Result, b.verifier.count())
		}
	}
}

func TestADoubtedSourceIsNotAskedAndTellsNobodyApart(t *testing.T) { // A1
	b := newBench(t, nil)
	b.want(t, string(anna), "right", Yes, "proven")
	for _, name := range []string{"example.org", "example.net"} {
		d := b.provisioner.domains[name]
		d.Check.Doubt = "it accepted a random password for a random name"
		b.provisioner.domains[name] = d
	}
	b.want(t, "bob@example.org", "right", TryLater, "doubted")
	b.want(t, "listed@example.net", "right", TryLater, "doubted")
	b.want(t, "unlisted@example.net", "right", TryLater, "doubted")
	b.want(t, string(anna), "right", Yes, "hash") // A3
	if b.verifier.count() != 1 || b.provisioner.count() != 1 {
		t.Errorf("asked %d times, %d accounts", b.verifier.count(), b.provisioner.count())
	}
}

func TestAChallengeKnowsASourceThatAcceptsEverything(t *testing.T) { // A1, S1
	for name, c := range map[string]struct {
		err     error // besides a wrong password
		any     bool  // the source takes everything
		accepts bool
		unclear bool
		failed  int // counted in the source's budget
	}{
		"refuses":                    {failed: 1},
		"accepts all":                {any: true, accepts: true},
		"accepts and opens no INBOX": {err: &SourceProblem{What: "no INBOX", Sent: true, Entered: true}, failed: 1},
		"says nothing clear":         {err: &SourceProblem{What: "NO [UNAVAILABLE]", Sent: true}, unclear: true, failed: 1},
		"can't be reached":           {err: &SourceProblem{What: "gone", Trouble: guard.Unreachable}, unclear: true},
	} {
		b := newBench(t, nil)
		b.verifier.err, b.verifier.takesAll = c.err, c.any
		accepts, err := b.Challenge(t.Context(), b.provisioner.domains["example.org"])
		if accepts != c.accepts || (err != nil) != c.unclear {
			t.Errorf("%s: got %v, %v", name, accepts, err)
		}
		if failed := len(b.notebook.failures); failed != c.failed {
			t.Errorf("%s: %d failures are noted, want %d", name, failed, c.failed)
		}
		if user := b.verifier.users[0]; !strings.HasSuffix(user, "@example.org") || len(user) < 30 {
			t.Errorf("%s: asked about %q", name, user)
		}
		if b.provisioner.count() != 0 {
			t.Errorf("%s: an account was made", name)
		}
	}
}

func TestAChallengeWaitsForTheGuardsBudget(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Guard.Source = guard.Budget{Failures: 1, Window: 10 * time.Minute} })
	domain := b.provisioner.domains["example.org"]
	if _, err := b.Challenge(t.Context(), domain); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Challenge(t.Context(), domain); err == nil || b.verifier.count() != 1 {
		t.Errorf("a second challenge: %v after %d questions", err, b.verifier.count())
	}
}

func TestAnOperatorsProofUsesTheNameAtTheSource(t *testing.T) {
	b := newBench(t, nil)
	domain, member := b.provisioner.domains["example.net"], b.provisioner.accounts["listed@example.net"]
	if err := b.Prove(t.Context(), domain, member, secret.FromString("right")); err != nil || b.verifier.users[0] != "l.isted" {
		t.Errorf("got %v, asked about %q", err, b.verifier.users)
	}
	if err := b.Prove(t.Context(), domain, member, secret.FromString("wrong")); err == nil {
		t.Error("a wrong password is proven")
	}
}
