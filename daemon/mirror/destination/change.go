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
		if err := c.store(ctx, set, "+FLAGS.SILENT", []string{`\Deleted`}); err != nil {
			return err
		}
		err := c.do(ctx, "UID EXPUNGE", func(cmd *wire.Command) { cmd.Word(set.String()) })
		if err != nil {
			return fmt.Errorf("expunging from %q: %w", c.w.Selected().Raw, err)
		}
	}
	return nil
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
