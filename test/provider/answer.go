package provider

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// plainCapabilities is an old server without any extension that helps, usual a modern one.
const (
	plainCapabilities = "IMAP4rev1 AUTH=PLAIN SASL-IR"
	usualCapabilities = plainCapabilities + " NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE ESEARCH CONDSTORE UIDPLUS"
)

func (s *session) offers(capability string) bool {
	return slices.Contains(strings.Fields(s.server.capabilities()), capability)
}

func (s *Server) capabilities() string { return cmp.Or(s.quirk.Capabilities, usualCapabilities) }

// bend notes that a quirk changed an answer.
func (s *session) bend(honest, said string) { s.server.bent = s.server.bent || honest != said }

// honest answers as the RFCs say, and returns the completion without its tag.
func (s *session) honest(c Command) string {
	switch c.Verb {
	case "CAPABILITY":
		s.printf("* CAPABILITY %s\r\n", s.server.capabilities())
	case "LOGIN", "AUTHENTICATE":
		if !judge(c) {
			return "NO [AUTHENTICATIONFAILED] wrong\r\n"
		}
	case "NAMESPACE":
		s.printf("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n")
	case "LIST", "XLIST", "LSUB":
		return s.list(c)
	case "STATUS":
		return s.status(c)
	case "EXAMINE":
		return s.examine(c)
	case "UID SEARCH":
		return s.search(c)
	case "UID FETCH":
		return s.fetch(c)
	case "LOGOUT":
		s.printf("* BYE bye\r\n")
		return "OK done\r\n<<CLOSE>>"
	case "APPEND", "CREATE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "SELECT", "UID STORE", "UID EXPUNGE":
		if s.server.writable {
			return s.change(c)
		}
		fallthrough
	default:
		s.server.wrong = append(s.server.wrong, c.Line())
		return "BAD what is that\r\n"
	}
	return "OK done\r\n"
}

func (s *session) printf(format string, values ...any) { fmt.Fprintf(&s.out, format, values...) }

func (s *session) list(c Command) string {
	extended := strings.Contains(c.Args, "RETURN")
	if extended && !s.offers("LIST-EXTENDED") {
		return "BAD no such argument\r\n"
	}
	_, rest := word(c.Args)
	pattern, _ := word(rest)
	for _, f := range s.server.Store.Folders {
		if !strings.HasPrefix(f.Raw, strings.TrimRight(pattern, "*%")) {
			continue
		}
		l := &Listed{Folder: f, Word: c.Verb, Attributes: slices.Clone(f.Attributes), Separator: `"/"`, Name: quote(f.Raw)}
		if extended {
			l.Attributes = append(l.Attributes, `\Subscribed`)
		}
		if s.server.quirk.List != nil {
			honest := l.String()
			s.server.quirk.List(l)
			s.bend(honest, l.String())
		}
		s.out.WriteString(l.String())
		if extended && strings.Contains(c.Args, "STATUS (") && f.Selectable() {
			s.told(f, c.Args)
		}
	}
	return "OK done\r\n"
}

// told writes the STATUS line of a folder.
func (s *session) told(f *Folder, asked string) {
	t := &Told{Folder: f, Name: quote(f.Raw), Items: []Item{
		{"MESSAGES", strconv.Itoa(len(f.Messages))}, {"UIDNEXT", fmt.Sprint(f.Next)}, {"UIDVALIDITY", fmt.Sprint(f.Validity)},
	}}
	if strings.Contains(asked, "HIGHESTMODSEQ") {
		t.Items = append(t.Items, Item{"HIGHESTMODSEQ", fmt.Sprint(f.ModSeq)})
	}
	if s.server.quirk.Status != nil {
		honest := t.String()
		s.server.quirk.Status(t)
		s.bend(honest, t.String())
	}
	s.out.WriteString(t.String())
}

func (s *session) status(c Command) string {
	raw, items := word(c.Args)
	f := s.server.Store.Folder(raw)
	if f == nil || !f.Selectable() {
		return "NO [NONEXISTENT] no such folder\r\n"
	}
	s.told(f, items)
	return "OK done\r\n"
}

