package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// A chunk is what one pair copies at a time; chunks spread a large folder over the connections. Each costs an EXAMINE,
// for which Dovecot reads the folder's whole list of files: half of the source's CPU went there when all chunks were
// small. So they are large as long as much is left, and small at the end, where one pair may have to wait for another.
// A batch is one APPEND.
const (
	chunkMessages = 500 // the smallest that is cut
	chunkMost     = 5000
	chunkOctets   = 16 << 20
	batchMessages = 100
	batchMost     = 2000
	batchShare    = 25 // of the messages that are here; see batchSize
	batchOctets   = 8 << 20
	aheadOctets   = 4 << 20 // asked for before it is taken; at least one chunk
	pairMessages  = 600     // see Options.PairMessages
	pairOctets    = 4 << 20 // another pair of connections is opened for so much
	pairChanges   = 1500    // and to change so many
)

// transientBatches is how many batches may be refused for now before the pass gives up until later.
const transientBatches = 3

type chunk struct {
	folder   *ledger.Folder
	validity uint32
	messages []SourceMessage
	alone    bool // one message, because the connection ended over it or one near it
}

// suspect is a message of a batch that the destination refused: it is tried alone.
type suspect struct {
	folder  *ledger.Folder
	message SourceMessage
	key     ledger.Key
}

// cut divides what is to be appended to one folder; left is how many messages there are from its first one on.
func (r *round) cut(f *ledger.Folder, validity uint32, messages []SourceMessage, left int) (chunks []chunk) {
	from, octets := 0, int64(0)
	most := func() int { return min(max((left-from)/(2*len(r.pairs)), chunkMessages), chunkMost) }
	for i, m := range messages {
		if i > from && (i-from >= most() || octets+m.Size > chunkOctets) {
			chunks = append(chunks, chunk{folder: f, validity: validity, messages: messages[from:i]}.parts()...)
			from, octets = i, 0
		}
		octets += m.Size
	}
	if from < len(messages) {
		chunks = append(chunks, chunk{folder: f, validity: validity, messages: messages[from:]}.parts()...)
	}
	return chunks
}

// parts are the chunk itself; or, of the inbox, one for each FETCH that it takes: Dovecot 2.3 mixes the answers of
// several when they are read slowly, and the inbox shall have the order that it has at the source.
func (c chunk) parts() (parts []chunk) {
	if c.folder.DestinationName != inbox {
		return []chunk{c}
	}
	rest := c.messages
	for _, set := range wire.Windows(uidsOf(rest)) {
		n := int(set.Len())
		parts = append(parts, chunk{folder: c.folder, validity: c.validity, messages: rest[:n]})
		rest = rest[n:]
	}
	return parts
}

// copyAll streams new messages over all pairs; those of the inbox over one, in their order.
func (r *round) copyAll(ctx context.Context, appends []Append) error {
	var chunks []chunk
	left := 0
	for _, a := range appends {
		left += len(a.Messages)
	}
	for _, a := range appends {
		f, validity := r.folders[a.FolderID], r.viewOf(a.FolderID).UIDValidity
		alone, rest := r.oneByOne(a, validity)
		chunks = slices.Concat(chunks, alone, r.cut(f, validity, rest, left-len(a.Messages)+len(rest)))
		left -= len(a.Messages)
	}
	ordered := func(i int) bool { return chunks[i].folder.DestinationName == inbox }
	queue := newQueue(len(chunks), ordered)
	queue.source, queue.end = true, func(pr *pair) error { return pr.finish(ctx) }
	err := r.spread(ctx, queue, r.hands(chunks), func(pr *pair, i int, more claim) error {
		c := chunks[i]
		_, asked := pr.ahead[i]
		delete(pr.ahead, i)
		if !asked {
			var err error
			if asked, err = r.askForChunk(ctx, pr, c); err != nil {
				return r.blame(c, r.folderError(ctx, pr, c.folder, err))
			}
		}
		if asked { // behind an EXAMINE of its own
			pr.examined = ""
		}
		if r.hasProblem(c.folder.ID) {
			return nil
		}
		if err := r.notify(ctx, pr, between); err != nil {
			return err
		}
		r.phase("copying", r.names[c.folder.ID])
		next := func() (wire.Visit, bool) {
			if r.stepwise || pr.waiting() > aheadOctets {
				return wire.Visit{}, false
			}
			j, ok := more()
			if !ok {
				return wire.Visit{}, false
			}
			pr.ahead[j] = chunks[j].octets()
			return chunks[j].visit(), true
		}
		return r.blame(c, r.folderError(ctx, pr, c.folder, r.copyChunk(ctx, pr, c, next)))
	})
	r.tellGuilty()
	return err
}

