package mirror

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// Next is what shall happen after an error.
type Next string

// The answers to "what next?".
const (
	RetryLater      Next = "retry later"       // it may pass by itself
	RefuseForGood   Next = "refuse for good"   // repeating it changes nothing
	OperatorMustAct Next = "operator must act" // Hint is the next command
)

// Reach is how far an error reaches.
type Reach string

// The answers to "how far does it reach?".
const (
	ReachMessage     Reach = "message"
	ReachFolder      Reach = "folder"
	ReachAccount     Reach = "account"
	ReachSource      Reach = "source"      // every account of this source host
	ReachDestination Reach = "destination" // every account: this server is at fault
)

// Error is an error for people: one sentence, the server's own words, and what to do.
type Error struct {
	Next     Next
	Reach    Reach
	Sentence string
	Answer   string // what the server said, as it came; empty when none did
	Hint     string // the next command to try
	Err      error
}

func (e *Error) Error() string {
	text := e.Sentence
	if e.Answer != "" {
		text += fmt.Sprintf(" (the server said: %s)", e.Answer)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// side is where an error happened.
type side int

const (
	atSource side = iota + 1
	atDestination
)

// sideError remembers on which side an error happened.
type sideError struct {
	side side
	err  error
}

func (e *sideError) Error() string { return e.err.Error() }
func (e *sideError) Unwrap() error { return e.err }

func onSource(err error) error {
	if err == nil {
		return nil
	}
	return &sideError{atSource, err}
}

func onDestination(err error) error {
	if err == nil {
		return nil
	}
	return &sideError{atDestination, err}
}

// explain turns any error of a pass into one for people. A cancelled context and a lost lease stay what they are.
func (o Options) explain(err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) || errors.Is(err, ledger.ErrLeaseLost) || errors.Is(err, context.Canceled) {
		return err
	}
	e := &Error{Next: RetryLater, Reach: ReachAccount, Err: err, Answer: answer(err), Hint: "mailstork account sync " + string(o.Account.Address)}
	var where *sideError
	errors.As(err, &where)
	switch {
	case diskFull(err):
		e.Next, e.Reach, e.Hint = OperatorMustAct, ReachDestination, "df -h"
		e.Sentence = "A disk of this server is full; nothing is lost, the pass goes on when there is room."
	case where != nil && where.side == atSource:
		o.explainSource(e, err)
	case where != nil && where.side == atDestination:
		o.explainDestination(e, err)
	default:
		e.Sentence = fmt.Sprintf("The pass of %s stopped: %v.", o.Account.Address, err)
	}
	return e
}

func (o Options) explainSource(e *Error, err error) {
	host := o.Source.Server.HostPort()
	e.Reach = ReachSource
	var login *wire.LoginError
	var tls *wire.TLSError
	var dns *net.DNSError
	switch {
	case errors.As(err, &login) && login.Refused:
		e.Next, e.Reach = OperatorMustAct, ReachAccount
		e.Sentence = fmt.Sprintf("The source %s refuses the password of %s.", host, login.User)
		e.Hint = "mailstork account import"
	case errors.As(err, &login):
		e.Sentence = fmt.Sprintf("The source %s lets nobody in for now.", host)
	case errors.As(err, &tls) && certificateInvalid(tls):
		e.Next = OperatorMustAct
		e.Sentence = fmt.Sprintf("The certificate of the source %s is not valid: %v.", host, tls.Err)
		e.Hint = fmt.Sprintf("openssl s_client -connect %s -servername %s </dev/null", host, o.Source.Server.CertificateName())
	case errors.As(err, &tls):
		e.Sentence = fmt.Sprintf("No protected connection to the source %s could be made: %v.", host, tls.Err)
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Next = OperatorMustAct
		e.Sentence = fmt.Sprintf("There is no host named %s.", o.Source.Server.Host)
		e.Hint = "mailstork domain show " + o.Account.Domain
	default:
		e.Sentence = fmt.Sprintf("The source %s is down or cuts the connection: %v.", host, err)
	}
}

func (o Options) explainDestination(e *Error, err error) {
	e.Reach = ReachDestination
	var refusal *destination.Refusal
	var login *wire.LoginError
	switch {
	case errors.As(err, &refusal) && refusal.Reason == destination.RefusedQuota || statusCode(err) == "OVERQUOTA":
		e.Next, e.Reach = OperatorMustAct, ReachAccount
		e.Sentence = fmt.Sprintf("The account %s is full here; nothing is lost, the pass goes on when its quota is larger.", o.Account.Address)
		e.Hint = "doveadm quota get -u " + string(o.Account.Address)
	case errors.As(err, &login) && login.Refused:
		e.Next = OperatorMustAct
		e.Sentence = fmt.Sprintf("This server's Dovecot does not let mailstork in as %s.", login.User)
		e.Hint = "mailstork doctor"
	default:
		e.Sentence = fmt.Sprintf("This server's Dovecot at %s is down or cuts the connection: %v.", o.Destination.Address, err)
		e.Hint = "mailstork doctor"
	}
}

// certificateInvalid tells a certificate that will be as wrong later from a handshake that failed.
func certificateInvalid(err *wire.TLSError) bool {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	return errors.As(err.Err, &invalid) || errors.As(err.Err, &host) || errors.As(err.Err, &unknown)
}

func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || strings.Contains(err.Error(), "database or disk is full")
}

// answer is the raw reply within an error.
func answer(err error) string {
	if status := wire.Refused(err); status != nil {
		return status.Raw
	}
	return ""
}

func statusCode(err error) string {
	if status := wire.Refused(err); status != nil {
		return status.Code
	}
	return ""
}
