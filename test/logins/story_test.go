package logins

import (
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"strings"
	"testing"

	"mailstork/authhook"
	"mailstork/daemon/account"
	"mailstork/test/testbed"
)

// protocol is one way of a mail program into this server.
type protocol struct {
	name string
	// enter logs in, does a little that only its owner may do, and logs out.
	enter func(address, password string) error
	// How it says that the password is wrong, and that nobody can tell now.
	wrong, later string
}

// said is what a server answered to a refused login, without what people read.
func said(err error) string {
	var imap *testbed.StatusError
	var pop3 *testbed.POP3Error
	var smtp *textproto.Error
	switch {
	case errors.As(err, &imap):
		return imap.Status + " " + code(imap.Text)
	case errors.As(err, &pop3):
		return "-ERR " + code(pop3.Text)
	case errors.As(err, &smtp):
		return fmt.Sprint(smtp.Code)
	}
	return fmt.Sprint(err)
}

func code(text string) string {
	code, _, _ := strings.Cut(text, " ")
	return code
}

func (s *site) protocols() []protocol {
	s.t.Helper()
	testbed.Need(s.t, "postfix")
	postfix, err := s.lab.StartPostfix(testbed.PostfixOptions{Domains: []string{domain}, LMTPAddress: s.destination.LMTPAddress, AuthSocket: s.destination.AuthSocket})
	if err != nil {
		s.t.Fatal(err)
	}
	return []protocol{
		{"IMAP", s.enterIMAP, "NO [AUTHENTICATIONFAILED]", "NO [UNAVAILABLE]"},
		{"POP3", s.enterPOP3, "-ERR [AUTH]", "-ERR [SYS/TEMP]"},
		// Postfix 3.7 says 535 whatever Dovecot's reason for a refusal is; it keeps 454 for a Dovecot that it can't reach.
		{"submission", func(address, password string) error { return submit(postfix, address, password) }, "535", "535"},
	}
}

func (s *site) enterIMAP(address, password string) error {
	client, err := s.destination.Login(address, password)
	if err != nil {
		return err
	}
	_, err = client.Command("SELECT INBOX")
	return errors.Join(err, client.Close())
}

func (s *site) enterPOP3(address, password string) error {
	client, err := s.destination.LoginPOP3(address, password)
	if err != nil {
		return err
	}
	_, err = client.Command("STAT")
	return errors.Join(err, client.Close())
}

// submit sends a letter out of the house, which Postfix takes only of those who are logged in.
func submit(postfix *testbed.Postfix, address, password string) error {
	letter := []byte("From: <" + address + ">\r\nTo: <zoe@elsewhere.example>\r\nSubject: I have moved\r\n\r\nHello.\r\n")
	return postfix.Submit(address, password, address, letter, "zoe@elsewhere.example")
}

// want logs in and wants an answer, "" for being in.
func (s *site) want(p protocol, address, password, answer string) {
	s.t.Helper()
	err := p.enter(address, password)
	if answer == "" && err != nil || answer != "" && said(err) != answer {
		s.t.Errorf("%s login of %s: got %v, want %q; the hook said %+v", p.name, address, err, answer, s.journal.lastDecision())
	}
}

// The story once per transport and protocol. Whatever a person opens first, the mail program or its sending half, is the
// first login: each protocol gets a person of its own.
func TestFirstLoginByEveryProtocolLandsInOneNewAccount(t *testing.T) {
	people := map[string]string{"IMAP": anna, "POP3": bert, "submission": "carl@example.org", "nobody yet": "dora@example.org"}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			const password = `right "p\ass" %&=+ é`
			passwords := map[string]string{}
			for _, address := range people {
				passwords[address] = password
			}
			s := newSite(t, options{way: w, accounts: passwords, pop3: true})
			protocols := s.protocols()
			for i, p := range protocols {
				s.firstLogin(p, people[p.name], password, i)
			}
			s.whenAllIsAway(protocols, people, password)
			s.wantNoFailuresLogged()
		})
	}
}

// firstLogin is the story of one person; others have been through it before.
func (s *site) firstLogin(p protocol, address, password string, others int) {
	s.t.Helper()
	s.want(p, address, "wrong", p.wrong)
	if n := s.accounts(); n != others { // A1
		s.t.Errorf("%s: %d accounts after a wrong password, want %d", p.name, n, others)
	}
	if _, err := os.Stat(s.destination.Home(address)); !errors.Is(err, os.ErrNotExist) {
		s.t.Errorf("%s: a wrong password made a home: %v", p.name, err)
	}
	s.want(p, strings.ToUpper(address[:1])+address[1:], password, "")
	a, err := s.store.Account(s.t.Context(), account.Address(address))
	if err != nil || a.State != account.Joined || !strings.HasPrefix(a.PasswordHash, "{ARGON2ID}") {
		s.t.Errorf("%s: got %+v, %v", p.name, a, err)
	}
	s.want(p, address, "wrong", p.wrong) // A2
	s.knows(address)
	before := s.journal.decisions()
	s.want(p, address, password, "")
	if n := s.journal.decisions(); n != before {
		s.t.Errorf("%s: the hook was asked %d times by a second login", p.name, n-before)
	}
	if n := s.accounts(); n != others+1 || s.credentials() != n {
		s.t.Errorf("%s: %d accounts and %d credentials, want %d", p.name, n, s.credentials(), others+1)
	}
}

// whenAllIsAway ends the source, then the hook: who is here gets in, who is not is told to come again.
func (s *site) whenAllIsAway(protocols []protocol, people map[string]string, password string) {
	s.t.Helper()
	newcomer := people["nobody yet"]
	if err := s.source.Stop(); err != nil {
		s.t.Fatal(err)
	}
	all := func() {
		s.t.Helper()
		for _, p := range protocols {
			s.want(p, newcomer, password, p.later)
			s.want(p, people[p.name], password, "") // A3
		}
	}
	all()
	if d := s.journal.lastDecision(); d.Result != authhook.TryLater || d.Service != "smtp" {
		s.t.Errorf("of a source that is down the hook said %+v to Postfix", d)
	}
	s.stop()
	all()
	if n := s.accounts(); n != len(protocols) {
		s.t.Errorf("%d accounts, want %d", n, len(protocols))
	}
}

// wantNoFailuresLogged looks for what Dovecot logs when one of its own processes fails.
func (s *site) wantNoFailuresLogged() {
	s.t.Helper()
	log, err := os.ReadFile(s.destination.LogFile)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "Panic") || strings.Contains(line, "Fatal") {
			s.t.Errorf("Dovecot logged %s", line)
		}
	}
}
