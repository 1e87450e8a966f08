package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	fetchMessages  = 5000 // messages asked for in one UID FETCH of bodies: the answers to one come in order
	windowMessages = 100  // in any other, and after a NO
	windowOctets   = 900  // of UID set in one command: RFC 2683 §3.2.1.5
	windowsOpen    = 4    // commands in flight, so that the round trip is never waited for
)

// Message is one message on its way. Body must be read inside the callback; what is
// left unread is skipped. It gives exactly Size octets, or an error.
type Message struct {
	UID          uint32
	Flags        []string
	HasFlags     bool
	InternalDate time.Time
	HasDate      bool
	Size         int64 // exact octets of Body, known before its first one
	Body         io.Reader
}

// reconciler knows which of the UIDs asked for have come.
type reconciler struct {
	uids []uint32 // ascending
	got  []bool
}

func newReconciler(uids []uint32) *reconciler {
	sorted := slices.Clone(uids)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	return &reconciler{uids: sorted, got: make([]bool, len(sorted))}
}

// find returns the index of an asked UID.
func (r *reconciler) find(uid uint32) (int, bool) { return slices.BinarySearch(r.uids, uid) }

func (r *reconciler) missing() []uint32 {
	var out []uint32
	for i, uid := range r.uids {
		if !r.got[i] {
			out = append(out, uid)
		}
	}
	return out
}

// accept hands on the message with a UID, and marks it as received when that went
// well. One that was not asked for, or has come already, is reported and skipped.
func (c *Conn) accept(r *reconciler, uid uint32, hand func() error) error {
	i, asked := r.find(uid)
	switch {
	case !asked:
		c.note("unasked-uid", "%d of %q", uid, c.selected.Raw)
		return nil
	case r.got[i]:
		c.note("duplicate-uid", "%d of %q", uid, c.selected.Raw)
		return nil
	}
	err := hand()
	r.got[i] = err == nil
	return err
}

// windows cuts uids, in the order given, into pieces that one command may name.
func windows(uids []uint32, messages int) []UIDSet {
	var out []UIDSet
	for len(uids) > 0 {
		n := min(len(uids), messages)
		set := NewUIDSet(uids[:n]...)
		for n > 1 && len(set.String()) > windowOctets {
			n /= 2
			set = NewUIDSet(uids[:n]...)
		}
		out = append(out, set)
		uids = uids[n:]
	}
	return out
}

// Windows cuts uids into sets that one command may name.
func Windows(uids []uint32) []UIDSet { return windows(uids, len(uids)) }

// pipeline sends one UID FETCH per window, windowsOpen of them ahead, and waits for
// all. A NO costs its window: what did not come is missing. It returns the last NO.
// Behind the last window goes what next names, if not nil.
func (c *Conn) pipeline(sets []UIDSet, items string, next Foresight, on func(UIDSet) handler) (refused error, err error) {
	var open []*Command
	for len(sets) > 0 || len(open) > 0 {
		for len(sets) > 0 && len(open) < windowsOpen {
			cmd := c.ask("UID FETCH", sets[0].String()+" "+items, on(sets[0]))
			if cmd.err != nil {
				return nil, cmd.err
			}
			open, sets = append(open, cmd), sets[1:]
		}
		if len(sets) == 0 {
			c.lookAhead(next)
		}
		_, err = open[0].Wait()
		open = open[1:]
		if s := Refused(err); s != nil && s.Status == "NO" {
			c.note("notice", "%s", s.Raw)
			refused = err
		} else if err != nil {
			return nil, err
		}
	}
	return refused, nil
}

// Fetch streams messages of the open folder, each at most once and only if asked
// for. missing are the UIDs that did not come.
func (c *Conn) Fetch(ctx context.Context, uids []uint32, fn func(Message) error) (missing []uint32, err error) {
	return c.FetchAhead(ctx, uids, nil, fn)
}

