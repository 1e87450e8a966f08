package wire

import (
	"errors"
	"fmt"
)

// StatusError is a refusal in the server's own words.
type StatusError struct {
	Status  string // "NO", "BAD" or "BYE"
	Code    string // response code in upper case without arguments ("OVERQUOTA"), "" if none
	Text    string // human text after the code
	Raw     string // the whole line as it came, without the tag
	Command string // the command word that was refused ("APPEND"), "" for an unasked BYE
}

func (e *StatusError) Error() string {
	if e.Command == "" {
		return fmt.Sprintf("the server said %q", e.Raw)
	}
	return fmt.Sprintf("the server answered %s with %q", e.Command, e.Raw)
}

// CapError says that the server sent more of something than is accepted. The
// connection is closed.
type CapError struct {
	What  string // "line", "nesting", "items", "literal", "uids"
	Limit int64
}

func (e *CapError) Error() string {
	return fmt.Sprintf("reading a reply: %s longer than the limit of %d", e.What, e.Limit)
}

// LoginError says that the server was reached but did not let us in. Refused holds
// when it judged the credential; otherwise (UNAVAILABLE, LIMIT, a BAD) nothing is
// known about it and the login may be tried again later.
type LoginError struct {
	User    string
	Refused bool
	Err     error
}

func (e *LoginError) Error() string { return fmt.Sprintf("logging in as %q: %v", e.User, e.Err) }
func (e *LoginError) Unwrap() error { return e.Err }

// TLSError says that no verified connection could be made; Err holds the reason of
// crypto/x509 when the certificate was the reason.
type TLSError struct {
	Host string
	Err  error
}

func (e *TLSError) Error() string {
	return fmt.Sprintf("making a verified TLS connection to %s: %v", e.Host, e.Err)
}
func (e *TLSError) Unwrap() error { return e.Err }

// ErrClosed is what calls on a connection return after its Close.
var ErrClosed = errors.New("the connection is closed")
