package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"mailstork/daemon/ledger"
)

// apply does what was planned, in the order of the plan. It decides nothing but whether a message may still be
// touched at the moment when it is touched (L4).
func (r *round) apply(ctx context.Context, operations []Operation) error {
	w := sortOut(operations)
	r.changes += len(operations)
	if len(w.renames) > 0 {
		return r.renameFolders(ctx, w.renames)
	}
	for _, hold := range w.holds {
		if hold.Here {
			return r.replacedError(hold)
		}
		if hold.Blind {
			r.problem(hold.FolderID, "%d messages left it at the source: none is removed here before the folder of all mail can be looked at, where they may be archived", hold.Messages)
			continue
		}
		r.held += hold.Messages
		r.problem(hold.FolderID, "%d of %d messages vanished at the source at once, which looks like an accident: none is removed here until an operator confirms it", hold.Messages, hold.Of)
	}
	r.expect(w)
	if err := r.note(ctx, w); err != nil {
		return err
	}
	if r.afresh != nil {
		if err := r.makeFirst(ctx); err != nil {
			return err
		}
	}
	if err := r.makeWanted(ctx, w.appends); err != nil {
		return err
	}
	if err := r.checkRoom(ctx, w.appends); err != nil {
		if full := (*Error)(nil); errors.As(err, &full) { // flags need no room
			err = cmp.Or(r.change(ctx, w.stores, nil), err)
		}
		return err
	}
	if err := r.copy(ctx, w.appends); err != nil {
		return err
	}
	if len(r.problems) > 0 && len(w.appends) > 0 { // what was moved is in its new place before the old copy goes
		r.postpone(w.expunges)
		w.expunges = nil
	}
	if err := r.change(ctx, w.stores, w.expunges); err != nil {
		return err
	}
	if err := r.refile(ctx); err != nil {
		return err
	}
	if err := r.notify(ctx, r.pairs[0], atEnd); err != nil {
		return err
	}
	if err := r.checkLimits(ctx); err != nil {
		return err
	}
	return r.finish(ctx)
}

// work is a plan by kind of operation.
type work struct {
	notes    []Operation
	adopts   []Adopt
	stores   []StoreFlags
	appends  []Append
	expunges []Expunge
	holds    []Hold
	renames  []RenameFolder
}

func sortOut(operations []Operation) (w work) {
	for _, o := range operations {
		switch o := o.(type) {
		case Adopt:
			w.adopts = append(w.adopts, o)
		case StoreFlags:
			w.stores = append(w.stores, o)
		case Append:
			w.appends = append(w.appends, o)
		case Expunge:
			w.expunges = append(w.expunges, o)
		case RenameFolder:
			w.renames = append(w.renames, o)
		case Hold:
			w.holds = append(w.holds, o)
		default:
			w.notes = append(w.notes, o)
		}
	}
	return w
}

func (r *round) replacedError(hold Hold) error {
	return &Error{
		Next: OperatorMustAct, Reach: ReachAccount,
		Sentence: fmt.Sprintf("The inbox of %s here is not the one that was filled before: none of %d messages is there.", r.Account.Address, hold.Messages),
		Hint:     "doveadm mailbox status -u " + string(r.Account.Address) + " all '*'   # if its owner emptied it: mailstork account approve " + string(r.Account.Address),
		Err:      fmt.Errorf("comparing the destination of %s: replaced", r.Account.Address),
	}
}

// expect tells how much there is to do.
func (r *round) expect(w work) {
	messages, octets := 0, int64(0)
	for _, a := range w.appends {
		messages += len(a.Messages)
		for _, m := range a.Messages {
			octets += m.Size
		}
	}
	skipped := 0
	for _, o := range w.notes {
		if _, ok := o.(Skip); ok {
			skipped++
		}
	}
	r.fresh = max(r.fresh, r.early+messages+len(w.adopts)+skipped) // a second round sees fewer of the same
	r.tell(func(now *Progress) { now.Of, now.OfOctets = now.Messages+messages, now.Octets+octets })
}

// copy brings what is new. What was left in doubt by an answer, not by a lost connection, is settled at once; what
// was refused in a batch is tried alone.
func (r *round) copy(ctx context.Context, appends []Append) error {
	err := r.copyAll(ctx, appends)
	if r.doubt && ctx.Err() == nil && r.allAnswered() {
		if settleErr := r.settle(ctx); err == nil {
			err = settleErr
		}
	}
	if err != nil {
		return err
	}
	return r.trySuspects(ctx)
}

// allAnswered tells whether every command of ours was answered, so that none can take effect any more.
func (r *round) allAnswered() bool {
	r.mu.Lock()
	lost := r.lost
	r.mu.Unlock()
	return !lost && !slices.ContainsFunc(r.pairs, func(pr *pair) bool { return pr.destination != nil && pr.destination.Err() != nil && !pr.aborted })
}

// finish saves the marks of the folders that were done, and the problems of those that were not.
func (r *round) finish(ctx context.Context) error {
	var changed []*ledger.Folder
	for _, id := range r.worked {
		f := *r.folders[id]
		f.Problem = r.problems[id]
		if f.Problem == "" {
			r.advance(&f)
		}
		if limits, checked := r.limits[id]; checked {
			f.Limits = limits
		}
		if f != *r.folders[id] {
			changed = append(changed, &f)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return r.record(ctx, "marks", func(tx *ledger.Tx) error {
		for _, f := range changed {
			if err := tx.SaveFolder(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// advance moves a folder's marks to where this pass has looked. Source states are those told before listing: what
// changed since is seen again. The number of messages is what was listed, so that a difference is looked at again too.
func (r *round) advance(f *ledger.Folder) {
	view := r.viewOf(f.ID)
	line, listed := r.listing[f.SourceName]
	switch {
	case !listed || !line.Selectable:
		f.Source, f.ComparedAt = ledger.Mark{}, r.Now()
	case view.Listed && line.Status.UIDValidity == view.UIDValidity:
		f.Source = ledger.Mark{UIDValidity: view.UIDValidity, UIDNext: line.Status.UIDNext, ModSeq: line.Status.HighestModSeq, Messages: uint32(len(view.UIDs))}
	case view.Listed:
		f.Source = ledger.Mark{UIDValidity: view.UIDValidity}
	}
	if r.compared[f.ID] {
		f.ComparedAt = r.Now()
	}
	f.SkipRule, f.LimitOctets, f.Gathers = r.rules[f.ID].skip, r.Policy.MaxMessageOctets, r.rules[f.ID].gathers > 0
	here := r.here[f.DestinationName]
	f.Ours = here != nil && here.exists && here.allOurs()
	switch {
	case here == nil || !here.exists:
		f.Destination = ledger.Mark{}
	case here.doubtful: // a removal by its owner could make a wrong number right: the next pass looks
		f.Destination = ledger.Mark{UIDValidity: here.UIDValidity}
	default:
		f.Destination = here.Mark
	}
}
