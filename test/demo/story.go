package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstork/test/compare"
	"mailstork/test/corpus"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

// story is the demo on its way: what is running, and whose mail program is connected where.
type story struct {
	site  *site.Site
	world *site.DNS
	began time.Time
	owner *testbed.Client // anna's mail program at this server
	login time.Time       // when she logged in here
}

// step is one sentence of the story and what proves it.
type step struct {
	says string
	do   func() (detail string, err error)
}

// tell runs the steps in order and stops at the first that does not hold.
func (s *story) tell(ctx context.Context) error {
	for number, st := range s.steps() {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		began := time.Now()
		detail, err := st.do()
		if err != nil {
			fmt.Printf("%2d. %-62s FAILED\n", number+1, st.says)
			return fmt.Errorf("step %d, %q: %w", number+1, st.says, err)
		}
		fmt.Printf("%2d. %-62s %6.2f s  %s\n", number+1, st.says, time.Since(began).Seconds(), detail)
	}
	fmt.Printf("\nEvery step held; %.0f s in all.\n", time.Since(s.began).Seconds())
	return nil
}

func (s *story) steps() []step {
	return []step{
		{"The old provider has mail for anna and bob", s.fillSource},
		{"mailstork serves; the domain is added, nothing else", s.startDaemon},
		{"A wrong password at the new server: refused, nothing made", s.wrongPassword},
		{"anna logs in at the NEW server with her OLD password", s.firstLogin},
		{"Her first message is visible", s.firstMessage},
		{"The first pass is complete: all folders, same bytes", s.firstPass},
		{"A letter that reaches the old provider now follows", s.laterLetter},
		{"A message that she deletes here stays deleted", s.deletedStays},
		{"A letter that came both ways is here once", s.bothWays},
		{"bob logs in too", s.bobLogsIn},
		{"The MX changes at one of two DNS servers: nothing happens yet", s.halfCutover},
		{"The MX changes at both: old answers expire, the source is quiet", s.cutover},
		{"Last pass, proof, report; the domain is closed", s.closed},
		{"No borrowed password is left; anna still logs in", s.aftermath},
	}
}

