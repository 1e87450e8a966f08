package provider

import (
	"fmt"
	"slices"
	"strings"
)

// Quirk is what a server does differently. In every text "TAG" stands for the client's tag, and "<<CLOSE>>" for
// closing the connection there. What is not set is honest. No two prefixes of one map may fit one command.
type Quirk struct {
	Greeting     string
	Capabilities string
	Seed         func(*Store)                                       // changes what the server holds
	Replies      map[string]string                                  // instead of the answer, by the beginning of the command
	Before       map[string]string                                  // lines before the answer
	Instead      func(s *Server, c Command) (reply string, ok bool) // for what has a memory
	Beside       bool                                               // searches run beside the command behind them
	Fetch        func(*Line)
	List         func(*Listed)
	Status       func(*Told)
	Open         func(f *Folder, lines []string) []string // the untagged lines of an EXAMINE
}

// Item is a name and its value as on the wire.
type Item struct{ Name, Value string }

// Line is one FETCH reply.
type Line struct {
	Folder        *Folder
	Message       *Message
	Number        int
	Asked         string
	Items         []Item
	Before, After string // whole lines around it
	Verbatim      string // instead of it
}

func (l *Line) String() string {
	if l.Verbatim != "" {
		return l.Before + l.Verbatim + l.After
	}
	return fmt.Sprintf("%s* %d FETCH (%s)\r\n%s", l.Before, l.Number, joined(l.Items), l.After)
}

func joined(items []Item) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = item.Name + " " + item.Value
	}
	return strings.Join(words, " ")
}

// has tells whether the reply carries a whole message.
func (l *Line) hasBody() bool { return l.item("BODY[]") != nil }

func (l *Line) item(name string) *Item {
	for i := range l.Items {
		if l.Items[i].Name == name {
			return &l.Items[i]
		}
	}
	return nil
}

// Listed is one LIST reply.
type Listed struct {
	Folder          *Folder
	Word            string
	Attributes      []string
	Separator, Name string // as on the wire
	After           string // whole lines behind it
	Verbatim        string // instead of it
}

func (l *Listed) String() string {
	if l.Verbatim != "" {
		return l.Verbatim + l.After
	}
	return fmt.Sprintf("* %s (%s) %s %s\r\n%s", l.Word, strings.Join(l.Attributes, " "), l.Separator, l.Name, l.After)
}

// Told is one STATUS reply.
type Told struct {
	Folder *Folder
	Name   string // as on the wire
	Items  []Item
}

func (t *Told) String() string { return fmt.Sprintf("* STATUS %s (%s)\r\n", t.Name, joined(t.Items)) }

// The words in which profiles are written:

// with says a value of an item in every reply, of UID 2 only when it is "second".
func with(name, value string) func(*Line) {
	return func(l *Line) {
		if item := l.item(name); item != nil {
			item.Value = value
		}
	}
}

func without(name string) func(*Line) {
	return func(l *Line) {
		l.Items = slices.DeleteFunc(l.Items, func(item Item) bool { return item.Name == name })
	}
}

// second does something to the replies about the second message of the inbox only.
func second(do func(*Line)) func(*Line) {
	return func(l *Line) {
		if l.Message.UID == 2 && l.Folder.Raw == "INBOX" {
			do(l)
		}
	}
}

// inBodies does something to the replies that carry whole messages.
func inBodies(do func(*Line)) func(*Line) {
	return func(l *Line) {
		if l.hasBody() {
			do(l)
		}
	}
}

// inListings does something to all others.
func inListings(do func(*Line)) func(*Line) {
	return func(l *Line) {
		if !l.hasBody() {
			do(l)
		}
	}
}

func before(lines string) func(*Line) { return func(l *Line) { l.Before += lines } }

func also(name, value string) func(*Line) {
	return func(l *Line) { l.Items = append([]Item{{name, value}}, l.Items...) }
}

// told gives a STATUS item another value; "" leaves it out.
func told(name, value string) func(*Told) {
	return func(t *Told) {
		t.Items = slices.DeleteFunc(t.Items, func(item Item) bool { return item.Name == name })
		if value != "" {
			t.Items = append(t.Items, Item{name, value})
		}
	}
}

// opened replaces the line of an EXAMINE that holds a word; "" leaves it out.
func opened(has, line string) func(*Folder, []string) []string {
	return func(_ *Folder, lines []string) (out []string) {
		for _, l := range lines {
			if !strings.Contains(l, has) {
				out = append(out, l)
			} else if line != "" {
				out = append(out, line)
			}
		}
		return out
	}
}

func put(raw string, attributes ...string) func(*Store) {
	return func(s *Store) { s.Add(raw, attributes...).Fill(2) }
}

// once is true the first time that a server is asked, for what it does to one connection only.
func (s *Server) once(what string) bool {
	s.counts["once "+what]++
	return s.counts["once "+what] == 1
}
