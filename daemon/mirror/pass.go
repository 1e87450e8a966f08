package mirror

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// Folders that end the source's connection are tried again, on a new one, and then left out, so that one bad folder
// never ends a pass. A source that fails more often than that is down.
const (
	breaksOfFolder = 2
	breaksOfPass   = 6
)

// Pass runs once over an account: settle what is in doubt, list, plan, apply, record. The result is good also beside
// an error. Errors are *Error, except ledger.ErrLeaseLost and the context's. It may be called again at any time, also
// after a crash, but only by the holder of the lease.
func Pass(ctx context.Context, o Options) (Result, error) {
	o, err := o.filled()
	if err != nil {
		return Result{}, err
	}
	began := o.Now()
	p := &pass{Options: o, id: strings.ToLower(rand.Text()[:8]), breaks: map[string]int{}, why: map[string]error{}, broken: map[int64][]brokenChunk{}, guilty: map[ledger.Key]error{}, writer: o.Ledger.Writer(o.Account.ID, o.Lease)}
	if err = p.rounds(ctx); err == nil {
		err = p.dropKept(ctx)
	}
	result, resultErr := p.result(ctx)
	result.Took = o.Now().Sub(began)
	if err != nil && ctx.Err() != nil { // whatever broke, it broke because somebody stopped us
		return result, fmt.Errorf("%w (%v)", context.Cause(ctx), err)
	}
	return result, o.explain(errors.Join(err, resultErr))
}

// pass is what the rounds of one pass share.
type pass struct {
	Options
	writer *ledger.Writer
	id     string // of this pass, in the names of its batches

	counting sync.Mutex // guards what follows, and is held while it is made
	counted  bool
	counts   ledger.Tally
	telling  sync.Mutex // guards progress
	noticing sync.Mutex // held while a notice is written
	toldAt   time.Time  // when Tell was called
	progress Progress
	breaks   map[string]int // source folder → how often it ended the connection
	why      map[string]error
	broken   map[int64][]brokenChunk // during which the connection ended, by folder
	guilty   map[ledger.Key]error    // messages over which it ended, alone
	stepwise bool                    // the source is asked nothing ahead any more
	names    map[int64]string
	fresh    int
	early    int // of those, before everything else
	held     int
	changes  int              // operations that were planned, and messages that came early
	obeyed   bool             // the orders
	retried  []ledger.Message // as they were before
	batches  int
	oddities []string
}

// folderBreak is a connection that ended while a source folder was being read.
type folderBreak struct {
	folder  string
	err     error
	message *ledger.Key // the only one that was asked for
}

func (e *folderBreak) Error() string { return fmt.Sprintf("reading folder %q: %v", e.folder, e.err) }
func (e *folderBreak) Unwrap() error { return e.err }

func (p *pass) rounds(ctx context.Context) error {
	for total := 0; ; total++ {
		r := newRound(p)
		err := r.run(ctx)
		r.close()
		if errors.Is(err, errRenamed) { // each such round has a renamed folder less
			total--
			continue
		}
		var broken *folderBreak
		var throttled *wire.ThrottledError
		if errors.As(err, &throttled) { // trying again at once makes it worse
			return err
		}
		if !errors.As(err, &broken) || ctx.Err() != nil || total >= breaksOfPass {
			return err
		}
		if p.condemn(broken) {
			total--
			continue
		}
		if !p.stepwise { // with questions asked ahead nobody knows for sure which folder it was
			p.stepwise = true
			total--
			continue
		}
		p.breaks[broken.folder]++
		p.why[broken.folder] = broken.err
	}
}

// phase tells what the pass is doing from now on.
func (p *pass) phase(name, folder string) {
	p.tell(func(now *Progress) { now.Phase, now.Folder, now.Since = name, folder, p.Now() })
}

func (p *pass) tell(change func(*Progress)) {
	p.telling.Lock()
	defer p.telling.Unlock()
	change(&p.progress)
	p.Options.Progress(p.progress)
}

// record is the one way to the ledger.
func (p *pass) record(ctx context.Context, point string, work func(*ledger.Tx) error) error {
	if err := p.Step(ctx, "record "+point); err != nil {
		return err
	}
	p.counting.Lock()
	p.counted = false
	p.counting.Unlock()
	return p.writer.Record(ctx, work)
}

// tally counts the rows of the account, again only when some were written since.
func (p *pass) tally(ctx context.Context) (_ ledger.Tally, err error) {
	p.counting.Lock()
	defer p.counting.Unlock()
	if !p.counted {
		p.counts, err = p.Ledger.Tally(ctx, p.Account.ID)
		p.counted = err == nil
	}
	return p.counts, err
}

func (p *pass) result(ctx context.Context) (Result, error) {
	ctx = context.WithoutCancel(ctx) // what was done is told also when somebody stopped the pass
	tally, err := p.tally(ctx)
	if err == nil {
		err = p.Ledger.Keep(ctx, tally)
	}
	result := Result{
		Total: ledger.Total(tally.Folders), New: p.fresh, Changes: p.changes + p.early, Held: p.held, Oddities: p.oddities,
		Appended: p.progress.Messages, Octets: p.progress.Octets,
	}
	for _, c := range tally.Folders {
		name, listed := p.names[c.FolderID]
		if !listed {
			name = wire.DecodeName(c.SourceName)
		}
		result.Folders = append(result.Folders, FolderResult{c, name})
		result.Source += c.SourceMessages
	}
	return result, err
}

