package mirror

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// makeFirst makes the places of all folders that were never finished, before anything is copied: their owner sees
// them at once. Subscriptions are copied once, with the folder.
func (r *round) makeFirst(ctx context.Context) error {
	created := false
	for _, id := range r.worked {
		f := r.folders[id]
		line, listed := r.listing[f.SourceName]
		first := (f.ComparedAt.IsZero() || f.SkipRule != "") && r.rules[id].skip == ""
		if r.rules[id].gathers > gathering[wire.UseAll] { // nearly always nothing comes into it: makeWanted
			continue
		}
		if !first || !listed || !line.Selectable || r.hasProblem(id) {
			continue
		}
		made, err := r.makePlace(ctx, f)
		if err != nil {
			return err
		}
		created = created || made
		if line.Subscribed && !r.hasProblem(id) {
			conn := r.pairs[0].destination
			if err := conn.Subscribe(ctx, f.DestinationName); err != nil {
				if err := r.refusedHere(conn, f, "it can't be subscribed to here", err); err != nil {
					return err
				}
			}
		}
	}
	return r.learnMade(ctx, created)
}

// makeWanted makes the places again that their owner removed and that get messages now. Without something new, what
// was removed stays removed.
func (r *round) makeWanted(ctx context.Context, appends []Append) error {
	created := false
	for _, a := range appends {
		made, err := r.makePlace(ctx, r.folders[a.FolderID])
		if err != nil {
			return err
		}
		created = created || made
	}
	return r.learnMade(ctx, created)
}

func (r *round) makePlace(ctx context.Context, f *ledger.Folder) (made bool, err error) {
	if here := r.here[f.DestinationName]; here != nil && here.exists {
		return false, nil
	}
	conn := r.pairs[0].destination
	if err := conn.Create(ctx, f.DestinationName); err != nil {
		return false, r.refusedHere(conn, f, "it can't be made here", err)
	}
	return true, nil
}

