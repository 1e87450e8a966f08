package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

// session is one connection to one of the two servers.
type session struct {
	bench *Bench
	here  bool // at the destination
	world *world
	conn  *net.TCPConn
	r     *bufio.Reader
	w     *bufio.Writer
	open  string // folder
	line  string // of the command that is read
}

// command is one that is complete: from here on it takes effect with its client or without it.
type command struct {
	tag, verb string
	args      string
	folder    string // of APPEND, or the one that is open
	letters   []letter
}

var errCut = errors.New("cut by a fault")

// serve ends when the client is gone or a fault cuts.
func (s *session) serve() {
	defer s.bench.sessions.Done()
	defer s.conn.Close()
	s.r, s.w = bufio.NewReaderSize(s.conn, 4096), bufio.NewWriterSize(s.conn, 4096)
	fmt.Fprintf(s.w, "* PREAUTH [CAPABILITY %s] ready\r\n", s.capabilities())
	for {
		if err := s.w.Flush(); err != nil {
			return
		}
		c, err := s.read()
		if err == nil {
			err = s.handle(c)
		}
		if errors.Is(err, errCut) {
			_ = s.w.Flush() // answers to what came before
			return
		}
		if err != nil {
			_ = s.conn.SetLinger(0) // leaves no port behind
			return
		}
	}
}

func (s *session) capabilities() string {
	caps := "IMAP4rev1 LITERAL+ UIDPLUS ESEARCH LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE MOVE"
	if s.here && !s.bench.scenario.single {
		caps += " MULTIAPPEND"
	}
	if !s.here && s.bench.scenario.labels != nil {
		caps += " X-GM-EXT-1"
	}
	return caps
}

func (s *session) read() (c command, err error) {
	if err = s.readLine(); err != nil {
		return c, err
	}
	var rest string
	c.tag, rest, _ = strings.Cut(s.line, " ")
	c.verb, c.args, _ = strings.Cut(rest, " ")
	if c.verb == "UID" {
		var sub string
		sub, c.args, _ = strings.Cut(c.args, " ")
		c.verb += " " + sub
	}
	c.folder = s.open
	if c.verb == "APPEND" {
		err = s.readAppend(&c)
	}
	return c, err
}

func (s *session) readLine() error {
	line, err := s.r.ReadSlice('\n')
	s.line = strings.TrimRight(string(line), "\r\n")
	return err
}

// readAppend reads one or many messages (RFC 3502), each "(flags) "date" {n+}" and its octets, and the last line end.
func (s *session) readAppend(c *command) error {
	name, rest, _ := strings.Cut(strings.TrimPrefix(c.args, `"`), `"`)
	c.folder = name
	for strings.TrimSpace(rest) != "" {
		if s.bench.scenario.single && len(c.letters) > 0 {
			return fmt.Errorf("MULTIAPPEND was not offered: %q", rest)
		}
		l, n, err := announced(rest)
		if err != nil {
			return err
		}
		body := make([]byte, n)
		if s.bench.cuts(s.here) {
			_, _ = io.ReadFull(s.r, body[:n/2])
			return errCut
		}
		if _, err := io.ReadFull(s.r, body); err != nil {
			return err
		}
		l.body = string(body)
		c.letters = append(c.letters, l)
		if err := s.readLine(); err != nil {
			return err
		}
		rest = s.line
	}
	return nil
}

// announced reads ` (\\Seen work) "17-Jul-2020 02:44:25 +0000" {310+}`.
func announced(args string) (l letter, size int, err error) {
	flags, rest, found := strings.Cut(strings.TrimPrefix(args, " ("), `) "`)
	date, rest, dated := strings.Cut(rest, `" {`)
	size, err = strconv.Atoi(strings.TrimSuffix(rest, "+}"))
	if !found || !dated || err != nil {
		return l, 0, fmt.Errorf("what APPEND is this: %q", args)
	}
	l = letter{date: date, flags: strings.Fields(flags), ours: true}
	slices.Sort(l.flags)
	return l, size, nil
}

