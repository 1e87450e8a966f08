package cutover

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
)

var policy = Policy{AgreeObservations: 3, ObservationInterval: 10 * time.Minute, Grace: time.Hour, QuietFor: 6 * time.Hour,
	Deadline: 48 * time.Hour, AssumedTTL: 24 * time.Hour}

// life is a domain under observation: its wall clock, its monotonic clock and its memory, stored as JSON each time.
type life struct {
	t        *testing.T
	wall     time.Time
	clock    time.Duration
	m        Memory
	o        Observation
	decision Decision
	policy   Policy
}

func newLife(t *testing.T) *life {
	wall := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	return &life{t: t, wall: wall, m: Memory{State: account.Open}, policy: policy,
		o: Observation{Run: "one", Accounts: 1, OldestPassAt: wall, NewestPassAt: wall, MX: Elsewhere, OldTTL: 2 * time.Hour,
			Holdouts: []string{"ns2.example.net still answers the old MX"}, Nameservers: []string{"ns1", "ns2"}, DelegationTTL: 24 * time.Hour}}
}

// look lets time pass and observes.
func (l *life) look(after time.Duration, mx Verdict) Decision {
	l.t.Helper()
	l.wall, l.clock = l.wall.Add(after), l.clock+after
	l.o.Clock, l.o.MX, l.o.Complete = l.clock, mx, mx != Unknown
	if mx == Here {
		l.o.OldTTL = 0
	}
	state := l.m.State
	l.m, l.decision = Decide(l.wall, l.m, l.o, l.policy)
	if l.decision.From != state || l.decision.To != l.m.State || l.decision.Reason == "" || l.decision.LookAgainIn <= 0 {
		l.t.Fatalf("decision %+v does not fit state %s", l.decision, state)
	}
	if l.decision.Changed() {
		if _, err := account.NextDomain(l.decision.From, l.decision.To); err != nil {
			l.t.Fatal(err)
		}
	}
	stored, err := json.Marshal(l.m)
	if err != nil {
		l.t.Fatal(err)
	}
	read := Memory{State: l.m.State}
	if err := json.Unmarshal(stored, &read); err != nil {
		l.t.Fatal(err)
	}
	l.m = read
	return l.decision
}

// looks observes several times, ten minutes apart.
func (l *life) looks(n int, mx Verdict) Decision {
	l.t.Helper()
	for range n {
		l.look(10*time.Minute, mx)
	}
	return l.decision
}

// pass lets every account start a pass right now; it is complete at the next look.
func (l *life) pass() {
	l.o.OldestPassAt = l.wall.Add(time.Millisecond)
	l.o.NewestPassAt = l.o.OldestPassAt
}

func (l *life) in(state account.DomainState) {
	l.t.Helper()
	if l.m.State != state {
		l.t.Fatalf("state is %s, want %s; %s", l.m.State, state, l.decision.Reason)
	}
}

// drained is a life whose old answers have just expired.
func drained(t *testing.T) *life {
	l := newLife(t)
	l.looks(1, Elsewhere)
	l.looks(3+18, Here)
	l.in(account.Draining)
	return l
}

func TestHonestMoveGoesThroughEveryState(t *testing.T) {
	l := newLife(t)
	l.looks(2, Elsewhere)
	l.in(account.Open)
	l.looks(2, Here)
	l.in(account.Open)
	l.looks(1, Here)
	l.in(account.Cutover)
	l.looks(17, Here) // 2 h old TTL and 1 h grace are 18 steps
	l.in(account.Cutover)
	l.looks(1, Here)
	l.in(account.Draining)
	l.looks(36, Here)
	l.in(account.Draining)
	l.pass()
	l.looks(1, Here)
	l.in(account.Closed)
	if l.looks(1, Elsewhere); l.m.State != account.Closed {
		t.Error("a closed domain was opened")
	}
}

