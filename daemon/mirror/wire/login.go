package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// Login is what opens an account.
type Login struct {
	User     string
	AuthzID  string // SASL authorization identity, "" for the user itself
	Password secret.Secret
}

// greet secures a fresh connection and reads the greeting.
func (c *Conn) greet(ctx context.Context) error {
	leave, err := c.Enter(ctx)
	if err != nil {
		return err
	}
	return leave(c.secure(ctx))
}

func (c *Conn) secure(ctx context.Context) error {
	idle := &idleConn{Conn: c.base, idle: c.opt.IdleTimeout}
	c.use(idle)
	if c.opt.TLS == account.TLSImplicit {
		if err := c.handshake(ctx, idle); err != nil {
			return err
		}
	}
	c.d.tracing = c.opt.Trace != nil
	if err := c.greeting(); err != nil {
		return err
	}
	if c.opt.TLS == account.TLSStartTLS {
		return c.startTLS(ctx, idle)
	}
	return nil
}

// greeting reads up to the first status reply (RFC 9051 §7.1.4, §7.1.5).
func (c *Conn) greeting() error {
	var hello *Reply
	first := &Command{c: c, tag: "-", on: func(u untagged) error {
		if isStatus(u.word) {
			hello = &u.reply
		}
		return nil
	}}
	c.pending = []*Command{first}
	for hello == nil {
		if _, err := c.read(); err != nil {
			return fmt.Errorf("reading the greeting of %s: %w", c.opt.Address, err)
		}
	}
	c.pending = nil
	c.preauth = hello.Status == "PREAUTH"
	if err := hello.refused(""); err != nil {
		return c.fail(fmt.Errorf("reading the greeting of %s: %w", c.opt.Address, err))
	}
	return nil
}

// startTLS is mandatory once chosen (RFC 9051 §6.2.1). What the server said before
// is forgotten, and plaintext waiting behind its OK was put there by somebody else.
func (c *Conn) startTLS(ctx context.Context, nc net.Conn) error {
	if c.preauth {
		return c.fail(&TLSError{Host: c.opt.Address, Err: errors.New("the server greets with PREAUTH, which rules out STARTTLS")})
	}
	if _, err := c.run("STARTTLS", nil); err != nil {
		return c.fail(&TLSError{Host: c.opt.Address, Err: err})
	}
	if c.d.r.Buffered() > 0 {
		return c.fail(&TLSError{Host: c.opt.Address, Err: errors.New("plaintext was injected behind the answer to STARTTLS")})
	}
	c.caps, c.bye = nil, nil
	return c.handshake(ctx, nc)
}

// handshake verifies the certificate always; there is no switch to turn it off.
func (c *Conn) handshake(ctx context.Context, nc net.Conn) error {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.opt.ServerName}
	if conf.ServerName == "" {
		conf.ServerName, _, _ = net.SplitHostPort(c.opt.Address)
	}
	if c.opt.CAFile != "" {
		pem, err := os.ReadFile(c.opt.CAFile)
		if err != nil {
			return c.fail(&TLSError{Host: c.opt.Address, Err: fmt.Errorf("reading the certificate authorities: %w", err)})
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return c.fail(&TLSError{Host: c.opt.Address, Err: fmt.Errorf("reading the certificate authorities: %s holds no certificate", c.opt.CAFile)})
		}
	}
	t := tls.Client(nc, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		return c.fail(&TLSError{Host: c.opt.Address, Err: err})
	}
	c.use(t)
	return nil
}

// Login authenticates with AUTHENTICATE PLAIN where offered, else with LOGIN and
// literals: every octet of the password arrives as it is. Then the capabilities of
// the logged-in state are known. After PREAUTH there is nothing to do.
func (c *Conn) Login(ctx context.Context, l Login) error {
	leave, err := c.Enter(ctx)
	if err != nil {
		return err
	}
	return leave(c.login(l))
}

func (c *Conn) login(l Login) error {
	if c.caps == nil {
		if _, err := c.run("CAPABILITY", nil); err != nil {
			return fmt.Errorf("asking for capabilities: %w", err)
		}
	}
	if c.preauth {
		return nil
	}
	before := c.caps
	c.caps, c.mask = nil, l.Password
	err := c.authenticate(l, before)
	c.mask = secret.Secret{}
	if err != nil {
		return &LoginError{User: l.User, Refused: judged(err), Err: masked(err, l.Password)}
	}
	if c.caps == nil {
		if _, err = c.run("CAPABILITY", nil); err != nil {
			return fmt.Errorf("asking for capabilities: %w", err)
		}
	}
	return nil
}

func (c *Conn) authenticate(l Login, caps map[string]bool) error {
	pw := l.Password.Reveal()
	if len(pw) == 0 || bytes.IndexByte(pw, 0) >= 0 || strings.ContainsRune(l.User+l.AuthzID, 0) {
		return errors.New("the password is empty or cannot be sent: no IMAP login carries a NUL")
	}
	if caps["AUTH=PLAIN"] || l.AuthzID != "" {
		err := c.plain(l, caps["SASL-IR"])
		// Some servers offer PLAIN and do not know it: a BAD judged no password.
		if s := Refused(err); s == nil || s.Status != "BAD" || l.AuthzID != "" || c.Err() != nil {
			return err
		}
	}
	if caps["LOGINDISABLED"] {
		return errors.New("the server does not allow a login on this connection (LOGINDISABLED)")
	}
	cmd := c.begin("LOGIN", nil).literal([]byte(l.User), l.User).secret(pw)
	if err := cmd.End(true); err != nil {
		return err
	}
	_, err := cmd.Wait()
	return err
}

// plain is SASL PLAIN (RFC 4616), with the initial response where SASL-IR allows it.
func (c *Conn) plain(l Login, initial bool) error {
	msg := []byte(l.AuthzID + "\x00" + l.User + "\x00")
	msg = append(msg, l.Password.Reveal()...)
	coded := base64.StdEncoding.AppendEncode(nil, msg)
	cmd := c.begin("AUTHENTICATE", nil).Word("PLAIN")
	if initial {
		cmd.write(" ")
	} else {
		cmd.write("\r\n")
		if cmd.err == nil {
			cmd.err = c.continuation(cmd)
		}
	}
	if cmd.err != nil {
		return cmd.err
	}
	if c.opt.Trace != nil {
		cmd.line = append(cmd.line, "***"...)
	}
	if _, err := c.w.Write(coded); err != nil {
		return c.broken(err)
	}
	clear(msg)
	clear(coded)
	if err := cmd.End(true); err != nil {
		return err
	}
	_, err := cmd.Wait()
	return err
}

// judged tells whether a failed login says something about the password: only a NO
// that names no other reason does (RFC 5530).
func judged(err error) bool {
	s := Refused(err)
	if s == nil || s.Status != "NO" {
		return false
	}
	switch s.Code {
	case "UNAVAILABLE", "LIMIT", "INUSE", "SERVERBUG", "CONTACTADMIN", "PRIVACYREQUIRED", "THROTTLED":
		return false
	}
	return true
}

// masked removes the password from a refusal that quotes it.
func masked(err error, pw secret.Secret) error {
	s := Refused(err)
	if s == nil {
		return err
	}
	m := *s
	m.Text, m.Raw = hide(s.Text, pw), hide(s.Raw, pw)
	return &m
}

func hide(text string, pw secret.Secret) string {
	if pw.IsZero() {
		return text
	}
	text = strings.ReplaceAll(text, string(pw.Reveal()), "***")
	return strings.ReplaceAll(text, base64.StdEncoding.EncodeToString(pw.Reveal()), "***")
}
