package authhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"mailstork/daemon/account"
)

// gate is the only way to a source: one login per account at a time, a bounded number at once, within the guard's budgets.
type gate struct {
	now   func() time.Time
	slots chan struct{} // one token per login that may be under way

	mu      sync.Mutex
	guard   *guard
	settled chan struct{}                     // closed and replaced whenever a login has ended
	turns   map[account.Address]chan struct{} // held accounts; closed when free
}

func newGate(now func() time.Time, g *guard, parallel int) *gate {
	return &gate{now: now, slots: make(chan struct{}, parallel), guard: g,
		settled: make(chan struct{}), turns: map[account.Address]chan struct{}{}}
}

// turn waits until no other login of the account is under way, and returns what ends this one.
func (g *gate) turn(ctx context.Context, address account.Address) (end func(), err error) {
	for {
		g.mu.Lock()
		held := g.turns[address]
		if held == nil {
			mine := make(chan struct{})
			g.turns[address] = mine
			g.mu.Unlock()
			return func() { g.endTurn(address, mine) }, nil
		}
		g.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another login of the account: %w", ctx.Err())
		}
	}
}

func (g *gate) endTurn(address account.Address, mine chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.turns, address)
	close(mine)
}

// pass waits for the guard and then for a slot, so that one slow source can't hold all slots. The login must be ended
// by calling leave.
func (g *gate) pass(ctx context.Context, address account.Address, host string) (leave func(failed bool), err error) {
	host = strings.ToLower(host)
	if err := g.ask(ctx, address, host); err != nil {
		return nil, err
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		g.settle(address, host, false)
		return nil, fmt.Errorf("waiting for other logins at their sources: %w", ctx.Err())
	}
	return func(failed bool) {
		g.settle(address, host, failed)
		<-g.slots
	}, nil
}

func (g *gate) settle(address account.Address, host string, failed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guard.settle(g.now(), address, host, failed)
	close(g.settled)
	g.settled = make(chan struct{})
}

func (g *gate) ask(ctx context.Context, address account.Address, host string) error {
	for {
		g.mu.Lock()
		verdict, until := g.guard.ask(g.now(), address, host)
		settled := g.settled
		g.mu.Unlock()
		switch verdict {
		case mayGo:
			return nil
		case mustStop:
			return &GuardStop{Address: address, Host: host, Until: until}
		case mustWait:
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return fmt.Errorf("waiting for other logins at the source %s: %w", host, ctx.Err())
		}
	}
}

var errBusy = errors.New("more logins are waiting for their sources than may wait")

// flights let equal questions share one answer. A flight does not end when those who asked go away.
type flights struct {
	ctx    context.Context // of all flights; ended by close
	cancel context.CancelFunc
	most   int

	mu       sync.Mutex
	underway map[digest]*flight
	all      sync.WaitGroup
}

func newFlights(most int) *flights {
	ctx, cancel := context.WithCancel(context.Background())
	return &flights{ctx: ctx, cancel: cancel, most: most, underway: map[digest]*flight{}}
}

// close ends all flights and waits for them; later questions are not asked.
func (f *flights) close() {
	f.mu.Lock()
	f.cancel()
	f.mu.Unlock()
	f.all.Wait()
}

type flight struct {
	landed chan struct{}
	ruling ruling
}

// share returns the ruling of the flight with this key, and starts it with work when there is none.
func (f *flights) share(ctx context.Context, key digest, work func(context.Context) ruling) ruling {
	f.mu.Lock()
	fl := f.underway[key]
	if fl == nil {
		if len(f.underway) >= f.most || f.ctx.Err() != nil {
			f.mu.Unlock()
			return later("busy", errBusy)
		}
		fl = &flight{landed: make(chan struct{})}
		f.underway[key] = fl
		f.all.Go(func() { f.fly(key, fl, work) })
	}
	f.mu.Unlock()
	select {
	case <-fl.landed:
		return fl.ruling
	case <-ctx.Done():
		return later("deadline", fmt.Errorf("waiting for the source: %w", ctx.Err()))
	}
}

func (f *flights) fly(key digest, fl *flight, work func(context.Context) ruling) {
	defer func() {
		if v := recover(); v != nil {
			fl.ruling = later("panic", panicked(v))
		}
		f.mu.Lock()
		delete(f.underway, key)
		f.mu.Unlock()
		close(fl.landed)
	}()
	fl.ruling = work(f.ctx)
}