// FetchAhead is a Fetch behind which goes what next names (see Ahead), as soon as
// its own last command is sent. next must not use the connection.
func (c *Conn) FetchAhead(ctx context.Context, uids []uint32, next Foresight, fn func(Message) error) (missing []uint32, err error) {
	leave, err := c.Enter(ctx)
	if err != nil {
		return uids, err
	}
	defer c.measure()()
	r := newReconciler(uids)
	refused, err := c.fetchWindows(r, uids, next, fn)
	if missing = r.missing(); err == nil && len(missing) == len(r.uids) && refused != nil {
		err = refused
	}
	if err != nil {
		err = fmt.Errorf("fetching from %q: %w", c.selected.Raw, err)
	}
	return missing, leave(err)
}

// fetchItems must not ask for anything that fetchMessage needs behind the body.
const fetchItems = "(UID FLAGS INTERNALDATE BODY.PEEK[])"

func (c *Conn) fetchWindows(r *reconciler, uids []uint32, next Foresight, fn func(Message) error) (refused, err error) {
	on := func(UIDSet) handler {
		return func(u untagged) error { return c.fetchMessage(r, u, fn) }
	}
	if !c.lateUID {
		foreseen := len(c.ahead) > 0
		sets := windows(uids, fetchMessages)
		refused, err = c.pipeline(sets, fetchItems, next, on)
		if again := foreseen || len(sets) < len(windows(uids, windowMessages)); err == nil && refused != nil && again && !c.lateUID {
			refused, err = c.pipeline(windows(r.missing(), windowMessages), fetchItems, nil, on)
		}
		if err == nil && refused != nil && !c.lateUID {
			err = c.fetchPast(r, on)
		}
	}
	if err == nil && c.lateUID && len(r.missing()) > 0 {
		return c.fetchSingly(r, fn)
	}
	return refused, err
}

// refusalsAlone is how many messages in a row may be refused alone before the others
// are believed to be refused, too.
const refusalsAlone = 20

// fetchPast asks alone for each message that a refused window left out: one that the
// server can't read must not hold up those around it.
func (c *Conn) fetchPast(r *reconciler, on func(UIDSet) handler) error {
	inRow := 0
	for _, uid := range r.missing() {
		if _, err := c.pipeline(windows([]uint32{uid}, 1), fetchItems, nil, on); err != nil {
			return err
		}
		if inRow++; !slices.Contains(r.missing(), uid) {
			inRow = 0
		}
		if inRow == refusalsAlone {
			break
		}
	}
	return nil
}

// fetchMessage hands on one message of a window. A body may only be handed on when
// it is certain whose it is: when the server names the UID, the flags or the date
// behind the body, the body is skipped and asked for again by fetchSingly.
func (c *Conn) fetchMessage(r *reconciler, u untagged, fn func(Message) error) error {
	if u.word != "FETCH" {
		return nil
	}
	var e Entry
	return c.fetchReply(&e, func(e *Entry, size int64, body io.Reader, present bool) error {
		if !present {
			c.note("nil-body", "message %d of %q", e.UID, c.selected.Raw)
			return nil
		}
		if e.UID == 0 || !e.sawFlags || !e.sawDate {
			if !c.lateUID {
				c.lateUID = true
				c.note("late-uid", "%q names the UID behind the body: messages are fetched one by one", c.opt.Address)
			}
			return nil
		}
		return c.accept(r, e.UID, func() error { return fn(e.message(size, body)) })
	})
}

func (e *Entry) message(size int64, body io.Reader) Message {
	return Message{UID: e.UID, Flags: e.Flags, HasFlags: e.HasFlags, InternalDate: e.InternalDate, HasDate: e.HasDate, Size: size, Body: body}
}

// errWrongUID breaks the connection: a body was handed on as another message's.
var errWrongUID = errors.New("the server sent another message than the one asked for")

