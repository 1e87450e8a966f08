package control

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Kind says what sort of failure an Error is; it decides the HTTP status and the exit code of the command.
type Kind string

// The kinds of failure.
const (
	KindInvalid    Kind = "invalid"     // what was asked makes no sense: correct it
	KindNotFound   Kind = "not_found"   // no such domain or account
	KindRefused    Kind = "refused"     // makes sense, but not in this state
	KindNotAllowed Kind = "not_allowed" // this user may not use the socket
	KindFailed     Kind = "failed"      // it should have worked
)

var statusOf = map[Kind]int{
	KindInvalid: http.StatusBadRequest, KindNotFound: http.StatusNotFound, KindRefused: http.StatusConflict,
	KindNotAllowed: http.StatusForbidden, KindFailed: http.StatusInternalServerError,
}

// Error is a failure as a person reads it: one sentence, what the other side really said, and what to do next.
type Error struct {
	Kind     Kind        `json:"kind"`
	Sentence string      `json:"error"`
	Raw      string      `json:"raw,omitempty"`   // the answer of a server or system, word for word
	Hint     string      `json:"hint,omitempty"`  // the next command
	Lines    []LineError `json:"lines,omitempty"` // of an import
}

// LineError is what is wrong with one line of a list.
type LineError struct {
	Line    int    `json:"line"`
	Problem string `json:"problem"`
}

func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString(e.Sentence)
	if e.Raw != "" {
		text.WriteString(": " + e.Raw)
	}
	for _, line := range e.Lines {
		fmt.Fprintf(&text, "; line %d: %s", line.Line, line.Problem)
	}
	return text.String()
}

// Invalid is an error about what was asked.
func Invalid(sentence, hint string) *Error {
	return &Error{Kind: KindInvalid, Sentence: sentence, Hint: hint}
}

// NotFound is an error about something that does not exist.
func NotFound(sentence, hint string) *Error {
	return &Error{Kind: KindNotFound, Sentence: sentence, Hint: hint}
}

// Refused is an error about something that can't be done in this state.
func Refused(sentence, hint string) *Error {
	return &Error{Kind: KindRefused, Sentence: sentence, Hint: hint}
}

// InvalidLines is the error of an import; nothing of it was done.
func InvalidLines(lines []LineError) *Error {
	sentence := fmt.Sprintf("%d lines can't be imported, nothing was changed", len(lines))
	if len(lines) == 1 {
		sentence = "one line can't be imported, nothing was changed"
	}
	return &Error{Kind: KindInvalid, Sentence: sentence, Lines: lines}
}

// asError makes an *Error of any error.
func asError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Kind: KindFailed, Sentence: err.Error(), Hint: "journalctl -u mailstork -n 50"}
}

// Unreachable is the error of a client that found no daemon behind the socket.
type Unreachable struct {
	Socket string
	Err    error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("reaching the daemon at %s: %v", e.Socket, e.Err)
}

func (e *Unreachable) Unwrap() error { return e.Err }
