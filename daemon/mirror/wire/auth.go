package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"mailstork/daemon/secret"
)

// Login is what opens an account.
type Login struct {
	User     string
	AuthzID  string // SASL authorization identity, "" for the user itself
	Password secret.Secret
	// Mechanism is how Password is shown; the empty one takes the best that is offered.
	Mechanism Mechanism
	// Become is the account that User opens with ProxyAuth and XMasterAuth.
	Become string
	// Tokens, if set, are used instead of Password.
	Tokens TokenSource
}

// Mechanism is a way to log in that must be asked for, because nothing that a server
// offers tells that its master user needs it.
type Mechanism string

// The mechanisms.
const (
	AnyMechanism Mechanism = ""
	ProxyAuth    Mechanism = "PROXYAUTH"    // SunOne: log in as the master user, then become the account
	XMasterAuth  Mechanism = "X-MASTERAUTH" // Kerio: challenge and response, then X-SETUSER
)

// Login authenticates so that every octet of the password arrives as it is: with
// AUTHENTICATE PLAIN where offered, else with LOGIN and literals, else with
// AUTHENTICATE LOGIN. Then the capabilities of the logged-in state are known. After
// PREAUTH there is nothing to do.
func (c *Conn) Login(ctx context.Context, l Login) error {
	leave, err := c.Enter(ctx)
	if err != nil {
		return err
	}
	return leave(c.login(ctx, l))
}

func (c *Conn) login(ctx context.Context, l Login) error {
	if c.caps == nil {
		if _, err := c.run("CAPABILITY", nil); err != nil {
			return fmt.Errorf("asking for capabilities: %w", err)
		}
	}
	if c.preauth {
		c.loggedIn = true
		return c.introduce()
	}
	before := c.caps
	c.caps = nil
	c.hide(l.Password.Reveal())
	var err error
	if l.Tokens != nil {
		err = c.withToken(ctx, l, before)
	} else {
		err = c.authenticate(l, before)
	}
	if err != nil {
		err = c.loginError(l, err)
	}
	c.masks = nil
	if err != nil {
		return err
	}
	if c.caps == nil {
		if _, err = c.run("CAPABILITY", nil); err != nil {
			return fmt.Errorf("asking for capabilities: %w", err)
		}
	}
	c.loggedIn = true
	return c.introduce()
}

// loginError says whether the credential was judged, and hides it in what is quoted.
func (c *Conn) loginError(l Login, err error) error {
	e := &LoginError{User: l.User, Refused: judged(err), Err: c.masked(err)}
	var token *TokenError
	if errors.As(err, &token) {
		e.Refused, e.Err = token.Refused, token
	}
	return e
}

func (c *Conn) authenticate(l Login, caps map[string]bool) error {
	pw := l.Password.Reveal()
	if len(pw) == 0 || bytes.IndexByte(pw, 0) >= 0 || strings.ContainsRune(l.User+l.AuthzID+l.Become, 0) {
		return errors.New("the password is empty or cannot be sent: no IMAP login carries a NUL")
	}
	switch l.Mechanism {
	case XMasterAuth:
		return c.xMasterAuth(l)
	case ProxyAuth:
		if err := c.withPassword(l, caps); err != nil {
			return err
		}
		return c.become("PROXYAUTH", l.Become)
	}
	return c.withPassword(l, caps)
}

func (c *Conn) withPassword(l Login, caps map[string]bool) error {
	if caps["AUTH=PLAIN"] || l.AuthzID != "" {
		err := c.plain(l, caps["SASL-IR"])
		// Some servers offer PLAIN and do not know it: a BAD judged no password.
		if s := Refused(err); s == nil || s.Status != "BAD" || l.AuthzID != "" || c.Err() != nil {
			return err
		}
	}
	switch {
	case !caps["LOGINDISABLED"]:
		cmd := c.begin("LOGIN", nil).literal([]byte(l.User), l.User).secret(l.Password.Reveal())
		if err := cmd.End(true); err != nil {
			return err
		}
		_, err := cmd.Wait()
		return err
	case caps["AUTH=LOGIN"]:
		return c.authLogin(l)
	}
	return errors.New("the server does not allow a login on this connection (LOGINDISABLED)")
}

// plain is SASL PLAIN (RFC 4616).
func (c *Conn) plain(l Login, initial bool) error {
	msg := []byte(l.AuthzID + "\x00" + l.User + "\x00")
	msg = append(msg, l.Password.Reveal()...)
	defer clear(msg)
	s := c.startSASL("PLAIN")
	s.first(msg, initial)
	return s.end()
}

// authLogin is the mechanism LOGIN (draft-murchison-sasl-login): the server asks for
// the user, then for the password, in words that nobody need read.
func (c *Conn) authLogin(l Login) error {
	s := c.startSASL("LOGIN")
	s.challenge()
	s.respond([]byte(l.User))
	s.challenge()
	s.respond(l.Password.Reveal())
	return s.end()
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
