package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// survey finds out which folders need work, lists those on both sides and reads what the planner needs.
func (r *round) survey(ctx context.Context) error {
	there, here, err := r.list(ctx)
	if err != nil {
		return err
	}
	if err := r.mapFolders(ctx, there, here); err != nil {
		return err
	}
	if err := r.listAgain(ctx); err != nil {
		return err
	}
	if err := r.choose(); err != nil || len(r.worked) == 0 {
		return err
	}
	begun := r.waitingInbox() != nil
	if begun { // its owner sees the folders and what is new before the source is asked for anything else
		if err := r.begin(ctx); err != nil {
			return err
		}
	}
	var places map[string]look
	var group errgroup.Group
	group.Go(func() error { return r.lookAtFolders(ctx) })
	group.Go(func() (err error) {
		if !begun {
			err = r.begin(ctx)
		}
		if err == nil {
			places = r.lookAtPlaces(ctx)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}
	r.view.Folders = slices.DeleteFunc(r.view.Folders, func(f FolderView) bool { return r.hasProblem(f.Folder.ID) })
	if err := r.lookHere(ctx, places); err != nil {
		return err
	}
	if err := r.gather(ctx); err != nil {
		return err
	}
	return r.fill(ctx)
}

// begin makes the places of new folders, brings what their owner waits for, and tells that the work has begun. When nobody
// waits, it asks the source for nothing.
func (r *round) begin(ctx context.Context) error {
	if r.afresh == nil { // else a new folder may be an old one, renamed: the plan tells
		if err := r.makeFirst(ctx); err != nil {
			return err
		}
	}
	if err := r.newestFirst(ctx); err != nil {
		return err
	}
	return r.notify(ctx, r.pairs[0], atBeginning)
}

// list opens the first connection to each side and asks for its folders and their states, at the same time: neither side
// waits until the other one lets us in.
func (r *round) list(ctx context.Context) (there, here []wire.Folder, err error) {
	pr := r.pairs[0]
	r.phase("connecting", "")
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		conn, err := pr.from(groupCtx)
		if err != nil {
			return err
		}
		r.phase("listing", "")
		there, err = conn.Folders(groupCtx)
		return onSource(err)
	})
	group.Go(func() error {
		conn, err := pr.to(groupCtx)
		if err != nil {
			return err
		}
		here, err = conn.Folders(groupCtx)
		return onDestination(err)
	})
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	r.learnHere(here)
	r.names = map[int64]string{}
	for _, f := range there {
		r.listing[f.Raw] = f
	}
	return there, here, nil
}

// choose picks the folders in which something may have changed on either side since their marks.
func (r *round) choose() error {
	for _, id := range slices.Sorted(keysOf(r.folders)) {
		f := r.folders[id]
		line, listed := r.listing[f.SourceName]
		listed = listed && line.Selectable
		switch {
		case listed && line.Problem != nil:
			r.problem(id, "the source does not tell its state: %v", line.Problem)
		case listed && r.breaks[f.SourceName] >= breaksOfFolder:
			r.problem(id, "the source ended the connection %d times over it: %v", r.breaks[f.SourceName], r.why[f.SourceName])
		case !listed && f.Source.UIDValidity == 0 && f.Problem == "" && !f.ComparedAt.IsZero():
			continue // it left the source, and that was dealt with
		case listed && r.unchangedThere(f, line.Status) && r.unchangedHere(f):
			continue
		}
		r.worked = append(r.worked, id)
	}
	r.chooseGathering()
	r.order()
	return nil
}

// order puts the inbox first: it is what its owner waits for. Folders that show messages of others (Gmail) come last.
func (r *round) order() {
	slices.SortStableFunc(r.worked, func(a, b int64) int {
		first := func(id int64) int {
			switch f := r.folders[id]; {
			case f.DestinationName == inbox:
				return 0
			case gathering[r.listing[f.SourceName].SpecialUse] > 0:
				return 1 + gathering[r.listing[f.SourceName].SpecialUse]
			}
			return 1
		}
		return first(a) - first(b)
	})
}

func keysOf[V any](m map[int64]V) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// unchangedThere: without modseqs nobody can tell whether flags changed, except in an empty folder.
func (r *round) unchangedThere(f *ledger.Folder, s wire.Status) bool {
	m := f.Source
	return f.Problem == "" && !r.gatherAnew[f.ID] && !r.ruledAnew(f) && r.Now().Sub(f.ComparedAt) < r.CompareEvery &&
		s.HasUIDValidity && s.HasUIDNext && s.HasMessages && m.UIDValidity == s.UIDValidity && m.UIDNext == s.UIDNext &&
		m.Messages == s.Messages && m.ModSeq == s.HighestModSeq && (s.HasHighestModSeq || s.Messages == 0)
}

