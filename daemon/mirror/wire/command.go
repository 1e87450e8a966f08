package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// untagged is an untagged reply, read up to its keyword. Whoever handles it may
// read on in the decoder; what is left of the line is skipped.
type untagged struct {
	word  string // upper case
	num   uint32 // the number before the keyword ("12 FETCH")
	reply Reply  // when word is a status
}

// handler takes the untagged replies that come while its command is the oldest one
// not completed. An odd error costs the reply.
type handler func(u untagged) error

// Command is one tagged command, from its first word to its completion. It is
// written piece by piece; a piece that cannot be sent makes all later ones fail.
type Command struct {
	c    *Conn
	tag  string
	verb string
	// Of a command that was sent ahead:
	args   string
	from   uint32 // the first UID of a listing with sizes
	kept   []kept // what came for it before it was asked for
	spoilt bool   // and something that could not be kept
	on     handler
	line   []byte // for the trace
	err    error
	done   bool
	got    Reply
	// foreseen: it was sent before anybody asked for it, see ahead.go.
	foreseen bool
}

// readOnlyVerbs is everything that the source is ever asked (L5).
var readOnlyVerbs = map[string]bool{
	"CAPABILITY": true, "STARTTLS": true, "LOGIN": true, "AUTHENTICATE": true,
	"PROXYAUTH": true, "X-MASTERAUTH": true, "X-SETUSER": true, "ID": true, "COMPRESS": true,
	"NAMESPACE": true, "LIST": true, "LSUB": true, "XLIST": true, "STATUS": true,
	"EXAMINE": true, "FETCH": true, "UID FETCH": true, "UID SEARCH": true,
}

// Begin starts a command, between an Enter and its leave. Every Begin needs an End,
// or a Drop of the connection.
func (c *Conn) Begin(verb string) *Command { return c.begin(verb, nil) }

func (c *Conn) begin(verb string, on handler) *Command {
	c.forget(verb)
	return c.start(verb, on)
}

func (c *Conn) start(verb string, on handler) *Command {
	if len(c.pending) == 0 && c.wantsDeflate() {
		_ = c.deflate() // an error is that of the connection: this command meets it
	}
	c.seq++
	cmd := &Command{c: c, tag: c.tag + strconv.Itoa(c.seq), verb: verb, on: on}
	if c.partial { // or what follows would be read as the rest of a message
		cmd.err = c.broken(errCut)
		return cmd
	}
	if c.opt.ReadOnly && !readOnlyVerbs[verb] {
		panic("invariant L5: " + verb + " on a read-only connection")
	}
	c.partial = true
	c.pending = append(c.pending, cmd)
	cmd.write(cmd.tag + " " + verb)
	return cmd
}

func (cmd *Command) write(s string) {
	if cmd.err != nil {
		return
	}
	if cmd.c.opt.Trace != nil {
		cmd.line = append(cmd.line, s...)
	}
	if _, err := cmd.c.w.WriteString(s); err != nil {
		cmd.err = cmd.c.broken(err)
	}
}

// Word appends an argument that the caller built itself, as it is.
func (cmd *Command) Word(s string) *Command {
	cmd.write(" " + s)
	return cmd
}

// String appends foreign text: quoted when it is plain, else as a literal.
func (cmd *Command) String(s string) *Command {
	if quotable(s) {
		return cmd.Word(quote(s))
	}
	return cmd.literal([]byte(s), s)
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// secret appends an octet string that no trace may show.
func (cmd *Command) secret(b []byte) *Command { return cmd.literal(b, "***") }

func (cmd *Command) literal(b []byte, shown string) *Command {
	cmd.Announce(int64(len(b)), true)
	if cmd.err != nil {
		return cmd
	}
	if cmd.c.opt.Trace != nil {
		cmd.line = append(cmd.line, shown...)
	}
	if _, err := cmd.c.w.Write(b); err != nil {
		cmd.err = cmd.c.broken(err)
	}
	return cmd
}

// quotable tells whether s may stand between quotes (RFC 9051 §4.3): printable
// ASCII, and not so long that a server's line limit matters.
func quotable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= 1000
}

// Announce appends the head of a literal. A synchronising one waits until the
// server wants it: a refusal then comes before the first octet is sent, the command
// is over and the connection stays in step.
func (cmd *Command) Announce(size int64, synchronise bool) {
	head := " {" + strconv.FormatInt(size, 10)
	if !synchronise {
		cmd.write(head + "+}\r\n")
		cmd.traceLine()
		return
	}
	cmd.write(head + "}\r\n")
	if cmd.err == nil {
		cmd.err = cmd.c.continuation(cmd)
	}
}

