package destination

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"mailstork/daemon/mirror/wire"
)

// syncAbove is the size from which a message waits for the server's go-ahead: a
// full account is then answered before the body is sent.
const syncAbove = 1 << 20

// Item is what is stored with a message.
type Item struct {
	Flags        []string  // system flags; unknown ones and \Recent are not kept
	Keywords     []string  // Dovecot keeps those that are atoms of at most 50 octets
	InternalDate time.Time // zero: Dovecot takes the present
	Size         int64     // exact octets of the body
}

// Appended says where the messages of a batch are now, in the order of Add.
type Appended struct {
	UIDValidity uint32
	UIDs        []uint32
}

// Batch is one APPEND of one or, with MULTIAPPEND, many messages to one folder. The
// server stores all of them or none.
//
// Nothing takes effect before Send (or Commit), which sends the final line end: the
// point of no return. Whoever keeps a ledger makes the intent durable immediately
// before it (L2). Add streams, so the digest of each message is known by then.
type Batch struct {
	c    *Conn
	raw  string
	cmd  *wire.Command // nil until the first Add
	n    int
	sent bool
	over bool
}

// BeginAppend opens a batch. Nothing is sent before the first Add. At most one
// batch may be open, and at most one more may be sent and not yet waited for; until
// both are settled no other method of the connection may be called.
func (c *Conn) BeginAppend(raw string) *Batch { return &Batch{c: c, raw: raw} }

// Full tells that no further message may be added: the server lacks MULTIAPPEND and
// the batch has its one message.
func (b *Batch) Full() bool { return b.n > 0 && !b.c.Has("MULTIAPPEND") }

// Len is the number of messages added.
func (b *Batch) Len() int { return b.n }

// BodyError says that the body handed to Add could not be read.
type BodyError = wire.BodyError

// Add streams one message. unkept names the flags, keywords and dates that Dovecot
// cannot keep ("INTERNALDATE …" for a date). A *Refusal with Reason RefusedMessage
// and Index -1 leaves the batch as it was; after any other error the batch is over
// and nothing of it was stored: a *Refusal leaves the connection usable (see Err);
// after a *BodyError the batch before can be waited for, and then Abort must follow;
// any other error ends the connection.
func (b *Batch) Add(ctx context.Context, it Item, body io.Reader) (unkept []string, err error) {
	if b.over || b.sent || b.Full() {
		return nil, errors.New("appending: the batch takes no further message")
	}
	// A literal of size 0 would end a MULTIAPPEND (RFC 3502 §6.3.11).
	if it.Size <= 0 {
		return nil, &Refusal{Reason: RefusedMessage, Index: -1, Err: errors.New("the message has no octets, Dovecot keeps no such message")}
	}
	leave, err := b.c.w.Enter(ctx)
	if err != nil {
		return nil, err
	}
	unkept, err = b.add(it, body)
	b.over = err != nil
	return unkept, leave(err)
}

func (b *Batch) add(it Item, body io.Reader) (unkept []string, err error) {
	if b.cmd == nil {
		b.cmd = b.c.w.Begin("APPEND").String(b.raw)
	}
	flags, unkept := Keepable(append(append([]string(nil), it.Flags...), it.Keywords...))
	// Every octet of these arguments is ours: after a BAD, Dovecot would run the body
	// of a non-synchronising literal as commands.
	b.cmd.Word("(" + strings.Join(flags, " ") + ")")
	if !it.InternalDate.IsZero() {
		date, kept := keepableDate(it.InternalDate)
		if !kept {
			unkept = append(unkept, "INTERNALDATE "+it.InternalDate.UTC().Format(time.RFC3339))
		}
		if !date.IsZero() {
			b.cmd.Word(`"` + wire.FormatDate(date) + `"`)
		}
	}
	b.cmd.Announce(it.Size, it.Size > syncAbove || !b.c.Has("LITERAL+"))
	err = b.cmd.Stream(body, it.Size)
	var cut *BodyError
	switch {
	case err == nil:
		b.n++
		return unkept, nil
	case errors.As(err, &cut):
		return unkept, cut
	}
	return unkept, b.refusal(err, false)
}

// keepableDate returns the nearest date that Dovecot 2.3.19 keeps. A date before
// 1970 would become 1901; one in the future becomes the present there anyway.
func keepableDate(t time.Time) (date time.Time, kept bool) {
	if t.Unix() < 0 {
		return time.Unix(0, 0), false
	}
	if t.After(time.Now()) {
		return time.Time{}, false
	}
	return t, true
}

