package daemon

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/config"
	"mailstork/daemon/mirror"
	"mailstork/daemon/notice"
	"mailstork/daemon/schedule"
)

// The seams of first_login: notice. An account whose first pass is not complete answers its owner's logins with a folder
// that holds a notice alone: provision leads there, package notice keeps the folder, the mirror tells how far it is, and
// a pass opens the account.

// notices are the letters that owners read while they wait.
type notices struct {
	notice.Folders
	every time.Duration // the least time between two of one owner

	mu    sync.Mutex
	told  map[account.Address]told
	ended map[string]time.Time // paths of folders that nobody shall see any more, and when they go
}

// told is what an owner was told last, by this process, and where its first count stood.
type told struct {
	at     time.Time
	copied int
	first  mirror.Standing
}

func newNotices(c config.Config) *notices {
	return &notices{Folders: notice.Folders{Dir: filepath.Join(c.RuntimeDir, "notice")}, every: c.Mirror.NoticeInterval.Duration(), told: map[account.Address]told{}, ended: map[string]time.Time{}}
}

// Ready implements provision.Notices. What stands there is as good as what could be said without a pass.
func (n *notices) Ready(d account.Domain, a account.Account) error {
	if n.Has(a) {
		return nil
	}
	return n.put(d, a, notice.Facts{}, time.Now())
}

func (n *notices) put(d account.Domain, a account.Account, facts notice.Facts, at time.Time) error {
	return n.Put(a, notice.Letter{To: a.Address, Sender: d.NoticeSender(), Language: d.LanguageOf(a), Kind: notice.Waiting, At: at, Facts: facts})
}

// due notes a standing, and returns what to write if its owner should read it now: the first count at once, then what has
// changed when the time has come.
func (n *notices) due(a account.Account, s mirror.Standing) (facts notice.Facts, due bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last, known := n.told[a.Address]
	if known && (s.Copied == last.copied || s.At.Sub(last.at) < n.every) {
		return notice.Facts{}, false
	}
	if !known {
		last.first = s
	}
	last.at, last.copied = s.At, s.Copied
	n.told[a.Address] = last
	return notice.Facts{Copied: s.Copied, Messages: s.Messages, LeftOut: s.LeftOut, Folders: s.Folders, FoldersLeft: s.FoldersLeft, Expected: expected(last.first, s)}, true
}

// leastMeasured is how long a copy must have gone on before its pace says anything.
const leastMeasured = 10 * time.Minute

// expected is when everything will have come, at the pace since the first count.
func expected(first, now mirror.Standing) time.Time {
	took, came := now.At.Sub(first.At), now.Copied-first.Copied
	if took < leastMeasured || came <= 0 || now.Messages < now.Copied {
		return time.Time{}
	}
	left := time.Duration(float64(took) * float64(now.Messages-now.Copied) / float64(came))
	return now.At.Add(left).Round(time.Hour).Add(time.Hour)
}

func (n *notices) forget(address account.Address) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.told, address)
}

// tellWaiting is what a pass calls with how far it is; nil when nobody waits. What can't be written holds up no mail.
func (d *Daemon) tellWaiting(domain account.Domain, a account.Account) func(mirror.Standing) {
	if a.Route != account.RouteNotice {
		return nil
	}
	return func(s mirror.Standing) {
		facts, due := d.notices.due(a, s)
		if !due || s.Complete {
			return
		}
		if err := d.notices.put(domain, a, facts, s.At); err != nil {
			d.report(err)
		}
	}
}

// mostCatchUps bounds the passes that follow the first one before the account is opened.
const mostCatchUps = 5

// catchUp copies what its owner did at the source during a pass: after the switch a removal there is not followed any more.
func (d *Daemon) catchUp(ctx context.Context, a *account.Account, options mirror.Options, result mirror.Result) error {
	for n := 0; n < mostCatchUps && result.Changes > 0; n++ {
		began := time.Now()
		options.Account = *a
		var err error
		if result, err = d.mirrorPass(ctx, a.Domain, options); err == nil {
			err = d.complete(ctx, a, result, began)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open opens an account to its owner, when there is a why. Only between passes: it is the switch, and a pass has one truth.
func (d *Daemon) open(ctx context.Context, lease schedule.Lease, a *account.Account, why string) error {
	if a.Route != account.RouteNotice || why == "" {
		return nil
	}
	if err := (&hands{Daemon: d, a: a, lease: lease, why: why}).Move(ctx, account.RouteHere, nil); err != nil {
		return err
	}
	if err := d.endNotice(context.WithoutCancel(ctx), *a); err != nil { // it is open, and its owner logs in through the hook
		d.filesBehind.Store(true)
		d.report(err)
	}
	return nil
}

// endNotice takes the notice away, once every login leads to the account: that ends the sessions that show it.
func (d *Daemon) endNotice(ctx context.Context, a account.Account) error {
	if err := d.provisioner.Publish(ctx); err != nil {
		return err
	}
	d.notices.forget(a.Address)
	return d.notices.end(d.notices.Path(a), time.Now())
}

// endedFor is how long a folder is there whose sessions have to end: every Dovecot looks at it within half a minute.
const endedFor = 40 * time.Second

func (n *notices) end(path string, now time.Time) error {
	n.mu.Lock()
	if n.ended[path].IsZero() {
		n.ended[path] = now.Add(endedFor)
	}
	n.mu.Unlock()
	return n.End(path)
}

// removeEnded removes the folders whose time has come.
func (n *notices) removeEnded(now time.Time) (err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for path, at := range n.ended {
		if now.After(at) {
			delete(n.ended, path)
			err = errors.Join(err, n.Remove(path))
		}
	}
	return err
}

// clearNotices ends what nobody waits for, once no login leads there any more: what a dead daemon left behind, and the folder
// of an owner whose password, and with it the folder's name, has changed.
func (d *Daemon) clearNotices(ctx context.Context) error {
	paths, err := d.notices.All()
	if err != nil {
		return err
	}
	accounts, err := d.store.Accounts(ctx, "") // asked second: a folder comes after its route
	if err != nil {
		return err
	}
	waiting := map[string]bool{}
	for _, a := range accounts {
		if a.Route == account.RouteNotice {
			waiting[d.notices.Path(a)] = true
		}
	}
	paths = slices.DeleteFunc(paths, func(path string) bool { return waiting[path] })
	if len(paths) > 0 {
		err = d.provisioner.Publish(ctx)
	}
	if err != nil {
		return err
	}
	for _, path := range paths {
		err = errors.Join(err, d.notices.end(path, time.Now()))
	}
	return err
}

var errOpening = errors.New("its owner need not wait any more")

// openAll ends the passes of a domain's accounts that can be opened now, so that their next ones begin with it.
func (d *Daemon) openAll(ctx context.Context, domain account.Domain) error {
	accounts, err := d.store.Accounts(ctx, domain.Name)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Route == account.RouteNotice && account.WhyOpen(domain) != "" {
			err = errors.Join(err, d.store.DuePass(ctx, a.Address, priorityAsked))
			d.progress.cancel(a.Address, errOpening)
		}
	}
	d.workers.Wake()
	return err
}
