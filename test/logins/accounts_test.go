package logins

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"mailstork/authhook"
	"mailstork/authhook/guard"
	"mailstork/daemon/account"
)

// manyUsers lets one address hold more sessions than Dovecot's default of ten, which is about something else.
const manyUsers = "mail_max_userip_connections = 1000\n"

func TestTwoHundredParallelFirstLoginsMakeOneAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		const programs = 200
		s := newSite(t, options{way: w, accounts: map[string]string{anna: "anna's"}, destination: manyUsers})
		quick := s.verifier.slow()
		defer quick()
		var all sync.WaitGroup
		for range programs {
			all.Go(func() { s.untilIn(anna, "anna's") })
		}
		s.waitFor("a login at the source", func() bool { return s.verifier.waits() > 0 })
		quick()
		all.Wait()
		if s.accounts() != 1 || s.credentials() != 1 {
			t.Errorf("%d accounts and %d credentials, want one", s.accounts(), s.credentials())
		}
		if n := s.atSource("imap-login: Info: Login:"); n != 1 || s.verifier.most != 1 {
			t.Errorf("the source saw %d logins, at most %d of the account at once; want one", n, s.verifier.most)
		}
	})
}

// untilIn logs in as a mail program does, which asks again when it is told UNAVAILABLE.
func (s *site) untilIn(address, password string) {
	err := s.enterIMAP(address, password)
	for try := 0; try < 30 && err != nil && said(err) == "NO [UNAVAILABLE]"; try++ {
		err = s.enterIMAP(address, password)
	}
	if err != nil {
		s.t.Errorf("login of %s: %v", address, err)
	}
}

// dovecot asks the hook's endpoint as Dovecot does, so often that a real one would bring its own penalties into play.
type dovecot struct {
	s      *site
	client *http.Client
}

func (s *site) dovecot() dovecot {
	s.t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 500}
	s.t.Cleanup(transport.CloseIdleConnections)
	return dovecot{s, &http.Client{Transport: transport}}
}

