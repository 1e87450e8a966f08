// Package wiretest is a scripted IMAP server for tests: it says whatever its script
// wants, however wrong.
//
// Owns: one listener on loopback and the record of what clients sent. Never does:
// know anything about mail; help production code.
package wiretest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Script is what a server says. In every reply "TAG" stands for the client's tag,
// and "CLOSE" at the end for closing the connection behind it. A reply whose last line
// begins with "+" is a continuation: the next line of the client is appended to its
// command with a space, and the whole is answered.
type Script struct {
	Greeting     string // "" is a plain OK
	Capabilities string // besides IMAP4rev1
	// Replies are chosen by the longest prefix of the command line without its tag.
	// The empty reply is silence. What no prefix fits gets a sensible default.
	Replies map[string]string
	// Answer, if set, is asked first.
	Answer func(line string) (reply string, ok bool)
	// TLS is used from the first octet, or with StartTLS after that command.
	TLS      *tls.Config
	StartTLS bool
}

// Server is a running script.
type Server struct {
	Address string

	script Script
	mu     sync.Mutex
	lines  []string
	conns  []net.Conn
	wg     sync.WaitGroup
}

// Start runs a script until the test ends.
func Start(t testing.TB, s Script) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Replies = maps.Clone(s.Replies) // a test may change its own for the next server
	srv := &Server{Address: l.Addr().String(), script: s}
	srv.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			srv.mu.Lock()
			srv.conns = append(srv.conns, nc)
			srv.mu.Unlock()
			srv.wg.Go(func() { srv.serve(nc) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		srv.mu.Lock()
		for _, nc := range srv.conns {
			_ = nc.Close()
		}
		srv.mu.Unlock()
		srv.wg.Wait()
	})
	return srv
}

// Port is the number in Address.
func (s *Server) Port() int {
	_, port, _ := net.SplitHostPort(s.Address)
	n, _ := strconv.Atoi(port)
	return n
}

// Lines are the commands received so far, without tags; literals stand in them as
// they came.
func (s *Server) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

func (s *Server) serve(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	if s.script.TLS != nil && !s.script.StartTLS {
		nc = tls.Server(nc, s.script.TLS)
	}
	greeting := s.script.Greeting
	if greeting == "" {
		greeting = "* OK ready\r\n"
	}
	if !say(nc, greeting) {
		return
	}
	r := bufio.NewReader(nc)
	for {
		tag, line, err := command(r, nc)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		if s.script.StartTLS && line == "STARTTLS" {
			if !say(nc, strings.ReplaceAll(s.reply(line), "TAG", tag)) {
				return
			}
			nc = tls.Server(nc, s.script.TLS)
			r = bufio.NewReader(nc)
			continue
		}
		if s.answer(nc, r, tag, line) != nil {
			return
		}
	}
}

// answer says the reply to a line. A reply that ends in a continuation asks for one
// more line: that is appended to the command, and the whole looked up again.
func (s *Server) answer(nc net.Conn, r *bufio.Reader, tag, line string) error {
	for {
		reply := s.reply(line)
		if !say(nc, strings.ReplaceAll(reply, "TAG", tag)) {
			return io.EOF
		}
		last := reply[strings.LastIndex(strings.TrimSuffix(reply, "\r\n"), "\n")+1:]
		if !strings.HasPrefix(last, "+") {
			return nil
		}
		more, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		line += " " + strings.TrimSuffix(more, "\r\n")
		s.mu.Lock()
		s.lines[len(s.lines)-1] = line
		s.mu.Unlock()
	}
}

func say(w io.Writer, text string) bool {
	text, closing := strings.CutSuffix(text, "CLOSE")
	_, err := io.WriteString(w, text)
	return err == nil && !closing
}

func (s *Server) reply(line string) string {
	if s.script.Answer != nil {
		if r, ok := s.script.Answer(line); ok {
			return r
		}
	}
	best, found := "", false
	for prefix := range s.script.Replies {
		if strings.HasPrefix(line, prefix) && len(prefix) >= len(best) {
			best, found = prefix, true
		}
	}
	if found {
		return s.script.Replies[best]
	}
	verb, _, _ := strings.Cut(line, " ")
	switch verb {
	case "CAPABILITY":
		return "* CAPABILITY IMAP4rev1 " + s.script.Capabilities + "\r\nTAG OK done\r\n"
	case "LOGIN", "AUTHENTICATE", "STARTTLS", "ENABLE", "NAMESPACE", "LSUB", "LIST":
		return "TAG OK done\r\n"
	case "EXAMINE", "SELECT":
		return "* 9 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 10] ok\r\nTAG OK [READ-ONLY] done\r\n"
	case "LOGOUT":
		return "* BYE bye\r\nTAG OK done\r\nCLOSE"
	}
	return "TAG BAD not in the script\r\n"
}

var announced = regexp.MustCompile(`\{(\d+)(\+?)\}\r\n$`)

// command reads one command with its literals, asking for the synchronising ones.
func command(r *bufio.Reader, w io.Writer) (tag, line string, err error) {
	for {
		part, err := r.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		line += part
		m := announced.FindStringSubmatch(part)
		if m == nil {
			break
		}
		if m[2] == "" {
			if _, err = fmt.Fprint(w, "+ go on\r\n"); err != nil {
				return "", "", err
			}
		}
		n, _ := strconv.Atoi(m[1])
		body := make([]byte, n)
		if _, err = io.ReadFull(r, body); err != nil {
			return "", "", err
		}
		line += string(body)
	}
	tag, line, _ = strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
	if line == "AUTHENTICATE PLAIN" {
		if _, err = fmt.Fprint(w, "+ \r\n"); err != nil {
			return "", "", err
		}
		more, err := r.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		line += " " + strings.TrimSuffix(more, "\r\n")
	}
	return tag, line, nil
}
