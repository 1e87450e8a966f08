package mirror

import (
	"context"
	"errors"
	"slices"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

// errRenamed ends a round in which folders got the names that they have at the source now: the next one lists anew.
var errRenamed = errors.New("folders were renamed")

// renameFolders lets folders go on under their new names, and gives their places here new names where that was planned.
// The deepest come first: a folder with others below it is left alone, since Dovecot would rename those too.
func (r *round) renameFolders(ctx context.Context, renames []RenameFolder) error {
	var moving []ledger.Folder
	err := r.record(ctx, "names", func(tx *ledger.Tx) error {
		for _, o := range renames {
			f := *r.folders[o.FolderID]
			f.SourceName = r.folders[o.As].SourceName
			if o.Destination != "" {
				f.RenamedFrom, f.DestinationName = f.DestinationName, o.Destination
				moving = append(moving, f)
			}
			if err := tx.RemoveFolder(o.As); err != nil {
				return err
			}
			if err := tx.SaveFolder(&f); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := r.settleNames(ctx, moving); err != nil {
		return err
	}
	return errRenamed
}

// settleNames finds out for each folder whether its RENAME took effect, sends it if it did not and may be sent, and
// else lets the folder keep the name that it had here. The caller has made sure that none is still under way.
func (r *round) settleNames(ctx context.Context, folders []ledger.Folder) error {
	if len(folders) == 0 {
		return nil
	}
	r.phase("renaming", "")
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return err
	}
	slices.SortStableFunc(folders, func(a, b ledger.Folder) int { return len(b.RenamedFrom) - len(a.RenamedFrom) })
	for _, f := range folders {
		if err := r.settleName(ctx, conn, f); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) settleName(ctx context.Context, conn destinationConn, f ledger.Folder) error {
	listing, err := conn.Folders(ctx)
	if err != nil {
		return onDestination(err)
	}
	from, to := folderNamed(listing, f.RenamedFrom), folderNamed(listing, f.DestinationName)
	renamed := from == nil && to != nil
	if from != nil && to == nil && !r.Policy.Switched && !hasBelow(listing, from) {
		if renamed, err = r.renameHere(ctx, conn, f, from.Subscribed); err != nil {
			return err
		}
	}
	if from == nil && renamed { // it took effect, and nobody knows whether it was subscribed to
		if err := conn.Subscribe(ctx, f.DestinationName); err != nil {
			return onDestination(err)
		}
	}
	if !renamed {
		f.DestinationName = f.RenamedFrom
	}
	f.RenamedFrom = ""
	return r.record(ctx, "name", func(tx *ledger.Tx) error { return tx.SaveFolder(&f) })
}

func folderNamed(listing []wire.Folder, raw string) *wire.Folder {
	i := slices.IndexFunc(listing, func(f wire.Folder) bool { return f.Raw == raw && f.Selectable })
	if i < 0 {
		return nil
	}
	return &listing[i]
}

func hasBelow(listing []wire.Folder, parent *wire.Folder) bool {
	return slices.ContainsFunc(listing, func(f wire.Folder) bool {
		return parent.Separator != 0 && strings.HasPrefix(f.Raw, parent.Raw+string([]byte{parent.Separator}))
	})
}

// renameHere renames a folder's place if nobody has touched what is in it (L4). A refusal changes nothing.
func (r *round) renameHere(ctx context.Context, conn destinationConn, f ledger.Folder, subscribed bool) (renamed bool, err error) {
	if untouched, err := r.allUntouched(ctx, conn, f); err != nil || !untouched {
		return false, err
	}
	if err := conn.Rename(ctx, f.RenamedFrom, f.DestinationName); err != nil {
		if wire.Refused(err) != nil && conn.Err() == nil {
			return false, nil
		}
		return false, onDestination(err)
	}
	if !subscribed {
		return true, nil
	}
	err = conn.Subscribe(ctx, f.DestinationName)
	if err == nil {
		err = conn.Unsubscribe(ctx, f.RenamedFrom)
	}
	return true, onDestination(err)
}

// allUntouched tells whether a folder here holds our copies only, with the flags that we gave them. It leaves the
// folder closed: Dovecot disconnects whoever has a folder open that is renamed.
func (r *round) allUntouched(ctx context.Context, conn destinationConn, f ledger.Folder) (untouched bool, err error) {
	rows, err := r.Ledger.Messages(ctx, f.ID)
	if err != nil {
		return false, err
	}
	selected, err := conn.Examine(ctx, f.RenamedFrom)
	if err != nil {
		return false, onDestination(err)
	}
	base := map[uint32]string{}
	for _, row := range rows {
		if row.Stage == ledger.Confirmed && row.Appended && row.Place.UIDValidity == selected.UIDValidity && row.Place.Folder == "" {
			base[row.Place.UID] = row.Flags
		}
	}
	untouchedAll := true
	err = conn.List(ctx, wire.UIDRange{From: 1}, func(e wire.Entry) error {
		flags, ours := base[e.UID]
		untouchedAll = untouchedAll && ours && e.HasFlags && keepFlags(e.Flags) == flags
		return nil
	})
	if err == nil {
		_, err = conn.Examine(ctx, inbox)
	}
	return untouchedAll, onDestination(err)
}
