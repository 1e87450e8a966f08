package guard

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailstork/daemon/account"
)

// Login is one password that wants to go to a source.
type Login struct {
	Address account.Address
	// Network is what the client's address belongs to (NetworkOf); the zero value when it is unknown, or trusted to have
	// many people behind it (a webmail).
	Network netip.Prefix
	Host    string // of the source: account.Source.HostKey
	Domain  string // of the address
	New     bool   // an account is created when the password is right
}

// NetworkOf is the /32 of an IPv4 and the /64 of an IPv6 address: what one customer has.
func NetworkOf(client netip.Addr) netip.Prefix {
	client = client.Unmap().WithZone("")
	bits := 32
	if client.Is6() {
		bits = 64
	}
	network, err := client.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all
	}
	return network
}

// Word is the answer of the guard.
type Word int

// Wait means: others are under way, and if all of them failed a budget would be used up.
const (
	Go Word = iota
	Wait
	Stop
)

// Limit is what made the guard say Wait or Stop. The words are also those of the metrics.
type Limit string

// The limits.
const (
	LimitAccount   Limit = "account"
	LimitNetwork   Limit = "network"
	LimitSource    Limit = "source"
	LimitBreaker   Limit = "breaker"
	LimitCreations Limit = "creations"
)

// Verdict is a word and its reason. After Stop, Until is when it is worth to ask again.
type Verdict struct {
	Word  Word
	Limit Limit
	Until time.Time
}

// Trouble says how the source was.
type Trouble int

// The troubles: none (it gave an answer), none that could be asked (it can't be reached), and too many of us.
const (
	Well Trouble = iota
	Unreachable
	Throttled
)

// Outcome is how a login at the source ended.
type Outcome struct {
	Failed     bool // the source may have counted a failure
	Created    bool // an account was created
	Trouble    Trouble
	RetryAfter time.Duration // what the source asked for, if it did
}

// Limits hold for all. Zero values mean the defaults.
type Limits struct {
	Account, Network Budget
	Source           Budget // of every host of which the Rules say nothing else; its window is that of all
	// CreationsPerMinute bounds new accounts of all domains together.
	CreationsPerMinute int
}

// DefaultCreationsPerMinute lets a company log in on Monday morning, and a source that says yes to everything fill nothing.
const DefaultCreationsPerMinute = 300

// Guard has no clock and no lock; its caller has.
type Guard struct {
	limits    Limits
	rules     Rules
	accounts  map[account.Address]*tally
	networks  map[netip.Prefix]*tally
	hosts     map[string]*host
	creations tally
	created   map[string]*tally // creations by domain
	sweptAt   time.Time
	longest   time.Duration // window seen so far
}

type host struct {
	tally
	Breaker
}

// New returns a guard that has seen nothing yet.
func New(l Limits) *Guard {
	if l.Account == (Budget{}) {
		l.Account = DefaultAccount
	}
	if l.Network == (Budget{}) {
		l.Network = DefaultNetwork
	}
	if l.CreationsPerMinute == 0 {
		l.CreationsPerMinute = DefaultCreationsPerMinute
	}
	l.Source = l.Source.filled()
	return &Guard{limits: l, accounts: map[account.Address]*tally{}, networks: map[netip.Prefix]*tally{}, hosts: map[string]*host{},
		created: map[string]*tally{}, longest: max(l.Account.Window, l.Network.Window, l.Source.Window)}
}

// Ask tells whether a login may go to its source at the time now. After Go it counts as under way until Settle.
func (g *Guard) Ask(now time.Time, l Login) Verdict {
	g.sweep(now)
	v := g.weigh(now, l)
	if v.Word != Go {
		return v
	}
	for _, t := range append(g.failing(l), g.creating(l)...) {
		t.underway++
	}
	return v
}

func (g *Guard) weigh(now time.Time, l Login) Verdict {
	atHost := g.hosts[l.Host]
	if atHost == nil {
		atHost = &host{}
	}
	var worst Verdict
	take := func(limit Limit, word Word, until time.Time) {
		if word > worst.Word || word == Stop && until.After(worst.Until) {
			worst = Verdict{word, limit, until}
		}
	}
	weigh := func(limit Limit, b Budget, t *tally) {
		word, until := b.weigh(now, t)
		take(limit, word, until)
	}
	weigh(LimitAccount, g.limits.Account, at(g.accounts, l.Address))
	if l.Network.IsValid() {
		weigh(LimitNetwork, g.limits.Network, at(g.networks, l.Network))
	}
	budget := g.BudgetOf(l.Host)
	if g.failedBefore(l) {
		budget = budget.less(budget.reserve())
	}
	weigh(LimitSource, budget, &atHost.tally)
	if l.New {
		weigh(LimitCreations, Budget{g.limits.CreationsPerMinute, time.Minute}, &g.creations)
		if most := g.rules.Creations[l.Domain]; most > 0 {
			weigh(LimitCreations, Budget{most, time.Hour}, at(g.created, l.Domain))
		}
	}
	word, until := atHost.Breaker.weigh(now, atHost.underway)
	take(LimitBreaker, word, until)
	return worst
}

