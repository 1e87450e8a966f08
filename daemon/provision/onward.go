package provision

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mailstork/daemon/account"
)

// onwardWithin is how long Dovecot may take, after the hook has said that a login is passed on, to look its entry up: so
// long the entry stays, or a right password would be called wrong.
const onwardWithin = 3 * time.Second

// onward are the logins that the hook is sending to the entry which passes them on. Its zero value is ready.
type onward struct {
	mu   sync.Mutex
	busy map[account.Address]*crossing
}

// crossing is one account's: logins under way, when the last was sent, and whether no other may begin.
type crossing struct {
	underway int
	last     time.Time
	shut     bool
}

func (o *onward) of(address account.Address) *crossing {
	c := o.busy[address]
	if c == nil {
		if c = new(crossing); o.busy == nil {
			o.busy = map[account.Address]*crossing{}
		}
		o.busy[address] = c
	}
	return c
}

// begin tells whether a login may be sent on; then end follows.
func (o *onward) begin(address account.Address) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.of(address)
	if c.shut {
		return false
	}
	c.underway++
	return true
}

func (o *onward) end(address account.Address, sent bool, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.of(address)
	c.underway--
	if sent {
		c.last = now
	}
	if c.underway == 0 && !c.shut && c.last.IsZero() {
		delete(o.busy, address)
	}
}

// Hold lets no login of an account be sent on, and returns when every earlier one has found its entry. The files may be
// changed then, until release.
func (p *Provisioner) Hold(ctx context.Context, address account.Address) (release func(), err error) {
	o := &p.onward
	o.mu.Lock()
	c := o.of(address)
	c.shut = true
	o.mu.Unlock()
	release = func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if c.shut = false; c.underway == 0 {
			delete(o.busy, address)
		}
	}
	ticker := time.NewTicker(holdLooks)
	defer ticker.Stop()
	for {
		o.mu.Lock()
		crossed := c.underway == 0 && time.Since(c.last) >= onwardWithin
		o.mu.Unlock()
		if crossed {
			return release, nil
		}
		select {
		case <-ctx.Done():
			release()
			return nil, fmt.Errorf("waiting for logins of %s that are passed on: %w", address, ctx.Err())
		case <-ticker.C:
		}
	}
}
