package provider

import (
	"fmt"
	"slices"
)

// Message is one message of a folder.
type Message struct {
	UID    uint32
	Body   string
	Date   string // as on the wire
	Flags  []string
	ModSeq uint64
	Labels []string // of Gmail
	GMID   uint64   // of Gmail
}

// Folder is one folder, under its name on the wire.
type Folder struct {
	Raw        string
	Attributes []string // of LIST
	Validity   uint32
	Next       uint32
	ModSeq     uint64
	Messages   []*Message // ascending UIDs
}

// Selectable tells whether the folder can hold messages.
func (f *Folder) Selectable() bool {
	return !slices.Contains(f.Attributes, `\Noselect`) && !slices.Contains(f.Attributes, `\NonExistent`)
}

// Store is everything that a server holds.
type Store struct {
	Folders []*Folder
}

// Folder returns a folder by its name on the wire, nil when there is none.
func (s *Store) Folder(raw string) *Folder {
	for _, f := range s.Folders {
		if f.Raw == raw {
			return f
		}
	}
	return nil
}

// Add makes a folder, or returns the one that is there.
func (s *Store) Add(raw string, attributes ...string) *Folder {
	f := s.Folder(raw)
	if f == nil {
		f = &Folder{Raw: raw, Attributes: attributes, Validity: 4000 + uint32(len(s.Folders)), Next: 1, ModSeq: 1}
		s.Folders = append(s.Folders, f)
	}
	return f
}

const someDate = "17-Jul-2020 02:44:25 +0000"

// Put adds a message with the next UID and returns it for changing.
func (f *Folder) Put(body, date string, flags ...string) *Message {
	f.ModSeq++
	m := &Message{UID: f.Next, Body: body, Date: date, Flags: flags, ModSeq: f.ModSeq}
	f.Next++
	f.Messages = append(f.Messages, m)
	return m
}

// Letter writes a message that no other one is like.
func Letter(name string) string {
	return fmt.Sprintf("From: b@example.net\r\nTo: anna@example.org\r\nDate: Fri, 17 Jul 2020 02:44:25 +0000\r\nMessage-ID: <%s@example.net>\r\nSubject: %s\r\n\r\nThis is %s.\r\n", name, name, name)
}

// Fill puts n letters into a folder.
func (f *Folder) Fill(n int) *Folder {
	for i := range n {
		f.Put(Letter(fmt.Sprintf("%x-%d", f.Raw, i+1)), someDate)
	}
	return f
}

// NewStore is the account that every profile begins with.
func NewStore() *Store {
	s := &Store{}
	inbox := s.Add("INBOX", `\HasNoChildren`)
	inbox.Put(Letter("one"), someDate, `\Seen`)
	inbox.Put(Letter("two"), "3-Mar-2019 23:59:59 -0700", `\Answered`, `\Seen`, "$Forwarded")
	inbox.Put(Letter("three"), someDate, `\Flagged`, "work")
	inbox.Put(Letter("four"), "29-Feb-2016 12:00:00 +0530")
	s.Add("Letters", `\HasNoChildren`).Fill(3)
	s.Add("Posted", `\HasNoChildren`, `\Sent`).Fill(2)
	return s
}
