package milter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	gomilter "github.com/emersion/go-milter"

	"mailstork/daemon/letter"
)

const (
	// maxFrame holds any header that Postfix sends (header_size_limit, 100 KiB by default) and is as far as the
	// fingerprint of a source message looks. A longer frame ends the connection: that letter is missed.
	maxFrame = 256 << 10
	// idleLimit outlasts a silent SMTP client (smtpd_timeout, 5 minutes).
	idleLimit = 15 * time.Minute
	// frameLimit bounds a frame that has begun, and every answer.
	frameLimit = 10 * time.Second
	// maxMacros is far beyond what Postfix sends with a command.
	maxMacros = 16 << 10
)

// frameConn stands between Postfix and the library and hands it whole, sane frames only. The library would keep every
// header in memory until the next Abort, has no deadlines, and writes foreign bytes to the standard logger; so
// headers that nobody needs, and commands that need no more than "continue", reach it as an empty DATA command.
type frameConn struct {
	net.Conn
	ended func(*frameConn, error) // called once; the error is nil after an orderly end

	pending []byte          // what the library has not read yet
	seen    map[string]bool // header fields handed on since the library last forgot them
	failed  error           // why nothing more can be read or written
	once    sync.Once

	mu       sync.Mutex
	busy     bool // between MAIL and the answer to end of message
	draining bool
	ending   bool // the frame handed on last is the end of a message
}

var errHostile = errors.New("not the milter protocol")

// Read gives the library the current frame, then waits for the next one. Every failure looks like an orderly end to
// the library; the true reason goes to ended.
func (c *frameConn) Read(p []byte) (int, error) {
	if len(c.pending) == 0 && c.failed == nil {
		c.failed = c.next()
	}
	if c.failed != nil {
		return 0, io.EOF
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

func (c *frameConn) next() error {
	var head [4]byte
	if err := c.allow(idleLimit); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.Conn, head[:1]); err != nil {
		return err
	}
	if err := c.allow(frameLimit); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.Conn, head[1:]); err != nil {
		return unexpected(err)
	}
	length := binary.BigEndian.Uint32(head[:])
	if length == 0 || length > maxFrame {
		return errHostile
	}
	frame, err := readCapped(c.Conn, int(length))
	if err != nil {
		return unexpected(err)
	}
	return c.accept(frame)
}

// allow gives the next read its time, unless the connection has been told to end.
func (c *frameConn) allow(limit time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining && !c.busy {
		return net.ErrClosed
	}
	return c.Conn.SetReadDeadline(time.Now().Add(limit))
}

// readCapped grows with what really arrives: a length alone costs the sender nothing.
func readCapped(from io.Reader, length int) ([]byte, error) {
	var frame bytes.Buffer
	_, err := io.CopyN(&frame, from, int64(length))
	return frame.Bytes(), err
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// accept decides what the library sees of a frame and follows the message's beginning and end.
func (c *frameConn) accept(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = nil
	switch gomilter.Code(frame[0]) {
	case gomilter.CodeOptNeg, gomilter.CodeRcpt, gomilter.CodeQuit:
	case gomilter.CodeMacro:
		if len(frame) < 2 || len(frame) > maxMacros {
			return errHostile
		}
	case gomilter.CodeMail:
		// Library and session forget a letter at Abort only, which nobody is bound to send.
		c.hand([]byte{byte(gomilter.CodeAbort)})
		c.busy, c.seen = true, nil
	case gomilter.CodeAbort:
		c.busy, c.seen = false, nil
	case gomilter.CodeEOB:
		c.ending = true
	case gomilter.CodeHeader:
		if !c.needed(frame[1:]) {
			frame = nothing
		}
	case gomilter.CodeConn, gomilter.CodeHelo, gomilter.CodeData, gomilter.CodeEOH, gomilter.CodeBody, codeUnknown:
		frame = nothing
	default:
		return errHostile
	}
	c.hand(frame)
	return nil
}

func (c *frameConn) hand(frame []byte) {
	c.pending = binary.BigEndian.AppendUint32(c.pending, uint32(len(frame)))
	c.pending = append(c.pending, frame...)
}

// codeUnknown is SMFIC_UNKNOWN, a command that the SMTP server does not know; the library lacks it.
const codeUnknown gomilter.Code = 'U'

// nothing is a DATA command: the library answers it with Continue and remembers nothing of it.
var nothing = []byte{byte(gomilter.CodeData)}

// needed tells whether a header is the first of its name among the fields of a fingerprint.
func (c *frameConn) needed(header []byte) bool {
	name, _, _ := bytes.Cut(header, []byte{0})
	for _, field := range letter.FingerprintFields {
		if strings.EqualFold(field, strings.TrimRight(string(name), " \t")) && !c.seen[field] {
			if c.seen == nil {
				c.seen = make(map[string]bool, len(letter.FingerprintFields))
			}
			c.seen[field] = true
			return true
		}
	}
	return false
}

// Write sends an answer. The answer to the end of a message ends it. A failure is kept for the next Read.
func (c *frameConn) Write(p []byte) (int, error) {
	err := c.Conn.SetWriteDeadline(time.Now().Add(frameLimit))
	if err == nil {
		_, err = c.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		c.ending, c.busy = false, false
	}
	if err != nil {
		c.failed = err
	}
	return len(p), nil
}

// drain ends the connection now, or after the message that is under way.
func (c *frameConn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if !c.busy {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // wakes the Read that waits for the next message
	}
}

// Close is called by the library when it is through with the connection.
func (c *frameConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { c.ended(c, c.reason()) })
	return err
}

func (c *frameConn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(c.failed, io.EOF) || c.draining {
		return nil
	}
	return c.failed
}
