package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailstork/test/corpus"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

// told is what a person reads about a trouble: one sentence, the raw answer, the next command.
type told struct{ sentence, answer, next string }

// in returns what of it is missing in the output of a command.
func (w told) in(text string) error {
	for _, want := range []string{w.sentence, w.answer, w.next} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("%q is not said in:\n%s", want, text)
		}
	}
	return nil
}

// wantShown waits until `account show` tells a trouble.
func wantShown(t *testing.T, s *site.Site, address string, w told) {
	t.Helper()
	must(t, site.Eventually(func() error {
		text, err := s.CLI("account", "show", address)
		if err != nil {
			return err
		}
		if !strings.Contains(text, "\nstuck ") || !strings.Contains(text, "\nnext ") {
			return fmt.Errorf("no trouble is told:\n%s", text)
		}
		return w.in(text)
	}))
}

// wantRefused runs a command that must fail with an exit code and tell why on standard error.
func wantRefused(t *testing.T, s *site.Site, code int, w told, args ...string) {
	t.Helper()
	out, err := s.CLI(args...)
	if err == nil {
		t.Fatalf("mailstork %s succeeded: %s", strings.Join(args, " "), out)
	}
	if status := fmt.Sprintf("exit status %d: mailstork: ", code); !strings.Contains(err.Error(), status) {
		t.Errorf("want %q, got %v", status, err)
	}
	if !strings.Contains(err.Error(), "\n  answer: ") || !strings.Contains(err.Error(), "\n  next:   "+w.next) {
		t.Errorf("no answer, or not the next command %q, in: %v", w.next, err)
	}
	must(t, w.in(err.Error()))
}

// wantLetter waits until a letter is in anna's inbox here, exactly once.
func wantLetter(t *testing.T, s *site.Site, subject string) {
	t.Helper()
	owner := login(t, s, anna, annaPass)
	must(t, site.Eventually(func() error {
		if n := countSubject(t, owner, "INBOX", subject); n != 1 {
			return fmt.Errorf("letter %q is here %d times, want 1", subject, n)
		}
		return nil
	}))
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

func TestDomainAddSaysWhyASourceCantBeUsed(t *testing.T) {
	s := start(t, func(o *site.Options) {
		o.Config = map[string]map[string]any{"source": {"allow_private_addresses": true, "connect_timeout_seconds": 1}}
	})
	expired, err := s.StartSource(testbed.SourceOptions{Name: "expired", CertificateExpired: true})
	must(t, err)
	elsewhere, err := s.StartSource(testbed.SourceOptions{Name: "elsewhere", CertificateHosts: []string{"imap.elsewhere.example"}})
	must(t, err)
	closed, err := testbed.FreePort()
	must(t, err)
	plain := "localhost:" + port(s.Source.IMAPAddress)
	for name, c := range map[string]struct {
		told
		source string
		flags  []string
	}{
		// Two dots are no name anywhere: no resolver is asked.
		"a name that nobody has": {told{"there is no host named imap..old.example", "no such host", "host imap..old.example"}, "imaps://imap..old.example", nil},
		"a port where nobody listens": {told{fmt.Sprintf("the source localhost:%d is down: nobody listens there", closed), "connection refused",
			fmt.Sprintf("nc -vz localhost %d", closed)}, fmt.Sprintf("imaps://localhost:%d", closed), nil},
		"TLS where STARTTLS is spoken": {told{"the source " + plain + " does not begin with TLS; for STARTTLS write imap://", "not look like a TLS handshake",
			"openssl s_client -connect " + plain}, "imaps://" + plain, nil},
		"STARTTLS where TLS is spoken": {told{"the source " + at(s.Source) + " is down or says nothing", "", "nc -vz localhost " + port(s.Source.IMAPSAddress) +
			"   # if it expects TLS at once: write imaps:// instead of imap://"}, "imap://" + at(s.Source), nil},
		"a certificate that has expired": {told{"the certificate of the source " + at(expired) + " has expired", "is after",
			"openssl s_client -connect " + at(expired) + " -servername localhost"}, "imaps://" + at(expired), []string{"--ca-file", s.CAFile}},
		"a certificate with another name": {told{"the certificate of the source " + at(elsewhere) + " is not for the name localhost", "valid for imap.elsewhere.example",
			"openssl s_client -connect " + at(elsewhere) + " -servername localhost </dev/null   # if this is the right server: --server-name NAME"},
			"imaps://" + at(elsewhere), []string{"--ca-file", s.CAFile}},
		"a certificate of an unknown authority": {told{"the certificate of the source " + at(s.Source) + " is signed by nobody whom this server trusts", "unknown authority",
			"openssl s_client -connect " + at(s.Source) + " -servername localhost </dev/null   # if this is the right server: --ca-file FILE"}, "imaps://" + at(s.Source), nil},
		"authorities that can't be read": {told{"the authorities for the certificate of the source " + at(s.Source) + " can't be read", "no such file", "ls -l /nowhere/ca.pem"},
			"imaps://" + at(s.Source), []string{"--ca-file", "/nowhere/ca.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantRefused(t, s, 6, c.told, append([]string{"domain", "add", "other.example", "--mx", site.MXHost, "--outgoing", site.OutgoingAddress,
				"--source", c.source}, c.flags...)...)
		})
	}
	if out, err := s.CLI("domain", "list"); err != nil || strings.Contains(out, "other.example") {
		t.Errorf("after refusals there is: %s, %v", out, err)
	}
}

