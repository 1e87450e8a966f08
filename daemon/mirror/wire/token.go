package wire

import (
	"bufio"
	"fmt"
	"io"
)

// What a server may send before the connection is ended (S3 of the threat model).
const (
	maxLine         = 64 << 10 // octets of one reply outside literals and number lists
	maxDepth        = 32       // nested parentheses
	maxItems        = 20_000   // members of one parenthesised list
	maxSmallLiteral = 64 << 10 // literals that are kept: names, flags, headers
	maxLiteral      = 1<<32 - 1
	maxUIDs         = 5_000_000
	maxFolders      = 100_000
	maxReplies      = 2 * maxUIDs // to one command
)

// odd is a reply that cannot be read. It costs the reply, not the connection.
type odd string

func (o odd) Error() string { return string(o) }

// isOdd looks at err itself, not inside: what a callback returns is never odd.
func isOdd(err error) bool {
	_, ok := err.(odd)
	return ok
}

// decoder is the lenient tokeniser. It works on the stream itself: nothing but the
// token at hand is ever in memory. Errors that are not odd end the connection.
type decoder struct {
	r     *bufio.Reader
	spent int    // octets of this reply, literals not counted
	ended bool   // the line end of this reply was consumed
	tok   []byte // reused by atom, quoted and text

	tracing bool
	seen    []byte // with tracing: the reply so far, literals left out
}

// start begins a new reply.
func (d *decoder) start() { d.spent, d.ended, d.seen = 0, false, d.seen[:0] }

func (d *decoder) next() (byte, error) {
	b, err := d.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if d.tracing {
		d.seen = append(d.seen, b)
	}
	if d.spent++; d.spent > maxLine {
		return 0, &CapError{What: "line", Limit: maxLine}
	}
	return b, nil
}

// take consumes n octets that are in the buffer.
func (d *decoder) take(n int) error {
	if d.tracing {
		p, _ := d.r.Peek(n)
		d.seen = append(d.seen, p...)
	}
	if d.spent += n; d.spent > maxLine {
		return &CapError{What: "line", Limit: maxLine}
	}
	_, err := d.r.Discard(n)
	return err
}

func (d *decoder) peek() (byte, error) {
	b, err := d.r.ReadByte()
	if err != nil {
		return 0, err
	}
	return b, d.r.UnreadByte()
}

// atEnd tells whether the line ends here; a bare LF counts, a bare CR does not.
func (d *decoder) atEnd() (bool, error) {
	if d.ended {
		return true, nil
	}
	b, err := d.peek()
	if err != nil || b == '\n' {
		return b == '\n', err
	}
	if b != '\r' {
		return false, nil
	}
	p, err := d.r.Peek(2)
	if err != nil {
		return false, err
	}
	return p[1] == '\n', nil
}

// spaces skips any number of spaces and tabs: servers send two, or one too many.
func (d *decoder) spaces() error {
	for {
		b, err := d.peek()
		if err != nil {
			return err
		}
		if b != ' ' && b != '\t' {
			return nil
		}
		if _, err = d.next(); err != nil {
			return err
		}
	}
}

// accept consumes b if it comes next.
func (d *decoder) accept(b byte) (bool, error) {
	if d.ended {
		return false, nil
	}
	p, err := d.peek()
	if err != nil || p != b {
		return false, err
	}
	_, err = d.next()
	return true, err
}

// atom reads up to a space, a line end or one of stop; it may be empty. The result
// is valid until the next token.
func (d *decoder) atom(stop string) ([]byte, error) {
	d.tok = d.tok[:0]
	if tok, ok := d.buffered(stop); ok {
		d.tok = append(d.tok, tok...)
		return d.tok, d.take(len(tok))
	}
	for {
		end, err := d.atEnd()
		if err != nil || end {
			return d.tok, err
		}
		b, err := d.peek()
		if err != nil {
			return nil, err
		}
		if b == ' ' || b == '\t' {
			return d.tok, nil
		}
		for i := range len(stop) {
			if b == stop[i] {
				return d.tok, nil
			}
		}
		if _, err = d.next(); err != nil {
			return nil, err
		}
		d.tok = append(d.tok, b)
	}
}

