package destination

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mailstork/daemon/mirror/wire"
)

// FlagChange is how StoreFlags changes flags.
type FlagChange int

const (
	AddFlags FlagChange = iota
	RemoveFlags
	ReplaceFlags
)

// StoreFlags changes flags and keywords of messages in the selected folder. Flags
// that Dovecot cannot keep are left out and returned as unkept.
func (c *Conn) StoreFlags(ctx context.Context, uids []uint32, change FlagChange, flags []string) (unkept []string, err error) {
	kept, unkept := Keepable(flags)
	if len(uids) == 0 || len(kept) == 0 && change != ReplaceFlags {
		return unkept, nil
	}
	if err = c.writable(); err != nil {
		return unkept, err
	}
	item := [...]string{AddFlags: "+FLAGS.SILENT", RemoveFlags: "-FLAGS.SILENT", ReplaceFlags: "FLAGS.SILENT"}[change]
	for _, set := range wire.Windows(uids) {
		if err = c.store(ctx, set, item, kept); err != nil {
			return unkept, err
		}
	}
	return unkept, nil
}

func (c *Conn) store(ctx context.Context, set wire.UIDSet, item string, flags []string) error {
	err := c.do(ctx, "UID STORE", func(cmd *wire.Command) {
		cmd.Word(set.String()).Word(item).Word("(" + strings.Join(flags, " ") + ")")
	})
	if err != nil {
		return fmt.Errorf("storing flags in %q: %w", c.w.Selected().Raw, err)
	}
	return nil
}

// Copied says where the copies of messages are: the message with UID From[i] is at To[i], too.
type Copied struct {
	UIDValidity uint32
	From, To    []uint32
}

// ErrNoCopyUID says that the server copied messages but not to where: in doubt.
var ErrNoCopyUID = errors.New("the server did not say under which UIDs it stored the copies")

// CopyBehind stores messages of the selected folder a second time in the same folder: at its end, in the order of
// their UIDs, with their flags and dates. All of them or, after a No, none. They must fit one command (wire.Windows).
//
// Never MOVE: when another session removes one of the messages meanwhile, Dovecot 2.3.19 and 2.4.1 answer No and have
// expunged those before it in the set without storing them anywhere (seen with both; TestDovecotLosesMessagesInMove).
func (c *Conn) CopyBehind(ctx context.Context, uids []uint32) (Copied, error) {
	if err := c.writable(); err != nil {
		return Copied{}, err
	}
	raw := c.w.Selected().Raw
	reply, err := c.ask(ctx, "UID COPY", func(cmd *wire.Command) { cmd.Word(wire.NewUIDSet(uids...).String()).String(raw) })
	if err != nil {
		return Copied{}, fmt.Errorf("copying in %q: %w", raw, err)
	}
	return copied(reply, len(uids))
}

// copied reads COPYUID (RFC 4315 §3).
func copied(reply wire.Reply, n int) (Copied, error) {
	var a Copied
	var from, to string
	if reply.Code != "COPYUID" {
		return a, fmt.Errorf("%w: %q", ErrNoCopyUID, reply.Raw)
	}
	_, err := fmt.Sscanf(reply.Args, "%d %s %s", &a.UIDValidity, &from, &to)
	if err == nil {
		a.From, err = wire.ParseUIDSet(from, n)
	}
	if err == nil {
		a.To, err = wire.ParseUIDSet(to, n)
	}
	if err != nil || len(a.From) != n || len(a.To) != n || a.UIDValidity == 0 {
		return Copied{}, fmt.Errorf("%w: %q", ErrNoCopyUID, reply.Raw)
	}
	return a, nil
}

// Expunge deletes exactly these messages of the selected folder (L4): UID STORE
// \Deleted, then UID EXPUNGE; never EXPUNGE. A UID that is gone already is no error.
func (c *Conn) Expunge(ctx context.Context, uids []uint32) error {
	if len(uids) == 0 {
		return nil
	}
	if err := c.writable(); err != nil {
		return err
	}
	if !c.Has("UIDPLUS") {
		return errors.New("expunging: the destination lacks UIDPLUS, without which other messages could be deleted too")
	}
	for _, set := range wire.Windows(uids) {
		if err := c.expunge(ctx, set); err != nil {
			return fmt.Errorf("expunging from %q: %w", c.w.Selected().Raw, err)
		}
	}
	return nil
}

// expunge sends both commands in one flight. After a No to the first the second removes only what its owner had marked
// to be removed, too.
func (c *Conn) expunge(ctx context.Context, set wire.UIDSet) error {
	leave, err := c.w.Enter(ctx)
	if err != nil {
		return err
	}
	mark := c.w.Begin("UID STORE").Word(set.String()).Word("+FLAGS.SILENT").Word(`(\Deleted)`)
	_ = mark.End(false) // Wait gives its error
	remove := c.w.Begin("UID EXPUNGE").Word(set.String())
	_ = remove.End(true)
	_, err = mark.Wait()
	_, removeErr := remove.Wait()
	if err == nil {
		err = removeErr
	}
	if s := wire.Refused(err); s != nil && s.Status == "BAD" {
		c.w.Drop()
	}
	return leave(err)
}

func (c *Conn) writable() error {
	s := c.w.Selected()
	if s.Raw == "" || s.ReadOnly {
		return fmt.Errorf("changing messages: folder %q is not selected for writing", s.Raw)
	}
	return nil
}

// maxKeyword is Dovecot's mail_max_keyword_length: a longer one makes the whole
// command fail.
const maxKeyword = 50

// Keepable divides flags into those that Dovecot can keep, each safe to send, and
// the others. \Recent belongs to no one and is in neither.
func Keepable(flags []string) (kept, unkept []string) {
	have := make(map[string]bool, len(flags))
	for _, f := range flags {
		spelled, system := wire.SystemFlag(f)
		switch {
		case strings.EqualFold(f, `\Recent`):
			continue
		case system:
			f = spelled
		case !wire.IsAtom(f) || len(f) > maxKeyword:
			unkept = append(unkept, f)
			continue
		}
		if key := strings.ToLower(f); !have[key] {
			have[key] = true
			kept = append(kept, f)
		}
	}
	return kept, unkept
}