// round is one attempt with its own connections.
type round struct {
	*pass
	pairs []*pair

	listing   map[string]wire.Folder // of the source, by raw name
	rows      map[int64]*reading     // of the chosen folders
	rules     map[int64]folderRule
	keywords  map[string]bool     // places that got messages with keywords
	flagsHere map[string][]string // that places told when they were opened after the copying
	limits    map[int64]string    // what they can't keep for good, by source folder
	view      View
	folders   map[int64]*ledger.Folder
	afresh    map[int64]string // new folders' places if those that left held none
	compared  map[int64]bool   // folders whose source was listed in full
	// gatherAnew are folders that gather and are looked at because others changed.
	gatherAnew map[int64]bool
	worked     []int64 // IDs of the view's folders

	mu         sync.Mutex // guards what follows
	here       map[string]*hereMark
	problems   map[int64]string
	suspects   []suspect
	doubt      bool // a sent batch has no certain answer
	lost       bool // and for one of them no answer will ever come
	stopped    error
	transients int
	remarks    []string
}

func newRound(p *pass) *round {
	r := &round{
		pass: p, folders: map[int64]*ledger.Folder{}, compared: map[int64]bool{}, gatherAnew: map[int64]bool{},
		here: map[string]*hereMark{}, problems: map[int64]string{}, rules: map[int64]folderRule{}, keywords: map[string]bool{}, limits: map[int64]string{}, flagsHere: map[string][]string{}, listing: map[string]wire.Folder{},
	}
	for range p.Pairs {
		r.pairs = append(r.pairs, &pair{o: p.Options, ahead: map[int]int64{}})
	}
	return r
}

func (r *round) close() {
	for _, pr := range r.pairs {
		r.oddities = append(r.oddities, pr.close()...)
	}
	r.oddities = append(r.oddities, r.remarks...)
}

func (r *round) run(ctx context.Context) error {
	if err := r.fence(ctx); err != nil {
		return err
	}
	if err := r.obey(ctx); err != nil {
		return err
	}
	if err := r.survey(ctx); err != nil {
		return err
	}
	if len(r.worked) == 0 {
		return r.notify(ctx, r.pairs[0], atEnd)
	}
	return r.apply(ctx, Plan(r.view))
}

// fence settles what an earlier pass left in doubt, once its sessions are gone: Dovecot still executes what a dead
// client sent (L2).
func (r *round) fence(ctx context.Context) error {
	rows, err := r.Ledger.Intended(ctx, r.Account.ID)
	if err != nil {
		return err
	}
	refiling, err := r.Ledger.Refiling(ctx, r.Account.ID)
	if err != nil {
		return err
	}
	folders, err := r.Ledger.Folders(ctx, r.Account.ID)
	folders = slices.DeleteFunc(folders, func(f ledger.Folder) bool { return f.RenamedFrom == "" })
	if err != nil {
		return err
	}
	n, err := r.Ledger.Notice(ctx, r.Account.ID)
	if err != nil || len(rows)+len(refiling)+len(folders) == 0 && n.IntentUIDNext == 0 {
		return err
	}
	r.phase("fencing", "")
	if err := r.Fence(ctx); err != nil {
		return onDestination(err)
	}
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return err
	}
	if err := r.settleNotice(ctx, conn); err != nil { // so that nobody takes it for a message that has vanished
		return err
	}
	if err := r.settleNames(ctx, folders); err != nil { // where a folder is, before what came there
		return err
	}
	if err := r.settleRefiling(ctx); err != nil {
		return err
	}
	return r.settle(ctx)
}

// connect opens the first connection to each side at the same time, and counts rows meanwhile.
func (r *round) connect(ctx context.Context) error {
	r.phase("connecting", "")
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { _, err := r.pairs[0].from(groupCtx); return err })
	group.Go(func() error { _, err := r.pairs[0].to(groupCtx); return err })
	group.Go(func() error { _, err := r.tally(groupCtx); return err })
	return group.Wait()
}

// stop makes every worker end after its present batch. It returns the first reason, nil when nobody stopped.
func (r *round) stop(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == nil {
		r.stopped = err
	}
	return r.stopped
}

// problem notes why a folder can't be finished in this pass. The other folders go on.
func (r *round) problem(folderID int64, format string, values ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problems[folderID] == "" {
		r.problems[folderID] = fmt.Sprintf(format, values...)
	}
}

// remark is for people: nothing failed, but somebody should know.
func (r *round) remark(format string, values ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remarks = append(r.remarks, "source: "+fmt.Sprintf(format, values...))
}

// folderError decides how far an error at a source folder reaches: a refusal stays with the folder, a broken
// connection is tried again without it.
func (r *round) folderError(ctx context.Context, pr *pair, f *ledger.Folder, err error) error {
	var where *sideError
	if !errors.As(err, &where) || where.side != atSource || pr.source == nil || ctx.Err() != nil {
		return err
	}
	if pr.source.Err() != nil {
		return onSource(&folderBreak{folder: f.SourceName, err: err})
	}
	if wire.Refused(err) != nil {
		r.problem(f.ID, "the source refuses it: %v", err)
		return nil
	}
	return err
}
