package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// trySuspects tries the messages of refused batches alone, one connection only, so that every answer is certain:
// as they are, then without what the destination can't keep, and what is refused then is kept as a file. A message
// is never dropped and never holds up the others.
func (r *round) trySuspects(ctx context.Context) error {
	if len(r.suspects) == 0 {
		return nil
	}
	if err := os.MkdirAll(r.KeepDir, 0o700); err != nil {
		return fmt.Errorf("keeping refused messages: %w", err)
	}
	for _, s := range r.suspects {
		_, known, err := r.Ledger.Message(ctx, s.key)
		if err != nil {
			return err
		}
		if known { // its batch landed in spite of the refusal
			continue
		}
		r.phase("copying alone", r.names[s.folder.ID])
		if err := r.folderError(ctx, r.pairs[0], s.folder, r.tryAlone(ctx, s)); err != nil {
			return err
		}
	}
	return nil
}

// single is one suspect with its bytes in a file.
type single struct {
	suspect
	path string
	row  ledger.Message
	item destination.Item
}

func (r *round) tryAlone(ctx context.Context, s suspect) error {
	one := &single{suspect: s, path: filepath.Join(r.KeepDir, fmt.Sprintf("%d-%d-%d-%d.eml", r.Account.ID, s.key.FolderID, s.key.UIDValidity, s.key.UID))}
	found, err := r.spool(ctx, one)
	if err != nil || !found {
		return err
	}
	var refusal error
	for _, repair := range one.repairs() {
		landed, err := r.appendAlone(ctx, one, repair)
		if landed || err != nil && !isRefusal(err) {
			return errors.Join(err, os.Remove(one.path+".part"))
		}
		if transient(err) {
			r.problem(s.folder.ID, "this server can't store message %d for now: %v", s.key.UID, err)
			return os.Remove(one.path + ".part")
		}
		refusal = err
	}
	return r.keep(ctx, one, refusal)
}

func isRefusal(err error) bool {
	var refusal *destination.Refusal
	return errors.As(err, &refusal) && refusal.Reason != destination.RefusedQuota && refusal.Reason != destination.RefusedFolder
}

// spool writes the message to a file, once: every try reads the same bytes.
func (r *round) spool(ctx context.Context, one *single) (found bool, err error) {
	c := chunk{folder: one.folder, validity: one.key.UIDValidity, messages: []SourceMessage{one.message}}
	pr := r.pairs[0]
	if err := r.open(ctx, pr, c); err != nil {
		return false, err
	}
	missing, err := pr.source.Fetch(ctx, []uint32{one.key.UID}, func(m wire.Message) error {
		found = true
		one.row, one.item = rowOf(c, one.message, &m, r.Now())
		return one.write(m.Body)
	})
	if err != nil {
		return false, onSource(err)
	}
	return found, r.vanished(ctx, pr, one.folder, missing)
}

func (one *single) write(body io.Reader) error {
	file, err := os.OpenFile(one.path+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	m := &message{}
	m.begin(body)
	_, err = io.Copy(file, m)
	one.row.Digest, one.row.Fingerprint = m.end()
	return errors.Join(err, file.Sync(), file.Close())
}

// repair is a named, smallest change to what is stored with a message. Its bytes are never changed (L6).
type repair struct {
	name  string
	flags []string
}

func (one *single) repairs() []repair {
	all := []repair{{"", one.item.Flags}}
	system := slices.DeleteFunc(slices.Clone(one.item.Flags), func(flag string) bool { return !strings.HasPrefix(flag, `\`) })
	if len(system) < len(one.item.Flags) {
		all = append(all, repair{"its keywords", system})
	}
	return all
}

// appendAlone appends one message as a batch of its own. After a refusal past the point of no return it looks whether
// the message landed nevertheless.
func (r *round) appendAlone(ctx context.Context, one *single, fix repair) (landed bool, err error) {
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return false, err
	}
	file, err := os.Open(one.path + ".part")
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // only read
	item := one.item
	item.Flags = fix.flags
	b := conn.BeginAppend(one.folder.DestinationName)
	unkept, err := b.Add(ctx, item, file)
	if err != nil {
		return false, onDestination(err)
	}
	if fix.name != "" {
		unkept = append(unkept, fix.name)
	}
	row := one.row
	row.Reason = reasons(row.Reason, unkeptReason(unkept))
	rows := []ledger.Message{row}
	r.intend(one.folder.DestinationName, rows)
	if err := r.recordBatch(ctx, nil, rows); err != nil {
		b.Abort()
		return false, err
	}
	if err := b.Send(ctx); err != nil {
		r.lostAnswer()
		return false, onDestination(err)
	}
	appended, err := b.Wait(ctx)
	if err == nil {
		rows[0].Place = ledger.Place{UIDValidity: appended.UIDValidity, UID: appended.UIDs[0]}
		r.arrived(one.folder.DestinationName, appended)
		r.count(1, one.item.Size)
		return true, r.recordBatch(ctx, rows, nil)
	}
	if conn.Err() != nil {
		r.lostAnswer()
	}
	if !r.allAnswered() {
		return false, onDestination(err)
	}
	if err := r.settle(ctx); err != nil {
		return false, err
	}
	if _, landed, readErr := r.Ledger.Message(ctx, one.key); readErr != nil || landed {
		return landed, readErr
	}
	return false, onDestination(err)
}

// keep is the last step of the ladder: the original bytes stay as a file, and the ledger says where and why.
func (r *round) keep(ctx context.Context, one *single, refusal error) error {
	if err := os.Rename(one.path+".part", one.path); err != nil {
		return fmt.Errorf("keeping a refused message: %w", err)
	}
	if err := syncDir(filepath.Dir(one.path)); err != nil {
		return fmt.Errorf("keeping a refused message: %w", err)
	}
	reason := answer(refusal)
	if reason == "" {
		reason = refusal.Error()
	}
	row := one.row
	row.Fate, row.Reason, row.KeptFile = ledger.Refused, "refused here: "+reason, one.path
	return r.record(ctx, "refused", func(tx *ledger.Tx) error { return tx.Add(row) })
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