// learnMade asks for the states of folders that were made: their UIDVALIDITY is part of every intent.
func (r *round) learnMade(ctx context.Context, made bool) error {
	if !made {
		return nil
	}
	conn, err := r.pairs[0].to(ctx) // copying may have cost the connection
	if err != nil {
		return err
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

// changes are what is done to messages that are in one folder here.
type changes struct {
	stores   []StoreFlags
	expunges []Expunge
}

func (c *changes) len() int { return len(c.stores) + len(c.expunges) }

// change applies the source's changes to messages that are here, folder by folder, spread over the connections. Each
// folder is opened once: Dovecot reads its whole list of files for it. So is each that has just been filled, or its owner
// would wait at the first time: Dovecot then moves every file without flags from new/ to cur/.
func (r *round) change(ctx context.Context, stores []StoreFlags, expunges []Expunge) error {
	places := map[string]*changes{}
	at := func(name string) *changes {
		if places[name] == nil {
			places[name] = &changes{}
		}
		return places[name]
	}
	for _, s := range stores {
		at(s.DestinationName).stores = append(at(s.DestinationName).stores, s)
	}
	for _, e := range expunges {
		at(e.DestinationName).expunges = append(at(e.DestinationName).expunges, e)
	}
	filled := 0
	for name, messages := range r.filled() {
		at(name)
		filled += messages
	}
	names := slices.SortedFunc(mapKeys(places), func(a, b string) int { // the longest work first: none ends long after the others
		return cmp.Or(places[b].len()-places[a].len(), strings.Compare(a, b))
	})
	hands := 1 + (len(stores)+len(expunges)+filled)/pairChanges
	return r.spread(ctx, newQueue(len(names), nil), hands, func(pr *pair, i int, _ claim) error {
		r.phase("changing", "")
		return r.changePlace(ctx, pr, names[i], places[names[i]])
	})
}

// filledMessages is how many messages make the first copy of a folder worth opening it.
const filledMessages = 500

// filled are the places that this pass was the first to copy to, and how many messages came there.
func (r *round) filled() map[string]int {
	places := map[string]int{}
	for _, id := range r.worked {
		f := r.folders[id]
		here := r.here[f.DestinationName]
		if f.ComparedAt.IsZero() && here != nil && here.exists && here.came >= filledMessages && !r.hasProblem(id) {
			places[f.DestinationName] = int(here.came)
		}
	}
	return places
}

func (r *round) changePlace(ctx context.Context, pr *pair, name string, c *changes) error {
	conn, err := pr.to(ctx) // copying may have cost the connection
	if err != nil {
		return err
	}
	selected, err := conn.Select(ctx, name)
	if wire.Refused(err) != nil && conn.Err() == nil && len(c.stores)+len(c.expunges) == 0 {
		return nil
	}
	if err != nil {
		return onDestination(err)
	}
	r.keywordsKnown(selected, c.stores)
	groups := map[string][]StoreFlags{}
	for _, s := range c.stores {
		key := ledger.JoinFlags(s.Add) + "\x00" + ledger.JoinFlags(s.Remove)
		groups[key] = append(groups[key], s)
	}
	for _, key := range slices.Sorted(mapKeys(groups)) {
		if err := r.storeGroup(ctx, conn, selected, groups[key]); err != nil {
			return err
		}
	}
	if len(c.expunges) == 0 {
		return nil
	}
	return r.expungeGroup(ctx, conn, selected, c.expunges)
}

// storeGroup applies one change of flags to many messages.
func (r *round) storeGroup(ctx context.Context, conn destinationConn, selected wire.Selected, group []StoreFlags) error {
	var uids []uint32
	for _, s := range group {
		if s.UIDValidity != selected.UIDValidity {
			return nil // renumbered since it was listed: the next pass knows the new UIDs
		}
		uids = append(uids, s.UID)
	}
	slices.Sort(uids)
	r.keyworded(selected.Raw, group[0].Add)
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

// expungeGroup removes our copies of what left the source, unless somebody changed them since (L4).
func (r *round) expungeGroup(ctx context.Context, conn destinationConn, selected wire.Selected, group []Expunge) error {
	group, err := r.withCopies(ctx, group)
	if err != nil {
		return err
	}
	slices.SortFunc(group, func(a, b Expunge) int { return int(a.UID) - int(b.UID) })
	flags := map[uint32]string{}
	err = conn.Flags(ctx, expungeUIDs(group), func(uid uint32, now []string) { flags[uid] = keepFlags(now) })
	if err != nil {
		return onDestination(err)
	}
	group = slices.DeleteFunc(group, func(e Expunge) bool {
		now, present := flags[e.UID]
		return e.UIDValidity != selected.UIDValidity || !present || !untouched(now, keptHere(e.Flags))
	})
	if err := conn.Expunge(ctx, expungeUIDs(group)); err != nil {
		return onDestination(err)
	}
	r.mu.Lock()
	r.here[selected.Raw].Messages -= uint32(len(group))
	r.mu.Unlock()
	return r.record(ctx, "expunged", func(tx *ledger.Tx) error {
		for _, e := range group {
			var err error
			if e.Yield != "" {
				err = tx.Yield(e.Key, e.Yield)
			} else {
				err = tx.SetFate(e.Key, ledger.Deleted, reasonSource)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// withCopies leaves only those that may go: a letter that is still at the source keeps the copy that it has until its
// other one is here.
func (r *round) withCopies(ctx context.Context, group []Expunge) (rest []Expunge, err error) {
	for _, e := range group {
		if e.After != (ledger.Key{}) {
			row, found, err := r.Ledger.Message(ctx, e.After)
			if err != nil {
				return nil, err
			}
			here := row.Fate == ledger.Copied || row.Fate == ledger.Delivered && row.Place.UID != 0
			if !found || !here || row.Stage != ledger.Confirmed && row.Stage != ledger.Refiling {
				r.postpone([]Expunge{e})
				continue
			}
		}
		rest = append(rest, e)
	}
	return rest, nil
}

// postpone leaves removals to the next pass, which looks at their folders again though nothing may have changed there.
func (r *round) postpone(group []Expunge) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range group {
		if here := r.here[r.folders[e.Key.FolderID].DestinationName]; here != nil {
			here.doubtful = true
		}
	}
}

// keptHere is what of a base this server could keep.
func keptHere(base string) string {
	kept, _ := destination.Keepable(ledger.SplitFlags(base))
	return ledger.JoinFlags(kept)
}

func expungeUIDs(group []Expunge) []uint32 {
	uids := make([]uint32, len(group))
	for i, e := range group {
		uids[i] = e.UID
	}
	return uids
}

// untouched tells whether nobody changed the flags of a copy that is to go. \Deleted alone is no objection: a removal
// of ours that was cut short leaves it, and an owner who set it wants the same.
func untouched(now, base string) bool {
	without := slices.DeleteFunc(ledger.SplitFlags(now), func(flag string) bool { return flag == `\Deleted` })
	return strings.EqualFold(now, base) || strings.EqualFold(ledger.JoinFlags(without), base)
}
