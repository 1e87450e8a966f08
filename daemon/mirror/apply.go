package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// rowsPerCommit bounds one transaction of notes.
const rowsPerCommit = 1000

// apply does what was planned, in the order of the plan. It decides nothing but whether a message may still be
// touched at the moment when it is touched (L4).
func (r *round) apply(ctx context.Context, operations []Operation) error {
	w := sortOut(operations)
	for _, hold := range w.holds {
		if hold.Here {
			return r.replacedError(hold)
		}
		r.held += hold.Messages
		r.problem(hold.FolderID, "%d of %d messages vanished at the source at once, which looks like an accident: none is removed here until an operator confirms it", hold.Messages, hold.Of)
	}
	r.expect(w)
	if err := r.note(ctx, w); err != nil {
		return err
	}
	if err := r.createFolders(ctx, w.appends); err != nil {
		return err
	}
	if err := r.storeFlags(ctx, w.stores); err != nil {
		return err
	}
	if err := r.copy(ctx, w.appends); err != nil {
		return err
	}
	if len(r.problems) == 0 || len(w.appends) == 0 { // what was moved is in its new place before the old copy goes
		if err := r.expunge(ctx, w.expunges); err != nil {
			return err
		}
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
		Hint:     "doveadm mailbox status -u " + string(r.Account.Address) + " all '*'",
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
	r.fresh = max(r.fresh, messages+len(w.adopts)+skipped) // a second round sees fewer of the same
	r.tell(func(now *Progress) { now.Of, now.OfOctets = now.Messages+messages, now.Octets+octets })
}

// note writes down what needs no change here.
func (r *round) note(ctx context.Context, w work) error {
	operations := w.notes
	adopted, err := r.adoptedRows(ctx, w.adopts)
	if err != nil {
		return err
	}
	for len(operations)+len(adopted) > 0 {
		now := operations[:min(len(operations), rowsPerCommit)]
		rows := adopted[:min(len(adopted), rowsPerCommit)]
		operations, adopted = operations[len(now):], adopted[len(rows):]
		err := r.record(ctx, "notes", func(tx *ledger.Tx) error {
			for _, o := range now {
				if err := noteOne(tx, o); err != nil {
					return err
				}
			}
			return r.addAdopted(ctx, tx, rows)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func noteOne(tx *ledger.Tx, o Operation) error {
	switch o := o.(type) {
	case Rename:
		return tx.Rename(o.From, o.To, o.PlaceFolder)
	case Relink:
		return tx.SetPlace(o.Key, o.Place)
	case SetDeleted:
		return tx.SetFate(o.Key, ledger.Deleted, reasonHere)
	case SetGone:
		return tx.SetGone(o.Key, true)
	case SetBack:
		if o.Again {
			return tx.Reopen(o.Key)
		}
		return tx.SetGone(o.Key, false)
	case Skip:
		return tx.Add(ledger.Message{Key: o.Key, Fate: ledger.Skipped, Reason: o.Reason, Fingerprint: o.Message.Fingerprint,
			Size: o.Message.Size, Date: o.Message.Date, Flags: o.Message.Flags})
	}
	return fmt.Errorf("%w: a plan with an operation %T that nobody does", ledger.ErrBroken, o)
}

// adoptedRow is a row for a message that is here already, and the delivery that it was.
type adoptedRow struct {
	row      ledger.Message
	delivery int64
}

// adoptedRows reads back the digests of adopted copies (L1). One that its owner removed meanwhile is deleted (L3).
func (r *round) adoptedRows(ctx context.Context, adopts []Adopt) (rows []adoptedRow, err error) {
	sums := map[string]map[uint32]digest{}
	for _, name := range slices.Sorted(mapKeys(unreadCopies(adopts))) {
		uids := unreadCopies(adopts)[name]
		slices.Sort(uids)
		conn := r.pairs[0].destination
		if _, err := conn.Examine(ctx, name); err != nil {
			return nil, onDestination(err)
		}
		sums[name] = map[uint32]digest{}
		_, err := conn.Digests(ctx, uids, func(uid uint32, _ int64, sum digest) error { sums[name][uid] = sum; return nil })
		if err != nil {
			return nil, onDestination(err)
		}
	}
	for _, a := range adopts {
		row := ledger.Message{Key: a.Key, Fate: a.Fate, Place: a.Place, Digest: a.Message.Digest, Fingerprint: a.Message.Fingerprint,
			Size: a.Message.Size, Date: a.Message.Date, Flags: a.Message.Flags}
		if a.Fate == ledger.Copied && !a.Message.BodyRead {
			sum, read := sums[a.DestinationName][a.Place.UID]
			if row.Digest = sum; !read {
				row.Fate, row.Reason = ledger.Deleted, reasonHere
			}
		}
		rows = append(rows, adoptedRow{row, a.Delivery})
	}
	return rows, nil
}

func unreadCopies(adopts []Adopt) map[string][]uint32 {
	uids := map[string][]uint32{}
	for _, a := range adopts {
		if a.Fate == ledger.Copied && !a.Message.BodyRead {
			uids[a.DestinationName] = append(uids[a.DestinationName], a.Place.UID)
		}
	}
	return uids
}

func (r *round) addAdopted(ctx context.Context, tx *ledger.Tx, rows []adoptedRow) error {
	for _, a := range rows {
		if err := tx.Add(a.row); err != nil {
			return err
		}
		if a.delivery == 0 {
			continue
		}
		if err := r.Deliveries.Claim(ctx, tx.SQL(), a.delivery, a.row.FolderID, a.row.UIDValidity, a.row.UID); err != nil {
			return fmt.Errorf("claiming the delivery of %s: %w", a.row.Key, err)
		}
	}
	return nil
}

// createFolders makes the places of folders that were never finished, and of those that get messages. A place that
// its owner removed stays removed until something new comes for it. Subscriptions are copied once, with the folder.
func (r *round) createFolders(ctx context.Context, appends []Append) error {
	conn := r.pairs[0].destination
	wanted := map[int64]bool{}
	for _, a := range appends {
		wanted[a.FolderID] = true
	}
	created := false
	for i := range r.view.Folders {
		f := &r.view.Folders[i].Folder
		line, listed := r.listing[f.SourceName]
		first := f.ComparedAt.IsZero() && listed && line.Selectable
		here := r.here[f.DestinationName]
		if (first || wanted[f.ID]) && (here == nil || !here.exists) {
			if err := conn.Create(ctx, f.DestinationName); err != nil {
				if err := r.refusedHere(conn, f, "it can't be made here", err); err != nil {
					return err
				}
				continue
			}
			created = true
		}
		if first && line.Subscribed {
			if err := conn.Subscribe(ctx, f.DestinationName); err != nil {
				if err := r.refusedHere(conn, f, "it can't be subscribed to here", err); err != nil {
					return err
				}
			}
		}
	}
	if !created {
		return nil
	}
	here, err := conn.Folders(ctx)
	r.learnHere(here)
	return onDestination(err)
}

// refusedHere keeps a refusal within its folder; anything else ends the pass.
func (r *round) refusedHere(conn destinationConn, f *ledger.Folder, what string, err error) error {
	if wire.Refused(err) == nil || conn.Err() != nil || statusCode(err) == "OVERQUOTA" {
		return onDestination(err)
	}
	r.problem(f.ID, "%s: %v", what, err)
	return nil
}

// storeFlags applies the source's changes, many messages at a time.
func (r *round) storeFlags(ctx context.Context, stores []StoreFlags) error {
	if len(stores) == 0 {
		return nil
	}
	r.phase("flags", "")
	groups := map[string][]StoreFlags{}
	for _, s := range stores {
		key := strings.Join([]string{s.DestinationName, ledger.JoinFlags(s.Add), ledger.JoinFlags(s.Remove)}, "\x00")
		groups[key] = append(groups[key], s)
	}
	conn := r.pairs[0].destination
	selected := wire.Selected{}
	for _, key := range slices.Sorted(mapKeys(groups)) {
		group := groups[key]
		var err error
		if name := group[0].DestinationName; selected.Raw != name {
			if selected, err = conn.Select(ctx, name); err != nil {
				return onDestination(err)
			}
		}
		if err := r.storeGroup(ctx, conn, selected, group); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) storeGroup(ctx context.Context, conn destinationConn, selected wire.Selected, group []StoreFlags) error {
	var uids []uint32
	for _, s := range group {
		if s.UIDValidity != selected.UIDValidity {
			return nil // renumbered since it was listed: the next pass knows the new UIDs
		}
		uids = append(uids, s.UID)
	}
	slices.Sort(uids)
	if _, err := conn.StoreFlags(ctx, uids, destination.AddFlags, group[0].Add); err != nil {
		return onDestination(err)
	}
	if _, err := conn.StoreFlags(ctx, uids, destination.RemoveFlags, group[0].Remove); err != nil {
		return onDestination(err)
	}
	return r.record(ctx, "flags", func(tx *ledger.Tx) error {
		for _, s := range group {
			if err := tx.SetFlags(s.Key, s.Flags); err != nil {
				return err
			}
		}
		return nil
	})
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

// allAnswered tells whether every connection still lives, so that no command of ours can take effect any more.
func (r *round) allAnswered() bool {
	return !slices.ContainsFunc(r.pairs, func(pr *pair) bool { return pr.destination != nil && pr.destination.Err() != nil })
}

// expunge removes our copies of what left the source, unless somebody changed them since (L4).
func (r *round) expunge(ctx context.Context, expunges []Expunge) error {
	if len(expunges) == 0 {
		return nil
	}
	r.phase("removing", "")
	groups := map[string][]Expunge{}
	for _, e := range expunges {
		groups[e.DestinationName] = append(groups[e.DestinationName], e)
	}
	for _, name := range slices.Sorted(mapKeys(groups)) {
		if err := r.expungeGroup(ctx, name, groups[name]); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) expungeGroup(ctx context.Context, name string, group []Expunge) error {
	conn := r.pairs[0].destination
	selected, err := conn.Select(ctx, name)
	if err != nil {
		return onDestination(err)
	}
	slices.SortFunc(group, func(a, b Expunge) int { return int(a.UID) - int(b.UID) })
	flags := map[uint32]string{}
	err = conn.List(ctx, wire.UIDRange{From: group[0].UID, To: group[len(group)-1].UID}, func(e wire.Entry) error {
		if e.HasFlags {
			flags[e.UID] = keepFlags(e.Flags)
		}
		return nil
	})
	if err != nil {
		return onDestination(err)
	}
	group = slices.DeleteFunc(group, func(e Expunge) bool {
		now, untouched := flags[e.UID]
		return e.UIDValidity != selected.UIDValidity || !untouched || !strings.EqualFold(now, e.Flags)
	})
	uids := make([]uint32, len(group))
	for i, e := range group {
		uids[i] = e.UID
	}
	if err := conn.Expunge(ctx, uids); err != nil {
		return onDestination(err)
	}
	r.here[name].Messages -= uint32(len(uids))
	return r.record(ctx, "expunged", func(tx *ledger.Tx) error {
		for _, e := range group {
			if err := tx.SetFate(e.Key, ledger.Deleted, reasonSource); err != nil {
				return err
			}
		}
		return nil
	})
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
	if here := r.here[f.DestinationName]; here != nil && here.exists {
		f.Destination = here.Mark
	} else {
		f.Destination = ledger.Mark{}
	}
}
