package source_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"testing"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

// as dials as a master user spelled for owner.
func as(t testing.TB, server account.Source, spelling, masterPassword string) (*source.Conn, error) {
	t.Helper()
	m, err := account.SourceLogin{Kind: account.LoginMaster, User: "admin", Spelling: spelling}.MasterFor(account.Account{Address: owner, SourceUser: owner})
	if err != nil {
		t.Fatal(err)
	}
	return source.Dial(ctx(t), source.Options{Server: server, User: m.Login, AuthzID: m.Authz, Become: m.Become,
		Mechanism: wire.Mechanism(m.Command), Password: secret.FromString(masterPassword)})
}

func TestDovecotsMasterUserOpensTheAccountInBothSpellings(t *testing.T) {
	lab := testbed.NewForTest(t)
	file := lab.Dir + "/masters"
	if err := os.WriteFile(file, fmt.Appendf(nil, "admin:{SHA256.HEX}%x\n", sha256.Sum256([]byte("master pw"))), 0o644); err != nil {
		t.Fatal(err)
	}
	passdb := "passdb masters {\n  driver = passwd-file\n  master = yes\n  passwd_file_path = " + file + "\n}\n"
	if on23() {
		passdb = "passdb {\n  driver = passwd-file\n  master = yes\n  args = " + file + "\n}\n"
	}
	d, err := lab.StartSource(testbed.SourceOptions{Accounts: map[string]string{owner: password}, ExtraConfig: "auth_master_user_separator = *\n" + passdb})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, login(t, d), "INBOX", 3)
	server := serverAt(t, d.IMAPAddress, account.TLSNone, "")
	for _, spelling := range []string{"dovecot", "authzid", "{user}*{master_local}"} {
		c, err := as(t, server, spelling, "master pw")
		if err != nil {
			t.Errorf("%s: %v", spelling, err)
			continue
		}
		if s, err := c.Examine(ctx(t), "INBOX"); err != nil || s.Exists != 3 {
			t.Errorf("%s: got %+v, %v, want the owner's inbox", spelling, s, err)
		}
		_ = c.Close()
		_, err = as(t, server, spelling, "wrong")
		var le *wire.LoginError
		if !errors.As(err, &le) || !le.Refused {
			t.Errorf("%s with a wrong password: %v", spelling, err)
		}
	}
}

// What each kind of server hears, word for word.
func TestEverySpellingReachesTheServerAsItsKindWantsIt(t *testing.T) {
	for spelling, want := range map[string]string{
		"dovecot":      "LOGIN {22}\r\nanna@example.org*admin {2}\r\npw",
		"exchange":     "LOGIN {22}\r\nexample.org\\admin\\anna {2}\r\npw",
		"exchange-upn": "LOGIN {10}\r\nadmin\\anna {2}\r\npw",
		"office365":    "LOGIN {22}\r\nadmin\\anna@example.org {2}\r\npw",
		"mirapoint":    "LOGIN {24}\r\n#anna@example.org#admin# {2}\r\npw",
		"sunone":       `PROXYAUTH "anna@example.org"`,
		"kerio":        `X-SETUSER "anna@example.org"`,
	} {
		s := wiretest.Start(t, wiretest.Script{Replies: map[string]string{
			"X-MASTERAUTH": "+ <1@k>\r\n", "X-MASTERAUTH ": "TAG OK\r\n", "X-SETUSER": "TAG OK\r\n", "PROXYAUTH": "TAG OK\r\n"}})
		c, err := as(t, serverAt(t, s.Address, account.TLSNone, ""), spelling, "pw")
		if err != nil {
			t.Errorf("%s: %v", spelling, err)
			continue
		}
		_ = c.Close()
		if got := fmt.Sprintf("%q", s.Lines()); !contains(s.Lines(), want) {
			t.Errorf("%s: sent %s, want %q", spelling, got, want)
		}
	}
}

func contains(lines []string, want string) bool {
	for _, l := range lines {
		if l == want {
			return true
		}
	}
	return false
}

// A server may close after the first refusal: then a new token is tried on a new connection, once.
func TestARefusedTokenIsReplacedOnANewConnectionWhenTheServerCloses(t *testing.T) {
	for _, first := range []string{"* BYE bad token\r\nTAG NO refused\r\nCLOSE", "TAG NO refused\r\nCLOSE", "CLOSE"} {
		replacedWhenClosed(t, first)
	}
}

func replacedWhenClosed(t *testing.T, first string) {
	t.Helper()
	n := 0
	s := wiretest.Start(t, wiretest.Script{Capabilities: "AUTH=XOAUTH2 SASL-IR", Answer: func(line string) (string, bool) {
		if len(line) < 12 || line[:12] != "AUTHENTICATE" {
			return "", false
		}
		if n++; n == 1 {
			return first, true
		}
		return "TAG OK in\r\n", true
	}})
	e := newEndpoint(t, func(n int) (int, string) { return 200, fmt.Sprintf(`{"access_token":"t%d","token_type":"bearer"}`, n) })
	c, err := source.Dial(ctx(t), source.Options{Server: serverAt(t, s.Address, account.TLSNone, ""), User: owner,
		Tokens: e.source(source.OAuthOptions{ClientID: "c"})})
	if err != nil || len(e.requests()) > 3 || len(e.requests()) < 2 {
		t.Fatalf("%q: got %v after %d tokens", first, err, len(e.requests()))
	}
	_ = c.Close()
}
