package e2e

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstork/test/compare"
	"mailstork/test/corpus"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

// welcome is a notice as a mail program shows it.
type welcome struct {
	uid           uint32
	subject, body string
	seen          bool
}

const noticeSearch = "HEADER Auto-Submitted auto-generated"

// welcomes are the notices in the inbox.
func welcomes(c *testbed.Client) (all []welcome, err error) {
	if _, err := c.Select("INBOX"); err != nil {
		return nil, err
	}
	uids, err := c.Search(noticeSearch)
	for _, uid := range uids {
		lines, err := c.Command("UID FETCH %d (FLAGS BODY.PEEK[])", uid)
		if err != nil {
			return nil, err
		}
		tokens, err := lines[0].Tokens()
		if err != nil {
			return nil, err
		}
		w := welcome{uid: uid, seen: strings.Contains(lines[0].String(), `\Seen`)}
		for i, token := range tokens[2].List {
			if token.Text == "BODY[]" {
				err = w.read(tokens[2].List[i+1].Text)
			}
		}
		if all = append(all, w); err != nil {
			return nil, err
		}
	}
	return all, err
}

func (w *welcome) read(raw string) error {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		return err
	}
	body, err1 := io.ReadAll(quotedprintable.NewReader(m.Body))
	subject, err2 := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	w.subject, w.body = subject, string(body)
	return errors.Join(err1, err2)
}

// waitWelcome waits for the one notice with a subject.
func waitWelcome(t *testing.T, c *testbed.Client, subject string) (one welcome) {
	t.Helper()
	must(t, site.Eventually(func() error {
		all, err := welcomes(c)
		if err != nil || len(all) != 1 || all[0].subject != subject {
			return fmt.Errorf("got %+v, %v, want one with the subject %q", all, err, subject)
		}
		one = all[0]
		return nil
	}))
	return one
}

// differsByTheNotice wants source and destination equal but for one message here.
func differsByTheNotice(t *testing.T, s *site.Site, address, password string) {
	t.Helper()
	differences, err := compare.Accounts(sourceOwner(t, s, address), login(t, s, address, password), compare.Options{})
	must(t, err)
	if len(differences) != 1 || !strings.Contains(differences[0], "is at the destination only") {
		t.Errorf("source and destination differ:\n%s", compare.Report(differences, 10))
	}
}

func TestOwnerIsWelcomedOnceInHisLanguageAndTheProofDoesNotMind(t *testing.T) { // L1, L3
	s := start(t, nil)
	out, err := s.CLI("domain", "set", domain, "--welcome", "yes", "--language", "de", "--notice-from", "hilfe@"+domain)
	must(t, err)
	for _, want := range []string{"welcome      no → yes", "language     none → de", "notice-from  none → hilfe@" + domain} {
		if !strings.Contains(out, want) {
			t.Errorf("the command does not say %q:\n%s", want, out)
		}
	}
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	owner := login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	one := waitWelcome(t, owner, "Alle Ihre E-Mails sind hier")
	if !strings.Contains(one.body, "- Nachrichten: 40\r\n") || !strings.Contains(one.body, "hilfe@"+domain) {
		t.Errorf("it says\n%s", one.body)
	}
	differsByTheNotice(t, s, anna, annaPass)
	if v := verify(t, s, anna, 0); v.Messages != 40 || v.here() != 40 || len(v.Findings) > 0 || v.HereOnly != 0 {
		t.Errorf("the proof: %+v", v)
	}
	must(t, s.Kill(syscall.SIGKILL), s.StartDaemon())
	passes(t, s, anna, 2)
	if again := waitWelcome(t, owner, one.subject); again != one {
		t.Errorf("after a restart there is %+v, there was %+v", again, one)
	}
	must(t, owner.Delete(one.uid))
	_, err = sourceOwner(t, s, anna).Append("INBOX", nil, time.Now().Add(-time.Minute), letterTo(anna, "later one"))
	must(t, err)
	passes(t, s, anna, 2)
	if all, err := welcomes(owner); err != nil || len(all) > 0 {
		t.Errorf("its owner deleted it, and there is %+v, %v", all, err)
	}
	if n := countSubject(t, owner, "INBOX", "later one"); n != 1 {
		t.Errorf("the later letter is here %d times", n)
	}
}

// Bob's mail was copied before he came, and he has a language of his own.
func TestWhoComesLateIsToldThatAllIsHereAndWhoWasHereBeforeIsNotTold(t *testing.T) {
	s := start(t, nil)
	must(t, corpus.Seed(s.Source, bob, s.People[bob], corpus.Small()))
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	passes(t, s, anna, 1)
	_, err := s.CLIWithInput(strings.NewReader("address,password\n"+bob+","+s.People[bob]+"\n"), "account", "import", "-", "--domain", domain)
	must(t, err)
	_, err = s.CLI("domain", "set", domain, "--welcome", "yes")
	must(t, err)
	_, err = s.CLI("account", "set", bob, "--language", "pl")
	must(t, err)
	waitState(t, s, bob, "following")
	late := login(t, s, bob, s.People[bob])
	if one := waitWelcome(t, late, "Cała Twoja poczta jest już tutaj"); !strings.Contains(one.body, "- Wiadomości: 40\r\n") {
		t.Errorf("it says\n%s", one.body)
	}
	differsByTheNotice(t, s, bob, s.People[bob])
	passes(t, s, anna, 2)
	if all, err := welcomes(login(t, s, anna, annaPass)); err != nil || len(all) > 0 {
		t.Errorf("Anna was here before, and is told %+v, %v", all, err)
	}
}
