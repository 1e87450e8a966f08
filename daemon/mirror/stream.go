package mirror

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// stream carries chunks from source to destination over one pair: while the server stores one batch, the next is on its
// way, also when that is of the next chunk.
type stream struct {
	*round
	pair   *pair
	chunk  chunk
	open   *pending // being filled; nothing of it takes effect
	sent   *pending // past the point of no return, its answer not read
	reader message
}

// pending is a batch and the rows of its messages.
type pending struct {
	chunk  chunk
	batch  batch
	rows   []ledger.Message
	octets int64
}

// take is called with each message as it comes from the source.
func (s *stream) take(ctx context.Context, m wire.Message) error {
	if s.stop(nil) != nil {
		return errStopped
	}
	if s.open != nil && (s.open.batch.Full() || len(s.open.rows) >= s.batchSize(s.chunk.folder) || s.open.octets+m.Size > batchOctets) {
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	if s.open == nil {
		s.open = &pending{chunk: s.chunk, batch: s.pair.destination.BeginAppend(s.chunk.folder.DestinationName)}
	}
	row, item := s.row(&m)
	s.reader.begin(m.Body)
	unkept, err := s.open.batch.Add(ctx, item, &s.reader)
	if err != nil {
		return s.refusedAdd(err, row)
	}
	row.Digest, row.Fingerprint = s.reader.end()
	row.Reason = reasons(row.Reason, unkeptReason(unkept))
	s.open.rows = append(s.open.rows, row)
	s.open.octets += m.Size
	return nil
}

// batchSize grows with the folder: behind each APPEND to a Maildir, Dovecot 2.3 reads its whole list of files and writes
// its whole list of UIDs.
func (r *round) batchSize(f *ledger.Folder) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	here := int(r.here[f.DestinationName].Messages)
	return max(r.Batch, min(here/batchShare, batchMost))
}

// row is what the ledger shall know of a message, and item what is stored with it. The listing's word on flags and
// date counts, so that both and the base of later merges are one.
func (s *stream) row(m *wire.Message) (ledger.Message, destination.Item) {
	planned, found := find(s.chunk.messages, m.UID)
	if !found {
		planned = &SourceMessage{UID: m.UID}
	}
	return rowOf(s.chunk, *planned, m, s.Now())
}

// rowOf may read the beginning of the body to find a date; m.Body gives it again.
func rowOf(c chunk, planned SourceMessage, m *wire.Message, now time.Time) (ledger.Message, destination.Item) {
	told := ""
	if !planned.FlagsKnown && m.HasFlags {
		planned.Flags = keepFlags(m.Flags)
	}
	planned.Size = cmp.Or(planned.Size, m.Size)
	item := destination.Item{Flags: ledger.SplitFlags(planned.Flags), Size: m.Size}
	switch {
	case m.HasDate:
		item.InternalDate = m.InternalDate
		planned.Date = cmp.Or(planned.Date, m.InternalDate.Unix())
	case planned.Date != 0:
		item.InternalDate = time.Unix(planned.Date, 0)
	default:
		m.Body, item.InternalDate, told = dateFromLetter(m.Body, m.Size, now)
	}
	return ledger.Message{
		Reason: told,
		Key:    ledger.Key{FolderID: c.folder.ID, UIDValidity: c.validity, UID: m.UID},
		Size:   planned.Size, Date: planned.Date, Flags: planned.Flags, Origin: planned.Origin,
	}, item
}

// refusedAdd handles a message that did not go into its batch. Nothing of the batch has taken effect.
func (s *stream) refusedAdd(err error, row ledger.Message) error {
	var refusal *destination.Refusal
	if !errors.As(err, &refusal) {
		var body *destination.BodyError
		if errors.As(err, &body) {
			return onSource(err)
		}
		return onDestination(err)
	}
	if refusal.Reason == destination.RefusedMessage && refusal.Index < 0 { // the batch is as it was
		s.suspect(s.chunk, row)
		return nil
	}
	rows := append(s.open.rows, row)
	s.open = nil
	return s.refused(err, s.chunk, rows)
}

