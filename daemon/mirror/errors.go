package mirror

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

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
	Answer   string        // what the server said, word for word; when it said nothing, what this machine said
	Hint     string        // the next command to try
	After    time.Duration // not to be tried again before; 0: nobody said
	Err      error
}

func (e *Error) Error() string {
	if e.Answer == "" {
		return e.Sentence
	}
	return e.Sentence + " Answer: " + e.Answer
}

func (e *Error) Unwrap() error { return e.Err }

// side is where an error happened.
type side int

const (
	atSource side = iota + 1
	atDestination
	atLedger
)

// sideError remembers on which side an error happened.
type sideError struct {
	side side
	err  error
}

func (e *sideError) Error() string { return e.err.Error() }
func (e *sideError) Unwrap() error { return e.err }

// onSource leaves alone what the ledger said while the source was asked.
func onSource(err error) error {
	var where *sideError
	if err == nil || errors.As(err, &where) && where.side == atLedger {
		return err
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
	case DiskFull(err):
		e.Next, e.Reach, e.Hint = OperatorMustAct, ReachDestination, "df -h"
		e.Sentence = "A disk of this server is full; nothing is lost, the pass goes on when there is room."
	case where != nil && where.side == atSource:
		o.explainSource(e, err)
	case where != nil && where.side == atDestination:
		o.explainDestination(e, err)
	default:
		e.Sentence = fmt.Sprintf("The pass of %s stopped.", o.Account.Address)
	}
	return e
}

func (o Options) explainSource(e *Error, err error) {
	server := o.Source.Server
	e.Reach = ReachSource
	var login *wire.LoginError
	var token *wire.TokenError
	var dns *net.DNSError
	var throttled *wire.ThrottledError
	switch {
	case errors.As(err, &throttled):
		e.Sentence = fmt.Sprintf("The source %s is asked for too much and wants to be left alone for %v; then the pass goes on.", server.HostPort(), throttled.After.Round(time.Second))
		e.Answer, e.After = throttled.Status.Raw, throttled.After
	case errors.As(err, &token):
		e.Sentence, e.Answer = fmt.Sprintf("No OAuth2 login at the source %s: %s.", server.HostPort(), token.Sentence), ""
		if refusal := wire.Refused(err); refusal != nil {
			e.Answer = refusal.Raw
		}
		if token.Refused {
			e.Next, e.Reach = OperatorMustAct, ReachAccount
			e.Hint = "mailstork domain login " + o.Account.Domain + " --help   # with a credential that is valid"
		}
	case errors.As(err, &login) && login.Refused && o.SharedLogin != "":
		e.Next, e.Reach = OperatorMustAct, ReachAccount
		e.Sentence = fmt.Sprintf("The source %s does not let %s open %s (it logged in as %s).", server.HostPort(), o.SharedLogin, o.Account.SourceUser, login.User)
		e.Hint = "mailstork domain login " + o.Account.Domain + " --help   # or a password of its own: mailstork account import FILE"
	case errors.As(err, &login) && login.Refused:
		e.Next, e.Reach = OperatorMustAct, ReachAccount
		e.Sentence = fmt.Sprintf("The source %s refuses the password of %s.", server.HostPort(), login.User)
		e.Hint = "mailstork account import FILE   # with the password that the source accepts; if nobody has it: mailstork account abandon " + string(o.Account.Address)
	case errors.As(err, &login):
		e.Sentence = fmt.Sprintf("The source %s lets nobody in for now.", server.HostPort())
	default:
		known := ExplainSource(server, err)
		e.Next, e.Sentence, e.Answer = known.Next, known.Sentence, known.Answer
		then := "then"
		if e.Next == RetryLater {
			then = "tried again by itself; at once"
		}
		if errors.As(err, &dns) {
			known.Hint = "mailstork domain show " + o.Account.Domain
		}
		e.Hint = fmt.Sprintf("%s   # %s: %s", known.Hint, then, e.Hint)
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
		e.Hint = fmt.Sprintf("doveadm quota get -u %s   # then: %s", o.Account.Address, e.Hint)
	case errors.As(err, &login) && login.Refused && o.Destination.MasterUser == "":
		e.Next, e.Reach = OperatorMustAct, ReachAccount
		e.Sentence = fmt.Sprintf("The destination %s refuses the password of %s.", o.Destination.Address, login.User)
	case errors.As(err, &login) && login.Refused:
		e.Next = OperatorMustAct
		e.Sentence = fmt.Sprintf("This server's Dovecot does not let mailstork in as %s.", login.User)
		e.Hint = "mailstork doctor"
	case errors.As(err, &login):
		e.Sentence = fmt.Sprintf("The destination %s lets nobody in for now.", o.Destination.Address)
	case o.Destination.MasterUser == "":
		known := explainServer("the destination "+o.Destination.Address, serverOf(o.Destination), err)
		e.Next, e.Sentence, e.Answer, e.Hint = known.Next, known.Sentence, known.Answer, known.Hint
	default:
		e.Hint = "mailstork doctor   # tried again by itself; at once: " + e.Hint
		e.Sentence = fmt.Sprintf("This server's Dovecot at %s is down or cuts the connection.", o.Destination.Address)
		if wire.Refused(err) != nil {
			e.Sentence = "This server's Dovecot refuses to go on."
		}
	}
}

// DiskFull tells whether a disk of this machine is why something failed.
func DiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || err != nil && strings.Contains(err.Error(), "database or disk is full")
}

// answer is the raw reply within an error, or what this machine said.
func answer(err error) string {
	var network *net.OpError
	status := wire.Refused(err)
	switch {
	case status != nil:
		return status.Raw
	case errors.As(err, &network):
		return network.Error()
	}
	return err.Error()
}

func statusCode(err error) string {
	if status := wire.Refused(err); status != nil {
		return status.Code
	}
	return ""
}