// isIn tells whether Dovecot would let somebody in.
func (d dovecot) isIn(user, password string, client netip.Addr) (bool, error) {
	form := url.Values{"grant_type": {"password"}, "username": {user}, "password": {password}, "client_id": {"dovecot"}, "client_secret": {clientSecret}}
	request, err := http.NewRequestWithContext(d.s.t.Context(), "POST", "http://"+d.s.address+authhook.GrantPath, strings.NewReader(form.Encode()))
	if err != nil {
		return false, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("X-Dovecot-Auth-Remote", netip.AddrPortFrom(client, 4711).String())
	answer, err := d.client.Do(request)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusServiceUnavailable {
		_, err := io.Copy(io.Discard, answer.Body)
		return false, err
	}
	var reply struct{ Username, Active string }
	err = json.NewDecoder(answer.Body).Decode(&reply)
	return reply.Active == "true" && reply.Username == user, err
}

// A guesser finds a domain for everybody, one for expected accounts, and one that is not ours; the old server knows
// nobody whom he guesses, and does not notice him.
func TestTenThousandRandomNamesMakeNoAccountsAndNoFolders(t *testing.T) {
	const names, machines = 10_000, 300
	s := newSite(t, options{way: grant23, accounts: map[string]string{anna: "anna's"}, budget: guard.DefaultSource})
	s.addDomain("listed.example", account.AccountsListed)
	domains := []string{domain, "listed.example", "nowhere.example"}
	hook := s.dovecot()
	work := make(chan string)
	var all sync.WaitGroup
	for i := range machines {
		client := netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
		all.Go(func() {
			for name := range work {
				if in, err := hook.isIn(name, "guess", client); in || err != nil {
					t.Errorf("%s: in %t, %v", name, in, err)
				}
			}
		})
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range names {
		work <- fmt.Sprintf("%x@%s", dice.Uint64(), domains[i%len(domains)])
	}
	close(work)
	all.Wait()
	t.Logf("the hook decided %v; the old server said no %d times", s.journal.count, len(s.verifier.failed))
	if n := s.journal.decisions(); n != names {
		t.Errorf("%d decisions, want %d", n, names)
	}
	if s.accounts() != 0 || s.credentials() != 0 {
		t.Errorf("%d accounts and %d credentials, want none", s.accounts(), s.credentials())
	}
	if n := len(s.verifier.failed); n == 0 || n > guard.DefaultSource.Failures {
		t.Errorf("the old server said no %d times, want a few, at most %d", n, guard.DefaultSource.Failures)
	}
	if entries, err := os.ReadDir(s.homes()); err == nil && len(entries) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folders: %v, %v", entries, err)
	}
	for _, file := range []string{s.passdb(), s.userdb()} {
		if text, err := os.ReadFile(file); err != nil || strings.Contains(string(text), "@") {
			t.Errorf("%s: %s, %v", file, text, err)
		}
	}
}

// spellings are a hundred of anna's address: those that are hers, and those that must be nobody's.
func spellings() (hers, nobodys []string) {
	for i := range 16 { // letters
		text := []byte(anna)
		for bit, at := range []int{0, 3, 5, 13} {
			if i>>bit&1 == 1 {
				text[at] -= 'a' - 'A'
			}
		}
		hers = append(hers, string(text))
	}
	for _, space := range []string{" ", "  ", "\t", "\r\n", "\n", "\v", "\f", "\u00a0", "\u2003", "\u3000"} { // around it, and inside
		hers = append(hers, space+anna, anna+space, space+strings.ToUpper(anna)+space)
		nobodys = append(nobodys, "an"+space+"na@example.org", "anna"+space+"@example.org", "anna@example"+space+".org")
	}
	hers = append(hers, "anna@example.org.", "ANNA@EXAMPLE.ORG.")
	nobodys = append(nobodys, "anna+shop@example.org", "anna+@example.org", "anna++@example.org", "anna+anna@example.org", "Anna+Shop@Example.Org.",
		"anna@example.org..", ".anna@example.org", "anna.@example.org", "an..na@example.org", "anna@.example.org", "anna@@example.org",
		"\"anna\"@example.org", "<anna@example.org>", "anna(me)@example.org", "mailto:anna@example.org", "anna%example.org", "anna", "@example.org",
		"anna@example.org\x00", "an\u200bna@example.org", "ａnna@example.org", "аnna@example.org", "anna@ex\u0430mple.org", "anna@éxample.org",
		"anna@e\u0301xample.org", "anna@example。org", "anna@xn--xample-9ua.org", "ánna@example.org", "a\u0301nna@example.org", "anna@example.org\u202e")
	return hers, nobodys
}

// The old server is one that takes tagged spellings of its users' names.
func TestHundredSpellingsOfOneAddressAreOneAccount(t *testing.T) {
	people := map[string]string{}
	for _, name := range []string{"anna", "anna+", "anna++", "anna+shop", "anna+anna"} {
		people[name+"@"+domain] = "anna's"
	}
	s := newSite(t, options{way: grant23, accounts: people, source: "auth_username_chars =\n"})
	hook := s.dovecot()
	client := netip.AddrFrom4([4]byte{198, 51, 100, 1})
	hers, nobodys := spellings()
	for _, text := range nobodys {
		if in, err := hook.isIn(text, "anna's", client); in || err != nil {
			t.Errorf("%q: in %t, %v", text, in, err)
		}
	}
	if n := s.accounts(); n != 0 {
		t.Errorf("%d accounts for spellings of nobody's", n)
	}
	for _, text := range hers {
		if in, err := hook.isIn(text, "anna's", client); !in || err != nil {
			t.Errorf("%q: in %t, %v; the hook said %+v", text, in, err, s.journal.lastDecision())
		}
	}
	t.Logf("%d spellings are hers, %d are refused", len(hers), len(nobodys))
	if _, err := s.store.Account(t.Context(), anna); s.accounts() != 1 || s.credentials() != 1 || err != nil {
		t.Errorf("%d accounts and %d credentials, want one; %v", s.accounts(), s.credentials(), err)
	}
}