// useCertificate lets a server show the certificate of another one.
func useCertificate(t *testing.T, server, of *testbed.Dovecot) {
	t.Helper()
	must(t, server.Stop())
	for _, name := range []string{"server.pem", "server.key"} {
		content, err := os.ReadFile(filepath.Join(of.Dir, name))
		must(t, err, os.WriteFile(filepath.Join(server.Dir, name), content, 0o600))
	}
	must(t, server.Start())
}

func TestTroubleWithTheSourceIsToldAndPassesGoOn(t *testing.T) {
	s := start(t, nil)
	good, err := s.StartSource(testbed.SourceOptions{Name: "good"})
	must(t, err)
	expired, err := s.StartSource(testbed.SourceOptions{Name: "expired", CertificateExpired: true})
	must(t, err)
	elsewhere, err := s.StartSource(testbed.SourceOptions{Name: "elsewhere", CertificateHosts: []string{"imap.elsewhere.example"}})
	must(t, err)
	stranger, err := testbed.NewForTest(t).StartSource(testbed.SourceOptions{})
	must(t, err)
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	source := "localhost:" + port(s.Source.IMAPSAddress)

	look := "openssl s_client -connect " + source + " -servername localhost </dev/null   # then: mailstork account sync " + anna
	for _, c := range []struct {
		certificate *testbed.Dovecot
		told
	}{
		{expired, told{"The certificate of the source " + source + " has expired", "is after", look}},
		{elsewhere, told{"The certificate of the source " + source + " is not for the name localhost.", "valid for imap.elsewhere.example", look}},
		{stranger, told{"The certificate of the source " + source + " is signed by nobody whom this server trusts.", "unknown authority", look}},
	} {
		useCertificate(t, s.Source, c.certificate)
		_, err := s.CLI("account", "sync", anna)
		must(t, err, s.Source.Deliver("carl@elsewhere.example", letterTo(anna, "behind the certificate of "+c.certificate.Name), anna))
		wantShown(t, s, anna, c.told)
	}
	useCertificate(t, s.Source, good)
	_, err = s.CLI("account", "sync", anna)
	must(t, err)
	for _, d := range []*testbed.Dovecot{expired, elsewhere, stranger} {
		wantLetter(t, s, "behind the certificate of "+d.Name)
	}

	must(t, s.Source.Stop())
	wantShown(t, s, anna, told{"The source " + source + " is down: nobody listens there.", "connection refused",
		"nc -vz localhost " + port(s.Source.IMAPSAddress) + "   # tried again by itself; at once: mailstork account sync " + anna})
	must(t, s.Source.Start())
	must(t, s.Source.Deliver("carl@elsewhere.example", letterTo(anna, "after the rest"), anna))
	wantLetter(t, s, "after the rest") // nobody asked for a pass
	wantNoTrouble(t, s)
	compareWithSource(t, s)
}

