package authhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
)

// Notebook keeps what the guard must know after a restart. It may be called by many goroutines.
type Notebook interface {
	// Load returns what counts still, among the failures the logins that were under way.
	Load(ctx context.Context) (guard.Past, error)
	// Begin notes a login before its password goes to the source. After a restart it counts as failed at the given time.
	Begin(ctx context.Context, login guard.Login, at time.Time) (id int64, err error)
	// Forget takes back what Begin noted: the source counted no failure.
	Forget(ctx context.Context, id int64) error
	// SaveBreaker keeps the breaker of a source host.
	SaveBreaker(ctx context.Context, host string, b guard.Breaker) error
}

// gate is the only way to a source: one login per account at a time, a bounded number at once, as the guard allows.
type gate struct {
	now      func() time.Time
	slots    chan struct{} // one token per login that may be under way
	notebook Notebook
	report   func(error) // of troubles that stop no login

	mu      sync.Mutex
	guard   *guard.Guard
	settled chan struct{}                     // closed and replaced whenever a login has ended
	turns   map[account.Address]chan struct{} // held accounts; closed when free
}

func newGate(now func() time.Time, g *guard.Guard, n Notebook, parallel int, report func(error)) *gate {
	return &gate{now: now, slots: make(chan struct{}, parallel), guard: g, notebook: n, report: report,
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
func (g *gate) pass(ctx context.Context, l guard.Login) (leave func(guard.Outcome), err error) {
	if err := g.ask(ctx, l); err != nil {
		return nil, err
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		g.giveUp(l)
		return nil, fmt.Errorf("waiting for other logins at their sources: %w", ctx.Err())
	}
	// The source may count it as late as this, while nobody is here to see it.
	id, err := g.notebook.Begin(ctx, l, g.now().Add(decideWithin))
	if err != nil {
		g.giveUp(l)
		<-g.slots
		return nil, err
	}
	return func(o guard.Outcome) {
		g.settle(l, id, o)
		<-g.slots
	}, nil
}

// giveUp ends a login that never began.
func (g *gate) giveUp(l guard.Login) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guard.Abandon(l)
	g.wake()
}

func (g *gate) wake() {
	close(g.settled)
	g.settled = make(chan struct{})
}

// keepWithin is for the notebook, after the login; nobody waits for it.
const keepWithin = 10 * time.Second

func (g *gate) settle(l guard.Login, id int64, o guard.Outcome) {
	g.mu.Lock()
	changed := g.guard.Settle(g.now(), l, o)
	breaker := g.guard.Breaker(l.Host)
	g.wake()
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), keepWithin)
	defer cancel()
	if !o.Failed {
		g.report(g.notebook.Forget(ctx, id))
	}
	if changed {
		g.report(g.notebook.SaveBreaker(ctx, l.Host, breaker))
	}
}

func (g *gate) ask(ctx context.Context, l guard.Login) error {
	for {
		g.mu.Lock()
		verdict := g.guard.Ask(g.now(), l)
		settled := g.settled
		g.mu.Unlock()
		switch verdict.Word {
		case guard.Go:
			return nil
		case guard.Stop:
			return &GuardStop{Address: l.Address, Host: l.Host, Limit: verdict.Limit, Until: verdict.Until}
		case guard.Wait:
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return fmt.Errorf("waiting for other logins at the source %s: %w", l.Host, ctx.Err())
		}
	}
}

// pretend treats a login that no source is asked about as one that fails there, so that nobody learns from our answers
// who is expected.
func (g *gate) pretend(l guard.Login) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	verdict := g.guard.Pretend(g.now(), l)
	if verdict.Word == guard.Go {
		return nil
	}
	return &GuardStop{Address: l.Address, Host: l.Host, Limit: verdict.Limit, Until: verdict.Until}
}

// follow obeys other rules from now on; who waits asks again.
func (g *gate) follow(r guard.Rules) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.guard.Follow(r)
	g.wake()
}

func (g *gate) budgetOf(host string) guard.Budget {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.guard.BudgetOf(host)
}

func (g *gate) views() []guard.View {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.guard.Views(g.now())
}

// GuardStop is why a password was not sent.
type GuardStop struct {
	Address account.Address
	Host    string
	Limit   guard.Limit
	Until   time.Time
}

var whyStopped = map[guard.Limit]string{
	guard.LimitAccount:   "too many logins of the account failed lately",
	guard.LimitNetwork:   "too many logins from the client's network failed lately",
	guard.LimitSource:    "too many logins failed at the source lately",
	guard.LimitBreaker:   "the source could not be reached, or asked to be left alone",
	guard.LimitCreations: "too many accounts were created within a minute",
}

func (e *GuardStop) Error() string {
	return fmt.Sprintf("not asking the source %s about %s before %s: %s", e.Host, e.Address, e.Until.UTC().Format(time.RFC3339), whyStopped[e.Limit])
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

func (f *flights) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.underway)
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
