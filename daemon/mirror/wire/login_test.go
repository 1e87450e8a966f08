package wire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return c
}

// everyByte is a password of all octets that IMAP can carry.
func everyByte() []byte {
	var b []byte
	for i := 1; i < 256; i++ {
		b = append(b, byte(i))
	}
	return b
}

func TestEveryOctetOfAPasswordArrives(t *testing.T) {
	pw := everyByte()
	plain := base64.StdEncoding.EncodeToString([]byte("\x00üser\"x\x00" + string(pw)))
	withAuthz := base64.StdEncoding.EncodeToString([]byte("anna\x00üser\"x\x00" + string(pw)))
	for _, c := range []struct{ name, capabilities, authz, want string }{
		{"LOGIN with literals", "", "", "LOGIN {7}\r\nüser\"x {255}\r\n" + string(pw)},
		{"AUTHENTICATE PLAIN", "AUTH=PLAIN", "", "AUTHENTICATE PLAIN " + plain},
		{"AUTHENTICATE PLAIN in one line", "AUTH=PLAIN SASL-IR", "", "AUTHENTICATE PLAIN " + plain},
		{"with an authorization identity", "AUTH=PLAIN SASL-IR LOGINDISABLED", "anna", "AUTHENTICATE PLAIN " + withAuthz},
	} {
		var trace strings.Builder
		s := wiretest.Start(t, wiretest.Script{Capabilities: c.capabilities})
		conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address, Trace: func(_ bool, line string) { trace.WriteString(line + "\n") }})
		if err != nil {
			t.Fatal(err)
		}
		if err = conn.Login(ctx(t), wire.Login{User: `üser"x`, AuthzID: c.authz, Password: secret.New(pw)}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := s.Lines()[1]; got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if strings.Contains(trace.String(), string(pw)) || strings.Contains(trace.String(), plain) || !strings.Contains(trace.String(), "***") {
			t.Errorf("%s: the trace shows the password: %q", c.name, trace.String())
		}
		_ = conn.Close()
	}
}

// S1: a server that quotes the password gives it away neither to error nor to trace.
func TestAPasswordQuotedByTheServerIsMasked(t *testing.T) {
	var trace strings.Builder
	s := wiretest.Start(t, wiretest.Script{Replies: map[string]string{"LOGIN": "* NO was canary-4711\r\nTAG NO [AUTHENTICATIONFAILED] canary-4711 is wrong\r\n"}})
	conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address, Trace: func(_ bool, line string) { trace.WriteString(line) }})
	if err != nil {
		t.Fatal(err)
	}
	err = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("canary-4711")})
	var le *wire.LoginError
	if !errors.As(err, &le) || !le.Refused {
		t.Errorf("got %v, want a refused login", err)
	}
	for what, text := range map[string]string{"error": fmt.Sprintf("%v %+v", err, wire.Refused(err)), "trace": trace.String(), "oddities": fmt.Sprint(conn.Oddities())} {
		if strings.Contains(text, "canary") {
			t.Errorf("the %s shows the password: %s", what, text)
		}
	}
}

func TestALoginIsJudgedOnlyByANoAboutIt(t *testing.T) {
	for reply, refused := range map[string]bool{
		"TAG NO [AUTHENTICATIONFAILED] no\r\n": true,
		"TAG NO login failed\r\n":              true,
		"TAG NO [UNAVAILABLE] later\r\n":       false,
		"TAG NO [LIMIT] too many\r\n":          false,
		"TAG BAD what\r\n":                     false,
		"* BYE too many connections\r\nCLOSE":  false,
		"CLOSE":                                false,
	} {
		s := wiretest.Start(t, wiretest.Script{Replies: map[string]string{"LOGIN": reply}})
		conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address})
		if err != nil {
			t.Fatal(err)
		}
		err = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")})
		var le *wire.LoginError
		if !errors.As(err, &le) || le.Refused != refused {
			t.Errorf("%q: got %v, want refused %v", reply, err, refused)
		}
		_ = conn.Close()
	}
}

