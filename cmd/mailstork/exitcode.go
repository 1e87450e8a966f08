package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mailstork/daemon/control"
)

// Exit codes are never reused for another meaning; new meanings get new numbers.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotInSync   = 3
	exitUnreachable = 4
	exitNotFound    = 5
	exitRefused     = 6
	exitNotAllowed  = 7
	exitDNS         = 8
	exitUnhealthy   = 9
	exitUnsound     = 10
)

var exitMeanings = []struct {
	code    int
	meaning string
}{
	{exitOK, "done"},
	{exitFailed, "failed; the sentence on standard error says why"},
	{exitUsage, "the command line is wrong"},
	{exitNotInSync, "copy: the two accounts are not in sync"},
	{exitUnreachable, "the daemon can't be reached"},
	{exitNotFound, "no such domain or account"},
	{exitRefused, "refused: the input is invalid, or the state does not allow it"},
	{exitNotAllowed, "this user may not use the control socket"},
	{exitDNS, "dns check: the DNS does not name this server alone"},
	{exitUnhealthy, "doctor: at least one check failed"},
	{exitUnsound, "verification: a message is missing or twice, or a folder could not be read"},
}

func exitTable() string {
	var out strings.Builder
	out.WriteString("Exit codes:\n")
	for _, e := range exitMeanings {
		fmt.Fprintf(&out, "  %d  %s\n", e.code, e.meaning)
	}
	return out.String()
}

// exitError gives an error its exit code.
type exitError struct {
	code int
	next string // the next command
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usage(err error, next string) error { return &exitError{exitUsage, next, err} }

func codeOf(err error) int {
	var exit *exitError
	var failure *control.Error
	var unreachable *control.Unreachable
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &failure):
		return codeOfKind(failure.Kind)
	case errors.As(err, &unreachable) && errors.Is(unreachable.Err, fs.ErrPermission):
		return exitNotAllowed
	case errors.As(err, &unreachable):
		return exitUnreachable
	}
	return exitFailed
}

func codeOfKind(kind control.Kind) int {
	switch kind {
	case control.KindInvalid, control.KindRefused:
		return exitRefused
	case control.KindNotFound:
		return exitNotFound
	case control.KindNotAllowed:
		return exitNotAllowed
	case control.KindFailed:
	}
	return exitFailed
}
