package authhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// IMAPVerifier proves passwords at a source over IMAP.
type IMAPVerifier struct {
	// ConnectTimeout bounds connecting; IdleTimeout every wait for the source. Zero means the default of ten seconds.
	ConnectTimeout, IdleTimeout time.Duration
	// AllowPrivateAddresses permits sources inside our own network.
	AllowPrivateAddresses bool
}

const (
	defaultTimeout = 10 * time.Second
	leaveTimeout   = time.Second
)

// Verify returns nil when user can log in and INBOX opens for reading (A1), *WrongPassword on a clear no, and
// *SourceProblem otherwise. The source is not changed (L5): EXAMINE, then LOGOUT.
func (v IMAPVerifier) Verify(ctx context.Context, src account.Source, user string, password secret.Secret) error {
	if !usable([]byte(user)) || !usable(password.Reveal()) {
		return &SourceProblem{What: "a user name or password that is empty or has NUL, CR or LF in it is sent to no source"}
	}
	if err := src.Check(); err != nil {
		return &SourceProblem{What: "the source is not usable", Err: err}
	}
	conn, err := v.connect(ctx, src)
	if err != nil {
		return whyNoConnection(src, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	d, err := secure(ctx, conn, src)
	if err == nil {
		defer d.leave(conn)
		d.hidden = [][]byte{password.Reveal()}
		err = d.prove(user, password)
	}
	return explain(ctx, src, err)
}

// usable tells whether octets can be a user name or a password in IMAP.
func usable(octets []byte) bool { return len(octets) > 0 && !bytes.ContainsAny(octets, "\x00\r\n") }

// connect dials the source.
func (v IMAPVerifier) connect(ctx context.Context, src account.Source) (*limitedConn, error) {
	dialer := net.Dialer{Timeout: orDefault(v.ConnectTimeout)}
	if !v.AllowPrivateAddresses {
		dialer.Control = account.RefusePrivate
	}
	conn, err := dialer.DialContext(ctx, "tcp", src.HostPort())
	if err != nil {
		return nil, err
	}
	return &limitedConn{Conn: conn, idle: orDefault(v.IdleTimeout), left: maxSessionOctets}, nil
}

func orDefault(d time.Duration) time.Duration {
	if d == 0 {
		return defaultTimeout
	}
	return d
}

// secure greets and, when asked for, starts TLS. Nothing that was said in clear text is believed afterwards.
func secure(ctx context.Context, conn net.Conn, src account.Source) (*dialogue, error) {
	config, err := tlsConfig(src)
	if err != nil {
		return nil, err
	}
	if src.TLS == account.TLSImplicit {
		if conn, err = shakeHands(ctx, conn, config, src); err != nil {
			return nil, err
		}
	}
	d := newDialogue(conn)
	if err := d.greeting(); err != nil || src.TLS != account.TLSStartTLS {
		return d, err
	}
	if err := d.startTLS(); err != nil {
		return nil, err
	}
	if conn, err = shakeHands(ctx, conn, config, src); err != nil {
		return nil, err
	}
	return newDialogue(conn), nil
}

func shakeHands(ctx context.Context, conn net.Conn, config *tls.Config, src account.Source) (net.Conn, error) {
	wrapped := tls.Client(conn, config)
	if err := wrapped.HandshakeContext(ctx); err != nil && ctx.Err() == nil {
		return nil, whyNoTLS(src, err)
	} else if err != nil {
		return nil, err
	}
	return wrapped, nil
}

// startTLS is RFC 9051 §6.2.1. A refusal is an error: there is no way on in clear text.
func (d *dialogue) startTLS() error {
	answer, err := d.command("STARTTLS")
	switch {
	case err != nil:
		return err
	case answer.word != "OK":
		return &SourceProblem{What: "the source does not start TLS, so no password is sent", Answer: d.shown(answer.line)}
	case d.in.Buffered() > 0:
		return &SourceProblem{What: "the source, or somebody in between, spoke in clear text after TLS was to start"}
	}
	return nil
}

func tlsConfig(src account.Source) (*tls.Config, error) {
	config, err := src.TLSConfig()
	if err != nil {
		return nil, &SourceProblem{What: "the source's ca_file can't be used", Err: err}
	}
	return config, nil
}

// leave logs out politely, but lets nobody wait for a source that does not answer it.
func (d *dialogue) leave(conn *limitedConn) {
	conn.idle = leaveTimeout
	_, _ = d.command("LOGOUT")
}

// prove logs in and opens INBOX for reading.
func (d *dialogue) prove(user string, password secret.Secret) error {
	answer, err := d.command("CAPABILITY")
	if err != nil {
		return err
	}
	if answer.word != "OK" {
		return &SourceProblem{What: "the source does not tell its capabilities", Answer: d.shown(answer.line)}
	}
	if err := d.enter(user, password); err != nil {
		return err
	}
	answer, err = d.command("EXAMINE INBOX")
	if err != nil {
		return sent(err)
	}
	if answer.word != "OK" {
		return &SourceProblem{What: "the source accepted the login but does not open INBOX, so the password is not proven",
			Answer: d.shown(answer.line), Sent: true, Entered: true}
	}
	return nil
}

// enter logs in by the safest way that the source offers.
func (d *dialogue) enter(user string, password secret.Secret) error {
	var answer reply
	var err error
	switch {
	case d.caps["AUTH=PLAIN"]:
		answer, err = d.authenticate(user, password)
	case d.caps["LOGINDISABLED"]: // RFC 9051 §6.2.3
		return &SourceProblem{What: "the source permits no login with a password on this connection"}
	default:
		answer, err = d.login(user, password)
	}
	switch {
	case err != nil:
		return sent(err)
	case answer.word == "OK":
		return nil
	case isClearNo(answer):
		return &WrongPassword{Answer: d.shown(answer.line)}
	}
	return &SourceProblem{What: "the source does not say clearly whether the password is right", Answer: d.shown(answer.line), Sent: true}
}

// sent marks an error after which the source may have counted a failure.
func sent(err error) error {
	problem := &SourceProblem{}
	if !errors.As(err, &problem) {
		problem = &SourceProblem{What: "the source ended the login without an answer", Err: err}
	}
	problem.Sent = true
	return problem
}

// passing are words of refusals that say nothing about the password.
var passing = []string{
	"too many", "temporar", "try again", "try later", "unavailable", "timeout", "timed out", "rate limit", "throttl",
	"exceeded", "busy", "in use", "locked", "blocked", "banned", "internal error", "server error", "maintenance",
}

// isClearNo tells whether an answer says that the password is wrong, and not that the source has other troubles.
// RFC 5530 §3 names the codes; servers older than it send none.
func isClearNo(answer reply) bool {
	if answer.word != "NO" {
		return false
	}
	_, text, _ := strings.Cut(answer.line, " ")
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.HasPrefix(text, "[authenticationfailed]") {
		return true
	}
	if strings.HasPrefix(text, "[") && !strings.HasPrefix(text, "[alert]") {
		return false
	}
	return !slices.ContainsFunc(passing, func(w string) bool { return strings.Contains(text, w) })
}

// explain turns what is no typed result yet into one.
func explain(ctx context.Context, src account.Source, err error) error {
	var wrong *WrongPassword
	var problem *SourceProblem
	switch {
	case err == nil || errors.As(err, &wrong):
		return err
	case errors.As(err, &problem) && !errors.Is(err, net.ErrClosed):
		if problem.Answer != "" {
			problem.Trouble, problem.RetryAfter = troubleIn(problem.Answer)
		}
		return err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	late := whyNoConnection(src, err)
	late.Sent = problem != nil && problem.Sent
	return late
}