// fetchSingly fetches what is missing with one command per message, flags and dates
// asked for beforehand, so that every body belongs to the one UID of its command.
func (c *Conn) fetchSingly(r *reconciler, fn func(Message) error) (refused, err error) {
	missing := r.missing()
	known := make(map[uint32]Entry, min(len(missing), windowMessages))
	for window := range slices.Chunk(missing, windowMessages) {
		clear(known)
		if refused, err = c.pipeline(windows(window, windowMessages), "(UID FLAGS INTERNALDATE)", nil,
			func(UIDSet) handler {
				return func(u untagged) error { return c.remember(known, u) }
			}); err != nil {
			return nil, err
		}
		if refused, err = c.pipeline(windows(window, 1), "(UID BODY.PEEK[])", nil,
			func(one UIDSet) handler {
				return func(u untagged) error { return c.fetchOne(r, u, one[0].From, known, fn) }
			}); err != nil {
			return nil, err
		}
	}
	return refused, nil
}

func (c *Conn) remember(known map[uint32]Entry, u untagged) error {
	var e Entry
	if u.word != "FETCH" {
		return nil
	}
	if err := c.fetchReply(&e, nil); err != nil || e.UID == 0 {
		return err
	}
	known[e.UID] = e
	return nil
}

func (c *Conn) fetchOne(r *reconciler, u untagged, uid uint32, known map[uint32]Entry, fn func(Message) error) error {
	if u.word != "FETCH" {
		return nil
	}
	var e Entry
	handed := false
	err := c.fetchReply(&e, func(e *Entry, size int64, body io.Reader, present bool) error {
		if !present || e.UID != 0 && e.UID != uid {
			return nil
		}
		k := known[uid]
		k.UID, handed = uid, true
		return c.accept(r, uid, func() error { return fn(k.message(size, body)) })
	})
	if err == nil && handed && e.UID != 0 && e.UID != uid {
		i, _ := r.find(uid)
		r.got[i] = false
		return fmt.Errorf("%w: UID %d instead of %d", errWrongUID, e.UID, uid)
	}
	return err
}

// Headers calls fn with the named header fields of each message; at most
// maxSmallLiteral octets of them, and the bytes are valid until fn returns.
func (c *Conn) Headers(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, header []byte) error) (missing []uint32, err error) {
	leave, err := c.Enter(ctx)
	if err != nil {
		return uids, err
	}
	for _, f := range fields {
		if !IsAtom(f) {
			return uids, leave(fmt.Errorf("asking for headers: %q is not a field name", f))
		}
	}
	r := newReconciler(uids)
	on := func(UIDSet) handler {
		return func(u untagged) error { return c.fetchHeader(r, u, fn) }
	}
	foreseen := len(c.ahead) > 0
	refused, err := c.pipeline(windows(uids, windowMessages), headerItems(fields), nil, on)
	if err == nil && refused != nil && foreseen {
		refused, err = c.pipeline(windows(r.missing(), windowMessages), headerItems(fields), nil, on)
	}
	if missing = r.missing(); err == nil && len(missing) == len(r.uids) && refused != nil {
		err = refused
	}
	if err != nil {
		err = fmt.Errorf("reading headers from %q: %w", c.selected.Raw, err)
	}
	return missing, leave(err)
}

func headerItems(fields []string) string {
	return "(UID BODY.PEEK[HEADER.FIELDS (" + strings.Join(fields, " ") + ")])"
}

func (c *Conn) fetchHeader(r *reconciler, u untagged, fn func(uint32, []byte) error) error {
	if u.word != "FETCH" {
		return nil
	}
	var e Entry
	var header []byte
	got := false
	err := c.fetchReply(&e, func(_ *Entry, size int64, body io.Reader, present bool) (err error) {
		if size > maxSmallLiteral {
			c.note("long-header", "%d octets, message %d of %q", size, e.UID, c.selected.Raw)
			body = io.LimitReader(body, maxSmallLiteral)
		}
		header, err = io.ReadAll(body)
		got = present
		return err
	})
	if err != nil || !got || e.UID == 0 {
		return err
	}
	return c.accept(r, e.UID, func() error { return fn(e.UID, header) })
}