var errCut = errors.New("a command before it was cut short")

// Stream sends exactly size octets of body as the literal just announced. When the
// body fails or is short, nothing of the command takes effect; the answers to those
// before it can still be read, and any other command ends the connection.
func (cmd *Command) Stream(body io.Reader, size int64) error {
	if cmd.err != nil {
		return cmd.err
	}
	from := &failing{r: io.LimitReader(body, size)}
	n, err := io.Copy(cmd.c.w, from)
	switch {
	case from.err != nil:
		cmd.err = &BodyError{from.err}
	case err != nil:
		cmd.err = cmd.c.broken(err)
	case n < size:
		cmd.err = &BodyError{fmt.Errorf("it has %d octets instead of %d: %w", n, size, io.ErrUnexpectedEOF)}
	}
	return cmd.err
}

// BodyError says that the body handed to Stream failed or was short: the fault lies
// with whoever gave it, not with the server.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return fmt.Sprintf("reading the message to append: %v", e.Err) }
func (e *BodyError) Unwrap() error { return e.Err }

// failing remembers why reading failed.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// End sends the line end, and with flush everything before it.
func (cmd *Command) End(flush bool) error {
	if cmd.done || cmd.err != nil {
		return cmd.err
	}
	cmd.write("\r\n")
	cmd.traceLine()
	cmd.c.partial = false
	if cmd.err == nil && flush {
		if err := cmd.c.w.Flush(); err != nil {
			cmd.err = cmd.c.broken(err)
		}
	}
	return cmd.err
}

func (cmd *Command) traceLine() {
	if cmd.c.opt.Trace != nil {
		cmd.c.trace(true, strings.TrimRight(string(cmd.line), "\r\n"))
		cmd.line = cmd.line[:0]
	}
}

// Wait reads until the command is completed; a NO or BAD is a *StatusError. A BYE on
// the way makes the answer worthless, even when an OK follows: it may be incomplete.
// Only an APPEND is a single fact, and counts.
func (cmd *Command) Wait() (Reply, error) {
	if cmd.err == nil && !cmd.done {
		if err := cmd.c.w.Flush(); err != nil {
			cmd.err = cmd.c.broken(err)
		}
	}
	for cmd.err == nil && !cmd.done {
		if _, err := cmd.c.read(); err != nil {
			cmd.err = err
		}
	}
	if cmd.err == nil && cmd.c.bye != nil && cmd.verb != "APPEND" {
		cmd.err = cmd.c.broken(cmd.c.farewell())
	}
	if cmd.err != nil {
		return cmd.got, cmd.err
	}
	return cmd.got, cmd.c.heed(cmd.got.refused(cmd.verb))
}

// Done tells whether the server has completed the command already.
func (cmd *Command) Done() bool { return cmd.done }

// run sends a command without foreign arguments and waits for it.
func (c *Conn) run(line string, on handler) (Reply, error) { return c.replay(line, on, nil) }

// replay is run for a command of which a part may have come already.
func (c *Conn) replay(line string, on handler, take func(kept) error) (Reply, error) {
	verb, args, _ := strings.Cut(line, " ")
	if verb == "UID" {
		var sub string
		sub, args, _ = strings.Cut(args, " ")
		verb += " " + sub
	}
	for {
		cmd := c.ask(verb, args, on)
		for _, k := range cmd.kept {
			if err := take(k); err != nil {
				return Reply{}, c.broken(err)
			}
		}
		cmd.kept = nil
		r, err := cmd.Wait()
		if Refused(err) == nil || !cmd.foreseen {
			return r, err
		}
	}
}

// continuation waits for the server's "+"; a completion instead is the refusal.
func (c *Conn) continuation(cmd *Command) error {
	cmd.traceLine()
	if err := c.w.Flush(); err != nil {
		return c.broken(err)
	}
	for {
		plus, err := c.read()
		if err != nil {
			return err
		}
		if cmd.done {
			c.partial = false
			if err = c.heed(cmd.got.refused(cmd.verb)); err == nil {
				err = c.broken(fmt.Errorf("the server completed %s before it was whole", cmd.verb))
			}
			return err
		}
		if plus {
			return nil
		}
	}
}