func TestReasonsArePlainSentences(t *testing.T) {
	l := newLife(t)
	for _, step := range []struct {
		n      int
		mx     Verdict
		reason string
	}{
		{1, Elsewhere, "waiting: ns2.example.net still answers the old MX"},
		{1, Unknown, "waiting, DNS is not known: ns2.example.net still answers the old MX"},
		{1, Here, "waiting: DNS agreed 1 of 3 times"},
		{2, Here, "every authoritative server names this server, seen 3 times"},
		{3, Here, "waiting: old answers may live in caches for another 2h30m0s"},
		{15, Here, "old answers have expired: 3h0m0s have passed since every server agreed"},
		{1, Here, "waiting: the source must be quiet for another 5h50m0s"},
		{35, Here, "waiting: not every account has completed a pass since 2026-11-01 09:50:00"},
	} {
		if got := l.looks(step.n, step.mx).Reason; got != step.reason {
			t.Errorf("got  %q\nwant %q", got, step.reason)
		}
	}
	l.pass()
	if got, want := l.looks(1, Here).Reason, "the source was quiet for 6h0m0s and DNS still agrees"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestDisagreementBeforeTheEndOpensTheDomainAgain(t *testing.T) {
	for _, verdict := range []Verdict{Elsewhere, Mixed} {
		for _, steps := range []int{3, 10, 21, 40} {
			l := newLife(t)
			l.looks(steps, Here)
			before := l.m.State
			l.look(time.Second, verdict)
			l.in(account.Open)
			if before != account.Open && !strings.HasPrefix(l.decision.Reason, "open again: ns2") {
				t.Errorf("reason: %s", l.decision.Reason)
			}
			l.looks(2, Here)
			l.in(account.Open) // the count began again
			l.looks(1, Here)
			l.in(account.Cutover)
		}
	}
}

func TestObservationsTooCloseTogetherCountOnce(t *testing.T) {
	l := newLife(t)
	for range 100 {
		l.look(time.Second, Here)
	}
	l.in(account.Open)
	if l.m.Agreed != 1 {
		t.Errorf("agreed %d", l.m.Agreed)
	}
}

func TestWallClockThatJumpsEndsNoWait(t *testing.T) {
	for _, jump := range []time.Duration{10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour} {
		l := newLife(t)
		l.looks(1, Elsewhere)
		l.looks(1, Here)
		l.wall = l.wall.Add(jump)
		l.looks(1, Here)
		l.in(account.Open)
		l.looks(1, Here)
		l.in(account.Cutover)
		l.wall = l.wall.Add(jump)
		l.looks(17, Here)
		l.in(account.Cutover)
		l.looks(1, Here)
		l.in(account.Draining)
		l.wall = l.wall.Add(jump)
		l.pass()
		l.looks(35, Here)
		l.in(account.Draining)
	}
}

func TestUnknownHoldsAndStopsTheClock(t *testing.T) {
	l := newLife(t)
	l.looks(1, Elsewhere)
	l.looks(2, Here)
	l.looks(2, Unknown)
	l.looks(1, Here)
	l.in(account.Cutover) // two of them lost nothing
	watched := l.m.Watched
	l.looks(2, Unknown)
	l.looks(1, Here)
	if l.m.Watched != watched {
		t.Errorf("time that was not watched counts: %s became %s", watched, l.m.Watched)
	}
	l.looks(17, Here)
	l.in(account.Cutover)
	l.looks(1, Here)
	l.in(account.Draining)
}

func TestLongUnknownOrLongSilenceOutlivesTheProof(t *testing.T) {
	for name, gap := range map[string]func(l *life){
		"three unknown answers":  func(l *life) { l.looks(3, Unknown) },
		"an hour of silence":     func(l *life) { l.look(time.Hour, Here) },
		"a restart after a week": func(l *life) { l.o.Run, l.clock = "two", 0; l.wall = l.wall.Add(7 * 24 * time.Hour); l.look(0, Here) },
		"a restart to the past":  func(l *life) { l.o.Run, l.clock = "two", 0; l.wall = l.wall.Add(-time.Hour); l.look(0, Here) },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLife(t)
			l.looks(1, Elsewhere)
			l.looks(3+17, Here) // one step before draining
			gap(l)
			l.looks(3-l.m.Agreed+17, Here)
			l.in(account.Cutover)
			l.looks(1, Here)
			l.in(account.Draining)
		})
	}
}

func TestRestartCostsOneIntervalOnly(t *testing.T) {
	l := newLife(t)
	l.looks(1, Elsewhere)
	l.looks(3+10, Here)
	l.o.Run, l.clock = "two", 0
	l.looks(1, Here)
	l.looks(7, Here)
	l.in(account.Cutover)
	l.looks(1, Here)
	l.in(account.Draining)
}

