package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// A chunk is what one FETCH asks for; chunks spread a large folder over the connections. A batch is one APPEND.
const (
	chunkMessages = 1000
	chunkOctets   = 32 << 20
	batchMessages = 100
	batchOctets   = 8 << 20
)

// transientBatches is how many batches may be refused for now before the pass gives up until later.
const transientBatches = 3

type chunk struct {
	folder   *ledger.Folder
	validity uint32
	messages []SourceMessage
}

// suspect is a message of a batch that the destination refused: it is tried alone.
type suspect struct {
	folder  *ledger.Folder
	message SourceMessage
	key     ledger.Key
}

// cut divides what is to be appended to one folder.
func cut(f *ledger.Folder, validity uint32, messages []SourceMessage) (chunks []chunk) {
	from, octets := 0, int64(0)
	for i, m := range messages {
		if i > from && (i-from >= chunkMessages || octets+m.Size > chunkOctets) {
			chunks = append(chunks, chunk{f, validity, messages[from:i]})
			from, octets = i, 0
		}
		octets += m.Size
	}
	if from < len(messages) {
		chunks = append(chunks, chunk{f, validity, messages[from:]})
	}
	return chunks
}

// copyAll streams new messages over all pairs.
func (r *round) copyAll(ctx context.Context, appends []Append) error {
	var chunks []chunk
	for _, a := range appends {
		f := r.folders[a.FolderID]
		chunks = append(chunks, cut(f, r.viewOf(a.FolderID).UIDValidity, a.Messages)...)
	}
	return r.spread(len(chunks), func(pr *pair, i int) error {
		c := chunks[i]
		if r.hasProblem(c.folder.ID) {
			return nil
		}
		r.phase("copying", r.names[c.folder.ID])
		return r.folderError(ctx, pr, c.folder, r.copyChunk(ctx, pr, c))
	})
}

func uidsOf(messages []SourceMessage) []uint32 {
	uids := make([]uint32, len(messages))
	for i, m := range messages {
		uids[i] = m.UID
	}
	return uids
}

func (r *round) viewOf(folderID int64) *FolderView {
	i := slices.IndexFunc(r.view.Folders, func(f FolderView) bool { return f.Folder.ID == folderID })
	return &r.view.Folders[i]
}

// These end a FETCH early, and with it the connection to the source.
var (
	errStopped = errors.New("another worker has a reason to end the pass")
	errLeft    = errors.New("the folder has a problem")
)

func (r *round) copyChunk(ctx context.Context, pr *pair, c chunk) error {
	if err := r.open(ctx, pr, c); err != nil {
		return err
	}
	if _, err := pr.to(ctx); err != nil {
		return err
	}
	uids := uidsOf(c.messages)
	w := &stream{round: r, pair: pr, chunk: c}
	missing, err := pr.source.Fetch(ctx, uids, func(m wire.Message) error { return w.take(ctx, m) })
	err = w.finish(ctx, err)
	if errors.Is(err, errStopped) || errors.Is(err, errLeft) {
		return nil
	}
	if err != nil {
		return err
	}
	return onSource(r.missed(ctx, pr, &FolderView{Folder: *c.folder}, missing))
}

// open makes the chunk's folder the one that is open at the source, under the UIDVALIDITY of the plan.
func (r *round) open(ctx context.Context, pr *pair, c chunk) error {
	if pr.source == nil || pr.examined != c.folder.SourceName {
		if _, err := pr.examine(ctx, c.folder.SourceName); err != nil {
			return onSource(err)
		}
	}
	if pr.validity != c.validity {
		return onSource(&folderBreak{c.folder.SourceName, fmt.Errorf("its UIDVALIDITY changed from %d to %d during the pass", c.validity, pr.validity)})
	}
	return nil
}

// stream carries one chunk from source to destination: while the server stores one batch, the next is on its way.
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
	batch  batch
	rows   []ledger.Message
	octets int64
}

