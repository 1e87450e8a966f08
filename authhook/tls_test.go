package authhook

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
)

// afterTLS serves TLS on conn with config and plays a script inside; what is decrypted is kept too.
func afterTLS(t *testing.T, conn net.Conn, config *tls.Config, script ...string) {
	t.Helper()
	server := tls.Server(conn, config)
	if err := server.Handshake(); err != nil {
		return
	}
	play(t, tapped{server, conn.(tapped).wire}, script...)
}

// trusting is a script that takes every password.
var trusting = []string{"C: m1 CAPABILITY", "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR", "S: m1 OK", "C: m2 AUTH", "S: m2 OK", "C: m3 EXAMINE INBOX", "S: m3 OK"}

func withGreeting(script []string) []string { return append([]string{"S: * OK hello"}, script...) }

// upgrade plays a script in clear text up to and including its answer to STARTTLS.
func upgrade(t *testing.T, conn net.Conn, answer string) {
	t.Helper()
	if _, err := io.WriteString(conn, "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] hello\r\n"); err != nil {
		return
	}
	readLine(conn)
	_, _ = io.WriteString(conn, answer)
}

// readLine reads octet by octet, so that nothing of a following TLS record is lost.
func readLine(conn net.Conn) {
	one := make([]byte, 1)
	for {
		if _, err := conn.Read(one); err != nil || one[0] == '\n' {
			return
		}
	}
}

func sawPassword(arrived *wire) bool {
	response := base64.StdEncoding.EncodeToString([]byte("\x00anna@example.org\x00" + canary))
	return strings.Contains(arrived.String(), canary) || strings.Contains(arrived.String(), response)
}

