package provider

import (
	"fmt"
	"slices"
	"strings"
)

// StartDestination runs an honest server that takes mail, with an empty inbox: enough of a Dovecot for passes.
func StartDestination() (*Server, error) {
	store := &Store{}
	store.Add("INBOX")
	words := usualCapabilities + " LITERAL+ MULTIAPPEND MOVE"
	return (&Server{
		Store: store, counts: map[string]int{}, writable: true,
		quirk: Quirk{Capabilities: words, Greeting: "* PREAUTH [CAPABILITY " + words + "] ready\r\n"},
	}).start()
}

// change does what only a destination does.
func (s *session) change(c Command) string {
	raw, rest := word(c.Args)
	switch c.Verb {
	case "CREATE":
		s.server.Store.Add(raw)
	case "RENAME":
		s.server.Store.Folder(raw).Raw, _ = word(rest)
	case "SELECT":
		return s.examine(c)
	case "APPEND":
		return s.append(raw, rest)
	case "UID STORE", "UID EXPUNGE":
		return s.touch(c.Verb, raw, rest)
	}
	return "OK done\r\n"
}

// append takes one or many messages, each "(flags) "date" body"; the date may be missing.
func (s *session) append(raw, rest string) string {
	f := s.server.Store.Folder(raw)
	if f == nil {
		return "NO [TRYCREATE] no such folder\r\n"
	}
	first := f.Next
	for strings.TrimSpace(rest) != "" {
		list, after, closed := strings.Cut(strings.TrimLeft(rest, " ("), ") ")
		if !closed {
			return "BAD what flags are these\r\n"
		}
		one, after := word(after)
		date, body := "", one
		if strings.HasPrefix(strings.TrimLeft(after, " "), `"`) {
			date = one
			body, after = word(strings.TrimLeft(after, " "))
		}
		f.Put(body, strings.TrimSpace(date), strings.Fields(list)...)
		rest = after
	}
	return fmt.Sprintf("OK [APPENDUID %d %d:%d] done\r\n", f.Validity, first, f.Next-1)
}

// touch executes STORE and EXPUNGE.
func (s *session) touch(verb, set, rest string) string {
	how, list, _ := strings.Cut(rest, " ")
	words := strings.Fields(strings.Trim(list, "()"))
	kept := s.open.Messages[:0:0]
	for _, m := range s.open.Messages {
		switch hit := contains(set, m.UID, s.open); {
		case hit && verb == "UID EXPUNGE" && slices.Contains(m.Flags, `\Deleted`):
			continue
		case hit && verb == "UID STORE":
			m.Flags = slices.DeleteFunc(slices.Clone(m.Flags), func(flag string) bool { return slices.Contains(words, flag) })
			if strings.HasPrefix(how, "+") {
				m.Flags = append(m.Flags, words...)
			}
		}
		kept = append(kept, m)
	}
	s.open.ModSeq++
	s.open.Messages = kept
	return "OK done\r\n"
}