// take is called with each message as it comes from the source.
func (s *stream) take(ctx context.Context, m wire.Message) error {
	if s.stop(nil) != nil {
		return errStopped
	}
	if s.open != nil && (s.open.batch.Full() || len(s.open.rows) >= batchMessages || s.open.octets+m.Size > batchOctets) {
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	if s.open == nil {
		s.open = &pending{batch: s.pair.destination.BeginAppend(s.chunk.folder.DestinationName)}
	}
	row, item := s.row(m)
	s.reader.begin(m.Body)
	unkept, err := s.open.batch.Add(ctx, item, &s.reader)
	if err != nil {
		return s.refusedAdd(err, row)
	}
	row.Digest, row.Fingerprint = s.reader.end()
	row.Reason = unkeptReason(unkept)
	s.open.rows = append(s.open.rows, row)
	s.open.octets += m.Size
	return nil
}

// row is what the ledger shall know of a message, and item what is stored with it. The listing's word on flags and
// date counts, so that both and the base of later merges are one.
func (s *stream) row(m wire.Message) (ledger.Message, destination.Item) {
	planned, found := find(s.chunk.messages, m.UID)
	if !found {
		planned = &SourceMessage{UID: m.UID}
	}
	return rowOf(s.chunk, *planned, m)
}

func rowOf(c chunk, planned SourceMessage, m wire.Message) (ledger.Message, destination.Item) {
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
	}
	return ledger.Message{
		Key:  ledger.Key{FolderID: c.folder.ID, UIDValidity: c.validity, UID: m.UID},
		Size: planned.Size, Date: planned.Date, Flags: planned.Flags,
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
	return s.refused(err, rows)
}

// refused decides about the messages of a batch that was refused.
func (s *stream) refused(err error, rows []ledger.Message) error {
	var refusal *destination.Refusal
	errors.As(err, &refusal)
	switch {
	case refusal.Reason == destination.RefusedQuota:
		return s.stop(onDestination(err))
	case refusal.Reason == destination.RefusedFolder:
		s.problem(s.chunk.folder.ID, "its place here vanished during the pass: %v", err)
		return errLeft
	case transient(err) && s.transientAgain():
		return s.stop(onDestination(err))
	}
	for _, row := range rows {
		s.suspect(s.chunk, row)
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
	s.open, s.sent = nil, next
	if err := next.batch.Send(ctx); err != nil {
		return onDestination(err)
	}
	return nil
}

// intend fills in where to look for the messages of a batch.
func (r *round) intend(name string, rows []ledger.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches++
	here := r.here[name]
	intent := ledger.Intent{Batch: fmt.Sprintf("%s.%d", r.id, r.batches), UIDNext: max(here.UIDNext, 1)}
	for i := range rows {
		rows[i].Intent, rows[i].Place = intent, ledger.Place{UIDValidity: here.UIDValidity}
	}
}

// wait reads the answer of the sent batch and returns its rows with their places.
func (s *stream) wait(ctx context.Context) (confirmed []ledger.Message, err error) {
	sent := s.sent
	if sent == nil {
		return nil, nil
	}
	s.sent = nil
	appended, err := sent.batch.Wait(ctx)
	var refusal *destination.Refusal
	switch {
	case err == nil:
		for i := range sent.rows {
			sent.rows[i].Place = ledger.Place{UIDValidity: appended.UIDValidity, UID: appended.UIDs[i]}
		}
		s.arrived(s.chunk.folder.DestinationName, appended)
		s.count(len(sent.rows), sent.octets)
		return sent.rows, nil
	case errors.Is(err, destination.ErrNoAppendUID):
		s.inDoubt()
		s.count(len(sent.rows), sent.octets)
		return nil, nil
	case errors.As(err, &refusal) && s.pair.destination.Err() == nil:
		s.inDoubt()
		return nil, s.refused(err, sent.rows)
	}
	return nil, onDestination(err)
}

// arrived keeps the mark of a destination folder up to date. A UID that was given away bounds those of all batches
// sent later from below.
func (r *round) arrived(name string, appended destination.Appended) {
	r.mu.Lock()
	defer r.mu.Unlock()
	here := r.here[name]
	if here.UIDValidity != appended.UIDValidity {
		here.Mark = ledger.Mark{UIDValidity: appended.UIDValidity}
	}
	here.UIDNext = max(here.UIDNext, slices.Max(appended.UIDs)+1)
	here.Messages += uint32(len(appended.UIDs))
}

func (r *round) inDoubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubt = true
}

func (r *round) count(messages int, octets int64) {
	r.tell(func(now *Progress) { now.Messages += messages; now.Octets += octets })
}

func (r *round) recordBatch(ctx context.Context, confirmed, intended []ledger.Message) error {
	if len(confirmed)+len(intended) == 0 {
		return nil
	}
	return r.record(ctx, "batch", func(tx *ledger.Tx) error {
		for _, row := range confirmed {
			if err := tx.Confirm(row.Key, row.Place); err != nil {
				return err
			}
		}
		return tx.Intend(intended)
	})
}

// finish ends the stream. After an error nothing new is sent; what was sent still gets its answer if it can.
func (s *stream) finish(ctx context.Context, err error) error {
	if err == nil {
		err = s.send(ctx)
	}
	confirmed, waitErr := s.wait(ctx)
	recordErr := s.recordBatch(ctx, confirmed, nil)
	if s.open != nil {
		s.open.batch.Abort()
	}
	for _, e := range []error{err, waitErr, recordErr} {
		if e != nil {
			return e
		}
	}
	return nil
}