func (s *story) fillSource() (string, error) {
	mail := corpus.Small()
	for address, password := range people {
		if err := corpus.Seed(s.site.Source, address, password, mail); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d folders, %d messages each", len(mail.Folders), mail.Messages()), nil
}

// compare reads both sides of an account with code that is not the mirror's.
func (s *story) compare(address string) (string, error) {
	source, err := s.site.Source.Login(address, people[address])
	if err != nil {
		return "", err
	}
	defer source.Cut()
	differences, err := compare.Accounts(source, s.owner, compare.Options{Subscriptions: true})
	if err != nil {
		return "", err
	}
	if len(differences) > 0 {
		return "", fmt.Errorf("%d differences:\n%s", len(differences), compare.Report(differences, 10))
	}
	return fmt.Sprintf("%.2f s after the login", time.Since(s.login).Seconds()), nil
}

func (s *story) startDaemon() (string, error) {
	if err := s.site.StartDaemon(); err != nil {
		return "", err
	}
	return "", errors.Join(s.site.AddDomain("--accounts", "any"), s.site.Postfix.SetRecipients(anna, bob))
}

func (s *story) wrongPassword() (string, error) {
	c, err := s.site.Dest.Login(anna, "not her password")
	if err == nil {
		return "", errors.Join(errors.New("it was accepted"), c.Close())
	}
	var accounts []site.Account
	if err := s.site.JSON(&accounts, "account", "list"); err != nil {
		return "", err
	}
	if len(accounts) > 0 {
		return "", fmt.Errorf("accounts were made: %v", accounts)
	}
	return "", nil
}

func (s *story) firstLogin() (detail string, err error) {
	s.login = time.Now()
	s.owner, err = s.site.Dest.Login(anna, people[anna])
	if err != nil {
		return "", err
	}
	took := time.Since(s.login)
	var a site.Account
	if err := s.site.JSON(&a, "account", "show", anna); err != nil {
		return "", err
	}
	return fmt.Sprintf("account made, logged in after %d ms", took.Milliseconds()), nil
}

func (s *story) firstMessage() (string, error) {
	err := site.Eventually(func() error {
		status, err := s.owner.Examine("INBOX")
		if err == nil && status.Messages == 0 {
			err = errors.New("INBOX is empty")
		}
		return err
	})
	return fmt.Sprintf("%.2f s after the login", time.Since(s.login).Seconds()), err
}

func (s *story) firstPass() (string, error) {
	if _, err := s.site.WaitState(anna, "following"); err != nil {
		return "", err
	}
	return s.compare(anna)
}

func (s *story) laterLetter() (string, error) {
	if err := s.site.Source.Deliver("carl@elsewhere.example", letter("later"), anna); err != nil {
		return "", err
	}
	return "", s.wait("later", 1)
}

func (s *story) deletedStays() (string, error) {
	if _, err := s.owner.Select("INBOX"); err != nil {
		return "", err
	}
	uids, err := s.owner.Search(`HEADER MESSAGE-ID "<later@elsewhere.example>"`)
	if err != nil {
		return "", err
	}
	if err := s.owner.Delete(uids...); err != nil {
		return "", err
	}
	for range 3 {
		if err := s.pass(anna); err != nil {
			return "", err
		}
	}
	return "three passes later", s.wait("later", 0)
}

func (s *story) bothWays() (string, error) {
	if err := s.site.Postfix.Send("carl@elsewhere.example", letter("both"), anna); err != nil {
		return "", err
	}
	if err := s.wait("both", 1); err != nil {
		return "", err
	}
	if err := s.site.Source.Deliver("carl@elsewhere.example", letter("both"), anna); err != nil {
		return "", err
	}
	if err := errors.Join(s.pass(anna), s.pass(anna)); err != nil {
		return "", err
	}
	return "by SMTP, and not again from the source", s.wait("both", 1)
}

func (s *story) bobLogsIn() (string, error) {
	c, err := s.site.Dest.Login(bob, people[bob])
	if err != nil {
		return "", err
	}
	if _, err := s.site.WaitState(bob, "following"); err != nil {
		return "", err
	}
	return "", c.Close()
}

type domainView struct {
	State   string `json:"state"`
	Cutover struct {
		Waiting string `json:"waiting"`
	} `json:"cutover"`
}

func (s *story) waitDomain(states ...string) (string, error) {
	var state string
	err := site.Eventually(func() (err error) {
		state, err = s.domainIs(states...)
		return err
	})
	return state, err
}

// domainIs fails when the domain is in none of the states now.
func (s *story) domainIs(states ...string) (string, error) {
	var d domainView
	err := s.site.JSON(&d, "domain", "show", domain)
	if err == nil && !slices.Contains(states, d.State) {
		err = fmt.Errorf("the domain is %s: %s", d.State, d.Cutover.Waiting)
	}
	return d.State, err
}

func (s *story) halfCutover() (string, error) {
	if err := s.world.Point(site.MXHost, 0); err != nil {
		return "", err
	}
	deadline := time.Now().Add(4 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := s.domainIs("open"); err != nil {
			return "", err
		}
		time.Sleep(200 * time.Millisecond)
	}
	return "still open", nil
}

func (s *story) cutover() (string, error) {
	if err := s.world.Point(site.MXHost, 0, 1); err != nil {
		return "", err
	}
	return s.waitDomain("draining", "closed")
}

func (s *story) closed() (string, error) {
	if _, err := s.waitDomain("closed"); err != nil {
		return "", err
	}
	report, err := s.site.CLI("domain", "report", domain)
	if err != nil {
		return "", err
	}
	fmt.Printf("\n      %s\n\n", strings.ReplaceAll(strings.TrimSpace(report), "\n", "\n      "))
	return "", nil
}

func (s *story) aftermath() (string, error) {
	var report struct {
		Credentials int `json:"credentials_left"`
	}
	if err := s.site.JSON(&report, "domain", "report", domain); err != nil {
		return "", err
	}
	if report.Credentials != 0 {
		return "", fmt.Errorf("%d credentials are left", report.Credentials)
	}
	if err := s.site.Source.Stop(); err != nil {
		return "", err
	}
	c, err := s.site.Dest.Login(anna, people[anna])
	if err != nil {
		return "", err
	}
	return "the old provider is switched off by now", c.Close()
}

// pass asks for a pass and waits until one that began after that has ended.
func (s *story) pass(address string) error {
	var before, now struct {
		LastPassAt time.Time `json:"last_pass_at"`
	}
	if err := s.site.JSON(&before, "account", "show", address); err != nil {
		return err
	}
	if _, err := s.site.CLI("account", "sync", address); err != nil {
		return err
	}
	return site.Eventually(func() error {
		if err := s.site.JSON(&now, "account", "show", address); err != nil {
			return err
		}
		if !now.LastPassAt.After(before.LastPassAt) {
			return errors.New("no pass has ended")
		}
		return nil
	})
}

// wait waits until anna's INBOX here holds a letter as often as wanted.
func (s *story) wait(id string, want int) error {
	return site.Eventually(func() error {
		if _, err := s.owner.Examine("INBOX"); err != nil {
			return err
		}
		uids, err := s.owner.Search(fmt.Sprintf("HEADER MESSAGE-ID %q", "<"+id+"@elsewhere.example>"))
		if err == nil && len(uids) != want {
			err = fmt.Errorf("letter %q is here %d times, want %d", id, len(uids), want)
		}
		return err
	})
}

func letter(id string) []byte {
	return fmt.Appendf(nil, "From: Carl <carl@elsewhere.example>\r\nTo: %s\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%s@elsewhere.example>\r\n\r\nHello Anna.\r\n", anna, id, id)
}

// invite tells what is running and what to try.
func (s *story) invite() {
	fmt.Printf(`
It keeps running until Ctrl-C.

  the old provider   IMAP %s, IMAPS %s
  this server        IMAP %s, SMTP %s
  passwords          anna: %q, bob: %q

Three commands to try:

  %s --config %s status
  %s --config %s account show %s
  %s --config %s log %s
`, s.site.Source.IMAPAddress, s.site.Source.IMAPSAddress, s.site.Dest.IMAPAddress, s.site.Postfix.SMTPAddress, people[anna], people[bob],
		s.site.Binary, s.site.ConfigFile, s.site.Binary, s.site.ConfigFile, anna, s.site.Binary, s.site.ConfigFile, anna)
}
