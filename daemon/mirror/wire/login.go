package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"mailstork/daemon/account"
)

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
	c.idle = idle
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
	if err := c.heed(hello.refused("")); err != nil {
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

// handshake verifies the certificate or the pinned key always; there is no switch to turn it off.
func (c *Conn) handshake(ctx context.Context, nc net.Conn) error {
	host, _, _ := net.SplitHostPort(c.opt.Address)
	conf, err := account.Source{Host: host, ServerName: c.opt.ServerName, CAFile: c.opt.CAFile, Pin: c.opt.Pin}.TLSConfig()
	if err != nil {
		return c.fail(&TLSError{Host: c.opt.Address, Err: err})
	}
	t := tls.Client(nc, conf)
	if err := t.HandshakeContext(ctx); err != nil {
		return c.fail(&TLSError{Host: c.opt.Address, Err: err})
	}
	c.use(t)
	state := t.ConnectionState()
	c.tls = &state
	return nil
}
