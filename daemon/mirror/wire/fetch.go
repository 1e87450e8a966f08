package wire

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// section takes the octets of a body item of the message that e describes so far.
// What it leaves unread is skipped. present is false for NIL.
type section func(e *Entry, size int64, body io.Reader, present bool) error

// fetchReply reads "(ITEM value …)" of one FETCH reply. Unknown items are skipped,
// a bad value costs its item only, a missing bracket costs nothing.
func (c *Conn) fetchReply(e *Entry, take section) error {
	d := &c.d
	if err := d.spaces(); err != nil {
		return err
	}
	if open, err := d.accept('('); err != nil {
		return err
	} else if !open {
		return odd("a FETCH reply has no list")
	}
	for items := 0; ; items++ {
		if err := d.spaces(); err != nil {
			return err
		}
		if end, err := d.atEnd(); err != nil {
			return err
		} else if end {
			return e.whole(nil)
		}
		if closed, err := d.accept(')'); err != nil || closed {
			return err
		}
		name, err := d.itemName()
		if err != nil {
			return e.whole(err)
		}
		if items > maxItems {
			return &CapError{What: "items", Limit: maxItems}
		}
		if err = d.spaces(); err != nil {
			return err
		}
		if err = c.fetchItem(e, name, take); err != nil {
			return e.whole(err)
		}
	}
}

// itemName reads an item's name in upper case: "BODY[HEADER.FIELDS (A B)]<0>" is one.
func (d *decoder) itemName() (string, error) {
	tok, err := d.atom("()[{\"")
	if err != nil {
		return "", err
	}
	name := strings.ToUpper(string(tok))
	if open, err := d.accept('['); err != nil {
		return "", err
	} else if open {
		var b strings.Builder
		b.WriteString(name + "[")
		for {
			if end, err := d.atEnd(); err != nil {
				return "", err
			} else if end {
				return "", odd("a section has no end")
			}
			x, err := d.next()
			if err != nil {
				return "", err
			}
			b.WriteByte(x)
			if x == ']' {
				break
			}
		}
		rest, err := d.atom("({\"")
		return strings.ToUpper(b.String()) + string(rest), err
	}
	if name == "" {
		return "", odd("an item has no name")
	}
	return name, nil
}

func (c *Conn) fetchItem(e *Entry, name string, take section) (err error) {
	switch {
	case name == "UID":
		e.UID, err = c.number32()
	case name == "FLAGS":
		e.sawFlags = true
		if e.Flags, err = c.flagList(); err == nil {
			e.HasFlags = true
		}
	case name == "INTERNALDATE":
		e.sawDate = true
		err = c.fetchDate(e)
	case name == "RFC822.SIZE":
		e.Size, err = c.number32()
		e.HasSize = err == nil
	case name == "MODSEQ":
		err = c.fetchModSeq(e)
	case name == originItem:
		e.sawOrigin = true
		err = c.fetchOrigin(e)
	case strings.HasPrefix(name, "BODY") && strings.Contains(name, "["),
		strings.HasPrefix(name, "BINARY["), name == "RFC822", name == "RFC822.HEADER":
		return c.fetchSection(e, take)
	default:
		return c.d.skipValue()
	}
	if isOdd(err) {
		c.note("bad-item", "message %d of %q: %s: %v", e.UID, c.selected.Raw, name, err)
		err = nil
	}
	return err
}

// number32 reads a value that should be a 32-bit number, whatever its shape.
func (c *Conn) number32() (uint32, error) {
	v, err := c.d.value()
	if err != nil {
		return 0, err
	}
	n, err := parseNumber([]byte(v.text))
	if err == nil && n > 1<<32-1 {
		err = odd("a number is too large: " + v.text)
	}
	if err != nil {
		return 0, err
	}
	return uint32(n), nil
}

func (c *Conn) fetchDate(e *Entry) error {
	v, err := c.d.value()
	if err != nil || v.kind == nilValue {
		return err
	}
	t, zoned, ok := ParseDate(v.text)
	if !ok {
		return odd("not a date: " + v.text)
	}
	if !zoned {
		c.note("date-without-zone", "message %d of %q: %s, taken as UTC", e.UID, c.selected.Raw, v.text)
	}
	e.InternalDate, e.HasDate = t, true
	return nil
}

