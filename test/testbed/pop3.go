package testbed

import (
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// POP3 is a plain client (RFC 1939) for one goroutine, logged in.
type POP3 struct{ conn *textproto.Conn }

// POP3Error is an answer that was -ERR.
type POP3Error struct {
	Text string // with the response code of RFC 2449 and 3206, as "[AUTH] Authentication failed."
}

func (e *POP3Error) Error() string { return "-ERR " + e.Text }

// LoginPOP3 connects to the instance and logs in with USER and PASS.
func (d *Dovecot) LoginPOP3(address, password string) (*POP3, error) {
	conn, err := net.DialTimeout("tcp", d.POP3Address, readyWithin)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(idleLimit)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &POP3{textproto.NewConn(conn)}
	_, err = c.answer("the greeting")
	if err == nil {
		_, err = c.Command("USER " + address)
	}
	if err == nil {
		_, err = c.Command("PASS " + password)
	}
	if err != nil {
		return nil, fmt.Errorf("logging in to %s by POP3 as %s: %w", d.Name, address, errors.Join(err, conn.Close()))
	}
	return c, nil
}

// Command sends one command with an answer of one line and returns what follows +OK.
func (c *POP3) Command(line string) (string, error) {
	if err := c.conn.PrintfLine("%s", line); err != nil {
		return "", err
	}
	verb, _, _ := strings.Cut(line, " ")
	return c.answer(verb)
}

func (c *POP3) answer(what string) (string, error) {
	line, err := c.conn.ReadLine()
	if err != nil {
		return "", fmt.Errorf("reading the answer to %s: %w", what, err)
	}
	word, text, _ := strings.Cut(line, " ")
	switch word {
	case "+OK":
		return text, nil
	case "-ERR":
		return "", &POP3Error{text}
	}
	return "", fmt.Errorf("answer to %s: unexpected line %q", what, line)
}

// Close logs out.
func (c *POP3) Close() error {
	_, err := c.Command("QUIT")
	return errors.Join(err, c.conn.Close())
}
