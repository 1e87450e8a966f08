package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror/wire"
)

const (
	// keywordLetters is how many keywords of a folder Maildir has letters for, "a" to "z". Dovecot takes more, but has
	// the others in its index only: measured on 2.3.19, they are lost when that is rebuilt.
	keywordLetters = 26
	keywordsShown  = 10
)

// keyworded notes that messages with keywords came to a folder here.
func (r *round) keyworded(name string, flags []string) {
	if !slices.ContainsFunc(flags, isKeyword) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keywords[name] = true
}

func isKeyword(flag string) bool { return flag != "" && !strings.HasPrefix(flag, `\`) }

// keywordsKnown keeps what a folder here said of its keywords when it was opened, after everything was copied, so that
// it need not be opened again; unless flags are about to be stored that it may not have yet.
func (r *round) keywordsKnown(selected wire.Selected, stores []StoreFlags) {
	for _, s := range stores {
		for _, flag := range s.Add {
			if isKeyword(flag) && !slices.ContainsFunc(selected.Flags, func(known string) bool { return strings.EqualFold(known, flag) }) {
				return
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flagsHere[selected.Raw] = selected.Flags
}

// checkLimits finds out for each place that got keywords which of them it can't keep for good, and says so with the
// folders that are kept there (L6: reported, never silent).
func (r *round) checkLimits(ctx context.Context) error {
	if len(r.keywords) == 0 {
		return nil
	}
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(mapKeys(r.keywords)) {
		flags, known := r.flagsHere[name]
		if !known {
			selected, err := conn.Examine(ctx, name)
			if err != nil {
				if conn.Err() != nil {
					return onDestination(err)
				}
				continue // it has gone meanwhile
			}
			flags = selected.Flags
		}
		// FLAGS tells keywords in the order of their letters.
		past := slices.DeleteFunc(slices.Clone(flags), func(flag string) bool { return !isKeyword(flag) })
		past = past[min(len(past), keywordLetters):]
		if err := r.noteLimits(ctx, name, past); err != nil {
			return err
		}
	}
	return nil
}

func (r *round) noteLimits(ctx context.Context, place string, past []string) error {
	for _, id := range r.worked {
		f := r.folders[id]
		if f.DestinationName != place {
			continue
		}
		r.limits[id] = ""
		if len(past) == 0 {
			continue
		}
		rows, err := r.Ledger.Messages(ctx, id)
		if err != nil {
			return err
		}
		r.limits[id] = limitsInWords(past, rows)
	}
	return nil
}

// limitsInWords tells which keywords of a folder's messages are past the limit, those of most messages first.
func limitsInWords(past []string, rows []ledger.Message) string {
	with := map[string]int{}
	messages := 0
	for _, row := range rows {
		if row.Fate != ledger.Copied || row.Stage != ledger.Confirmed {
			continue
		}
		found := false
		for _, flag := range ledger.SplitFlags(row.Flags) {
			if i := slices.IndexFunc(past, func(keyword string) bool { return strings.EqualFold(keyword, flag) }); i >= 0 {
				with[past[i]]++
				found = true
			}
		}
		if found {
			messages++
		}
	}
	if messages == 0 {
		return ""
	}
	names := slices.SortedFunc(maps.Keys(with), func(a, b string) int {
		if with[a] != with[b] {
			return with[b] - with[a]
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, 0, keywordsShown)
	for _, name := range names[:min(len(names), keywordsShown)] {
		parts = append(parts, fmt.Sprintf("%s (%d)", name, with[name]))
	}
	if more := len(names) - keywordsShown; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("more than %d keywords: a Maildir keeps these only in Dovecot's index, so that rebuilding it would lose them on %d messages: %s",
		keywordLetters, messages, strings.Join(parts, ", "))
}
