package wire

import (
	"bytes"
	"strings"
)

// Reply is a status response (RFC 9051 §7.1), tagged or not.
type Reply struct {
	Status string // "OK", "NO", "BAD", "BYE" or "PREAUTH"
	Code   string // response code in upper case, "" if none
	Args   string // what stands behind the code inside the brackets
	Text   string
	Raw    string // the line without its tag
}

// refused turns a No into an error.
func (r Reply) refused(command string) error {
	if r.Status == "OK" || r.Status == "PREAUTH" {
		return nil
	}
	return &StatusError{Status: r.Status, Code: r.Code, Text: r.Text, Raw: r.Raw, Command: command}
}

func isStatus(word string) bool {
	switch word {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return true
	}
	return false
}

// parseReply reads what stands behind a status word. A code without its closing
// bracket is text.
func parseReply(status string, rest []byte) Reply {
	rest = bytes.TrimLeft(rest, " \t")
	r := Reply{Status: status, Text: string(rest), Raw: strings.TrimRight(status+" "+string(rest), " ")}
	if len(rest) == 0 || rest[0] != '[' {
		return r
	}
	end := codeEnd(rest)
	if end < 0 {
		return r
	}
	word, args, _ := strings.Cut(strings.TrimSpace(string(rest[1:end])), " ")
	r.Code, r.Args = strings.ToUpper(word), strings.TrimSpace(args)
	r.Text = strings.TrimSpace(string(rest[end+1:]))
	return r
}

// codeEnd finds the bracket that closes a response code. Flags may contain "]", so
// a code with a list ends behind the list.
func codeEnd(rest []byte) int {
	end := bytes.IndexByte(rest, ']')
	if open := bytes.IndexByte(rest, '('); open >= 0 && open < end {
		if i := bytes.Index(rest[open:], []byte(")]")); i >= 0 {
			return open + i + 1
		}
	}
	return end
}