// unchangedHere: nothing came and nothing went. Flags here are the owner's and never looked at.
func (r *round) unchangedHere(f *ledger.Folder) bool {
	here := r.here[f.DestinationName]
	if here == nil || !here.exists {
		return f.Destination.UIDValidity == 0
	}
	m := f.Destination
	return m.UIDValidity == here.UIDValidity && m.UIDNext == here.UIDNext && m.Messages == here.Messages
}

// lookAtFolders reads rows and source listings of the chosen folders, spread over the connections.
func (r *round) lookAtFolders(ctx context.Context) error {
	views := make([]*FolderView, len(r.worked))
	wait := r.startReading(ctx)
	defer wait()
	r.warm(ctx)
	queue := newQueue(len(r.worked), nil)
	queue.source = true
	err := r.spread(ctx, queue, r.lookers(), func(pr *pair, i int, more claim) error {
		f := r.folders[r.worked[i]]
		r.phase("comparing", r.names[f.ID])
		if err := r.askAhead(ctx, pr, i, more); err != nil {
			return r.folderError(ctx, pr, f, err)
		}
		view, err := r.lookAtFolder(ctx, pr, f)
		views[i] = view
		return r.folderError(ctx, pr, f, err)
	})
	if err != nil {
		return err
	}
	for _, view := range views {
		if view != nil {
			r.view.Folders = append(r.view.Folders, *view)
		}
	}
	tally, err := r.tally(ctx)
	r.view.Policy, r.view.Rows = r.Policy, ledger.Total(tally.Folders).Present
	if err == nil && r.Deliveries != nil {
		r.view.Deliveries, err = r.Deliveries.Unclaimed(ctx, r.Account.Address)
	}
	return err
}

func (r *round) lookAtFolder(ctx context.Context, pr *pair, f *ledger.Folder) (view *FolderView, err error) {
	if r.hasProblem(f.ID) {
		return nil, nil
	}
	view = &FolderView{Folder: *f, Skip: r.rules[f.ID].skip, Afresh: r.afresh[f.ID], Gathers: r.rules[f.ID].gathers}
	line, listed := r.listing[f.SourceName]
	switch {
	case !listed || !line.Selectable:
		view.Listed, view.Left, view.UIDValidity = true, true, f.Source.UIDValidity
	case !r.unchangedThere(f, line.Status):
		err = r.listSource(ctx, pr, view, line.Status)
		view.leaveYounger(line.Status)
	}
	if err == nil {
		err = r.readRows(view)
	}
	return view, err
}

func (r *round) hasProblem(folderID int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.problems[folderID] != ""
}

// look is one at a destination folder, and what it brought.
type look struct {
	view *DestinationView
	err  error
}

// lookAtPlaces looks at the places of the chosen folders while the source is being listed.
func (r *round) lookAtPlaces(ctx context.Context) map[string]look {
	looked := map[string]look{}
	for _, id := range r.worked {
		name := r.folders[id].DestinationName
		if _, done := looked[name]; done || r.hasProblem(id) || r.familiar(name) {
			continue
		}
		view, err := r.lookAtPlace(ctx, name)
		looked[name] = look{view, err}
		if r.pairs[0].destination.Err() != nil {
			break
		}
	}
	return looked
}

// lookHere lists the destination folders of the chosen folders, and those in which rows of theirs have their place.
// A ledger without rows may have been lost: then every folder here is looked at.
func (r *round) lookHere(ctx context.Context, looked map[string]look) error {
	r.view.Destinations = map[string]*DestinationView{}
	names := map[string]bool{}
	for _, f := range r.view.Folders {
		names[f.Folder.DestinationName] = true
		if f.Afresh != "" {
			names[f.Afresh] = true
		}
		for i := range f.Rows.Len() {
			if place := f.Rows.Place(i); place.Folder != "" {
				names[place.Folder] = true
			}
		}
	}
	if r.view.Rows == 0 {
		for name, here := range r.here {
			if here.exists && here.Messages > 0 {
				names[name] = true
			}
		}
	}
	maps.Copy(looked, r.recall())
	for _, name := range slices.Sorted(mapKeys(names)) {
		p, done := looked[name]
		if !done {
			p.view, p.err = r.lookAtPlace(ctx, name)
		}
		here, err := p.view, p.err
		if err != nil && wire.Refused(err) != nil && r.pairs[0].destination.Err() == nil {
			r.leaveOut(name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("listing %q here: %w", name, err)
		}
		r.view.Destinations[name] = here
	}
	return nil
}

// leaveOut drops the folder from this pass whose place this server's Dovecot refuses to open.
func (r *round) leaveOut(destinationName string, err error) {
	r.view.Folders = slices.DeleteFunc(r.view.Folders, func(f FolderView) bool {
		if f.Folder.DestinationName != destinationName {
			return false
		}
		r.problem(f.Folder.ID, "this server refuses to open it: %v", err)
		return true
	})
}
