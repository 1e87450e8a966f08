package logins

import (
	"errors"
	"net/netip"
	"testing"

	"mailstork/daemon/account"
)

// passOn lets first logins be passed on to the source, which was seen at its address.
func (s *site) passOn() {
	s.t.Helper()
	d, err := s.store.Domain(s.t.Context(), domain)
	if err != nil {
		s.t.Fatal(err)
	}
	d.FirstLogin = account.FirstLoginProxy
	d.Check.Address, d.Check.Capabilities = netip.MustParseAddr("127.0.0.1"), []string{"AUTH=PLAIN"}
	if err := s.store.SetDomainOptions(s.t.Context(), d); err != nil {
		s.t.Fatal(err)
	}
}

// landsAtSource logs in and looks for a folder that only the source has.
func (s *site) landsAtSource(address, password string) {
	s.t.Helper()
	client, err := s.destination.Login(address, password)
	if err != nil {
		s.t.Errorf("login of %s: %v; the hook said %+v", address, err, s.journal.lastDecision())
		return
	}
	_, err = client.Examine("Only there")
	if err = errors.Join(err, client.Close()); err != nil {
		s.t.Errorf("%s did not land at the source: %v", address, err)
	}
}

func TestFirstLoginIsPassedOnByEveryTransport(t *testing.T) {
	const password = `right "p\ass" %&=+ é`
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			s := newSite(t, options{way: w, accounts: map[string]string{anna: password, bert: password}, pop3: true})
			s.passOn()
			for _, address := range []string{anna, bert} {
				there, err := s.source.Login(address, password)
				if err == nil {
					err = errors.Join(there.Create("Only there"), there.Close())
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			protocols := s.protocols()
			imap, pop3, submission := protocols[0], protocols[1], protocols[2]
			s.want(imap, anna, "wrong", imap.wrong)
			s.landsAtSource("Anna@Example.org", password)
			s.want(imap, anna, "wrong", imap.wrong) // A2
			s.want(pop3, anna, password, pop3.later)
			s.want(submission, bert, password, "") // a first login
			s.landsAtSource(bert, password)
			for _, address := range []account.Address{anna, bert} {
				if a, err := s.store.Account(t.Context(), address); err != nil || a.Route != account.RouteSource || a.Switched() || a.State != account.Joined {
					t.Errorf("got %+v, %v", a, err)
				}
			}
			before := s.journal.decisions()
			s.landsAtSource(anna, password)
			s.want(submission, anna, password, "")
			if n := s.journal.decisions(); n != before {
				t.Errorf("the hook was asked %d times by later logins", n-before)
			}
			s.stop() // A3
			s.landsAtSource(anna, password)
			s.want(submission, anna, password, "")
			if err := s.source.Stop(); err != nil {
				t.Fatal(err)
			}
			s.want(imap, anna, password, imap.later)
			s.wantNoFailuresLogged()
		})
	}
}
