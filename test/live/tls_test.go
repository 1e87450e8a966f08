package live

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

// atSource counts lines of the source's log with a text in them.
func (b *bench) atSource(text string) int {
	b.t.Helper()
	log, err := os.ReadFile(b.Source.LogFile)
	must(b.t, err)
	return strings.Count(string(log), text)
}

func TestNoPasswordIsPassedOnToASourceThatDovecotCannotVerify(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass}, func(o *site.Options) {
			whilePassedOn(o)
			prepare := o.Prepare
			o.Prepare = func(lab *testbed.Lab, o *site.Options) error {
				other, err := testbed.New(filepath.Join(lab.Dir, "other")) // another lab has another authority
				must(t, err)
				o.Dest.ProxyCAFile = other.CAFile
				return prepare(lab, o)
			}
		})
		c, err := b.Dest.Login(anna, annaPass)
		if err == nil {
			_ = c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "[UNAVAILABLE]") {
			t.Errorf("a source with a certificate of a stranger: %v, want [UNAVAILABLE]", err)
		}
		if a := b.show(anna); a.Route != "source" { // the daemon trusts it, and proved the password there
			t.Errorf("the account is %+v", a)
		}
	})
}

func TestSessionsArePassedOnOverSTARTTLSAndToAServerOfAnotherName(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass, "bert@" + domain: annaPass}, func(o *site.Options) {
			whilePassedOn(o)
			o.Source.CertificateHosts = []string{"localhost", "imap.old.example"}
		})
		for address, args := range map[string][]string{
			anna:             {"--source", "imap://localhost:" + port(t, b.Source.IMAPAddress)},
			"bert@" + domain: {"--source", "imaps://127.0.0.1:" + port(t, b.Source.IMAPSAddress), "--server-name", "imap.old.example"},
		} {
			_, err := b.CLI(append([]string{"domain", "set", domain}, args...)...)
			must(t, err)
			o := newOwner(t, b.Dest, address, annaPass)
			o.seed(b.Source, 6, 300)
			inClear := func() int { return b.atSource("Login: ") - b.atSource(", TLS, ") }
			before := inClear()
			o.enter()
			if a, n := b.show(address), inClear()-before; a.Route != "source" || n > 0 {
				t.Errorf("%q: %+v, and %d logins in clear", args, a, n)
			}
			o.leave()
		}
	})
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	return port
}