func TestObservationsOfDifferentProcessesAreNotCountedAsApart(t *testing.T) {
	l := newLife(t)
	for i := range 50 {
		l.o.Run, l.clock = strings.Repeat("x", i+1), 0
		l.look(0, Here)
	}
	l.in(account.Open)
}

func TestLongestOldTTLEverSeenIsWaitedFor(t *testing.T) {
	l := newLife(t)
	l.o.OldTTL = 24 * time.Hour
	l.looks(1, Elsewhere)
	l.o.OldTTL = 5 * time.Minute
	l.looks(10, Elsewhere)
	l.looks(3+149, Here)
	l.in(account.Cutover)
	l.looks(1, Here) // 150 steps are 25 h
	l.in(account.Draining)
}

func TestTTLThatWasNeverSeenIsAssumed(t *testing.T) {
	l := newLife(t)
	l.o.OldTTL = 0
	l.looks(3+149, Here)
	l.in(account.Cutover)
	l.looks(1, Here)
	l.in(account.Draining)
}

func TestShortTTLOfOneLiarIsNotTheOldTTL(t *testing.T) {
	l := newLife(t)
	l.o.OldTTL = time.Second
	l.looks(1, Mixed)
	l.looks(3+149, Here)
	l.in(account.Cutover)
	l.looks(1, Here)
	l.in(account.Draining)
}

func TestAbsurdTTLIsCapped(t *testing.T) {
	l := newLife(t)
	l.policy.LongestTTL = 4 * time.Hour
	l.o.OldTTL = 68 * 365 * 24 * time.Hour
	l.looks(1, Elsewhere)
	l.looks(3+30, Here)
	l.in(account.Draining)
}

func TestServersThatLeftWhileTheyNamedTheSourceAreWaitedFor(t *testing.T) {
	l := newLife(t)
	l.looks(1, Elsewhere)
	l.o.Nameservers = []string{"ns1", "ns3"}
	l.looks(3+18+143, Here) // 24 h delegation TTL more than without
	l.in(account.Cutover)
	l.looks(1, Here)
	l.in(account.Draining)

	l = newLife(t)
	l.looks(1, Elsewhere)
	l.looks(5, Here)
	l.o.Nameservers = []string{"ns1"} // left after it agreed
	l.looks(16, Here)
	l.in(account.Draining)
}

func TestOldAnswerInAPublicResolverHoldsBack(t *testing.T) {
	l := newLife(t)
	l.looks(1, Elsewhere)
	l.o.CachesMX = Mixed
	l.looks(50, Here)
	l.in(account.Cutover)
	if !strings.Contains(l.decision.Reason, "public resolver") {
		t.Error(l.decision.Reason)
	}
	l.o.CachesMX = Unknown
	l.looks(1, Here)
	l.in(account.Draining)
	l.o.CachesMX = Elsewhere
	l.pass()
	l.looks(300, Here)
	l.in(account.Draining)
}

func TestNewMessageAtTheSourceRestartsTheQuietTime(t *testing.T) {
	l := drained(t)
	l.looks(35, Here)
	l.o.LastNewAt = l.wall
	l.looks(1, Here)
	l.pass()
	l.looks(35, Here)
	l.in(account.Draining)
	l.looks(1, Here)
	l.in(account.Draining) // the quiet time is over; now every account is looked at once more
	l.pass()
	l.looks(1, Here)
	l.in(account.Closed)
}

func TestMessageFoundByTheLastLookRestartsTheQuietTime(t *testing.T) {
	l := drained(t)
	l.looks(36, Here)
	l.pass()
	l.o.LastNewAt = l.wall
	l.looks(36, Here)
	l.in(account.Draining)
	l.looks(2, Here)
	l.in(account.Draining)
	l.pass()
	l.looks(1, Here)
	l.in(account.Closed)
}

func TestAccountThatIsDoneDoesNotRestartTheQuietTime(t *testing.T) {
	l := drained(t)
	l.o.LastNewAt = l.wall
	l.looks(37, Here)
	l.pass()
	l.o.LastNewAt = l.wall.Add(-100 * time.Hour) // the greatest one belonged to an account that is done now
	l.looks(1, Here)
	l.in(account.Closed)
}

