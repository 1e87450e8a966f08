package authhook

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mailstork/daemon/secret"
)

// maxSessionOctets is far more than greeting, certificate chain and the answers to five commands take.
const maxSessionOctets = 1 << 20

var (
	errTooMuch   = errors.New("the source sent more than a login can need")
	errConfusing = errors.New("the source does not speak IMAP")
)

// limitedConn ends a connection that sends too much, or nothing for too long. It lies below TLS.
type limitedConn struct {
	net.Conn
	idle time.Duration
	left int
}

func (c *limitedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.left -= n
	return n, err
}

func (c *limitedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// dialogue is an IMAP session of a few commands, one after the other. It looks only at tagged answers, continuations
// and capabilities, and passes over whatever else a server says, so that an odd untagged reply locks nobody out.
// go-imap's LOGIN puts passwords into quoted strings, and its parser ends the session at such replies.
type dialogue struct {
	conn   net.Conn
	in     *bufio.Reader
	hidden [][]byte        // what no answer may repeat (S1)
	caps   map[string]bool // that the source told, in upper case
	bye    string          // the last BYE line
	tags   int
}

func newDialogue(conn net.Conn) *dialogue {
	return &dialogue{conn: conn, in: bufio.NewReader(conn), caps: map[string]bool{}}
}

// line reads one line; literals inside it are read and dropped. limitedConn bounds what it may take.
func (d *dialogue) line() (string, error) {
	var text strings.Builder
	for {
		part, err := d.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		text.WriteString(part)
		whole := strings.TrimRight(text.String(), "\r\n")
		size, open := trailingLiteral(whole)
		if !open {
			return whole, nil
		}
		if _, err := io.CopyN(io.Discard, d.in, size); err != nil {
			return "", err
		}
	}
}

// trailingLiteral tells whether a literal follows a line. Status replies end in free text and carry none.
func trailingLiteral(line string) (size int64, open bool) {
	start := strings.LastIndexByte(line, '{')
	if !strings.HasPrefix(line, "* ") || !strings.HasSuffix(line, "}") || start < 0 || isStatus(line) {
		return 0, false
	}
	size, err := strconv.ParseInt(strings.TrimSuffix(line[start+1:len(line)-1], "+"), 10, 64)
	return size, err == nil && size >= 0 && size <= maxSessionOctets
}

func isStatus(untagged string) bool {
	switch word(untagged[2:]) {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		return true
	}
	return false
}

// word is the first word of a line in upper case.
func word(text string) string {
	first, _, _ := strings.Cut(text, " ")
	return strings.ToUpper(first)
}

// greeting reads the first line and wants "* OK". PREAUTH would prove every password.
func (d *dialogue) greeting() error {
	line, err := d.line()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "* ") || word(line[2:]) != "OK" {
		return &SourceProblem{What: "the source greets with something else than OK", Answer: d.shown(line)}
	}
	return nil
}

// reply is what a command waits for: its tagged answer, or a continuation.
type reply struct {
	word string // OK, NO, BAD, or +
	line string // without the tag
}

// send writes a command and returns its tag.
func (d *dialogue) send(command string) (string, error) {
	d.tags++
	tag := "m" + strconv.Itoa(d.tags)
	return tag, d.write([]byte(tag + " " + command + "\r\n"))
}

func (d *dialogue) write(octets []byte) error {
	_, err := d.conn.Write(octets)
	return err
}

// next reads up to the tagged answer or the next continuation.
func (d *dialogue) next(tag string) (reply, error) {
	for {
		line, err := d.line()
		if err != nil {
			if d.bye != "" {
				err = &SourceProblem{What: "the source said goodbye", Answer: d.bye}
			}
			return reply{}, err
		}
		switch {
		case strings.HasPrefix(line, "* "):
			d.untagged(line[2:])
		case strings.HasPrefix(line, "+"):
			return reply{word: "+", line: line}, nil
		case strings.HasPrefix(line, tag+" "):
			text := line[len(tag)+1:]
			return reply{word: word(text), line: text}, nil
		default:
			return reply{}, &SourceProblem{What: "the source answers what was not asked", Answer: d.shown(line), Err: errConfusing}
		}
	}
}

func (d *dialogue) untagged(text string) {
	switch word(text) {
	case "CAPABILITY":
		for _, name := range strings.Fields(strings.ToUpper(text))[1:] {
			d.caps[name] = true
		}
	case "BYE":
		d.bye = d.shown(text)
	}
}

// command sends a command that takes no continuation and returns its tagged answer.
func (d *dialogue) command(text string) (reply, error) {
	tag, err := d.send(text)
	if err != nil {
		return reply{}, err
	}
	answer, err := d.next(tag)
	if err == nil && answer.word == "+" {
		err = errConfusing
	}
	return answer, err
}

// authenticate logs in with the mechanism PLAIN (RFC 4616), so that every octet arrives as it is.
func (d *dialogue) authenticate(user string, password secret.Secret) (reply, error) {
	response := plainResponse(user, password)
	d.hidden = append(d.hidden, response)
	command := "AUTHENTICATE PLAIN"
	if d.caps["SASL-IR"] { // RFC 4959
		command += " " + string(response)
	}
	tag, err := d.send(command)
	if err != nil {
		return reply{}, err
	}
	answer, err := d.next(tag)
	if err != nil || answer.word != "+" || d.caps["SASL-IR"] {
		return answer, err
	}
	if err := d.write(append(bytes.Clone(response), '\r', '\n')); err != nil {
		return reply{}, err
	}
	return d.next(tag)
}

func plainResponse(user string, password secret.Secret) []byte {
	message := append([]byte("\x00"+user+"\x00"), password.Reveal()...)
	defer clear(message)
	return base64.StdEncoding.AppendEncode(nil, message)
}

// login is for servers that do not offer PLAIN. User and password go as literals (RFC 9051 §4.3), never in quotes.
func (d *dialogue) login(user string, password secret.Secret) (reply, error) {
	tag, err := d.send(fmt.Sprintf("LOGIN {%d}", len(user)))
	if err != nil {
		return reply{}, err
	}
	answer, err := d.next(tag)
	if err != nil || answer.word != "+" {
		return answer, err
	}
	if err := d.write(fmt.Appendf(nil, "%s {%d}\r\n", user, len(password.Reveal()))); err != nil {
		return reply{}, err
	}
	answer, err = d.next(tag)
	if err != nil || answer.word != "+" {
		return answer, err
	}
	if err := d.write(append(bytes.Clone(password.Reveal()), '\r', '\n')); err != nil {
		return reply{}, err
	}
	return d.next(tag)
}

// shown is a server's line made fit for people and logs. Some servers repeat the command that they did not like.
func (d *dialogue) shown(line string) string {
	for _, hidden := range d.hidden {
		if bytes.Contains([]byte(line), hidden) {
			return "(not shown, since it repeats the password)"
		}
	}
	return cleanAnswer(line)
}
