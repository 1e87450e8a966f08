package mirror_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/daemon/mirror"
)

// TestDeadConnectionLeavesTheWholePassInDoubt lets one connection die over a batch that Dovecot stores later, while
// another one gets a NO, in one pass. The NO alone could be settled at once: its session is there and has answered. But
// a look now would take the dead connection's batch for one that never landed. (L2)
func TestDeadConnectionLeavesTheWholePassInDoubt(t *testing.T) {
	l := newLab(t, labOptions{})
	var inbox, work []int
	const each = 60
	for n := range each {
		inbox, work = append(inbox, n+1), append(work, n+101)
	}
	l.put("INBOX", inbox...)
	l.put("Work", work...)
	answered, dead, haunt := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var once, refused sync.Once
	wait := func(c chan struct{}) {
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Error("the two connections did not work at the same time")
		}
	}
	p := newProxy(t, l.dest.IMAPAddress, rules{
		ghost: func(command string) (held <-chan struct{}) {
			if strings.HasPrefix(command, "APPEND") && strings.Contains(command, "INBOX") {
				once.Do(func() { wait(answered); close(dead); held = haunt })
			}
			return held
		},
		refuse: func(command string) (no string) {
			if strings.HasPrefix(command, "APPEND") && strings.Contains(command, "Work") {
				refused.Do(func() { close(answered); wait(dead); no = "NO [SERVERBUG] Internal error occurred." })
			}
			return no
		},
	})
	l.options.Destination = l.to(p.address())
	l.options.Pairs, l.options.PairMessages = 2, each // each folder gets a pair of connections
	if result, err := mirror.Pass(l.ctx(), l.options); err == nil {
		t.Fatalf("the pass with a dead connection ended well: %+v", result)
	}
	if rows := l.rows(); rows["intended"] != 2*each {
		t.Errorf("rows after the pass: %v, want all %d in doubt", rows, 2*each)
	}
	var release sync.Once
	l.options.Fence = func(ctx context.Context) error {
		release.Do(func() { close(haunt) })
		return l.fence(ctx)
	}
	l.untilDone()
	l.do(l.options.Fence(l.ctx())) // what is still under way arrives
	l.wantNumbers("INBOX", inbox...)
	l.wantNumbers("Work", work...)
	l.wantRows(map[string]int{"copied": 2 * each})
}