func TestNoLoginIsSentWhereItCannotArrive(t *testing.T) {
	for _, c := range []struct{ capabilities, password string }{{"LOGINDISABLED", "x"}, {"", ""}, {"AUTH=PLAIN", "nul\x00inside"}} {
		s := wiretest.Start(t, wiretest.Script{Capabilities: c.capabilities})
		conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address})
		if err != nil {
			t.Fatal(err)
		}
		if err = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString(c.password)}); err == nil {
			t.Errorf("%+v: logged in", c)
		}
		if n := len(s.Lines()); n != 1 {
			t.Errorf("%+v: sent %q", c, s.Lines())
		}
		_ = conn.Close()
	}
}

// A server may offer PLAIN and not know it; a NO on the other hand is an answer, and
// asking twice would count as two failures there.
func TestPlainFallsBackToLoginOnlyOnBad(t *testing.T) {
	for reply, lines := range map[string]int{"TAG BAD unknown\r\n": 4, "TAG NO wrong\r\n": 2} {
		s := wiretest.Start(t, wiretest.Script{Capabilities: "AUTH=PLAIN SASL-IR", Replies: map[string]string{"AUTHENTICATE": reply}})
		conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")})
		if got := s.Lines(); len(got) != lines {
			t.Errorf("%q: sent %q", reply, got)
		}
		_ = conn.Close()
	}
}

func TestPreauthNeedsNoLogin(t *testing.T) {
	s := wiretest.Start(t, wiretest.Script{Greeting: "* PREAUTH [CAPABILITY IMAP4rev1 UIDPLUS] hi\r\n"})
	conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address})
	if err != nil {
		t.Fatal(err)
	}
	if err = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")}); err != nil || !conn.Has("uidplus") || len(s.Lines()) != 0 {
		t.Errorf("got %v after %q", err, s.Lines())
	}
}

func TestAServerThatGreetsWithByeIsNotConnectedTo(t *testing.T) {
	s := wiretest.Start(t, wiretest.Script{Greeting: "* BYE too busy\r\nCLOSE"})
	_, err := wire.Dial(ctx(t), wire.Options{Address: s.Address})
	var se *wire.StatusError
	if !errors.As(err, &se) || se.Status != "BYE" || !strings.Contains(err.Error(), "too busy") {
		t.Errorf("got %v, want the server's words", err)
	}
}

// certificates of a private authority, for 127.0.0.1 unless said otherwise.
func certificate(t *testing.T, name string, ends time.Time) (conf *tls.Config, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err = os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, caFile
}

func TestTLSIsVerifiedAlways(t *testing.T) {
	good, ca := certificate(t, "imap.example.org", time.Now().Add(time.Hour))
	expired, expiredCA := certificate(t, "imap.example.org", time.Now().Add(-time.Hour))
	_, otherCA := certificate(t, "other", time.Now().Add(time.Hour))
	noCA := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(noCA, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		conf     *tls.Config
		caFile   string
		host     string
		accepted bool
	}{
		{"right name and authority", good, ca, "imap.example.org", true},
		{"wrong name", good, ca, "imap.example.com", false},
		{"name of the address", good, ca, "", false},
		{"another authority", good, otherCA, "imap.example.org", false},
		{"the system's authorities", good, "", "imap.example.org", false},
		{"expired", expired, expiredCA, "imap.example.org", false},
		{"a file without certificates", good, noCA, "imap.example.org", false},
		{"TLS 1.1", &tls.Config{Certificates: good.Certificates, MaxVersion: tls.VersionTLS11}, ca, "imap.example.org", false},
	} {
		for _, mode := range []account.TLSMode{account.TLSImplicit, account.TLSStartTLS} {
			s := wiretest.Start(t, wiretest.Script{TLS: c.conf, StartTLS: mode == account.TLSStartTLS})
			conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address, TLS: mode, CAFile: c.caFile, ServerName: c.host})
			if (err == nil) != c.accepted {
				t.Errorf("%s, %s: got %v, want accepted %v", c.name, mode, err, c.accepted)
			}
			if err == nil {
				if err = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")}); err != nil {
					t.Errorf("%s, %s: %v", c.name, mode, err)
				}
				_ = conn.Close()
			}
		}
	}
}

