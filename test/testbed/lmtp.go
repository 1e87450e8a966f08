package testbed

import (
	"bytes"
	"fmt"
	"net"
	"net/textproto"
	"time"
)

// Deliver hands a letter to the instance by LMTP (RFC 2033), as Postfix does,
// and fails unless every recipient was accepted.
func (d *Dovecot) Deliver(from string, message []byte, recipients ...string) error {
	conn, err := net.DialTimeout("tcp", d.LMTPAddress, readyWithin)
	if err != nil {
		return fmt.Errorf("delivering to %s: %w", d.Name, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(idleLimit)); err != nil {
		return err
	}
	if err := speakLMTP(textproto.NewConn(conn), from, message, recipients); err != nil {
		return fmt.Errorf("delivering to %s: %w", d.Name, err)
	}
	return nil
}

func speakLMTP(c *textproto.Conn, from string, message []byte, recipients []string) error {
	if _, _, err := c.ReadResponse(220); err != nil {
		return err
	}
	steps := []string{"LHLO localhost", "MAIL FROM:<" + from + ">"}
	for _, recipient := range recipients {
		steps = append(steps, "RCPT TO:<"+recipient+">")
	}
	for _, step := range steps {
		if err := c.PrintfLine("%s", step); err != nil {
			return err
		}
		if _, _, err := c.ReadResponse(250); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	if err := c.PrintfLine("DATA"); err != nil {
		return err
	}
	if _, _, err := c.ReadResponse(354); err != nil {
		return err
	}
	body := c.DotWriter()
	if _, err := bytes.NewReader(message).WriteTo(body); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	// RFC 2033 §4.2: one answer for each recipient.
	for _, recipient := range recipients {
		if _, _, err := c.ReadResponse(250); err != nil {
			return fmt.Errorf("recipient %s: %w", recipient, err)
		}
	}
	return c.PrintfLine("QUIT")
}
