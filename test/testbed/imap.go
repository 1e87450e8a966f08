package testbed

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// idleLimit ends a test that waits for a server that says nothing.
const idleLimit = 60 * time.Second

// Client is a plain, strict IMAP client for one goroutine: one command at a
// time, and whatever does not look like RFC 3501 is an error. It plays the
// owner of an account, and it reads for the comparer.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
	tag  int
}

// StatusError is a command that did not end in OK.
type StatusError struct {
	Status string // NO or BAD
	Text   string // with the response code, as "[OVERQUOTA] Quota exceeded"
}

func (e *StatusError) Error() string { return e.Status + " " + e.Text }

// Dial connects without TLS.
func Dial(address string) (*Client, error) {
	conn, err := net.DialTimeout("tcp", address, readyWithin)
	if err != nil {
		return nil, err
	}
	return greet(conn)
}

// DialTLS connects with implicit TLS and trusts caFile only.
func DialTLS(address, caFile string) (*Client, error) {
	config, err := trust(address, caFile)
	if err != nil {
		return nil, err
	}
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: readyWithin}, "tcp", address, config)
	if err != nil {
		return nil, err
	}
	return greet(conn)
}

// StartTLS turns a plain connection into a TLS one.
func (c *Client) StartTLS(caFile string) error {
	config, err := trust(c.conn.RemoteAddr().String(), caFile)
	if err != nil {
		return err
	}
	if _, err := c.Command("STARTTLS"); err != nil {
		return err
	}
	conn := tls.Client(c.conn, config)
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}

func trust(address, caFile string) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading %s: no certificate in it", caFile)
	}
	return &tls.Config{RootCAs: roots, ServerName: host}, nil
}