// handle answers a command that only looks, and leaves the others to the bench.
func (s *session) handle(c command) error {
	switch c.verb {
	case "APPEND", "CREATE", "SUBSCRIBE", "UID STORE", "UID COPY", "UID EXPUNGE":
		answer, err := s.bench.change(s, c)
		if err == nil {
			fmt.Fprintf(s.w, "%s %s\r\n", c.tag, answer)
		}
		return err
	case "LOGOUT":
		return io.EOF
	}
	s.bench.mu.Lock()
	defer s.bench.mu.Unlock()
	switch c.verb {
	case "LIST":
		s.list()
	case "SELECT", "EXAMINE":
		s.examine(c.args)
	case "UID SEARCH":
		s.search(c.tag)
	case "UID FETCH", "FETCH":
		if err := s.fetch(c.verb == "UID FETCH", c.args); err != nil {
			return err
		}
	default:
		s.world.wrong = append(s.world.wrong, c.verb)
		fmt.Fprintf(s.w, "%s BAD what is %s\r\n", c.tag, c.verb)
		return nil
	}
	fmt.Fprintf(s.w, "%s OK done\r\n", c.tag)
	if c.verb == "UID SEARCH" && s.here {
		return s.bench.looked(s)
	}
	return nil
}

func (s *session) list() {
	for _, name := range slices.Sorted(maps.Keys(s.world.folders)) {
		f := s.world.folders[name]
		use := ""
		if !s.here && s.bench.scenario.labels != nil {
			use = gathers[name]
		}
		fmt.Fprintf(s.w, "* LIST (%s) \"/\" %q\r\n", use, name)
		fmt.Fprintf(s.w, "* STATUS %q (MESSAGES %d UIDNEXT %d UIDVALIDITY %d HIGHESTMODSEQ %d)\r\n", name, len(f.letters), f.next, f.validity, f.modseq)
	}
}

func (s *session) examine(args string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(args, `"`), `"`)
	f := s.world.folders[name]
	s.open = name
	fmt.Fprintf(s.w, "* %d EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n* OK [UIDNEXT %d] x\r\n* OK [HIGHESTMODSEQ %d] x\r\n", len(f.letters), f.validity, f.next, f.modseq)
}

func (s *session) search(tag string) {
	letters := s.world.folders[s.open].letters
	if len(letters) == 0 {
		fmt.Fprintf(s.w, "* ESEARCH (TAG %q) UID\r\n", tag)
		return
	}
	uids := make([]string, len(letters))
	for i, l := range letters {
		uids[i] = strconv.Itoa(int(l.uid))
	}
	fmt.Fprintf(s.w, "* ESEARCH (TAG %q) UID ALL %s\r\n", tag, strings.Join(uids, ","))
}

func (s *session) fetch(byUID bool, args string) error {
	set, items, _ := strings.Cut(args, " ")
	ranges := parseSet(set)
	since := uint64(0)
	if _, after, found := strings.Cut(items, "CHANGEDSINCE "); found {
		since, _ = strconv.ParseUint(strings.TrimSuffix(after, ")"), 10, 64)
	}
	for i, l := range s.world.folders[s.open].letters {
		number := uint32(i + 1)
		if byUID {
			number = l.uid
		}
		if l.modseq <= since || !ranges.has(number) {
			continue
		}
		fmt.Fprintf(s.w, "* %d FETCH (UID %d FLAGS (%s) INTERNALDATE %q MODSEQ (%d) RFC822.SIZE %d", i+1, l.uid, strings.Join(l.flags, " "), l.date, l.modseq, len(l.body))
		if strings.Contains(items, "X-GM-MSGID") {
			fmt.Fprintf(s.w, " X-GM-MSGID %d", l.origin)
		}
		switch {
		case strings.Contains(items, "BODY.PEEK[]"):
			fmt.Fprintf(s.w, " BODY[] {%d}\r\n", len(l.body))
			if !s.here && s.bench.cutsLocked(false) {
				_, _ = s.w.WriteString(l.body[:len(l.body)/2])
				return errCut
			}
			_, _ = s.w.WriteString(l.body)
		case strings.Contains(items, "BODY.PEEK[HEADER"):
			header, _, found := strings.Cut(l.body, "\r\n\r\n")
			if header += "\r\n\r\n"; !found {
				header = "\r\n"
			}
			fmt.Fprintf(s.w, " BODY[HEADER.FIELDS (X)] {%d}\r\n%s", len(header), header)
		}
		fmt.Fprint(s.w, ")\r\n")
	}
	return nil
}

type set [][2]uint32

func parseSet(text string) (ranges set) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, pair := strings.Cut(part, ":")
		if !pair {
			to = from
		}
		a, _ := strconv.ParseUint(from, 10, 32)
		b, err := strconv.ParseUint(to, 10, 32)
		if err != nil { // "*"
			b = 1<<32 - 1
		}
		ranges = append(ranges, [2]uint32{uint32(a), uint32(b)})
	}
	return ranges
}

func (s set) has(uid uint32) bool {
	return slices.ContainsFunc(s, func(r [2]uint32) bool { return uid >= r[0] && uid <= r[1] })
}
