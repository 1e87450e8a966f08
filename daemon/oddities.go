package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"mailstork/daemon/account"
	"mailstork/daemon/eventlog"
)

// oddities remembers what was told about the servers of each account, so that a quirk that every pass meets is told once.
type oddities struct {
	mu   sync.Mutex
	told map[account.Address]map[string]bool // "source: late-uid"
}

// fresh returns one line for each kind of oddity that was not told before: its first sighting and how many more.
func (o *oddities) fresh(address account.Address, seen []string) (lines []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.told == nil {
		o.told = map[account.Address]map[string]bool{}
	}
	if o.told[address] == nil {
		o.told[address] = map[string]bool{}
	}
	first, counts := map[string]string{}, map[string]int{}
	var kinds []string
	for _, line := range seen {
		kind := kindOf(line)
		if o.told[address][kind] {
			continue
		}
		if counts[kind]++; counts[kind] == 1 {
			first[kind] = line
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		o.told[address][kind] = true
		line := first[kind]
		if more := counts[kind] - 1; more > 0 {
			line += fmt.Sprintf(" (and %d more of the kind)", more)
		}
		lines = append(lines, line)
	}
	return lines
}

// kindOf is the side and the word of "source: late-uid: …".
func kindOf(line string) string {
	parts := strings.SplitN(line, ": ", 3)
	return strings.Join(parts[:min(2, len(parts))], ": ")
}

// tellOddities records what a server did wrong and the mirror survived; docs/quirks.md has the list.
func (d *Daemon) tellOddities(ctx context.Context, a account.Account, seen []string) {
	for _, line := range d.oddities.fresh(a.Address, seen) {
		d.events.Record(ctx, eventlog.Event{Name: "oddity", Domain: a.Domain, Account: a.Address, Detail: line})
	}
}