func TestPasswordNeverLeavesForAHostileServer(t *testing.T) {
	authority, stranger := newTestAuthority(t), newTestAuthority(t)
	good := authority.issue(t, nil)
	with := func(cert tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{cert}} }
	selfSigned := func() tls.Certificate {
		key := newKey(t)
		template := &x509.Certificate{SerialNumber: authority.cert.SerialNumber, DNSNames: []string{"imap.example.org"},
			NotBefore: authority.cert.NotBefore, NotAfter: authority.cert.NotAfter}
		der, err := x509.CreateCertificate(bytes.NewReader(make([]byte, 1000)), template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}()
	expired := authority.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := authority.issue(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
	other := authority.issue(t, func(c *x509.Certificate) { c.DNSNames = []string{"imap.example.net"} })
	forClients := authority.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	implicit := func(config *tls.Config) func(*testing.T, net.Conn) {
		return func(t *testing.T, conn net.Conn) { afterTLS(t, conn, config, withGreeting(trusting)...) }
	}
	starttls := func(answer string, config *tls.Config) func(*testing.T, net.Conn) {
		return func(t *testing.T, conn net.Conn) {
			upgrade(t, conn, answer)
			afterTLS(t, conn, config, trusting...)
		}
	}
	clear := func(answer string) func(*testing.T, net.Conn) {
		return func(t *testing.T, conn net.Conn) {
			upgrade(t, conn, answer)
			play(t, conn, trusting...)
		}
	}
	for name, c := range map[string]struct {
		mode  account.TLSMode
		serve func(*testing.T, net.Conn)
		says  string
	}{
		"expired":           {account.TLSImplicit, implicit(with(expired)), "is not valid"},
		"not valid yet":     {account.TLSImplicit, implicit(with(early)), "is not valid"},
		"another name":      {account.TLSImplicit, implicit(with(other)), "is not for the name imap.example.org"},
		"self-signed":       {account.TLSImplicit, implicit(with(selfSigned)), "signed by nobody"},
		"unknown authority": {account.TLSImplicit, implicit(with(stranger.issue(t, nil))), "signed by nobody"},
		"not for servers":   {account.TLSImplicit, implicit(with(forClients)), "is not valid"},
		"TLS 1.1":           {account.TLSImplicit, implicit(&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), "no safe connection"},
		"no TLS on its port": {account.TLSImplicit, func(t *testing.T, conn net.Conn) {
			play(t, conn, "S: * OK hello", "C: ", "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR", "S: m1 OK")
		}, "does not speak TLS"},
		"LOGINDISABLED": {account.TLSImplicit, func(t *testing.T, conn net.Conn) {
			afterTLS(t, conn, with(good), "S: * OK", "C: m1", "S: * CAPABILITY IMAP4rev1 LOGINDISABLED", "S: m1 OK", "C: ")
		}, "permits no login"},
		"PREAUTH in TLS": {account.TLSImplicit, func(t *testing.T, conn net.Conn) {
			afterTLS(t, conn, with(good), append([]string{"S: * PREAUTH"}, trusting...)...)
		}, "greets with something else"},
		"STARTTLS expired":      {account.TLSStartTLS, starttls("m1 OK go\r\n", with(expired)), "is not valid"},
		"STARTTLS another name": {account.TLSStartTLS, starttls("m1 OK go\r\n", with(other)), "is not for the name"},
		"STARTTLS refused":      {account.TLSStartTLS, clear("m1 NO not today\r\n"), "does not start TLS"},
		"STARTTLS stripped":     {account.TLSStartTLS, clear("m1 BAD unknown command\r\n"), "does not start TLS"},
		"PREAUTH before TLS": {account.TLSStartTLS, func(t *testing.T, conn net.Conn) {
			play(t, conn, append([]string{"S: * PREAUTH welcome"}, trusting...)...)
		}, "greets with something else"},
		"answer before TLS": {account.TLSStartTLS, starttls("m1 OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nm1 OK done\r\n", with(good)), "spoke in clear text"},
		"clear text after OK": {account.TLSStartTLS, func(t *testing.T, conn net.Conn) {
			upgrade(t, conn, "m1 OK go\r\n")
			readLine(conn)
			play(t, conn, "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR", "S: m1 OK", "C: ")
		}, "does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			src, arrived := listen(t, func(conn net.Conn) { c.serve(t, conn) })
			src.TLS, src.CAFile = c.mode, authority.file
			err := verifyAt(t, src, canary)
			var problem *SourceProblem
			if !errors.As(err, &problem) || problem.Sent || !strings.Contains(problem.What, c.says) {
				t.Errorf("got %v, want a problem before sending that says %q", err, c.says)
			}
			if sawPassword(arrived) {
				t.Errorf("the password left: %q", arrived)
			}
		})
	}
}

func TestPasswordArrivesAtAGoodServer(t *testing.T) { // or the test above could not see it
	authority := newTestAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{authority.issue(t, nil)}}
	for mode, serve := range map[account.TLSMode]func(net.Conn){
		account.TLSNone:     func(conn net.Conn) { play(t, conn, withGreeting(trusting)...) },
		account.TLSImplicit: func(conn net.Conn) { afterTLS(t, conn, config, withGreeting(trusting)...) },
		account.TLSStartTLS: func(conn net.Conn) {
			upgrade(t, conn, "m1 OK go\r\n")
			afterTLS(t, conn, config, trusting...)
		},
	} {
		src, arrived := listen(t, serve)
		src.TLS, src.CAFile = mode, authority.file
		if err := verifyAt(t, src, canary); err != nil || !sawPassword(arrived) {
			t.Errorf("%s: got %v after %q", mode, err, arrived)
		}
	}
}

func TestCapabilitiesSaidBeforeTLSAreNotBelieved(t *testing.T) {
	authority := newTestAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{authority.issue(t, nil)}}
	src, _ := listen(t, func(conn net.Conn) {
		upgrade(t, conn, "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nm1 OK go\r\n")
		afterTLS(t, conn, config, "C: m1 CAPABILITY", "S: m1 OK no reply", "C: m2 LOGIN {16}", "S: +", "C: anna@example.org {17}", "S: +", "C: "+canary, "S: m2 OK", "C: m3 EXAMINE", "S: m3 OK")
	})
	src.TLS, src.CAFile = account.TLSStartTLS, authority.file
	if err := verifyAt(t, src, canary); err != nil {
		t.Error(err)
	}
}

