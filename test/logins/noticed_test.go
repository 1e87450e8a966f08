package logins

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/notice"
)

// letters are the notices of a site without passes.
type letters struct{ notice.Folders }

func (l *letters) Ready(d account.Domain, a account.Account) error {
	if l.Has(a) {
		return nil
	}
	return l.Put(a, notice.Letter{To: a.Address, Sender: d.NoticeSender(), Language: d.LanguageOf(a), Kind: notice.Waiting, At: time.Now()})
}

// landsOnNotice logs in by IMAP and by POP3 and looks for one letter.
func (s *site) landsOnNotice(address, password string) {
	s.t.Helper()
	client, err := s.destination.Login(address, password)
	if err != nil {
		s.t.Errorf("login of %s: %v; the hook said %+v", address, err, s.journal.lastDecision())
		return
	}
	status, err := client.Examine("INBOX")
	if err = errors.Join(err, client.Close()); err != nil || status.Messages != 1 || status.UIDValidity != 1 {
		s.t.Errorf("%s has %+v, %v; want the notice", address, status, err)
	}
	pop, err := s.destination.LoginPOP3(address, password)
	if err != nil {
		s.t.Errorf("POP3 login of %s: %v; the hook said %+v", address, err, s.journal.lastDecision())
		return
	}
	stat, err := pop.Command("STAT")
	if err = errors.Join(err, pop.Close()); err != nil || !strings.HasPrefix(stat, "1 ") {
		s.t.Errorf("POP3 of %s has %q, %v; want the notice", address, stat, err)
	}
}

func TestFirstLoginIsAnsweredWithANoticeByEveryTransport(t *testing.T) {
	const password = `right "p\ass" %&=+ é`
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			people := map[string]string{anna: password, bert: password, "carl@example.org": password}
			s := newSite(t, options{way: w, accounts: people, pop3: true})
			d, err := s.store.Domain(t.Context(), domain)
			if err == nil {
				d.FirstLogin = account.FirstLoginNotice
				err = s.store.SetDomainOptions(t.Context(), d)
			}
			if err != nil {
				t.Fatal(err)
			}
			protocols := s.protocols()
			imap, pop3, submission := protocols[0], protocols[1], protocols[2]
			s.want(imap, anna, "wrong", imap.wrong)
			s.landsOnNotice("Anna@Example.org", password)
			for _, p := range protocols {
				s.want(p, anna, "wrong", p.wrong) // A2
			}
			s.want(imap, anna+"/imap", password, imap.wrong)
			s.want(submission, bert, password, "") // a first login
			s.landsOnNotice(bert, password)
			s.want(pop3, "carl@example.org", password, "") // a first login
			for address := range people {
				if a, err := s.store.Account(t.Context(), account.Address(address)); err != nil || a.Route != account.RouteNotice || a.Switched() || a.State != account.Joined {
					t.Errorf("got %+v, %v", a, err)
				}
			}
			s.stop() // A3
			if err := s.source.Stop(); err != nil {
				t.Fatal(err)
			}
			s.landsOnNotice(anna, password)
			s.want(submission, anna, password, "")
			if entries, err := os.ReadDir(s.homes()); err != nil || len(entries) > 0 {
				t.Errorf("a notice has left %v among the mail, %v", entries, err)
			}
			s.open(anna)
			if client, err := s.destination.Login(anna, password); err != nil {
				t.Error(err)
			} else if status, err := client.Select("INBOX"); errors.Join(err, client.Close()) != nil || status.Messages != 0 || status.UIDValidity <= 1 {
				t.Errorf("the account itself has %+v, %v", status, err)
			}
			s.wantNoFailuresLogged()
		})
	}
}

// open opens an account as a pass does.
func (s *site) open(address account.Address) {
	s.t.Helper()
	err := s.store.Write(s.t.Context(), func(tx *sql.Tx) error {
		a, err := s.store.AccountIn(s.t.Context(), tx, address)
		if err == nil {
			err = s.store.MoveRoute(s.t.Context(), tx, a, account.RouteHere, account.Switching{}, 0)
		}
		return err
	})
	if err = errors.Join(err, s.provisioner.Publish(s.t.Context())); err != nil {
		s.t.Fatal(fmt.Errorf("opening %s: %w", address, err))
	}
}
