package cutover

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"mailstork/daemon/account"
)

// The simulated world of one history. True time is real; the daemon sees it only through a wall clock that jumps, a
// monotonic clock per process, servers that fail, and resolvers that lie. What no observer could see is excluded: a
// server serves the source's MX unseen only while it fails for as many observations as the proof needs, or during a
// silence longer than Policy.patience.
type history struct {
	random *rand.Rand
	policy Policy
	real   time.Duration // true time
	offset time.Duration // wall clock minus true time
	run    int
	begun  time.Duration // true time when the process started
	// servers are the authoritative ones in the NS set.
	servers []server
	names   int
	ttl     time.Duration // of old MX answers
	nsTTL   time.Duration
	people  []person
	honest  bool

	m Memory
	// What is true, for the judgement.
	oldUntil  time.Duration // some cache may hold an old answer until then
	drainedAt time.Duration
	foundAt   time.Duration // a pass last found a new message
	opened    int
	trace     func(format string, args ...any) // nil except while a failure is shown again
}

type server struct {
	name    string
	old     bool
	failing int  // observations for which it still fails
	hidden  bool // the failure is long enough for changes that nobody sees
}

type person struct {
	waiting   bool          // a message at the source that no pass has seen
	startedAt time.Duration // true start of the last complete pass
	started   time.Time     // the same as the daemon recorded it
	found     time.Time
}

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func (h *history) chance(p float64) bool { return !h.honest && h.random.Float64() < p }

func (h *history) between(a, b time.Duration) time.Duration {
	return a + time.Duration(h.random.Int64N(int64(b-a)+1))
}

func (h *history) note(format string, args ...any) {
	if h.trace != nil {
		h.trace(format, args...)
	}
}

func (h *history) wall() time.Time { return epoch.Add(h.real + h.offset) }

func newHistory(seed uint64) *history {
	h := &history{random: rand.New(rand.NewPCG(seed, 1))}
	h.policy = Policy{AgreeObservations: 2 + h.random.IntN(3), ObservationInterval: 10 * time.Minute, Grace: h.between(0, time.Hour),
		QuietFor: h.between(time.Minute, 2*time.Hour), Deadline: 12 * time.Hour, AssumedTTL: 4 * time.Hour}
	h.ttl, h.nsTTL = h.between(time.Minute, 4*time.Hour), h.between(time.Minute, 4*time.Hour)
	for range 1 + h.random.IntN(3) {
		h.addServer(h.random.IntN(4) > 0)
	}
	h.people = make([]person, h.random.IntN(4))
	h.m.State = account.Open
	return h
}

func (h *history) addServer(old bool) {
	h.names++
	h.servers = append(h.servers, server{name: fmt.Sprintf("ns%d", h.names), old: old})
}

// serveOld notes that somebody was given an old answer just now.
func (h *history) serveOld(extra time.Duration) {
	h.oldUntil = max(h.oldUntil, h.real+extra+h.ttl)
}

// step lets time pass, changes the world, and observes it.
func (h *history) step() Decision {
	gap := h.between(h.policy.ObservationInterval, h.policy.ObservationInterval*11/10)
	switch {
	case h.chance(0.2):
		gap = h.between(0, h.policy.ObservationInterval)
	case h.chance(0.03):
		gap = h.between(h.policy.ObservationInterval, 12*h.policy.ObservationInterval)
	}
	restarted, jumped := h.chance(0.02), false
	begin := h.real
	jumpAt := time.Duration(-1)
	if h.chance(0.03) {
		jumpAt, jumped = begin+h.between(0, gap), true
	}
	h.pass(begin, gap, jumpAt)
	h.real = begin + gap
	for _, s := range h.servers {
		if s.old {
			h.serveOld(0)
		}
	}
	if gap > h.policy.patience()+time.Second && !(restarted && jumped) && h.chance(0.5) {
		h.serveOld(0) // somebody turned the MX back and forth while nobody looked
	}
	if restarted {
		h.run, h.begun = h.run+1, h.real
	}
	h.change()
	return h.observe()
}