// refused decides about the messages of a batch that was refused.
func (s *stream) refused(err error, c chunk, rows []ledger.Message) error {
	var refusal *destination.Refusal
	errors.As(err, &refusal)
	switch {
	case refusal.Reason == destination.RefusedQuota:
		return s.stop(onDestination(err))
	case refusal.Reason == destination.RefusedFolder:
		s.problem(c.folder.ID, "its place here vanished during the pass: %v", err)
		if c.folder != s.chunk.folder { // which needs no more: the present one goes on
			return nil
		}
		return errLeft
	case transient(err) && s.transientAgain():
		return s.stop(onDestination(err))
	}
	for _, row := range rows {
		s.suspect(c, row)
	}
	return nil
}

// transient tells a refusal that says nothing about the message (RFC 5530 §3).
func transient(err error) bool {
	return slices.Contains([]string{"UNAVAILABLE", "INUSE", "SERVERBUG", "CONTACTADMIN", "LIMIT", "AUTHORIZATIONFAILED", "EXPIRED"}, statusCode(err))
}

func (r *round) transientAgain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.transients++
	return r.transients >= transientBatches
}

func (r *round) suspect(c chunk, row ledger.Message) {
	planned, found := find(c.messages, row.UID)
	if !found {
		planned = &SourceMessage{UID: row.UID}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects = append(r.suspects, suspect{c.folder, *planned, row.Key})
}

// send passes the point of no return with the open batch: the answer of the one before is read, its confirmations
// and the intents of this one share one commit, and only then the final line end goes out (L2).
func (s *stream) send(ctx context.Context) error {
	confirmed, err := s.wait(ctx)
	if err != nil {
		return err
	}
	next := s.open
	if next == nil || len(next.rows) == 0 {
		return s.recordBatch(ctx, confirmed, nil)
	}
	s.intend(s.chunk.folder.DestinationName, next.rows)
	if err := s.recordBatch(ctx, confirmed, next.rows); err != nil {
		return err
	}
	s.open = nil
	if err := next.batch.Send(ctx); err != nil {
		s.lostAnswer()
		return onDestination(err)
	}
	s.sent = next
	return nil
}

// wait reads the answer of the sent batch and returns its rows with their places.
func (s *stream) wait(ctx context.Context) (confirmed []ledger.Message, err error) {
	sent := s.sent
	if sent == nil {
		return nil, nil
	}
	s.sent = nil
	place := sent.chunk.folder.DestinationName
	appended, err := sent.batch.Wait(ctx)
	var refusal *destination.Refusal
	switch {
	case err == nil:
		for i := range sent.rows {
			sent.rows[i].Place = ledger.Place{UIDValidity: appended.UIDValidity, UID: appended.UIDs[i]}
		}
		s.arrived(place, appended)
		s.count(len(sent.rows), sent.octets)
		return sent.rows, nil
	case errors.Is(err, destination.ErrNoAppendUID):
		s.inDoubt(place)
		s.count(len(sent.rows), sent.octets)
		return nil, nil
	case errors.As(err, &refusal) && s.pair.destination.Err() == nil:
		s.inDoubt(place)
		return nil, s.refused(err, sent.chunk, sent.rows)
	}
	s.lostAnswer()
	return nil, onDestination(err)
}

// lostAnswer notes that a batch is past the point of no return and its answer will never come: from now on only the
// fence can tell what the destination shows (L2).
func (r *round) lostAnswer() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = true
}

// end sends what is left of a chunk. Its answer may wait until the next chunk is on its way, or finish. After an error
// nothing new is sent; what was sent still gets its answer if it can.
func (s *stream) end(ctx context.Context, err error) error {
	if err == nil {
		err = s.send(ctx)
	}
	if err == nil {
		return nil
	}
	return s.finish(ctx, err)
}

// abort drops the batch that is being filled. Nothing of it takes effect, so that a connection which ends only for it
// leaves nothing in doubt.
func (s *stream) abort() {
	alive := s.pair.destination.Err() == nil
	s.open.batch.Abort()
	s.open = nil
	s.pair.aborted = alive && s.pair.destination.Err() != nil
}

// finish reads the last answer.
func (s *stream) finish(ctx context.Context, err error) error {
	confirmed, waitErr := s.wait(ctx)
	recordErr := s.recordBatch(ctx, confirmed, nil)
	if s.open != nil {
		s.abort()
	}
	// A lost answer must not hide behind a lesser error: it is what makes the next round fence.
	for _, e := range []error{waitErr, err, recordErr} {
		if e != nil {
			return e
		}
	}
	return nil
}
