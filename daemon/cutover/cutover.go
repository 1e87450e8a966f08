package cutover

import (
	"crypto/rand"
	"errors"
	"time"

	"mailstork/daemon/account"
)

// Verdict is what DNS says of the domain's MX; the words are those of package dnscheck.
type Verdict string

// The verdicts. Anything else counts as Unknown.
const (
	Here      Verdict = "here"
	Elsewhere Verdict = "elsewhere"
	Mixed     Verdict = "mixed"
	Unknown   Verdict = "unknown"
)

// Observation is one look at the world. Times at the source come from the wall clock and are only compared with one
// another and with the wall time of this observation; Clock measures.
type Observation struct {
	// Run and Clock come from a Stopwatch: which process measured, and its monotonic clock.
	Run   string
	Clock time.Duration

	MX          Verdict       // by the authoritative servers only
	Complete    bool          // every server gave a definite answer and nothing is in doubt
	Holdouts    []string      // sentences: who keeps MX from being Here, and how
	OldTTL      time.Duration // longest TTL of an authoritative answer that does not name us; zero when all do
	Nameservers []string      // the NS set, sorted
	// DelegationTTL is how long caches may go on asking the servers that are named now.
	DelegationTTL time.Duration
	CachesMX      Verdict // what public resolvers still say; empty when none is asked

	// Accounts is how many accounts have mail to be watched at the source.
	Accounts int
	// LastNewAt is when a pass last found a new message at the source, in any account; zero for never.
	LastNewAt time.Time
	// OldestPassAt and NewestPassAt are the least and the greatest start time among the accounts' last complete
	// passes. Record a start as time.Now().Add(-elapsed) when the pass ends, so that it is a time of the present clock.
	// OldestPassAt is zero when an account never completed one.
	OldestPassAt, NewestPassAt time.Time
}

// Policy says how much proof is enough. Zero fields take the value of DefaultPolicy, except Grace.
type Policy struct {
	AgreeObservations   int           // observations in a row that must be Here
	ObservationInterval time.Duration // least distance of two that count
	Grace               time.Duration // waited beyond the old TTL
	QuietFor            time.Duration // no new message at the source for so long
	Deadline            time.Duration // a source that never becomes quiet is waited for no longer than this
	AssumedTTL          time.Duration // least old TTL unless every server was once seen with an old answer
	LongestTTL          time.Duration // longer TTLs count as this: caches cap them too (RFC 8767 §4)
}

// DefaultPolicy is for real domains.
func DefaultPolicy() Policy {
	return Policy{AgreeObservations: 3, ObservationInterval: 5 * time.Minute, Grace: time.Hour, QuietFor: 24 * time.Hour,
		Deadline: 14 * 24 * time.Hour, AssumedTTL: 24 * time.Hour, LongestTTL: 7 * 24 * time.Hour}
}

func (p Policy) filled() Policy {
	d := DefaultPolicy()
	for _, field := range []struct {
		value *time.Duration
		other time.Duration
	}{
		{&p.ObservationInterval, d.ObservationInterval}, {&p.QuietFor, d.QuietFor}, {&p.Deadline, d.Deadline},
		{&p.AssumedTTL, d.AssumedTTL}, {&p.LongestTTL, d.LongestTTL},
	} {
		if *field.value == 0 {
			*field.value = field.other
		}
	}
	if p.AgreeObservations == 0 {
		p.AgreeObservations = d.AgreeObservations
	}
	return p
}

// Check refuses a policy that would ask for no proof.
func (p Policy) Check() error {
	if p.AgreeObservations < 0 || p.ObservationInterval < 0 || p.Grace < 0 || p.QuietFor < 0 || p.Deadline < 0 ||
		p.AssumedTTL < 0 || p.LongestTTL < 0 {
		return errors.New("checking cutover policy: a number is below zero")
	}
	return nil
}