// read reads one reply and gives it to whom it concerns. Its errors have ended the
// connection.
func (c *Conn) read() (plus bool, err error) {
	c.d.start()
	if c.replies++; c.replies > c.maxReplies {
		return false, c.broken(&CapError{What: "replies", Limit: int64(c.maxReplies)})
	}
	plus, err = c.dispatch()
	if isOdd(err) {
		c.note("unreadable", "%v in %q", err, c.d.tok)
		err = nil
	}
	if err == nil && !c.d.ended {
		err = c.d.skipLine()
	}
	if c.d.tracing && len(c.d.seen) > 0 {
		c.trace(false, string(bytes.TrimRight(c.d.seen, "\r\n")))
	}
	if err != nil {
		return false, c.broken(err)
	}
	return plus, nil
}

func (c *Conn) dispatch() (plus bool, err error) {
	if end, err := c.d.atEnd(); err != nil || end {
		return false, err
	}
	if plus, err = c.d.accept('+'); err != nil {
		return false, err
	} else if plus {
		text, err := c.d.text()
		c.said = strings.TrimSpace(string(text))
		return true, err
	}
	tag, err := c.d.atom("")
	if err != nil {
		return false, err
	}
	if len(tag) == 1 && tag[0] == '*' {
		return false, c.untagged()
	}
	for i, cmd := range c.pending {
		if cmd.tag == string(tag) {
			return false, c.complete(i)
		}
	}
	c.note("unknown-tag", "%q", tag)
	return false, nil
}

// complete reads the tagged completion of the i-th pending command.
func (c *Conn) complete(i int) error {
	cmd := c.pending[i]
	if err := c.d.spaces(); err != nil {
		return err
	}
	word, err := c.d.atom("")
	if err != nil {
		return err
	}
	status := strings.ToUpper(string(word))
	rest, err := c.d.text()
	if err != nil {
		return err
	}
	if !isStatus(status) {
		return fmt.Errorf("the server completed %s with %q", cmd.verb, status)
	}
	if err = c.inOrder(i); err != nil {
		return err
	}
	cmd.got = parseReply(status, rest)
	cmd.done, c.replies = true, 0
	c.pending = append(c.pending[:i], c.pending[i+1:]...)
	if cmd.got.Code == "CAPABILITY" {
		c.setCapabilities(strings.Fields(cmd.got.Args))
	}
	return nil
}

func (c *Conn) untagged() error {
	u, err := c.keyword()
	if err != nil {
		return err
	}
	switch {
	case isStatus(u.word):
		rest, err := c.d.text()
		if err != nil {
			return err
		}
		u.reply = parseReply(u.word, rest)
		c.heard(u.reply)
		if err = c.inPlace(u.reply); err != nil {
			return err
		}
	case u.word == "CAPABILITY":
		rest, err := c.d.text()
		if err != nil {
			return err
		}
		c.setCapabilities(strings.Fields(string(rest)))
		return nil
	}
	if c.early(u.word) {
		return c.keep(u)
	}
	if len(c.pending) > 0 && c.pending[0].on != nil {
		return c.pending[0].on(u)
	}
	return nil
}

// keyword reads the word after "* ", with a number before it if there is one.
func (c *Conn) keyword() (u untagged, err error) {
	for range 2 {
		if err = c.d.spaces(); err != nil {
			return u, err
		}
		word, err := c.d.atom("(")
		if err != nil {
			return u, err
		}
		if n, err := parseNumber(word); err == nil && n <= 1<<32-1 && u.num == 0 {
			u.num = uint32(n)
			continue
		}
		u.word = strings.ToUpper(string(word))
		return u, nil
	}
	return u, odd("a reply has no keyword")
}

// heard looks at an untagged status that nobody asked for.
func (c *Conn) heard(r Reply) {
	switch {
	case r.Status == "BYE":
		c.bye = &StatusError{Status: r.Status, Code: r.Code, Text: r.Text, Raw: r.Raw}
	case r.Code == "CAPABILITY":
		c.setCapabilities(strings.Fields(r.Args))
	case r.Code == "ALERT" || r.Status == "NO" || r.Status == "BAD":
		c.note("notice", "%s", r.Raw)
	}
}

// Refused returns the NO or BAD inside err, after which the connection lives on, or
// nil for any other error.
func Refused(err error) *StatusError {
	var s *StatusError
	if errors.As(err, &s) && s.Status != "BYE" {
		return s
	}
	return nil
}
