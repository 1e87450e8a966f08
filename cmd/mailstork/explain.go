package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"mailstork/daemon/control"
)

const maxLinesShown = 20

// explain writes an error for people: one sentence, the raw answer, what is wrong line by line, the next command.
func explain(out io.Writer, err error) {
	failure := asFailure(err)
	if failure.Sentence == "" {
		return // the command has said it already
	}
	fmt.Fprintf(out, "mailstork: %s\n", clean(failure.Sentence))
	if failure.Raw != "" {
		for i, line := range strings.Split(failure.Raw, "\n") {
			fmt.Fprintf(out, "  %-7s %s\n", []string{"answer:", ""}[min(i, 1)], clean(line))
		}
	}
	for i, line := range failure.Lines {
		if i == maxLinesShown {
			fmt.Fprintf(out, "  … and %d more lines\n", len(failure.Lines)-i)
			break
		}
		fmt.Fprintf(out, "  line %d: %s\n", line.Line, clean(line.Problem))
	}
	if failure.Hint != "" {
		fmt.Fprintf(out, "  next:   %s\n", clean(failure.Hint))
	}
}

// asFailure gives every error the parts that explain writes.
func asFailure(err error) control.Error {
	var failure *control.Error
	var unreachable *control.Unreachable
	var exit *exitError
	switch {
	case errors.As(err, &failure):
		return *failure
	case errors.As(err, &unreachable):
		return explainUnreachable(unreachable)
	case errors.As(err, &exit):
		return control.Error{Sentence: exit.Error(), Hint: exit.next}
	}
	return control.Error{Sentence: err.Error()}
}

func explainUnreachable(e *control.Unreachable) control.Error {
	const look = "systemctl status mailstork   # or name the configuration: --config FILE"
	known := control.Error{Raw: e.Err.Error(), Hint: look}
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		known.Sentence = "there is no daemon: nothing listens at " + e.Socket
	case errors.Is(e.Err, fs.ErrPermission):
		known.Sentence = "this user may not use the control socket " + e.Socket
		known.Hint = "sudo mailstork status"
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		known.Sentence = "the daemon behind " + e.Socket + " is not running"
	default:
		known.Sentence = "the daemon behind " + e.Socket + " did not answer"
		known.Hint = "journalctl -u mailstork -n 50"
	}
	return known
}