// patience is the longest silence between two observations that still counts as watching.
func (p Policy) patience() time.Duration {
	return time.Duration(p.AgreeObservations+2) * p.ObservationInterval
}

// Memory is what is known of one domain between observations. The daemon keeps it as JSON in the domain's row; the
// state has its own column there and is put in before each Decide.
type Memory struct {
	State account.DomainState `json:"-"`

	// The last observation.
	Run       string        `json:"run,omitempty"`
	Clock     time.Duration `json:"clock_ns,omitempty"`
	CheckedAt time.Time     `json:"checked_at,omitzero"`
	MX        Verdict       `json:"mx,omitempty"`
	// Waiting, Holdouts and DueAt are for people: what the next state waits for, who holds back, and the earliest
	// time of the next state when it is known. No decision reads them.
	Waiting  string    `json:"waiting,omitempty"`
	Holdouts []string  `json:"holdouts,omitempty"`
	DueAt    time.Time `json:"due_at,omitzero"`

	// Watched is the time line of all waits: how long the world was seen to agree, in total.
	Watched time.Duration `json:"watched_ns,omitempty"`
	// Agreed counts observations in a row that say Here, at least an interval apart; CountedRun and CountedClock tell
	// when the last one was counted. Unknowns counts those in a row that say nothing.
	Agreed       int           `json:"agreed,omitempty"`
	CountedRun   string        `json:"counted_run,omitempty"`
	CountedClock time.Duration `json:"counted_clock_ns,omitempty"`
	Unknowns     int           `json:"unknowns,omitempty"`

	// What old answers can do in caches. Never shrinks. OldTTLKnown is true once every server was seen with an old
	// answer; before, a single liar with a short TTL could make the wait short.
	OldTTL        time.Duration `json:"old_ttl_ns,omitempty"`
	OldTTLKnown   bool          `json:"old_ttl_known,omitempty"`
	DelegationTTL time.Duration `json:"delegation_ttl_ns,omitempty"`
	Nameservers   []string      `json:"nameservers,omitempty"`
	// Deserted is true once a server left the NS set while it still named the source: caches find it for
	// DelegationTTL more.
	Deserted bool `json:"deserted,omitempty"`

	// Marks on the line of Watched.
	AgreedAt   time.Duration `json:"agreed_at_ns,omitempty"`   // proof was complete
	DrainingAt time.Duration `json:"draining_at_ns,omitempty"` // old answers had expired
	QuietSince time.Duration `json:"quiet_since_ns,omitempty"` // the source was last not quiet

	LastNewAt time.Time `json:"last_new_at,omitzero"`
	// LookSince is the wall time from which every account must start one more pass, once the quiet time is over.
	LookSince time.Time `json:"look_since,omitzero"`
}

// Overdue tells whether a draining source that never becomes quiet has been waited for long enough.
func (m Memory) Overdue(p Policy) bool {
	return m.State == account.Draining && m.Watched-m.DrainingAt >= p.filled().Deadline
}

// Decision is what follows from one observation. To == Closed means that finalize may run: the domain closes when
// every account is done, and the same decision is given again until then.
type Decision struct {
	From   account.DomainState `json:"from"`
	To     account.DomainState `json:"to"`
	Reason string              `json:"reason"` // one sentence for people
	// LookAgainIn is when another observation is worth its cost.
	LookAgainIn time.Duration `json:"look_again_ns"`
}

// Changed tells whether the domain moves.
func (d Decision) Changed() bool { return d.From != d.To }

// Stopwatch gives observations their Run and Clock. One per process.
type Stopwatch struct {
	run   string
	begun time.Time
}

// NewStopwatch starts a run of its own: clocks of different processes are not comparable.
func NewStopwatch() *Stopwatch { return &Stopwatch{run: rand.Text(), begun: time.Now()} }

// Read returns the run and how long it has lasted by the monotonic clock.
func (s *Stopwatch) Read() (run string, clock time.Duration) { return s.run, time.Since(s.begun) }
