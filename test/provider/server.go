package provider

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// User and Password open the one account.
const (
	User     = "anna@example.org"
	Password = "old pass\"word\\"
)

// Server is a running fake provider.
type Server struct {
	Port  int
	Store *Store

	quirk    Quirk
	writable bool // it is a destination
	listener net.Listener
	mu       sync.Mutex // guards Store and what follows
	counts   map[string]int
	wrong    []string
	bent     bool // an answer was not the honest one
	conns    []net.Conn
	wg       sync.WaitGroup
}

// Command is one command as it came; literals stand in Args as quoted strings.
type Command struct {
	Tag, Verb, Args string
	Folder          string // that is open
}

// Line is the command without its tag.
func (c Command) Line() string { return strings.TrimRight(c.Verb+" "+c.Args, " ") }

// Start runs a provider with a quirk on a port that the kernel picks.
func Start(store *Store, quirk Quirk) (*Server, error) {
	return (&Server{Store: store, quirk: quirk, counts: map[string]int{}}).start()
}

func (s *Server) start() (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.Port, s.listener = l.Addr().(*net.TCPAddr).Port, l
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.wg.Go(func() { (&session{server: s, conn: conn}).serve() })
		}
	})
	return s, nil
}

// Close ends the server and all its connections.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for _, conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Wrong is what no source must ever be asked (L5).
func (s *Server) Wrong() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong
}

// Logins is how often somebody came in.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts["LOGIN"] + s.counts["AUTHENTICATE"]
}

// Bent tells whether the server did anything that an honest one would not, or holds what few do.
func (s *Server) Bent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bent || s.quirk.Greeting != "" || s.quirk.Capabilities != "" || s.quirk.Seed != nil
}

// session is one connection.
type session struct {
	server *Server
	conn   net.Conn
	r      *bufio.Reader
	out    strings.Builder // the answer that is being made
	open   *Folder
}

var errEnd = errors.New("the connection ends")

func (s *session) serve() {
	defer func() { _ = s.conn.Close() }()
	s.r = bufio.NewReader(s.conn)
	greeting := s.server.quirk.Greeting
	if greeting == "" {
		greeting = "* OK ready\r\n"
	}
	if !s.say(greeting) {
		return
	}
	for {
		c, err := s.read()
		if err != nil {
			return
		}
		s.server.mu.Lock()
		text := s.answer(c)
		s.server.mu.Unlock()
		if !s.say(text) {
			return
		}
	}
}

// say sends a text; "<<CLOSE>>" in it stands for closing the connection there.
func (s *session) say(text string) bool {
	text, _, closing := strings.Cut(text, "<<CLOSE>>")
	_, err := io.WriteString(s.conn, text)
	return err == nil && !closing
}

// answer lets the quirk speak first.
func (s *session) answer(c Command) string {
	s.server.counts[c.Verb]++
	q := s.server.quirk
	if q.Instead != nil {
		if reply, ok := q.Instead(s.server, c); ok {
			s.server.bent = true
			return strings.ReplaceAll(reply, "TAG", c.Tag)
		}
	}
	for prefix, reply := range q.Replies {
		if strings.HasPrefix(c.Line(), prefix) {
			s.server.bent = true
			return strings.ReplaceAll(reply, "TAG", c.Tag)
		}
	}
	s.out.Reset()
	for prefix, lines := range q.Before {
		if strings.HasPrefix(c.Line(), prefix) {
			s.server.bent = true
			s.out.WriteString(lines)
		}
	}
	if q.Beside && c.Verb == "UID SEARCH" && s.r.Buffered() > 0 {
		return s.beside(c)
	}
	completion := s.honest(c)
	return s.out.String() + c.Tag + " " + completion
}

// beside answers the command behind a search first, as far as its completion.
func (s *session) beside(search Command) string {
	c, err := s.read()
	if err != nil {
		return "<<CLOSE>>"
	}
	s.server.bent = true
	then := s.honest(c)
	completion := s.honest(search)
	return s.out.String() + search.Tag + " " + completion + c.Tag + " " + then
}

var announced = regexp.MustCompile(`\{(\d+)(\+?)\}\r\n$`)

// read reads one command with its literals.
func (s *session) read() (c Command, err error) {
	var line string
	for {
		part, err := s.r.ReadString('\n')
		if err != nil {
			return c, err
		}
		m := announced.FindStringSubmatch(part)
		if m == nil {
			line += strings.TrimRight(part, "\r\n")
			break
		}
		if m[2] == "" && !s.say("+ go on\r\n") {
			return c, errEnd
		}
		n, _ := strconv.Atoi(m[1])
		octets := make([]byte, n)
		if _, err = io.ReadFull(s.r, octets); err != nil {
			return c, err
		}
		line += strings.TrimSuffix(part, m[0]) + quote(string(octets))
	}
	var rest string
	c.Tag, rest, _ = strings.Cut(line, " ")
	c.Verb, c.Args, _ = strings.Cut(rest, " ")
	if c.Verb == "UID" {
		var sub string
		sub, c.Args, _ = strings.Cut(c.Args, " ")
		c.Verb += " " + sub
	}
	if s.open != nil {
		c.Folder = s.open.Raw
	}
	return c, nil
}

func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// word takes the first argument off args: an atom or a quoted string.
func word(args string) (first, rest string) {
	if !strings.HasPrefix(args, `"`) {
		first, rest, _ = strings.Cut(args, " ")
		return first, rest
	}
	var b strings.Builder
	for i := 1; i < len(args); i++ {
		switch {
		case args[i] == '\\' && i+1 < len(args):
			i++
		case args[i] == '"':
			return b.String(), strings.TrimPrefix(args[i+1:], " ")
		}
		b.WriteByte(args[i])
	}
	return b.String(), ""
}

// judge tells whether a login is right.
func judge(c Command) bool {
	if c.Verb == "LOGIN" {
		user, rest := word(c.Args)
		password, _ := word(rest)
		return user == User && password == Password
	}
	_, coded, _ := strings.Cut(c.Args, " ")
	plain, err := base64.StdEncoding.DecodeString(coded)
	return err == nil && string(plain) == fmt.Sprintf("\x00%s\x00%s", User, Password)
}