// failedBefore is asked after the account's and the network's tallies forgot what is too old.
func (g *Guard) failedBefore(l Login) bool {
	return len(at(g.accounts, l.Address).failures) > 0 || l.Network.IsValid() && len(at(g.networks, l.Network).failures) > 0
}

// failing returns all tallies where a login counts that fails, and keeps them from now on.
func (g *Guard) failing(l Login) []*tally {
	if g.hosts[l.Host] == nil {
		g.hosts[l.Host] = &host{}
	}
	all := []*tally{keep(g.accounts, l.Address), &g.hosts[l.Host].tally}
	if l.Network.IsValid() {
		all = append(all, keep(g.networks, l.Network))
	}
	return all
}

// creating returns all tallies where a login counts that makes an account.
func (g *Guard) creating(l Login) []*tally {
	if !l.New {
		return nil
	}
	return []*tally{&g.creations, keep(g.created, l.Domain)}
}

func keep[K comparable](tallies map[K]*tally, key K) *tally {
	t := at(tallies, key)
	tallies[key] = t
	return t
}

// Settle ends what Ask let go. It tells whether the breaker of the host changed.
func (g *Guard) Settle(now time.Time, l Login, o Outcome) (changed bool) {
	for _, t := range g.failing(l) {
		t.settle(now, o.Failed)
	}
	for _, t := range g.creating(l) {
		t.settle(now, o.Created)
	}
	h := g.hosts[l.Host]
	before := h.Breaker
	h.note(now, o)
	return h.Breaker != before
}

// Abandon ends what Ask let go and never went.
func (g *Guard) Abandon(l Login) {
	for _, t := range append(g.failing(l), g.creating(l)...) {
		t.underway--
	}
}

// mostPretended bounds the made-up names that are kept.
const mostPretended = 20_000

// Pretend treats a login that no source will be asked about as one that fails there. It is told Go or Stop as another
// account of the host would be, and uses up nothing of the host's budget.
func (g *Guard) Pretend(now time.Time, l Login) Verdict {
	g.sweep(now)
	v := g.weigh(now, l)
	h := g.hosts[l.Host]
	switch {
	case v.Word == Stop:
		return v
	case h != nil && h.Broken > 0: // others get no answer now
		return Verdict{Stop, LimitBreaker, now.Add(firstPause)}
	case len(g.accounts) < mostPretended && len(g.networks) < mostPretended:
		keep(g.accounts, l.Address).fail(now)
		if l.Network.IsValid() {
			keep(g.networks, l.Network).fail(now)
		}
	}
	return Verdict{}
}

// Failure is a login that the source may have counted against us.
type Failure struct {
	Address account.Address
	Network netip.Prefix
	Host    string
	At      time.Time
}

// Creation is an account that a first login has made.
type Creation struct {
	Domain string
	At     time.Time
}

// Past is what counts still of the time before a restart: failures and creations oldest first, breakers by host.
type Past struct {
	Failures  []Failure
	Creations []Creation
	Breakers  map[string]Breaker
}

// Restore takes what is known from before a restart. It comes before the first Ask.
func (g *Guard) Restore(p Past) {
	for _, f := range p.Failures {
		for _, t := range g.failing(Login{Address: f.Address, Network: f.Network, Host: f.Host}) {
			t.fail(f.At)
		}
	}
	for _, c := range p.Creations {
		for _, t := range g.creating(Login{Domain: c.Domain, New: true}) {
			t.fail(c.At)
		}
	}
	for name, b := range p.Breakers {
		h := g.hosts[name]
		if h == nil {
			h = &host{}
			g.hosts[name] = h
		}
		h.Breaker = b
	}
}

// Breaker returns that of a host.
func (g *Guard) Breaker(name string) Breaker {
	if h := g.hosts[name]; h != nil {
		return h.Breaker
	}
	return Breaker{}
}

// View is what is to tell of one source host.
type View struct {
	Host     string
	Failures int
	Budget   Budget
	Underway int
	// Until is when a login may go there again that failed nowhere before; zero when it may now.
	Until   time.Time
	Breaker Breaker
}

// Views returns all hosts where something counts, by name.
func (g *Guard) Views(now time.Time) []View {
	var views []View
	for _, name := range slices.SortedFunc(maps.Keys(g.hosts), strings.Compare) {
		h := g.hosts[name]
		budget := g.BudgetOf(name)
		_, until := budget.weigh(now, &h.tally)
		if _, rest := h.Breaker.weigh(now, h.underway); rest.After(until) {
			until = rest
		}
		views = append(views, View{name, len(h.failures), budget, h.underway, until, h.Breaker})
	}
	return views
}

// sweep drops empty tallies once per window, so that made-up names do not fill the memory.
func (g *Guard) sweep(now time.Time) {
	if now.Sub(g.sweptAt) < g.longest {
		return
	}
	g.sweptAt = now
	drop(g.accounts, now.Add(-g.limits.Account.Window))
	drop(g.networks, now.Add(-g.limits.Network.Window))
	drop(g.created, now.Add(-time.Hour))
	for name, h := range g.hosts {
		h.forget(now.Add(-g.longest))
		if len(h.failures) == 0 && h.underway == 0 && h.Breaker == (Breaker{}) {
			delete(g.hosts, name)
		}
	}
}
