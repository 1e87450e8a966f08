package authhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
)

// WrongPassword is the clear no of a source.
type WrongPassword struct {
	Answer string // what the source said
}

func (e *WrongPassword) Error() string {
	return fmt.Sprintf("the source refuses the password; it answered %q", e.Answer)
}

// SourceProblem is every other reason why a password could not be proven at the source.
type SourceProblem struct {
	What   string // one sentence for people
	Answer string // what the source said, if it said anything
	Hint   string // the next command for an operator
	// Sent tells whether the password was on its way already: then the source may count a failure against our address.
	Sent bool
	// Entered: it accepted the login and then opened nothing, which some do with every password (docs/adr/0004).
	Entered bool
	// Trouble says whether the source can't be reached or has too much of us; then RetryAfter is what it asked for.
	Trouble    guard.Trouble
	RetryAfter time.Duration
	Err        error // the cause, if there is one
}

func (e *SourceProblem) Error() string {
	var text strings.Builder
	text.WriteString(e.What)
	if e.Answer != "" {
		fmt.Fprintf(&text, "; it answered %q", e.Answer)
	}
	if e.Err != nil {
		fmt.Fprintf(&text, ": %v", e.Err)
	}
	if e.Hint != "" {
		fmt.Fprintf(&text, " (try: %s)", e.Hint)
	}
	return text.String()
}

func (e *SourceProblem) Unwrap() error { return e.Err }

// whyNoConnection puts a failed connection into one sentence.
func whyNoConnection(src account.Source, err error) *SourceProblem {
	problem := &SourceProblem{Err: err, Hint: fmt.Sprintf("nc -vz %s %d", src.Host, src.Port), Trouble: guard.Unreachable}
	var dns *net.DNSError
	var network net.Error
	var private *account.PrivateAddressError
	switch {
	case errors.As(err, &private):
		problem.What, problem.Err, problem.Hint = fmt.Sprintf("the source %s is not connected to", src.HostPort()), private, ""
	case errors.As(err, &dns) && dns.IsNotFound:
		problem.What, problem.Hint = fmt.Sprintf("the source's name %s is not in DNS", src.Host), "dig "+src.Host
	case errors.Is(err, syscall.ECONNREFUSED):
		problem.What = fmt.Sprintf("nobody listens at the source %s", src.HostPort())
	case errors.As(err, &network) && network.Timeout():
		problem.What = fmt.Sprintf("the source %s did not answer in time", src.HostPort())
	default:
		problem.What = fmt.Sprintf("the connection to the source %s failed", src.HostPort())
	}
	return problem
}

// whyNoTLS puts a failed TLS handshake into one sentence.
func whyNoTLS(src account.Source, err error) *SourceProblem {
	hint := fmt.Sprintf("openssl s_client -connect %s -servername %s", src.HostPort(), src.CertificateName())
	if src.TLS == account.TLSStartTLS {
		hint += " -starttls imap"
	}
	problem := &SourceProblem{Err: err, Hint: hint, Trouble: guard.Unreachable}
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var pin *account.PinError
	switch {
	case errors.As(err, &pin):
		problem.What = fmt.Sprintf("the source %s shows another key than the pinned one", src.HostPort())
	case errors.As(err, &name):
		problem.What = fmt.Sprintf("the certificate of the source %s is not for the name %s", src.HostPort(), src.CertificateName())
	case errors.As(err, &authority):
		problem.What = fmt.Sprintf("the certificate of the source %s is signed by nobody whom this server trusts", src.HostPort())
	case errors.As(err, &invalid):
		problem.What = fmt.Sprintf("the certificate of the source %s is not valid", src.HostPort())
	case errors.As(err, &record):
		problem.What = fmt.Sprintf("the source %s does not speak TLS where it should", src.HostPort())
	default:
		problem.What = fmt.Sprintf("no safe connection to the source %s could be made", src.HostPort())
	}
	return problem
}

const maxAnswer = 300

// cleanAnswer makes what a source said fit for a log line.
func cleanAnswer(line string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, strings.TrimRight(line, "\r\n"))
	if len(clean) > maxAnswer {
		clean = strings.ToValidUTF8(clean[:maxAnswer], "") + "…"
	}
	return clean
}