func TestStartTLSIsMandatoryOnceChosen(t *testing.T) {
	good, ca := certificate(t, "imap.example.org", time.Now().Add(time.Hour))
	for name, s := range map[string]wiretest.Script{
		"refused":               {Replies: map[string]string{"STARTTLS": "TAG BAD unknown\r\n"}},
		"stripped":              {Replies: map[string]string{"STARTTLS": "TAG NO not today\r\n"}},
		"plaintext behind OK":   {TLS: good, StartTLS: true, Replies: map[string]string{"STARTTLS": "TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"}},
		"PREAUTH":               {Greeting: "* PREAUTH welcome\r\n"},
		"no TLS behind the OK":  {},
		"closed instead of TLS": {Replies: map[string]string{"STARTTLS": "TAG OK go\r\nCLOSE"}},
	} {
		srv := wiretest.Start(t, s)
		_, err := wire.Dial(ctx(t), wire.Options{Address: srv.Address, TLS: account.TLSStartTLS, CAFile: ca, ServerName: "imap.example.org", IdleTimeout: 2 * time.Second})
		var te *wire.TLSError
		if !errors.As(err, &te) {
			t.Errorf("%s: got %v, want a TLS error", name, err)
		}
		if lines := srv.Lines(); name == "PREAUTH" && len(lines) > 0 {
			t.Errorf("behind PREAUTH: sent %q", lines)
		}
		for _, line := range srv.Lines() {
			if strings.HasPrefix(line, "LOGIN") || strings.HasPrefix(line, "AUTH") {
				t.Errorf("%s: sent %q", name, line)
			}
		}
	}
}

// What was offered before TLS was offered by nobody in particular.
func TestCapabilitiesFromBeforeTLSAreForgotten(t *testing.T) {
	good, ca := certificate(t, "imap.example.org", time.Now().Add(time.Hour))
	s := wiretest.Start(t, wiretest.Script{TLS: good, StartTLS: true, Greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi\r\n"})
	conn, err := wire.Dial(ctx(t), wire.Options{Address: s.Address, TLS: account.TLSStartTLS, CAFile: ca, ServerName: "imap.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if err = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.Lines(), "|"); got != "STARTTLS|CAPABILITY|LOGIN {4}\r\nanna {1}\r\nx|CAPABILITY" {
		t.Errorf("sent %q", got)
	}
}

func TestAPinnedKeyIsTheOnlyOneThatIsSpokenTo(t *testing.T) { // S1
	pinned, _ := certificate(t, "another.example", time.Now().Add(-time.Minute)) // neither name nor dates matter
	other, ca := certificate(t, "imap.example.org", time.Now().Add(time.Hour))
	leaf, err := x509.ParseCertificate(pinned.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pin := account.PinOf(leaf)
	for name, c := range map[string]struct {
		shown *tls.Config
		good  bool
	}{"the pinned key": {pinned, true}, "another key": {other, false}} {
		srv := wiretest.Start(t, wiretest.Script{TLS: c.shown, StartTLS: true})
		conn, err := wire.Dial(ctx(t), wire.Options{Address: srv.Address, TLS: account.TLSStartTLS, CAFile: ca, ServerName: "imap.example.org", Pin: pin})
		var wrong *account.PinError
		switch {
		case c.good && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.good && (conn.TLS() == nil || account.PinOf(conn.TLS().PeerCertificates[0]) != pin):
			t.Errorf("%s: the connection tells %+v", name, conn.TLS())
		case !c.good && !errors.As(err, &wrong):
			t.Errorf("%s: got %v, want a pin error", name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}