func (s *session) examine(c Command) string {
	raw, options := word(c.Args)
	if options != "" && !s.offers("CONDSTORE") {
		return "BAD no such argument\r\n"
	}
	f := s.server.Store.Folder(raw)
	if f == nil || !f.Selectable() {
		return "NO [NONEXISTENT] no such folder\r\n"
	}
	s.open = f
	lines := []string{
		`FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`, fmt.Sprintf("%d EXISTS", len(f.Messages)), "0 RECENT",
		fmt.Sprintf("OK [UIDVALIDITY %d] x", f.Validity), fmt.Sprintf("OK [UIDNEXT %d] x", f.Next),
	}
	if s.offers("CONDSTORE") {
		lines = append(lines, fmt.Sprintf("OK [HIGHESTMODSEQ %d] x", f.ModSeq))
	}
	if s.server.quirk.Open != nil {
		honest := strings.Join(lines, "\n")
		lines = s.server.quirk.Open(f, lines)
		s.bend(honest, strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		s.printf("* %s\r\n", line)
	}
	if c.Verb == "SELECT" {
		return "OK [READ-WRITE] done\r\n"
	}
	return "OK [READ-ONLY] done\r\n"
}

func (s *session) search(c Command) string {
	if s.open == nil {
		return "BAD nothing is open\r\n"
	}
	var uids []string
	for _, m := range s.open.Messages {
		uids = append(uids, fmt.Sprint(m.UID))
	}
	switch {
	case !strings.HasPrefix(c.Args, "RETURN"):
		s.printf("* SEARCH %s\r\n", strings.Join(uids, " "))
	case !s.offers("ESEARCH"):
		return "BAD no such argument\r\n"
	case len(uids) == 0:
		s.printf("* ESEARCH (TAG %q) UID\r\n", c.Tag)
	default:
		s.printf("* ESEARCH (TAG %q) UID ALL %s\r\n", c.Tag, strings.Join(uids, ","))
	}
	return "OK done\r\n"
}

func (s *session) fetch(c Command) string {
	if s.open == nil {
		return "BAD nothing is open\r\n"
	}
	set, asked := word(c.Args)
	since := uint64(0)
	if _, after, found := strings.Cut(asked, "CHANGEDSINCE "); found {
		since, _ = strconv.ParseUint(strings.TrimSuffix(after, ")"), 10, 64)
	}
	for i, m := range s.open.Messages {
		if m.ModSeq <= since || !contains(set, m.UID, s.open) {
			continue
		}
		l := &Line{Folder: s.open, Message: m, Number: i + 1, Asked: asked, Items: itemsOf(m, asked, since > 0)}
		if s.server.quirk.Fetch != nil {
			honest := l.String()
			s.server.quirk.Fetch(l)
			s.bend(honest, l.String())
		}
		s.out.WriteString(l.String())
	}
	return "OK done\r\n"
}

func itemsOf(m *Message, asked string, withModSeq bool) (items []Item) {
	add := func(name, value string) { items = append(items, Item{name, value}) }
	add("UID", fmt.Sprint(m.UID))
	if strings.Contains(asked, "FLAGS") {
		add("FLAGS", "("+strings.Join(m.Flags, " ")+")")
	}
	if strings.Contains(asked, "INTERNALDATE") {
		add("INTERNALDATE", quote(m.Date))
	}
	if strings.Contains(asked, "RFC822.SIZE") {
		add("RFC822.SIZE", strconv.Itoa(len(m.Body)))
	}
	if strings.Contains(asked, "X-GM-LABELS") {
		add("X-GM-LABELS", "("+strings.Join(m.Labels, " ")+")")
	}
	if strings.Contains(asked, "X-GM-MSGID") {
		add("X-GM-MSGID", fmt.Sprint(m.GMID))
	}
	if withModSeq {
		add("MODSEQ", fmt.Sprintf("(%d)", m.ModSeq))
	}
	switch {
	case strings.Contains(asked, "BODY.PEEK[]"):
		add("BODY[]", literal(m.Body))
	case strings.Contains(asked, "BODY.PEEK[HEADER"):
		header, _, _ := strings.Cut(m.Body, "\r\n\r\n")
		add("BODY[HEADER.FIELDS (X)]", literal(header+"\r\n\r\n"))
	}
	return items
}

func literal(body string) string { return fmt.Sprintf("{%d}\r\n%s", len(body), body) }

// contains tells whether a set of UIDs has one; "*" is the last of the folder.
func contains(set string, uid uint32, f *Folder) bool {
	last := uint64(0)
	if n := len(f.Messages); n > 0 {
		last = uint64(f.Messages[n-1].UID)
	}
	number := func(text string) uint64 {
		if text == "*" {
			return last
		}
		n, _ := strconv.ParseUint(text, 10, 32)
		return n
	}
	for part := range strings.SplitSeq(set, ",") {
		from, to, pair := strings.Cut(part, ":")
		if !pair {
			to = from
		}
		a, b := number(from), number(to)
		if uint64(uid) >= min(a, b) && uint64(uid) <= max(a, b) {
			return true
		}
	}
	return false
}
