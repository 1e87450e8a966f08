package wire

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// exchange is one AUTHENTICATE command (RFC 9051 §6.2.2). Once a step has failed the
// later ones do nothing and end returns why.
type exchange struct{ cmd *Command }

func (c *Conn) startSASL(mechanism string) *exchange {
	return &exchange{c.begin("AUTHENTICATE", nil).Word(mechanism)}
}

// first sends the first message: on the line of the command where SASL-IR (RFC 4959)
// allows it, else when the server asks for it.
func (x *exchange) first(msg []byte, initial bool) {
	if initial {
		x.cmd.write(" ")
	} else {
		x.challenge()
	}
	x.respond(msg)
}

// challenge ends the line sent so far and returns what the server says to it.
func (x *exchange) challenge() string {
	x.cmd.write("\r\n")
	if x.cmd.err == nil {
		x.cmd.err = x.cmd.c.continuation(x.cmd)
	}
	return x.cmd.c.said
}

// respond writes a message without its line end: challenge or end add that.
func (x *exchange) respond(msg []byte) {
	coded := base64.StdEncoding.AppendEncode(nil, msg)
	x.cmd.c.hide(coded)
	x.raw(coded)
}

func (x *exchange) raw(line []byte) {
	if x.cmd.err != nil {
		return
	}
	if x.cmd.c.opt.Trace != nil {
		x.cmd.line = append(x.cmd.line, "***"...)
	}
	if _, err := x.cmd.c.w.Write(line); err != nil {
		x.cmd.err = x.cmd.c.broken(err)
	}
}

func (x *exchange) end() error {
	if x.cmd.err != nil {
		return x.cmd.err
	}
	if err := x.cmd.End(true); err != nil {
		return err
	}
	_, err := x.cmd.Wait()
	return err
}

// xMasterAuth is how Kerio lets its master password in: MD5 of challenge and password
// in hexadecimal, then the account. The server names no user for it.
func (c *Conn) xMasterAuth(l Login) error {
	x := &exchange{c.begin("X-MASTERAUTH", nil)}
	challenge := x.challenge()
	if x.cmd.err != nil {
		return x.cmd.err
	}
	sum := md5.Sum(append([]byte(challenge), l.Password.Reveal()...))
	x.raw(hex.AppendEncode(nil, sum[:]))
	if err := x.end(); err != nil {
		return err
	}
	return c.become("X-SETUSER", l.Become)
}

// become opens an account after its master user has logged in.
func (c *Conn) become(verb, user string) error {
	cmd := c.begin(verb, nil).String(user)
	if err := cmd.End(true); err != nil {
		return err
	}
	if _, err := cmd.Wait(); err != nil {
		return fmt.Errorf("becoming %q: %w", user, err)
	}
	return nil
}

// hide adds octets that no trace, error or oddity may show while the login is judged.
func (c *Conn) hide(octets []byte) {
	if len(octets) > 0 {
		c.masks = append(c.masks, octets, base64.StdEncoding.AppendEncode(nil, octets))
	}
}

// hidden is text without what hide named.
func (c *Conn) hidden(text string) string {
	if len(c.masks) == 0 {
		return text
	}
	octets := []byte(text)
	for _, m := range c.masks {
		octets = bytes.ReplaceAll(octets, m, []byte("***"))
	}
	return string(octets)
}

// masked hides the credential in a refusal that quotes it.
func (c *Conn) masked(err error) error {
	s := Refused(err)
	if s == nil {
		return err
	}
	m := *s
	m.Text, m.Raw = c.hidden(s.Text), c.hidden(s.Raw)
	return &m
}