func greet(conn net.Conn) (*Client, error) {
	c := &Client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	line, err := c.readLine(keepLiteral)
	if err == nil && !strings.HasPrefix(line.head(), "* OK") && !strings.HasPrefix(line.head(), "* PREAUTH") {
		err = fmt.Errorf("greeting from %s: %q", conn.RemoteAddr(), line)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Login connects to the instance and logs in.
func (d *Dovecot) Login(address, password string) (*Client, error) {
	c, err := Dial(d.IMAPAddress)
	if err != nil {
		return nil, err
	}
	if err := c.Login(address, password); err != nil {
		c.conn.Close()
		return nil, fmt.Errorf("logging in to %s as %s: %w", d.Name, address, err)
	}
	return c, nil
}

// Login uses SASL PLAIN, which carries every password except one with a NUL.
func (c *Client) Login(user, password string) error {
	token := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	_, err := c.exchange("AUTHENTICATE PLAIN", [][]byte{[]byte(token)}, keepLiteral)
	return err
}

// Close logs out.
func (c *Client) Close() error {
	_, err := c.Command("LOGOUT")
	return errors.Join(err, c.conn.Close())
}

// Cut closes the connection without a word, as a dying client does.
func (c *Client) Cut() { c.conn.Close() }

// Command sends one command and returns its untagged responses.
func (c *Client) Command(format string, args ...any) ([]Line, error) {
	return c.exchange(fmt.Sprintf(format, args...), nil, keepLiteral)
}

// CommandStream sends one command and hands every literal of the answer to
// literal, as it comes from the network.
func (c *Client) CommandStream(command string, literal LiteralFunc) ([]Line, error) {
	return c.exchange(command, nil, literal)
}

// LiteralFunc reads the size bytes of a literal; text is the part of the line
// before it. What it returns stands in the Line in place of the literal.
type LiteralFunc func(text string, size int64, body io.Reader) ([]byte, error)

func keepLiteral(_ string, _ int64, body io.Reader) ([]byte, error) { return io.ReadAll(body) }

// exchange sends command, one of the parts at each "+" of the server, and reads
// up to the tagged answer.
func (c *Client) exchange(command string, parts [][]byte, literal LiteralFunc) ([]Line, error) {
	c.tag++
	tag := fmt.Sprintf("t%d", c.tag)
	if err := c.write([]byte(tag + " " + command + "\r\n")); err != nil {
		return nil, err
	}
	var lines []Line
	for {
		line, err := c.readLine(literal)
		if err != nil {
			return lines, fmt.Errorf("reading the answer to %.60q: %w", command, err)
		}
		switch text := line.head(); {
		case strings.HasPrefix(text, "+"):
			if len(parts) == 0 {
				return lines, fmt.Errorf("server asks for more of %.60q", command)
			}
			if err := c.write(parts[0], []byte("\r\n")); err != nil {
				return lines, err
			}
			parts = parts[1:]
		case strings.HasPrefix(text, "* "):
			lines = append(lines, line)
		case strings.HasPrefix(text, tag+" "):
			status, rest, _ := strings.Cut(strings.TrimPrefix(text, tag+" "), " ")
			if status != "OK" {
				return lines, &StatusError{status, rest}
			}
			return append(lines, line), nil
		default:
			return lines, fmt.Errorf("answer to %.60q: unexpected line %q", command, text)
		}
	}
}

func (c *Client) write(parts ...[]byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(idleLimit)); err != nil {
		return err
	}
	buffers := net.Buffers(parts)
	_, err := buffers.WriteTo(c.conn)
	return err
}

// Line is one response: text and literals in turn, beginning and ending with text.
type Line struct {
	texts    []string
	literals [][]byte
}

// String shows the response on one line, literals quoted.
func (l Line) String() string {
	var out strings.Builder
	for i, text := range l.texts {
		out.WriteString(text)
		if i < len(l.literals) {
			fmt.Fprintf(&out, "%q", l.literals[i])
		}
	}
	return out.String()
}

func (l Line) head() string { return l.texts[0] }

// readLine reads one response with its literals.
func (c *Client) readLine(literal LiteralFunc) (Line, error) {
	var line Line
	for {
		text, err := c.readText()
		if err != nil {
			return line, err
		}
		prefix, size, found := cutLiteral(text)
		line.texts = append(line.texts, prefix)
		if !found {
			return line, nil
		}
		body := &io.LimitedReader{R: idleReader{c}, N: size}
		kept, err := literal(prefix, size, body)
		if err != nil {
			return line, err
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return line, err
		}
		if body.N > 0 {
			return line, io.ErrUnexpectedEOF
		}
		line.literals = append(line.literals, kept)
	}
}

func (c *Client) readText() (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(idleLimit)); err != nil {
		return "", err
	}
	raw, err := c.in.ReadBytes('\n')
	if err != nil {
		return "", err
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		return "", fmt.Errorf("line without CRLF: %q", raw)
	}
	return string(raw[:len(raw)-2]), nil
}

// cutLiteral finds the "{n}" or "~{n}" at the end of text.
func cutLiteral(text string) (prefix string, size int64, found bool) {
	open := strings.LastIndexByte(text, '{')
	if open < 0 || !strings.HasSuffix(text, "}") {
		return text, 0, false
	}
	size, err := strconv.ParseInt(text[open+1:len(text)-1], 10, 63)
	if err != nil || size < 0 {
		return text, 0, false
	}
	return strings.TrimSuffix(text[:open], "~"), size, true
}

// idleReader renews the deadline with every read, so that a large literal may
// take as long as it moves.
type idleReader struct{ c *Client }

func (r idleReader) Read(p []byte) (int, error) {
	if err := r.c.conn.SetReadDeadline(time.Now().Add(idleLimit)); err != nil {
		return 0, err
	}
	return r.c.in.Read(p)
}

// expectGreeting connects and reads one line; servers are ready when it is right.
func expectGreeting(address, prefix string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, prefix) {
		return fmt.Errorf("greeting from %s: %q", address, line)
	}
	return nil
}