// pass lets some people's accounts complete a pass within the gap; the wall clock may jump once on the way.
func (h *history) pass(begin, gap, jumpAt time.Duration) {
	for i := range h.people {
		p := &h.people[i]
		p.waiting = p.waiting || h.chance(0.02)
		if !h.honest && !h.chance(0.4) {
			continue
		}
		start := begin + h.between(0, gap)
		end := start + h.between(0, begin+gap-start)
		offset := h.offset
		if jumpAt >= 0 && end >= jumpAt {
			offset += h.jumpSize(jumpAt)
		}
		p.startedAt, p.started = start, epoch.Add(start+offset)
		if p.waiting {
			p.waiting, p.found = false, epoch.Add(end+offset)
			h.foundAt = max(h.foundAt, end)
		}
	}
	if jumpAt >= 0 {
		h.offset += h.jumpSize(jumpAt)
		h.note("clock jumps by %s at %s", h.jumpSize(jumpAt), jumpAt)
	}
}

// jumpSize is drawn from the moment of the jump, so that every use sees the same one.
func (h *history) jumpSize(at time.Duration) time.Duration {
	random := rand.New(rand.NewPCG(uint64(at), 7))
	sizes := []time.Duration{30 * time.Second, 20 * time.Minute, 3 * time.Hour, 400 * 24 * time.Hour}
	size := sizes[random.IntN(len(sizes))]
	if random.IntN(2) == 0 {
		return -size
	}
	return size
}

// change lets administrators work and servers fail.
func (h *history) change() {
	for i := range h.servers {
		s := &h.servers[i]
		if s.failing > 0 {
			s.failing--
			if s.hidden && h.chance(0.3) {
				s.old = !s.old
			}
			continue
		}
		switch {
		case s.old && h.chance(0.15):
			s.old = false
		case !s.old && h.chance(0.004):
			s.old = true
		case h.chance(0.04):
			s.failing = 1 + h.random.IntN(2*h.policy.AgreeObservations)
			s.hidden = s.failing >= h.policy.AgreeObservations
		case h.chance(0.005):
			if s.old {
				h.serveOld(h.nsTTL) // caches find it as long as they know the old NS set
			}
			*s = h.replacement()
		}
		if h.honest {
			s.old = false
		}
	}
}

func (h *history) replacement() server {
	h.names++
	return server{name: fmt.Sprintf("ns%d", h.names), old: h.random.IntN(2) == 0}
}

func (h *history) observe() Decision {
	o := Observation{Run: strconv.Itoa(h.run), Clock: h.real - h.begun, DelegationTTL: h.nsTTL, Accounts: len(h.people)}
	var here, elsewhere, unknown int
	for _, s := range h.servers {
		o.Nameservers = append(o.Nameservers, s.name)
		switch {
		case s.failing > 0:
			unknown++
		case s.old:
			elsewhere++
			o.OldTTL = h.ttl
		default:
			here++
		}
	}
	// Resolvers that lie can add servers that say whatever they like (dnscheck unites).
	if h.chance(0.3) {
		here++
	}
	if h.chance(0.01) {
		elsewhere++
		o.OldTTL = max(o.OldTTL, time.Second)
	}
	o.Complete = unknown == 0
	switch {
	case here > 0 && elsewhere > 0:
		o.MX = Mixed
	case elsewhere > 0:
		o.MX = Elsewhere
	case unknown > 0:
		o.MX = Unknown
	default:
		o.MX = Here
	}
	for i, p := range h.people {
		if i == 0 || p.started.Before(o.OldestPassAt) {
			o.OldestPassAt = p.started
		}
		if p.started.After(o.NewestPassAt) {
			o.NewestPassAt = p.started
		}
		if p.found.After(o.LastNewAt) {
			o.LastNewAt = p.found
		}
	}
	var d Decision
	h.m, d = Decide(h.wall(), h.m, o, h.policy)
	h.note("%s wall %s run %s clock %s mx %s by %+v → %s: %s", h.real, h.wall(), o.Run, o.Clock, o.MX, h.servers, d.To, d.Reason)
	if h.random.IntN(20) == 0 {
		h.store()
	}
	if d.Changed() && d.To == account.Draining {
		h.drainedAt = h.real
	}
	return d
}