// askForChunk sends the EXAMINE and the FETCH of a chunk in one flight, unless its folder is open.
func (r *round) askForChunk(ctx context.Context, pr *pair, c chunk) (asked bool, err error) {
	if r.stepwise || pr.examined == c.folder.SourceName || r.hasProblem(c.folder.ID) {
		return false, nil
	}
	conn, err := pr.from(ctx)
	if err != nil {
		return false, err
	}
	err = conn.Ahead(ctx, func() (wire.Visit, bool) {
		asked = !asked
		return c.visit(), asked
	})
	return true, onSource(err)
}

func (c chunk) visit() wire.Visit {
	return wire.Visit{Raw: c.folder.SourceName, Fetch: uidsOf(c.messages)}
}

func (c chunk) octets() (n int64) {
	for _, m := range c.messages {
		n += m.Size
	}
	return n
}

// hands is how many pairs are worth their connections: a few messages come sooner over the one that is there.
func (r *round) hands(chunks []chunk) int {
	messages, octets := 0, int64(0)
	for _, c := range chunks {
		messages, octets = messages+len(c.messages), octets+c.octets()
	}
	return 1 + max(messages/r.PairMessages, int(octets/pairOctets))
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

func (r *round) copyChunk(ctx context.Context, pr *pair, c chunk, next wire.Foresight) error {
	if err := r.open(ctx, pr, c); err != nil {
		return err
	}
	w := pr.stream
	if w == nil {
		w = &stream{round: r, pair: pr}
		pr.stream = w
	}
	if pr.destination != nil && pr.destination.Err() != nil { // a new connection would hide that an answer was lost
		if err := pr.finish(ctx); err != nil {
			return err
		}
	}
	w.chunk = c
	if _, err := pr.to(ctx); err != nil {
		return err
	}
	uids := uidsOf(c.messages)
	var taken error
	missing, err := pr.source.FetchAhead(ctx, uids, next, func(m wire.Message) error {
		taken = w.take(ctx, m)
		return taken
	})
	if taken == nil { // what take returns says itself where it comes from
		err = onSource(err)
	}
	err = w.end(ctx, err)
	if errors.Is(err, errStopped) || errors.Is(err, errLeft) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.vanished(ctx, pr, c.folder, missing)
}

// vanished notes messages that were listed and did not come. Those that were deleted at the source meanwhile need no
// row; the others leave the folder unfinished.
func (r *round) vanished(ctx context.Context, pr *pair, f *ledger.Folder, uids []uint32) error {
	if err := r.missed(ctx, pr, &FolderView{Folder: *f}, uids); err != nil {
		return onSource(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	view := r.viewOf(f.ID)
	view.UIDs = slices.DeleteFunc(view.UIDs, func(uid uint32) bool { return slices.Contains(uids, uid) })
	return nil
}

// open makes the chunk's folder the one that is open at the source, under the UIDVALIDITY of the plan.
func (r *round) open(ctx context.Context, pr *pair, c chunk) error {
	if _, err := pr.from(ctx); err != nil {
		return err
	}
	if pr.examined != c.folder.SourceName {
		if _, err := pr.examine(ctx, c.folder.SourceName); err != nil {
			return onSource(err)
		}
	}
	if pr.validity != c.validity {
		return onSource(&folderBreak{folder: c.folder.SourceName, err: fmt.Errorf("its UIDVALIDITY changed from %d to %d during the pass", c.validity, pr.validity)})
	}
	return nil
}

// intend fills in where to look for the messages of a batch.
func (r *round) intend(name string, rows []ledger.Message) {
	for _, row := range rows {
		r.keyworded(name, ledger.SplitFlags(row.Flags))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches++
	here := r.here[name]
	intent := ledger.Intent{Batch: fmt.Sprintf("%s.%d", r.id, r.batches), UIDNext: max(here.UIDNext, 1)}
	for i := range rows {
		rows[i].Intent, rows[i].Place = intent, ledger.Place{UIDValidity: here.UIDValidity}
	}
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