// Commit is Send and Wait.
func (b *Batch) Commit(ctx context.Context) (Appended, error) {
	if err := b.Send(ctx); err != nil {
		return Appended{}, err
	}
	return b.Wait(ctx)
}

// Send passes the point of no return. After an error of Send the outcome is in
// doubt. An empty batch must not be sent: use Abort.
func (b *Batch) Send(ctx context.Context) error {
	if b.over || b.sent || b.n == 0 {
		return errors.New("appending: the batch cannot be sent")
	}
	leave, err := b.c.w.Enter(ctx)
	if err != nil {
		return err
	}
	b.sent = true
	return leave(b.cmd.End(true))
}

// Wait returns where the messages are. Every error of Wait leaves the outcome in
// doubt (a *Refusal with Sent set very probably means that nothing was stored).
func (b *Batch) Wait(ctx context.Context) (Appended, error) {
	if !b.sent || b.over {
		return Appended{}, errors.New("appending: the batch was not sent")
	}
	leave, err := b.c.w.Enter(ctx)
	if err != nil && !b.cmd.Done() {
		return Appended{}, err
	}
	b.over = true
	reply, err := b.cmd.Wait()
	if err != nil {
		err = b.refusal(err, true)
	}
	if leave != nil {
		err = leave(err)
	}
	if err != nil {
		return Appended{}, err
	}
	return b.appended(reply)
}

// appended reads APPENDUID (RFC 4315 §3). A set that does not name exactly one UID
// for each message is as good as none.
func (b *Batch) appended(reply wire.Reply) (Appended, error) {
	var a Appended
	var set string
	if reply.Code != "APPENDUID" {
		return a, ErrNoAppendUID
	}
	if _, err := fmt.Sscanf(reply.Args, "%d %s", &a.UIDValidity, &set); err != nil || a.UIDValidity == 0 {
		return a, fmt.Errorf("%w: %q", ErrNoAppendUID, reply.Raw)
	}
	uids, err := wire.ParseUIDSet(set, b.n)
	if err != nil || len(uids) != b.n {
		return a, fmt.Errorf("%w: %q names %d of %d", ErrNoAppendUID, reply.Raw, len(uids), b.n)
	}
	a.UIDs = uids
	return a, nil
}

// Abort ends a batch before Send: nothing of it is stored. It drops the connection
// unless nothing was sent yet or the server has refused the batch; so first Wait for
// the batch before it.
func (b *Batch) Abort() {
	if b.cmd != nil && !b.sent && !b.cmd.Done() {
		b.c.w.Drop()
	}
	b.over = true
}

// ErrNoAppendUID says that the server stored the batch but not where: in doubt.
var ErrNoAppendUID = errors.New("the server did not say under which UIDs it stored the messages")

// Reason classifies a Refusal by what can be done about it.
type Reason int

const (
	RefusedOther   Reason = iota // look at Err
	RefusedQuota                 // the account is full: pause it
	RefusedFolder                // the folder does not exist (TRYCREATE)
	RefusedMessage               // this message, now and always (zero octets, too big)
)

// Refusal is the server's (or for zero octets our) No to a batch.
type Refusal struct {
	Reason Reason
	Sent   bool // the point of no return was passed
	Index  int  // the message that was being added, -1 when the batch was not touched or the message is not known
	Err    error
}

func (r *Refusal) Error() string { return fmt.Sprintf("appending: %v", r.Err) }
func (r *Refusal) Unwrap() error { return r.Err }

// refusal classifies a No; a BAD ends the connection at once.
func (b *Batch) refusal(err error, sent bool) error {
	s := wire.Refused(err)
	if s == nil {
		return fmt.Errorf("appending to %q: %w", b.raw, err)
	}
	if s.Status == "BAD" {
		b.c.w.Drop()
	}
	r := &Refusal{Sent: sent, Index: -1, Err: fmt.Errorf("to %q: %w", b.raw, err)}
	if !sent {
		r.Index = b.n
	}
	switch s.Code {
	case "OVERQUOTA":
		r.Reason = RefusedQuota
	case "TRYCREATE", "NONEXISTENT":
		r.Reason = RefusedFolder
	case "TOOBIG":
		r.Reason = RefusedMessage
	}
	return r
}
