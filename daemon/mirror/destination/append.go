package destination

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Item is what is stored with a message.
type Item struct {
	Flags        []string  // system flags; unknown ones and \Recent are not kept
	Keywords     []string  // Dovecot keeps those that are atoms of at most 50 bytes
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
	c *Conn
}

// BeginAppend opens a batch. Nothing is sent before the first Add. At most one
// batch may be open, and at most one more may be sent and not yet waited for; until
// both are settled no other method of the connection may be called.
func (c *Conn) BeginAppend(raw string) *Batch { panic("body follows") }

// Full tells that no further message may be added: the server lacks MULTIAPPEND and
// the batch has its one message.
func (b *Batch) Full() bool { panic("body follows") }

// Len is the number of messages added.
func (b *Batch) Len() int { panic("body follows") }

// Add streams one message. unkept names the flags, keywords and dates that Dovecot
// cannot keep ("INTERNALDATE …" for a date). A *Refusal with Reason RefusedMessage
// and Sent false leaves the batch as it was; after any other error the batch is
// over and nothing of it was stored: a *Refusal leaves the connection usable, any
// other error does not.
func (b *Batch) Add(ctx context.Context, it Item, body io.Reader) (unkept []string, err error) {
	panic("body follows")
}

// Commit is Send and Wait.
func (b *Batch) Commit(ctx context.Context) (Appended, error) { panic("body follows") }

// Send passes the point of no return. After an error of Send the outcome is in
// doubt. An empty batch must not be sent: use Abort.
func (b *Batch) Send(ctx context.Context) error { panic("body follows") }

// Wait returns where the messages are. Every error of Wait leaves the outcome in
// doubt (a *Refusal with Sent set very probably means that nothing was stored).
func (b *Batch) Wait(ctx context.Context) (Appended, error) { panic("body follows") }

// Abort ends a batch before Send: nothing of it is stored. It drops the connection
// unless nothing was sent yet.
func (b *Batch) Abort() { panic("body follows") }

// ErrNoAppendUID says that the server stored the batch but not where: in doubt.
var ErrNoAppendUID = errors.New("the server did not say under which UIDs it stored the messages")

// Reason classifies a Refusal by what can be done about it.
type Reason int

const (
	RefusedOther   Reason = iota // look at Err
	RefusedQuota                 // the account is full: pause it
	RefusedFolder                // the folder does not exist (TRYCREATE)
	RefusedMessage               // this message, now and always (zero bytes)
)

// Refusal is the server's (or for zero bytes our) No to a batch.
type Refusal struct {
	Reason Reason
	Sent   bool // the point of no return was passed
	Index  int  // the message that was being added, -1 when not known
	Err    error
}

func (r *Refusal) Error() string { return fmt.Sprintf("appending: %v", r.Err) }
func (r *Refusal) Unwrap() error { return r.Err }
