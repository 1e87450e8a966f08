package faultproxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// session is one client and its connection to the server.
type session struct {
	*Proxy
	client, upstream net.Conn
	lost             atomic.Value  // the tag whose reply is lost
	late             atomic.Value  // the tag of the command that comes late: nobody is there for its reply
	answered         chan struct{} // closed when the server says no more
}

func (s *session) cut() { _ = s.client.Close(); _ = s.upstream.Close() }

// requests forwards commands with their literals.
func (s *session) requests() {
	in := bufio.NewReaderSize(s.client, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if s.Ends != nil && s.Ends(rest) {
			return
		}
		if s.Sees != nil {
			s.Sees(rest)
		}
		count := int64(-1)
		if s.Counts == nil || s.Counts(rest) {
			count = s.Commands.Add(1)
		}
		if s.due(BeforeRequest, count) && s.fire() {
			return
		}
		if s.due(ReplyLost, count) {
			s.lost.Store(tag)
		}
		if s.Refuse != nil {
			if !s.hold(in, line, tag) {
				return
			}
			continue
		}
		if !s.forward(in, line, tag, count) {
			return
		}
		if s.due(AfterRequest, count) && s.fire() {
			return
		}
	}
}

// forward passes one command on: lines, and literals between them.
func (s *session) forward(in *bufio.Reader, line, tag string, count int64) bool {
	for {
		size, literal := literalSize(line)
		if !literal && s.due(Late, count) && s.fire() {
			s.passLate(line, tag)
			return false
		}
		if _, err := io.WriteString(s.upstream, line); err != nil {
			return false
		}
		if !literal {
			return true
		}
		if s.due(MidLiteral, s.Literals.Add(1)) {
			_, _ = io.CopyN(s.upstream, in, size/2)
			s.fire()
			return false
		}
		if _, err := io.CopyN(s.upstream, in, size); err != nil {
			return false
		}
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return false
		}
	}
}

// passLate gives the server the line that makes a command take effect when the client has long gone, and stays until
// the server has answered.
func (s *session) passLate(line, tag string) {
	s.late.Store(tag)
	_ = s.client.Close()
	if s.Rules.Late != nil {
		s.Rules.Late()
	}
	if _, err := io.WriteString(s.upstream, line); err != nil {
		return
	}
	select {
	case <-s.answered:
	case <-time.After(lateAnswer):
	}
}

// hold reads a whole command before it decides whether the server sees it.
func (s *session) hold(in *bufio.Reader, line, tag string) bool {
	var whole, text bytes.Buffer
	for {
		whole.WriteString(line)
		text.WriteString(line)
		size, literal := literalSize(line)
		if !literal {
			break
		}
		if _, err := io.CopyN(&whole, in, size); err != nil {
			return false
		}
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return false
		}
	}
	var err error
	if s.Ghost != nil {
		if haunt := s.Ghost(strings.TrimPrefix(text.String(), tag+" ")); haunt != nil {
			_ = s.client.Close()
			<-haunt
			_, _ = whole.WriteTo(s.upstream)
			return false
		}
	}
	if no := s.Refuse(strings.TrimPrefix(text.String(), tag+" ")); no != "" {
		_, err = fmt.Fprintf(s.client, "%s %s\r\n", tag, no)
	} else {
		_, err = whole.WriteTo(s.upstream)
	}
	return err == nil
}

func literalSize(line string) (int64, bool) {
	line = strings.TrimRight(line, "\r\n")
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(line[open+1:len(line)-1], "+"), 10, 64)
	return n, err == nil
}

// replies forwards answers, and breaks instead of forwarding the one that is to be lost.
func (s *session) replies() {
	defer s.cut()
	defer close(s.answered)
	in := bufio.NewReaderSize(s.upstream, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, _, _ := strings.Cut(line, " ")
		if tag != "" && tag == s.lost.Load() {
			s.fire()
			return
		}
		if late := s.late.Load(); late != "" {
			if tag == late {
				return
			}
			continue // nobody is there
		}
		if s.Rewrite != nil {
			line = s.Rewrite(line)
		}
		if !s.reply(in, line) && s.late.Load() == "" {
			return
		}
	}
}

// reply passes one line and the literal behind it to the client.
func (s *session) reply(in *bufio.Reader, line string) bool {
	if _, err := io.WriteString(s.client, line); err != nil {
		return false
	}
	size, literal := literalSize(line)
	if literal && s.breaks(MidReply) && s.due(MidReply, s.Literals.Add(1)) {
		_, _ = io.CopyN(s.client, in, size/2)
		s.fire()
		return false
	}
	_, err := io.CopyN(s.client, in, size)
	return err == nil
}
