package authhook

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-sasl"
	"go.uber.org/goleak"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire keeps what a client sent.
type wire struct {
	mu     sync.Mutex
	octets bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.octets.Write(p)
}

func (w *wire) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.octets.String()
}

// tapped is a server's side of a connection; what comes in is also kept.
type tapped struct {
	net.Conn
	wire *wire
}

func (c tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	_, _ = c.wire.Write(p[:n])
	return n, err
}

// listen serves every connection with serve until the test ends, and returns the address and what arrived.
func listen(t *testing.T, serve func(net.Conn)) (account.Source, *wire) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	arrived := &wire{}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				serve(tapped{conn, arrived})
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	port := listener.Addr().(*net.TCPAddr).Port
	return account.Source{Host: "127.0.0.1", Port: port, TLS: account.TLSNone, ServerName: "imap.example.org"}, arrived
}

// play runs a script: "S: " lines are sent, "C: " lines are awaited and must begin as said; "S- " sends without a line end.
func play(t *testing.T, conn net.Conn, script ...string) {
	t.Helper()
	in := bufio.NewReader(conn)
	for _, step := range script {
		text := step[3:]
		switch step[:3] {
		case "S: ":
			text += "\r\n"
			fallthrough
		case "S- ":
			if _, err := conn.Write([]byte(text)); err != nil {
				return // the client went away, which may be what the test wants
			}
		case "C: ":
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if !strings.HasPrefix(line, text) {
				t.Errorf("the client sent %q, want %q", line, text)
				return
			}
		default:
			t.Fatalf("script line %q", step)
		}
	}
	_, _ = in.ReadString('\n') // whatever comes after the script is kept on the wire
}

// scripted is a source that plays the same script to everybody.
func scripted(t *testing.T, script ...string) (account.Source, *wire) {
	t.Helper()
	return listen(t, func(conn net.Conn) { play(t, conn, script...) })
}

// libraryServer is go-imap's server: an independent judge of what arrives.
type libraryServer struct {
	mu     sync.Mutex
	logins [][2]string
	answer error
}

type librarySession struct {
	imapserver.Session
	server *libraryServer
}

func (s librarySession) Close() error { return nil }
func (s librarySession) Login(user, password string) error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	s.server.logins = append(s.server.logins, [2]string{user, password})
	return s.server.answer
}
func (s librarySession) Select(folder string, o *imap.SelectOptions) (*imap.SelectData, error) {
	if folder != "INBOX" || !o.ReadOnly {
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Text: "not what was expected"}
	}
	return &imap.SelectData{UIDValidity: 1, UIDNext: 1}, nil
}
func (s librarySession) Poll(*imapserver.UpdateWriter, bool) error { return nil }

// loginOnlySession offers no SASL mechanism that we speak.
type loginOnlySession struct{ librarySession }

func (s loginOnlySession) AuthenticateMechanisms() []string { return []string{"GSSAPI"} }
func (s loginOnlySession) Authenticate(string) (sasl.Server, error) {
	return nil, &imap.Error{Type: imap.StatusResponseTypeNo}
}

func (s *libraryServer) start(t *testing.T, loginOnly bool) (account.Source, *wire) {
	t.Helper()
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			if loginOnly {
				return loginOnlySession{librarySession{server: s}}, &imapserver.GreetingData{}, nil
			}
			return librarySession{server: s}, &imapserver.GreetingData{}, nil
		},
		InsecureAuth: true,
		Logger:       log.New(testWriter{t}, "", 0),
	})
	return listen(t, func(conn net.Conn) {
		one := &oneConn{conn: conn, closed: make(chan struct{})}
		_ = server.Serve(one)
	})
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("imapserver: %s", p)
	return len(p), nil
}

// oneConn is a listener with one connection. Accept blocks after it until that is closed.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (conn net.Conn, err error) {
	err = net.ErrClosed
	l.once.Do(func() { conn, err = &closing{Conn: l.conn, closed: l.closed}, nil })
	if err != nil {
		<-l.closed
	}
	return conn, err
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

type closing struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *closing) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// testAuthority signs the certificates of hostile servers.
type testAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newTestAuthority(t *testing.T) *testAuthority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &testAuthority{cert: template, key: key, file: file}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for imap.example.org, changed by change.
func (a *testAuthority) issue(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"imap.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

var testVerifier = IMAPVerifier{AllowPrivateAddresses: true, ConnectTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second}

func verifyAt(t *testing.T, src account.Source, password string) error {
	t.Helper()
	return testVerifier.Verify(t.Context(), src, "anna@example.org", secret.FromString(password))
}