// wantNoTrouble waits until a good pass has ended what was told.
func wantNoTrouble(t *testing.T, s *site.Site) {
	t.Helper()
	must(t, site.Eventually(func() error {
		var a site.Account
		if err := s.JSON(&a, "account", "show", anna); err != nil || a.Stuck != "" || a.Hint != "" {
			return fmt.Errorf("still told: %q, next %q, %v", a.Stuck, a.Hint, err)
		}
		return nil
	}))
}

func TestWrongPasswordOfAnImportIsToldAndTheRightOneGoesOn(t *testing.T) { // A1
	s := start(t, nil)
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	give := func(password string) {
		t.Helper()
		list := fmt.Sprintf("address,password\n%s,\"%s\"\n", anna, strings.ReplaceAll(password, `"`, `""`))
		_, err := s.CLIWithInput(strings.NewReader(list), "account", "import", "-")
		must(t, err)
	}
	const wrong = "n0t-her-passw0rd"
	give(wrong)
	refused := told{"The source localhost:" + port(s.Source.IMAPSAddress) + " refuses the password of " + anna + ".",
		"Answer: NO [AUTHENTICATIONFAILED]", "mailstork account import FILE   # with the password that the source accepts"}
	wantShown(t, s, anna, refused)
	_, err := s.CLI("account", "sync", anna) // somebody changed it at the source, perhaps
	must(t, err)
	wantShown(t, s, anna, refused)
	text, err := s.CLI("account", "show", anna)
	must(t, err)
	must(t, told{"\nstate        listed\n", "\nfirst login  not yet\n", "\nmessages     0 accounted"}.in(text))
	// It is not tried again unasked: the source might lock the account, or ban us.
	must(t, site.Eventually(func() error {
		var due struct {
			Next time.Time `json:"next_pass_at"`
		}
		if err := s.JSON(&due, "account", "show", anna); err != nil || !due.Next.IsZero() {
			return fmt.Errorf("the refused password is tried again at %s, %v", due.Next, err)
		}
		return nil
	}))
	log, err := s.CLI("log", anna)
	if must(t, err); strings.Contains(log+text, wrong) {
		t.Errorf("the password is shown:\n%s%s", text, log)
	}
	if home := s.Dest.Home(anna); exists(home) {
		t.Errorf("%s exists, and no password was proven", home)
	}
	give(annaPass)
	waitState(t, s, anna, "following")
	wantNoTrouble(t, s)
	compareWithSource(t, s)
}

func TestPassesRefuseAPrivateSourceLikeTheHook(t *testing.T) {
	s := start(t, nil)
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	allow := func(yes bool) {
		t.Helper()
		text, err := os.ReadFile(s.ConfigFile)
		must(t, err)
		changed := strings.Replace(string(text), fmt.Sprintf("allow_private_addresses: %t", !yes), fmt.Sprintf("allow_private_addresses: %t", yes), 1)
		if changed == string(text) {
			t.Fatal("the configuration does not say allow_private_addresses")
		}
		must(t, os.WriteFile(s.ConfigFile, []byte(changed), 0o644), s.Kill(15), s.StartDaemon())
	}
	allow(false)
	must(t, s.Source.Deliver("carl@elsewhere.example", letterTo(anna, "from inside"), anna))
	const setting = "set source.allow_private_addresses: true in mailstork.yaml"
	source := "localhost:" + port(s.Source.IMAPSAddress)
	wantShown(t, s, anna, told{"The source " + source + " is at the private address", "the configuration forbids", setting})
	out, err := s.CLI("domain", "add", "other.example", "--mx", site.MXHost, "--outgoing", site.OutgoingAddress, "--source", "imaps://"+source)
	if err == nil {
		t.Fatalf("domain add took a private source: %s", out)
	}
	must(t, told{"the source " + source + " is at the private address", "exit status 6", "\n  next:   " + setting}.in(err.Error()))
	if c, err := s.Dest.Login(bob, s.People[bob]); err == nil {
		_ = c.Close()
		t.Error("a first login was proven at a private source")
	}
	allow(true)
	_, err = s.CLI("account", "sync", anna)
	must(t, err)
	wantLetter(t, s, "from inside")
}