func TestCAFileThatHoldsNothingIsAProblem(t *testing.T) {
	src, arrived := scripted(t, "S: * OK")
	for _, file := range []string{"/nonexistent/ca.pem", "tls_test.go"} {
		src.TLS, src.CAFile = account.TLSImplicit, file
		var problem *SourceProblem
		if err := verifyAt(t, src, canary); !errors.As(err, &problem) || !strings.Contains(problem.What, "ca_file") {
			t.Errorf("%s: got %v", file, err)
		}
	}
	if arrived.String() != "" {
		t.Errorf("sent %q", arrived)
	}
}

// The pinned key stands in the place of authority, name and dates, and nothing else is believed beside it (S1).
func TestAPinTakesOneKeyAndNoOther(t *testing.T) {
	authority, stranger := newTestAuthority(t), newTestAuthority(t)
	odd := stranger.issue(t, func(c *x509.Certificate) {
		c.DNSNames, c.NotAfter = []string{"imap.example.net"}, time.Now().Add(-time.Minute)
	})
	leaf, err := x509.ParseCertificate(odd.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	borrowed := authority.issue(t, nil) // the pinned certificate further up the chain is nobody's proof
	borrowed.Certificate = append(borrowed.Certificate, odd.Certificate[0])
	for name, c := range map[string]struct {
		shown tls.Certificate
		good  bool
	}{
		"the pinned key":                        {odd, true},
		"a good certificate of another key":     {authority.issue(t, nil), false},
		"the pinned certificate behind another": {borrowed, false},
	} {
		for _, mode := range []account.TLSMode{account.TLSImplicit, account.TLSStartTLS} {
			src, arrived := listen(t, func(conn net.Conn) {
				script := trusting
				if mode == account.TLSStartTLS {
					upgrade(t, conn, "m1 OK go\r\n")
				} else {
					script = withGreeting(trusting)
				}
				afterTLS(t, conn, &tls.Config{Certificates: []tls.Certificate{c.shown}}, script...)
			})
			src.TLS, src.Pin = mode, account.PinOf(leaf)
			err := verifyAt(t, src, canary)
			var problem *SourceProblem
			switch {
			case c.good && err != nil:
				t.Errorf("%s, %s: %v", name, mode, err)
			case !c.good && (!errors.As(err, &problem) || problem.Sent || !strings.Contains(problem.What, "another key than the pinned one")):
				t.Errorf("%s, %s: got %v", name, mode, err)
			case !c.good && sawPassword(arrived):
				t.Errorf("%s, %s: the password left", name, mode)
			}
		}
	}
}

// A server with a good certificate that accepts everything: only the challenge can know it, and after it no password goes.
func TestPasswordNeverLeavesForAServerThatAcceptsEverything(t *testing.T) { // A1, S1
	authority := newTestAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{authority.issue(t, nil)}}
	src, arrived := listen(t, func(conn net.Conn) { afterTLS(t, conn, config, withGreeting(trusting)...) })
	src.TLS, src.CAFile = account.TLSImplicit, authority.file
	b := newBench(t, func(o *Options) { o.Verifier = testVerifier })
	domain := b.provisioner.domains["example.org"]
	domain.Source = src
	accepts, err := b.Challenge(t.Context(), domain)
	if err != nil || !accepts {
		t.Fatalf("the challenge: %v, %v", accepts, err)
	}
	challenged := arrived.String()
	domain.Check.Doubt = "it accepts everything"
	b.provisioner.domains["example.org"] = domain
	b.want(t, "anna@example.org", canary, TryLater, "doubted")
	if sawPassword(arrived) || arrived.String() != challenged {
		t.Errorf("after the challenge the server heard more: %q", strings.TrimPrefix(arrived.String(), challenged))
	}
}
