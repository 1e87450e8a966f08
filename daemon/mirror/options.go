package mirror

import (
	"context"
	"errors"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/source"
)

// Options are everything that a pass needs.
type Options struct {
	Account account.Account
	Lease   ledger.Lease // every write to the ledger carries it
	Ledger  *ledger.Ledger
	Source  source.Options
	// SharedLogin names, for errors, the credential of its domain that opens the account; empty: it has its own.
	SharedLogin string
	Destination destination.Options
	// Fence returns when no session of ours is left at the destination. Nil: Dovecot is asked with plain doveadm about
	// Destination.User and Destination.LocalAddress. Called only while no connection of this pass is open.
	Fence      func(ctx context.Context) error
	Deliveries Deliveries // nil: nothing is delivered here directly
	Policy     Policy
	Rules      Rules // of the folders; their limit takes the place of the policy's
	Orders     Orders
	// KeepDir is where the bytes of messages are kept that the destination refuses; made when needed.
	KeepDir string
	// Newest is how many of the inbox's newest messages come before everything else in the first pass, for an owner who
	// waits for them; 0 for one who doesn't. Refile: when the inbox is complete, these are filed anew behind the others.
	Newest int
	Refile bool
	// Notice writes the letter to the owner; nil: none is written, and none replaced. Welcome: the first one may be put into
	// the inbox; one that is there is brought to its end without it, too. NoticeEvery is the least time between two; 0 means
	// an hour. The last one, when everything is here, waits for nothing.
	Notice      Notice
	Welcome     bool
	NoticeEvery time.Duration
	// Tell is told how far the account is, at the moments at which a notice may be written; nil: nobody is. Never called
	// twice at once.
	Tell func(Standing)
	// Pairs is the number of connections to each side; 0 means 2. Another one is opened for each PairMessages that are
	// new; 0 means 600: for fewer, logging in and opening folders costs more than it brings.
	Pairs        int
	PairMessages int
	// Batch is the most messages of one APPEND; 0 means 100.
	Batch int
	// CompareEvery is how long listings of changes are trusted before both sides are compared in full; 0 means a day.
	CompareEvery time.Duration
	// Progress is called after each step worth telling, from several goroutines but never twice at once. May be nil.
	Progress func(Progress)
	// Step is called before every durable write and every call that changes the destination, with a word for it. An
	// error stops the pass there, as a crash would. Nil in production; for the crash matrix.
	Step func(ctx context.Context, point string) error
	Now  func() time.Time // nil: time.Now
}

const defaultPairs = 2

func (o Options) filled() (Options, error) {
	if o.Ledger == nil || o.KeepDir == "" {
		return o, errors.New("starting a pass: it needs a ledger and a folder for refused messages")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pairs <= 0 {
		o.Pairs = defaultPairs
	}
	if o.PairMessages <= 0 {
		o.PairMessages = pairMessages
	}
	if o.Batch <= 0 {
		o.Batch = batchMessages
	}
	if o.CompareEvery <= 0 {
		o.CompareEvery = 24 * time.Hour
	}
	if o.NoticeEvery <= 0 {
		o.NoticeEvery = defaultNoticeEvery
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Step == nil {
		o.Step = func(context.Context, string) error { return nil }
	}
	if limit := o.Rules.Limit(); limit > 0 {
		o.Policy.MaxMessageOctets = limit
	}
	if o.Fence == nil {
		fence := destination.FenceOptions{User: o.Destination.User, LocalAddress: o.Destination.LocalAddress}
		o.Fence = func(ctx context.Context) error { return destination.Fence(ctx, fence) }
	}
	return o, nil
}

// Progress is what a pass is doing now.
type Progress struct {
	Phase    string // "listing", "comparing", "copying", "settling", …
	Folder   string // at the source, as its owner calls it; empty when it is about all
	Since    time.Time
	Messages int // copied so far in this pass
	Of       int // to be copied, as far as is known
	Octets   int64
	OfOctets int64
}

// Result is what a pass did and how the account stands after it.
type Result struct {
	Folders  []FolderResult
	Total    ledger.Counts
	Source   int   // messages at the source
	New      int   // that this pass saw for the first time
	Appended int   // by this pass
	Changes  int   // that it found, of every kind: with none, both sides were as the pass before had left them
	Octets   int64 // of those
	Held     int   // deletions at the source that the guard held back
	Oddities []string
	Took     time.Duration
}

// FolderResult is one folder's part of a Result.
type FolderResult struct {
	ledger.FolderCounts
	Name string // as its owner calls it
}

// Problems returns the folders that the pass could not finish. Empty: the account is in sync with its source.
func (r Result) Problems() (folders []FolderResult) {
	for _, f := range r.Folders {
		if f.Problem != "" {
			folders = append(folders, f)
		}
	}
	return folders
}
