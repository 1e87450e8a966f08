package wire

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"mailstork/daemon/secret"
)

// TokenSource gives OAuth2 access tokens. It may be called from several goroutines.
type TokenSource interface {
	// Token returns one that is valid for a while yet, fetching a new one if need be.
	// Its error is a *TokenError when the credential behind it was judged.
	Token(ctx context.Context) (token secret.Secret, expiry time.Time, err error)
	// Refused says that the server did not take a token: Token returns another one.
	Refused(token secret.Secret)
}

// TokenError says why no login with a token was possible. Refused holds when the
// credential itself was judged, by the token endpoint or by the mail server.
type TokenError struct {
	Refused  bool
	Sentence string // in the words of whoever refused it
	// TryAgain: the server closed, so that no second token could be tried on this
	// connection.
	TryAgain bool
	Err      error
}

func (e *TokenError) Error() string {
	if e.Err == nil {
		return e.Sentence
	}
	return fmt.Sprintf("%s: %v", e.Sentence, e.Err)
}
func (e *TokenError) Unwrap() error { return e.Err }

// withToken logs in with a token. One that is refused may have been taken back before
// its time: a new one is tried once.
func (c *Conn) withToken(ctx context.Context, l Login, caps map[string]bool) error {
	for again := false; ; again = true {
		token, _, err := l.Tokens.Token(ctx)
		if err != nil {
			return fmt.Errorf("getting a token: %w", err)
		}
		c.hide(token.Reveal())
		err = c.showToken(l, token, caps)
		closed := c.bye != nil || c.Err() != nil
		switch {
		case err == nil:
			return nil
		case judged(err) && again:
			l.Tokens.Refused(token)
			return c.tokenRefused(err)
		case judged(err):
			l.Tokens.Refused(token)
		case again || closed && ctx.Err() == nil:
			// Some close behind a refusal, or instead of one.
			l.Tokens.Refused(token)
			return &TokenError{TryAgain: true, Sentence: "the server closed the connection when it was shown the token", Err: err}
		default:
			return err
		}
	}
}

func (c *Conn) showToken(l Login, token secret.Secret, caps map[string]bool) error {
	octets := string(token.Reveal())
	user := l.User
	if l.AuthzID != "" {
		user = l.AuthzID
	}
	if octets == "" || strings.ContainsAny(user+octets, "\x00\x01\r\n") {
		return errors.New("the user or the token is empty or cannot be sent")
	}
	var mechanism, msg string
	var answer []byte // to a complaint
	switch {
	case caps["AUTH=OAUTHBEARER"]: // RFC 7628 §3.1
		host, port, _ := net.SplitHostPort(c.opt.Address)
		name := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(user)
		mechanism = "OAUTHBEARER"
		msg = "n,a=" + name + ",\x01host=" + host + "\x01port=" + port + "\x01auth=Bearer " + octets + "\x01\x01"
		answer = []byte{1} // §3.2.3
	case caps["AUTH=XOAUTH2"]:
		mechanism, msg = "XOAUTH2", "user="+user+"\x01auth=Bearer "+octets+"\x01\x01"
	default:
		return errors.New("the server takes no OAuth2 token on this connection (neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2)")
	}
	c.complaint = ""
	x := c.startSASL(mechanism)
	x.first([]byte(msg), caps["SASL-IR"])
	return x.endOr(answer)
}

// endOr is end for a server that may complain with a challenge before its NO: it waits
// for the answer, which is empty for XOAUTH2.
func (x *exchange) endOr(answer []byte) error {
	c := x.cmd.c
	if x.cmd.err != nil {
		return x.cmd.err
	}
	if err := x.cmd.End(true); err != nil {
		return err
	}
	for !x.cmd.done {
		plus, err := c.read()
		if err != nil {
			return err
		}
		if plus {
			c.complaint = c.said
			x.cmd.write(base64.StdEncoding.EncodeToString(answer) + "\r\n")
			x.cmd.traceLine()
			break
		}
	}
	_, err := x.cmd.Wait()
	return err
}

// tokenRefused puts the server's complaint, JSON in base64 (RFC 7628 §3.2.2), into one
// sentence; nothing in it is trusted to be short or to be what it should.
func (c *Conn) tokenRefused(err error) *TokenError {
	sentence := "the server refuses the OAuth2 token"
	var said struct{ Status, Error, Scope, Schemes string }
	coded, _, _ := strings.Cut(strings.TrimSpace(c.complaint), " ")
	if raw, bad := base64.StdEncoding.DecodeString(coded); bad == nil && json.Unmarshal(raw, &said) == nil {
		for _, f := range []struct{ name, text string }{{"status", said.Status}, {"error", said.Error}, {"scope", said.Scope}} {
			if f.text != "" {
				sentence += fmt.Sprintf(" (%s %q)", f.name, c.hidden(shorten(f.text, 100)))
			}
		}
	}
	return &TokenError{Refused: true, Sentence: sentence, Err: c.masked(err)}
}

func shorten(text string, octets int) string {
	if len(text) > octets {
		return strings.ToValidUTF8(text[:octets], "") + "…"
	}
	return text
}