func TestAccountThatNeverPassesHoldsBack(t *testing.T) {
	l := drained(t)
	l.looks(1000, Here)
	l.in(account.Draining)
	l.o.NewestPassAt = l.wall
	l.o.OldestPassAt = time.Time{}
	l.looks(2, Here)
	l.in(account.Draining)
}

func TestDomainWithoutAccountsNeedsNoPass(t *testing.T) {
	l := drained(t)
	l.o.Accounts = 0
	l.looks(36, Here)
	l.in(account.Closed)
}

func TestDeadlineEndsTheWaitForASourceThatIsNeverQuiet(t *testing.T) {
	l := drained(t)
	for range 48*6 - 1 {
		l.pass()
		l.o.LastNewAt = l.wall
		l.looks(1, Here)
	}
	l.in(account.Draining)
	l.looks(1, Here)
	l.in(account.Draining) // the deadline came; every account is looked at once more, however much is found
	l.pass()
	l.o.LastNewAt = l.wall
	l.looks(1, Here)
	l.in(account.Closed)
	if !strings.HasPrefix(l.decision.Reason, "the deadline came") {
		t.Error(l.decision.Reason)
	}
}

func TestDeadlineNeverOverridesDNS(t *testing.T) {
	l := drained(t)
	l.pass()
	l.looks(1000, Unknown)
	l.in(account.Draining)
	l.looks(1, Mixed)
	l.in(account.Open)
}

func TestPassTimesOfAWrongClockProveNothing(t *testing.T) {
	l := drained(t)
	l.o.OldestPassAt, l.o.NewestPassAt = l.wall.Add(8*time.Hour), l.wall.Add(8*time.Hour) // passed before, under a clock that was ahead
	l.looks(60, Here)
	l.in(account.Draining)
	l.pass()
	l.looks(1, Here)
	l.in(account.Closed)
}

func TestSilenceIsNotWatched(t *testing.T) {
	l := drained(t)
	l.looks(1, Here)
	watched := l.m.Watched
	l.look(30*24*time.Hour, Here)
	if l.m.Watched != watched {
		t.Errorf("%s of silence count as watched", l.m.Watched-watched)
	}
}

func TestRestartUnderAnotherClockLooksAgain(t *testing.T) {
	l := drained(t)
	l.looks(36, Here)
	l.o.Run, l.clock = "two", 0
	l.wall = l.wall.Add(-10 * 365 * 24 * time.Hour)
	l.pass()
	l.looks(3+18, Here) // the proof is made again as well
	l.pass()
	l.looks(1, Here)
	l.in(account.Closed)
}

func TestPolicyThatAsksForNoProofIsRefused(t *testing.T) {
	for _, p := range []Policy{{AgreeObservations: -1}, {ObservationInterval: -1}, {Grace: -1}, {QuietFor: -1}, {Deadline: -1}, {AssumedTTL: -1}, {LongestTTL: -1}} {
		if p.Check() == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
	if err := (Policy{}).Check(); err != nil {
		t.Error(err)
	}
	l := newLife(t)
	l.policy = Policy{}
	l.looks(2, Here)
	l.in(account.Open)
}

func TestStopwatchMeasuresWithinItsOwnRun(t *testing.T) {
	a, b := NewStopwatch(), NewStopwatch()
	runA, first := a.Read()
	again, second := a.Read()
	runB, _ := b.Read()
	if runA == runB || runA != again || second < first || runA == "" {
		t.Errorf("runs %q %q %q, clocks %s %s", runA, again, runB, first, second)
	}
}

func TestPeopleSeeWhenTheNextStateIsDue(t *testing.T) {
	l := newLife(t)
	l.looks(1, Elsewhere)
	l.looks(3+6, Here)
	if want := l.wall.Add(2 * time.Hour); !l.m.DueAt.Equal(want) {
		t.Errorf("due at %s, want %s", l.m.DueAt, want)
	}
	if l.m.Waiting != l.decision.Reason {
		t.Errorf("waiting %q, reason %q", l.m.Waiting, l.decision.Reason)
	}
}