func (c *Conn) fetchModSeq(e *Entry) error {
	v, err := c.d.value()
	if err != nil {
		return err
	}
	if v.kind == listValue && len(v.list) > 0 {
		v = v.list[0]
	}
	e.ModSeq, err = parseNumber([]byte(v.text))
	return err
}

// ofListing tells the lines of a listing from those of changes, also where a server tells a size that nobody asked for.
func (c *Conn) ofListing(e Entry) bool {
	return e.HasSize && (e.sawOrigin || !c.Has(originCapability))
}

// fetchOrigin reads an unsigned number of 64 bits, of which one more digit than of others is valid.
func (c *Conn) fetchOrigin(e *Entry) error {
	v, err := c.d.value()
	if err != nil {
		return err
	}
	if e.Origin, err = strconv.ParseUint(v.text, 10, 64); err != nil {
		e.Origin, err = 0, odd("not a number of 64 bits")
	}
	return err
}

// fetchSection reads the nstring of a body item: a literal as a stream, a quoted
// string whole, NIL as absent.
func (c *Conn) fetchSection(e *Entry, take section) error {
	d := &c.d
	if size, ok, err := d.literal(); err != nil {
		return err
	} else if ok {
		lr := &literalReader{d: d, left: size}
		if take != nil {
			e.handed = true
			if err = take(e, size, lr, true); err != nil {
				return err
			}
		}
		if err = d.discard(lr.left); err != nil || take == nil {
			return err
		}
		return d.behindLiteral()
	}
	if open, err := d.accept('"'); err != nil {
		return err
	} else if open {
		tok, err := d.quoted()
		if err != nil || take == nil {
			return err
		}
		body := bytes.Clone(tok)
		return take(e, int64(len(body)), bytes.NewReader(body), true)
	}
	if err := d.skipValue(); err != nil || take == nil {
		return err
	}
	return take(e, 0, bytes.NewReader(nil), false)
}

// errLongerLiteral breaks the connection: what was handed on as a message is a part of
// it only, and must not be kept.
var errLongerLiteral = errors.New("the server sent more of a message than it announced")

// whole is the error of a reply that ends here: behind a body everything must be
// readable, up to the closing bracket.
func (e *Entry) whole(err error) error {
	if e.handed && (err == nil || isOdd(err)) {
		return errLongerLiteral
	}
	return err
}

// behindLiteral checks that an item ends where its literal does.
func (d *decoder) behindLiteral() error {
	if end, err := d.atEnd(); err != nil || end {
		return err
	}
	b, err := d.peek()
	if err == nil && b != ' ' && b != '\t' && b != ')' {
		err = errLongerLiteral
	}
	return err
}

// literalReader gives the octets of one literal; it ends short only with an error.
type literalReader struct {
	d    *decoder
	left int64
	err  error
}

func (r *literalReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.d.r.Read(p)
	r.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	r.err = err
	return n, err
}

// seen is a set of UIDs that costs little for the dense ones servers give out.
type seen struct {
	words map[uint32]uint64
	n     int
}

// add tells whether uid is new.
func (s *seen) add(uid uint32) bool {
	if s.words == nil {
		s.words = map[uint32]uint64{}
	}
	w, bit := s.words[uid>>6], uint64(1)<<(uid&63)
	if w&bit != 0 {
		return false
	}
	s.words[uid>>6] = w | bit
	s.n++
	return true
}

// List calls fn for every message in r, with bounded memory.
func (c *Conn) List(ctx context.Context, r UIDRange, fn func(Entry) error) error {
	return c.entries(ctx, "UID FETCH "+c.listArgs(r), r, fn)
}

