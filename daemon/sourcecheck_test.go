package daemon

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	passSource "mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
)

const refusesAll = "TAG NO [AUTHENTICATIONFAILED] no\r\n"

func sourceThat(t *testing.T, login string) (*wiretest.Server, account.Source) {
	t.Helper()
	return scripted(t, wiretest.Script{Capabilities: "CONDSTORE", Replies: map[string]string{"LOGIN": login}})
}

func newDomain(source account.Source) account.Domain {
	return account.Domain{Name: domain, Source: source, Accounts: account.AccountsAny}
}

func TestASourceThatAcceptsEveryPasswordIsNotAdded(t *testing.T) { // A1, S1
	d, _ := newDaemon(t, privateAllowed)
	srv, source := sourceThat(t, "TAG OK welcome\r\n")
	for _, dryRun := range []bool{true, false} {
		_, err := d.AddDomain(t.Context(), newDomain(source), dryRun)
		var refused *control.Error
		if !errors.As(err, &refused) || refused.Kind != control.KindRefused || !strings.Contains(refused.Sentence, "accepts every password") {
			t.Errorf("dry run %v: got %v", dryRun, err)
		}
	}
	if domains, err := d.Domains(t.Context()); err != nil || len(domains) != 0 {
		t.Errorf("domains: %+v, %v", domains, err)
	}
	if said := strings.Join(srv.Lines(), "|"); !strings.Contains(said, "@"+domain) || !strings.Contains(said, "EXAMINE INBOX") {
		t.Errorf("the source heard %q, want a login of a name in the domain and a look at its INBOX", said)
	}
}

func TestAGoodSourceIsAddedWithWhatItShows(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	_, source := sourceThat(t, refusesAll)
	added, err := d.AddDomain(t.Context(), newDomain(source), false)
	if err != nil || added.Check.At.IsZero() || added.Check.Doubt != "" || strings.Join(added.Check.Capabilities, " ") != "CONDSTORE IMAP4REV1" {
		t.Fatalf("got %+v, %v", added.Check, err)
	}
	of, err := d.store.Domain(t.Context(), domain)
	if err != nil || !of.Check.At.Equal(added.Check.At) {
		t.Errorf("stored is %+v, %v", of.Check, err)
	}
	failures, err := d.store.LoginFailures(t.Context(), time.Time{})
	if err != nil || len(failures) != 1 { // what the source counted is in its budget, also after a restart
		t.Errorf("noted failures: %+v, %v", failures, err)
	}
}

func TestASourceWithoutAClearAnswerWaitsForOne(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	_, source := sourceThat(t, "TAG NO [UNAVAILABLE] later\r\n")
	added, err := d.AddDomain(t.Context(), newDomain(source), false)
	if err != nil || added.Check.Doubt != doubtUnclear || added.Check.AcceptsAny {
		t.Errorf("got %+v, %v", added.Check, err)
	}
}

// Day by day: what a source says begins and ends the doubt, and silence changes nothing.
func TestTheDailyCheckSeesASourceThatBeginsToAcceptEverything(t *testing.T) { // A1
	d, log := newDaemon(t, privateAllowed)
	answer := refusesAll
	_, source := scripted(t, wiretest.Script{Answer: func(line string) (string, bool) { return answer, strings.HasPrefix(line, "LOGIN") }})
	_, err := d.AddDomain(t.Context(), newDomain(source), false)
	must(t, err)
	day := time.Now()
	for i, c := range []struct {
		after   time.Duration
		answer  string
		doubted bool
	}{
		{checkEvery - time.Hour, "TAG OK\r\n", false}, // not due
		{checkEvery + time.Minute, "CLOSE", false},
		{checkEvery + time.Minute, "TAG OK\r\n", true},
		{checkAgain + time.Minute, "CLOSE", true},
		{checkAgain + time.Minute, refusesAll, false},
	} {
		d.hook.Close()
		must(t, d.buildHook(t.Context())) // its breaker and budgets are not tested here
		answer = c.answer
		must(t, d.checkDueSources(t.Context(), day.Add(c.after)))
		of, err := d.store.Domain(t.Context(), domain)
		must(t, err)
		if (of.Check.Doubt != "") != c.doubted {
			t.Errorf("step %d: doubt %q, want %v", i, of.Check.Doubt, c.doubted)
		}
		if found := sourceFindings(of); len(found) != map[bool]int{true: 2, false: 1}[c.doubted] { // without TLS it always warns
			t.Errorf("step %d: doctor finds %+v", i, found)
		}
	}
	for _, want := range []string{"no first logins are passed on", "accepted a random password", "refuses wrong passwords"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, log)
		}
	}
}

// An admin who asks the source's operator can pin the key that the refusal shows.
func TestAnUnknownCertificateIsShownWithItsPinAndAddedWithIt(t *testing.T) { // S1
	d, _ := newDaemon(t, privateAllowed)
	web := httptest.NewTLSServer(nil) // for its certificate, which nobody trusts
	t.Cleanup(web.Close)
	pin := account.PinOf(web.Certificate())
	_, source := scripted(t, wiretest.Script{TLS: &tls.Config{Certificates: web.TLS.Certificates}, Replies: map[string]string{"LOGIN": refusesAll}})
	source.TLS = account.TLSImplicit
	_, err := d.AddDomain(t.Context(), newDomain(source), false)
	var invalid *control.Error
	if !errors.As(err, &invalid) || !strings.Contains(invalid.Hint, "--pin "+pin) {
		t.Fatalf("got %v, want a hint with the pin %s", err, pin)
	}
	source.Pin = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	if _, err := d.AddDomain(t.Context(), newDomain(source), false); err == nil || !strings.Contains(err.Error(), "another key than the pinned one") {
		t.Errorf("another pin: %v", err)
	}
	source.Pin = pin
	added, err := d.AddDomain(t.Context(), newDomain(source), false)
	if err != nil {
		t.Fatal(err)
	}
	c := added.Check.Certificate
	if c == nil || c.Pin != pin || len(c.Names) == 0 || !c.Until.Equal(web.Certificate().NotAfter) || c.Issuer == "" || added.Check.TLSVersion != "TLS 1.3" || added.Check.Doubt != "" {
		t.Errorf("shown: %+v, certificate %+v", added.Check, c)
	}
	if findings := sourceFindings(account.Domain{Source: source, Check: added.Check}); len(findings) != 0 {
		t.Errorf("the doctor finds %+v", findings)
	}
	d.addAccount(t, d.stored(t), anna, account.Joined)
	options, _, err := d.sourceOptions(t.Context(), d.stored(t), d.read(t, anna))
	must(t, err)
	conn, err := passSource.Dial(t.Context(), options)
	var login *wire.LoginError
	if !errors.As(err, &login) { // the pin holds for passes, too
		t.Errorf("a pass: %v, %v", conn, err)
	}
}

func (d *Daemon) stored(t *testing.T) account.Domain {
	t.Helper()
	of, err := d.store.Domain(t.Context(), domain)
	must(t, err)
	return of
}