// store sends the memory through JSON, as the database does.
func (h *history) store() {
	stored, err := json.Marshal(h.m)
	if err != nil {
		panic(err)
	}
	read := Memory{State: h.m.State}
	if err := json.Unmarshal(stored, &read); err != nil {
		panic(err)
	}
	h.m = read
}

// early says why a move of the domain came too early, judged by what is true.
func (h *history) early(d Decision) string {
	if d.To != account.Draining && d.To != account.Closed || !d.Changed() {
		return ""
	}
	for _, s := range h.servers {
		if s.old || s.failing > 0 {
			return fmt.Sprintf("%s names the source or is not known", s.name)
		}
	}
	if h.real < h.oldUntil {
		return fmt.Sprintf("caches may hold old answers for another %s", h.oldUntil-h.real)
	}
	if d.To == account.Draining {
		return ""
	}
	quiet := max(h.drainedAt, h.foundAt) + h.policy.QuietFor
	if h.real-h.drainedAt >= h.policy.Deadline {
		quiet = h.drainedAt
	}
	for i, p := range h.people {
		if p.startedAt < quiet {
			return fmt.Sprintf("account %d was last looked at %s before the quiet time was over", i, quiet-p.startedAt)
		}
	}
	return ""
}

// TestNoHistoryEndsEarlyAndEveryHonestOneEnds is reliability R18: 10,000 random histories with servers that fail and
// change their mind, resolvers that lie, restarts, silences and clocks that jump. None may drain or close early; and
// when the world becomes honest, each closes within the sum of its waits.
func TestNoHistoryEndsEarlyAndEveryHonestOneEnds(t *testing.T) {
	first, n := uint64(0), uint64(10_000)
	if testing.Short() {
		n = 1_000 // make e2e runs them all
	}
	if text := os.Getenv("CUTOVER_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = seed, 1
	}
	closed, opened := 0, 0
	for seed := first; seed < first+n; seed++ {
		h := newHistory(seed)
		wrong := h.live()
		if wrong != "" {
			again := newHistory(seed)
			again.trace = t.Logf
			again.live()
			t.Fatalf("CUTOVER_SEED=%d: %s", seed, wrong)
		}
		opened += h.opened
		if !h.honest {
			closed++
		}
	}
	t.Logf("%d histories, %d closed while the world was dishonest, %d times opened again", n, closed, opened)
	if n > 1 && (closed < 100 || opened < 1000) {
		t.Errorf("the histories are too tame to show anything: %d closed, %d opened again", closed, opened)
	}
}

// live runs a history to its end and says what was wrong with it.
func (h *history) live() (wrong string) {
	h.observe() // what happened before the daemon's first look nobody can know
	for range h.random.IntN(250) {
		d := h.step()
		if d.Changed() && d.To == account.Open {
			h.opened++
		}
		if why := h.early(d); why != "" {
			return "moved early to " + string(d.To) + ": " + why
		}
		if d.To == account.Closed {
			return ""
		}
	}
	return h.endHonestly()
}

// endHonestly makes the world honest and waits for the end within the bound.
func (h *history) endHonestly() (wrong string) {
	h.honest = true
	clean := h.real == 0
	if clean {
		for i := range h.servers {
			h.servers[i].old = true
		}
		h.serveOld(0)
		h.observe() // the old TTL is known
	}
	begun := h.real
	step := h.policy.ObservationInterval * 11 / 10
	// After chaos stamps from the future may hide a quiet source: then the deadline is the bound.
	bound := time.Duration(3*h.policy.AgreeObservations+8) * step // failures under way end first
	bound += max(h.policy.AssumedTTL, h.ttl) + h.nsTTL + h.policy.Grace + h.policy.QuietFor + h.policy.Deadline
	if clean {
		bound -= h.nsTTL + h.policy.Deadline + h.policy.AssumedTTL - h.ttl
	}
	for h.real-begun <= bound {
		d := h.step()
		if why := h.early(d); why != "" {
			return "moved early to " + string(d.To) + ": " + why
		}
		if d.To == account.Closed {
			return ""
		}
	}
	return fmt.Sprintf("not closed within %s of an honest world", bound)
}