// Flags calls fn with the flags of the messages named, as far as they are there; again when they change meanwhile.
func (c *Conn) Flags(ctx context.Context, uids []uint32, fn func(uid uint32, flags []string)) error {
	leave, err := c.Enter(ctx)
	if err != nil {
		return err
	}
	asked := NewUIDSet(uids...)
	refused, err := c.pipeline(Windows(uids), "(UID FLAGS)", nil, func(UIDSet) handler {
		return func(u untagged) error {
			var e Entry
			if u.word != "FETCH" {
				return nil
			}
			if err := c.fetchReply(&e, nil); err != nil || !e.HasFlags || !asked.Contains(e.UID) {
				return err
			}
			fn(e.UID, e.Flags)
			return nil
		}
	})
	if err = cmp.Or(err, refused); err != nil {
		err = fmt.Errorf("reading flags from %q: %w", c.selected.Raw, err)
	}
	return leave(err)
}

const sizeItem = "RFC822.SIZE" // tells the lines of a listing from those of changes

// originItem is Gmail's own identity of a message. It is asked for only where the server offers it.
const (
	originItem       = "X-GM-MSGID"
	originCapability = "X-GM-EXT-1"
)

func (c *Conn) listArgs(r UIDRange) string { return r.String() + " " + c.listItems() }

func (c *Conn) listItems() string {
	items := "(UID FLAGS INTERNALDATE " + sizeItem
	if c.Has(originCapability) {
		items += " " + originItem
	}
	return items + ")"
}

func changesArgs(since uint64, withVanished bool) string {
	word := ""
	if withVanished {
		word = " VANISHED"
	}
	return fmt.Sprintf("1:* (UID FLAGS) (CHANGEDSINCE %d%s)", since, word)
}

// Changes calls fn for every message changed since a modseq and, with vanished,
// returns what QRESYNC reports as gone (RFC 7162 §3.2.6).
func (c *Conn) Changes(ctx context.Context, since uint64, withVanished bool, fn func(Entry) error) (UIDSet, error) {
	var gone UIDSet
	err := c.entriesAnd(ctx, "UID FETCH "+changesArgs(since, withVanished), UIDRange{From: 1}, fn,
		func(u untagged) error {
			if u.word != "VANISHED" {
				return nil
			}
			return c.vanished(&gone)
		})
	return gone.normalise(), err
}

func (c *Conn) entries(ctx context.Context, line string, r UIDRange, fn func(Entry) error) error {
	return c.entriesAnd(ctx, line, r, fn, func(untagged) error { return nil })
}

// entriesAnd runs a UID FETCH without bodies. Entries whose UID is zero, outside r
// or there already are dropped and reported.
func (c *Conn) entriesAnd(ctx context.Context, line string, r UIDRange, fn func(Entry) error, other handler) error {
	leave, err := c.Enter(ctx)
	if err != nil {
		return err
	}
	var have seen
	take := func(k kept) error { return c.listed(k, line, r, &have, fn) }
	_, err = c.replay(line, func(u untagged) error {
		if u.word != "FETCH" {
			return other(u)
		}
		var e Entry
		// A message whose reply is half readable is listed with that half: left
		// out, it would look deleted.
		if err := c.fetchReply(&e, nil); isOdd(err) && e.UID != 0 {
			c.note("unreadable", "%v in message %d of %q", err, e.UID, c.selected.Raw)
		} else if err != nil {
			return err
		}
		return take(kept{u.num, e})
	}, take)
	if err != nil {
		err = fmt.Errorf("listing %q: %w", c.selected.Raw, err)
	}
	return leave(err)
}

// listed hands on one line of a listing.
func (c *Conn) listed(k kept, line string, r UIDRange, have *seen, fn func(Entry) error) error {
	e := k.e
	if c.ofListing(e) && !strings.Contains(line, sizeItem) && c.keepEntry(k) {
		return nil // it belongs to the listing behind this one
	}
	switch {
	case e.UID == 0:
		c.note("no-uid", "message number %d of %q", k.num, c.selected.Raw)
		return nil
	case !r.Contains(e.UID):
		// "n:*" gives the last message even when its UID is below n: no oddity.
		if r.To != 0 {
			c.note("unasked-uid", "%d of %q", e.UID, c.selected.Raw)
		}
		return nil
	case !have.add(e.UID):
		c.note("duplicate-uid", "%d of %q", e.UID, c.selected.Raw)
		return nil
	}
	if have.n > maxUIDs {
		return &CapError{What: "uids", Limit: maxUIDs}
	}
	return fn(e)
}
