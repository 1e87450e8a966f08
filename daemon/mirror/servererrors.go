package mirror

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// ExplainSource says for people why no connection to a source could be made, or why it broke: Next, Sentence, Answer
// and, as Hint, a command that shows the same trouble without us.
func ExplainSource(server account.Source, err error) *Error {
	return explainServer("the source "+server.HostPort(), server, err)
}

func explainServer(name string, server account.Source, err error) *Error {
	e := &Error{Next: RetryLater, Reach: ReachSource, Err: err, Answer: answer(err), Hint: fmt.Sprintf("nc -vz %s %d", server.Host, server.Port)}
	var wrapped *wire.TLSError
	var dns *net.DNSError
	var private *account.PrivateAddressError
	switch {
	case errors.As(err, &wrapped):
		e.Hint = tryTLS(server)
		explainTLS(e, name, server, wrapped.Err)
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Next, e.Hint = OperatorMustAct, "host "+server.Host
		e.Sentence = fmt.Sprintf("There is no host named %s.", server.Host)
		e.Answer = dns.Error()
	case errors.As(err, &dns):
		e.Hint = "host " + server.Host
		e.Sentence = fmt.Sprintf("The name %s can't be looked up for now.", server.Host)
		e.Answer = dns.Error()
	case errors.As(err, &private):
		e.Next = OperatorMustAct
		e.Sentence = fmt.Sprintf("%s is at the private address %s, and the configuration forbids those.", capital(name), private.Address)
		e.Answer, e.Hint = "", "set source.allow_private_addresses: true in mailstork.yaml if you mean it, then: systemctl restart mailstork"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Sentence = fmt.Sprintf("%s is down: nobody listens there.", capital(name))
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		e.Sentence = fmt.Sprintf("%s is down or says nothing.", capital(name))
	case wire.Refused(err) != nil:
		e.Sentence = fmt.Sprintf("%s refuses to go on.", capital(name))
	default:
		e.Sentence = fmt.Sprintf("%s is down or cuts the connection.", capital(name))
	}
	return e
}

// explainTLS tells a certificate that will be as wrong later from a handshake that failed.
func explainTLS(e *Error, name string, server account.Source, err error) {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var file *fs.PathError
	var pin *account.PinError
	e.Next = OperatorMustAct
	if wire.Refused(err) == nil {
		e.Answer = err.Error()
	}
	switch {
	case errors.As(err, &pin):
		e.Sentence = fmt.Sprintf("%s shows another key than the pinned one; no password is sent.", capital(name))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Sentence = fmt.Sprintf("The certificate of %s has expired or is not valid yet.", name)
	case errors.As(err, &host):
		e.Sentence = fmt.Sprintf("The certificate of %s is not for the name %s.", name, server.CertificateName())
	case errors.As(err, &unknown):
		e.Sentence = fmt.Sprintf("The certificate of %s is signed by nobody whom this server trusts.", name)
	case errors.As(err, &invalid):
		e.Sentence = fmt.Sprintf("The certificate of %s is not valid.", name)
	case errors.As(err, &record):
		e.Sentence = fmt.Sprintf("%s does not begin with TLS; for STARTTLS write imap:// instead of imaps://.", capital(name))
	case errors.As(err, &file):
		e.Sentence, e.Hint = fmt.Sprintf("The authorities for the certificate of %s can't be read.", name), "ls -l "+server.CAFile
	case wire.Refused(err) != nil:
		e.Sentence = fmt.Sprintf("%s refuses STARTTLS, and no password is sent in clear.", capital(name))
	default:
		e.Next = RetryLater
		e.Sentence = fmt.Sprintf("No protected connection to %s could be made.", name)
	}
}

// serverOf describes the destination in the words of a source.
func serverOf(o destination.Options) account.Source {
	host, port, _ := net.SplitHostPort(o.Address) // Dial has refused an address without port
	number, _ := strconv.Atoi(port)
	return account.Source{Host: host, Port: number, TLS: o.TLS, CAFile: o.CAFile, ServerName: o.ServerName}
}

// tryTLS shows the certificate without us.
func tryTLS(server account.Source) string {
	command := fmt.Sprintf("openssl s_client -connect %s -servername %s", server.HostPort(), server.CertificateName())
	if server.TLS == account.TLSStartTLS {
		command += " -starttls imap"
	}
	return command + " </dev/null"
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
