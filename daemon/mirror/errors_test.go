package mirror_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

func TestErrorsSayWhatNextAndHowFarTheyReach(t *testing.T) {
	l := newLab(t, labOptions{source: testbed.SourceOptions{CertificateExpired: true}})
	l.put("INBOX", 1)
	good := l.options
	for name, c := range map[string]struct {
		change             func(*mirror.Options)
		next               mirror.Next
		reach              mirror.Reach
		sentence, hint     string
		answerFromTheirLog string
	}{
		"a wrong password": {func(o *mirror.Options) { o.Source.Password = secret.FromString("wrong") },
			mirror.OperatorMustAct, mirror.ReachAccount, "refuses the password of " + owner, "mailstork account import", "AUTHENTICATIONFAILED"},
		"a source that does not exist": {func(o *mirror.Options) { o.Source.Server.Host = "no-such-host.invalid" },
			mirror.OperatorMustAct, mirror.ReachSource, "no host named no-such-host.invalid", "mailstork domain show", ""},
		"a source that is down": {func(o *mirror.Options) { o.Source.Server = endpoint(t, nobody(t)) },
			mirror.RetryLater, mirror.ReachSource, "is down", "mailstork account sync " + owner, ""},
		"a certificate that has expired": {func(o *mirror.Options) {
			o.Source.Server = endpoint(t, l.source.IMAPSAddress)
			o.Source.Server.TLS, o.Source.Server.CAFile = account.TLSImplicit, l.source.CAFile
		}, mirror.OperatorMustAct, mirror.ReachSource, "certificate of the source", "openssl s_client", ""},
		"a destination that is down": {func(o *mirror.Options) { o.Destination.Address = nobody(t) },
			mirror.RetryLater, mirror.ReachDestination, "This server's Dovecot", "mailstork doctor", ""},
		"a destination that does not let us in": {func(o *mirror.Options) { o.Destination.MasterPassword = secret.FromString("old") },
			mirror.OperatorMustAct, mirror.ReachDestination, "does not let mailstork in", "mailstork doctor", "AUTHENTICATIONFAILED"},
	} {
		l.options = good
		c.change(&l.options)
		_, err := mirror.Pass(l.ctx(), l.options)
		var known *mirror.Error
		if !errors.As(err, &known) {
			t.Errorf("%s: got %v, want a mirror.Error", name, err)
			continue
		}
		if known.Next != c.next || known.Reach != c.reach || !strings.Contains(known.Sentence, c.sentence) ||
			!strings.Contains(known.Hint, c.hint) || !strings.Contains(known.Answer, c.answerFromTheirLog) {
			t.Errorf("%s:\n got %q reach %q: %s\n     answer %q hint %q\nwant %q reach %q: …%s… answer …%s… hint %s…", name, known.Next, known.Reach,
				known.Sentence, known.Answer, known.Hint, c.next, c.reach, c.sentence, c.answerFromTheirLog, c.hint)
		}
		if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "wrong") && strings.Contains(name, "password") {
			t.Errorf("%s: the error shows the password (S1): %v", name, err)
		}
	}
	l.options = good
	l.pass()
	l.wantNumbers("INBOX", 1)
}

// nobody is an address where nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	p := newProxy(t, "127.0.0.1:1", rules{})
	address := p.address()
	_ = p.listener.Close()
	return address
}

func TestOneBadFolderNeverEndsAPass(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.put("Bad", 2)
	l.put("Good", 3)
	box := filepath.Join(l.source.Home(owner), "Maildir", ".Bad")
	l.do(os.Chown(box, 0, 0))
	l.do(os.Chmod(box, 0))
	for range 2 { // also when nothing else is to be done
		result, err := mirror.Pass(l.ctx(), l.options)
		l.do(err)
		problems := result.Problems()
		if len(problems) != 1 || problems[0].Name != "Bad" || problems[0].Problem == "" {
			t.Errorf("problems: %+v, want folder Bad", problems)
		}
	}
	l.wantNumbers("INBOX", 1)
	l.wantNumbers("Good", 3)
	l.do(os.Chmod(box, 0o700))
	l.do(os.Chown(box, testbed.MailUID, testbed.MailGID))
	l.pass()
	l.wantNumbers("Bad", 2)
}

func TestFolderThatEndsTheConnectionIsLeftOut(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.put("Bad", 2)
	l.put("Good", 3)
	p := newProxy(t, l.source.IMAPAddress, rules{ends: func(command string) bool {
		return strings.HasPrefix(command, "EXAMINE") && strings.Contains(command, "Bad")
	}})
	l.options.Source.Server = endpoint(t, p.address())
	result, err := mirror.Pass(l.ctx(), l.options)
	l.do(err)
	if problems := result.Problems(); len(problems) != 1 || problems[0].Name != "Bad" || !strings.Contains(problems[0].Problem, "ended the connection") {
		t.Errorf("problems: %+v, want folder Bad", problems)
	}
	l.wantNumbers("INBOX", 1)
	l.wantNumbers("Good", 3)
}

func TestLargeMessageCostsNoMoreThanBuffers(t *testing.T) {
	l := newLab(t, labOptions{alone: true})
	_, err := l.there.Append("INBOX", nil, sent, letterN(1, slices.Repeat([]string{strings.Repeat("x", 76)}, 400_000)...))
	l.do(err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result := l.pass()
	runtime.ReadMemStats(&after)
	if all := after.TotalAlloc - before.TotalAlloc; result.Octets < 30_000_000 || all > 8<<20 {
		t.Errorf("a message of %d octets took allocations of %d octets", result.Octets, all)
	}
	l.wantSame()
}

func TestStoppedPassReturnsTheReasonAndGoesOnLater(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	reason := errors.New("the lease is gone")
	ctx, cancel := context.WithCancelCause(l.ctx())
	l.options.Step = func(_ context.Context, point string) error {
		if point == "send" {
			cancel(reason)
		}
		return nil
	}
	if _, err := mirror.Pass(ctx, l.options); !errors.Is(err, reason) {
		t.Errorf("got %v, want the reason of the cancellation", err)
	}
	l.options.Step = nil
	l.pass()
	l.wantNumbers("INBOX", 1, 2, 3)
}

func TestProgressTellsHowMuchThereIs(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3)
	l.put("Work", 4)
	var all []mirror.Progress
	l.options.Progress = func(p mirror.Progress) { all = append(all, p) }
	began := time.Now()
	l.pass()
	last := all[len(all)-1]
	if last.Messages != 4 || last.Of != 4 || last.Octets == 0 || last.Octets != last.OfOctets {
		t.Errorf("the last progress is %+v, want 4 of 4 messages and all octets", last)
	}
	if !slices.ContainsFunc(all, func(p mirror.Progress) bool {
		return p.Phase == "copying" && p.Folder == "Work" && !p.Since.Before(began)
	}) {
		t.Errorf("no progress told that Work is copied: %+v", all)
	}
}