// buffered finds an atom that lies whole in the buffer, end included.
func (d *decoder) buffered(stop string) ([]byte, bool) {
	if d.ended {
		return nil, false
	}
	buf, _ := d.r.Peek(d.r.Buffered())
	for i, b := range buf {
		switch b {
		case ' ', '\t', '\n':
			return buf[:i], true
		case '\r':
			return buf[:i], i+1 < len(buf) && buf[i+1] == '\n'
		}
		for j := range len(stop) {
			if b == stop[j] {
				return buf[:i], true
			}
		}
	}
	return nil, false
}

// text reads to the line end and consumes it. No literal is looked for: in human
// text "{5}" is text.
func (d *decoder) text() ([]byte, error) {
	d.tok = d.tok[:0]
	for {
		if end, err := d.atEnd(); err != nil {
			return nil, err
		} else if end {
			return d.tok, d.endLine()
		}
		b, err := d.next()
		if err != nil {
			return nil, err
		}
		d.tok = append(d.tok, b)
	}
}

// endLine consumes the line end that atEnd saw.
func (d *decoder) endLine() error {
	for !d.ended {
		b, err := d.r.ReadByte()
		if err != nil {
			return err
		}
		d.ended = b == '\n'
	}
	return nil
}

// quoted reads a quoted string whose first quote was consumed. A backslash before
// anything but a quote or a backslash stands for itself: servers with "\" as
// separator forget to double it.
func (d *decoder) quoted() ([]byte, error) {
	d.tok = d.tok[:0]
	for {
		if end, err := d.atEnd(); err != nil {
			return nil, err
		} else if end {
			return nil, odd("a quoted string has no end")
		}
		b, err := d.next()
		if err != nil {
			return nil, err
		}
		switch b {
		case '"':
			return d.tok, nil
		case '\\':
			if p, err := d.peek(); err != nil {
				return nil, err
			} else if p == '"' || p == '\\' {
				b = p
				if _, err = d.next(); err != nil {
					return nil, err
				}
			}
		}
		d.tok = append(d.tok, b)
	}
}

// literal consumes a literal's announcement, "{12}" or "~{12+}" and the line end
// behind it, if one comes next, and returns its size.
func (d *decoder) literal() (size int64, ok bool, err error) {
	const opened, number, closed = 0, 1, 2
	i, state := 0, opened
	at := func() (byte, error) {
		p, err := d.r.Peek(i + 1)
		if err != nil {
			return 0, err
		}
		return p[i], nil
	}
	b, err := at()
	if err != nil {
		return 0, false, err
	}
	if b == '~' {
		i++
		if b, err = at(); err != nil {
			return 0, false, err
		}
	}
	if b != '{' {
		return 0, false, nil
	}
	for i++; i < 64; i++ {
		if b, err = at(); err != nil {
			return 0, false, err
		}
		switch {
		case state < closed && b >= '0' && b <= '9':
			state = number
			if size = size*10 + int64(b-'0'); size > maxLiteral {
				return 0, false, &CapError{What: "literal", Limit: maxLiteral}
			}
		case state == number && (b == '+' || b == '-'):
		case state == number && b == '}':
			state = closed
		case state == closed && (b == ' ' || b == '\r'):
		case state == closed && b == '\n':
			if d.tracing {
				d.seen = fmt.Appendf(d.seen, "{%d}", size)
			}
			_, err = d.r.Discard(i + 1)
			return size, true, err
		default:
			return 0, false, nil
		}
	}
	return 0, false, nil
}

// discard skips n octets of a literal.
func (d *decoder) discard(n int64) error {
	_, err := io.CopyN(io.Discard, d.r, n)
	return err
}

// skipLine gives up on a reply: it reads to the line end, jumping over literals.
func (d *decoder) skipLine() error {
	for !d.ended {
		end, err := d.atEnd()
		if err != nil {
			return err
		}
		if end {
			return d.endLine()
		}
		size, ok, err := d.literal()
		if err != nil {
			return err
		}
		if ok {
			if err = d.discard(size); err != nil {
				return err
			}
			continue
		}
		if _, err = d.next(); err != nil {
			return err
		}
	}
	return nil
}

func parseNumber(tok []byte) (n uint64, err error) {
	if len(tok) == 0 || len(tok) > 19 {
		return 0, odd("a number is missing or too long")
	}
	for _, b := range tok {
		if b < '0' || b > '9' {
			return 0, odd("not a number: " + string(tok))
		}
		n = n*10 + uint64(b-'0')
	}
	return n, nil
}
