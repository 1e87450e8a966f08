package cutover

import (
	"fmt"
	"slices"
	"time"

	"mailstork/daemon/account"
)

// Decide is pure: the same memory and observation give the same decision. now is the wall clock at the observation.
// The returned memory must be stored together with the state, whatever the decision.
func Decide(now time.Time, m Memory, o Observation, p Policy) (Memory, Decision) {
	p = p.filled()
	now = now.Round(0) // by the wall clock only: the memory is read again by other processes
	if m.State == "" {
		m.State = account.Open
	}
	m.Holdouts = slices.Clone(o.Holdouts)
	from := m.State
	m.watch(now, o, p)
	m.learn(o, p)
	m.listen(now, o, p)
	m.count(o, p)
	to, reason, wait := m.next(now, o, p)
	if to != from && to == account.Open {
		m.startOver()
	}
	m.Run, m.Clock, m.CheckedAt, m.MX = o.Run, o.Clock, now, o.MX
	m.State, m.Waiting, m.DueAt = to, reason, time.Time{}
	if wait > 0 {
		m.DueAt = now.Add(wait)
	}
	again := p.ObservationInterval
	if wait > 0 {
		again = min(again, max(wait, time.Second))
	}
	return m, Decision{From: from, To: to, Reason: reason, LookAgainIn: again}
}

// watch adds the time since the last observation to Watched if both agreed and one process measured it. A silence
// longer than patience, or of unknown length, is no watching: the proof starts again.
func (m *Memory) watch(now time.Time, o Observation, p Policy) {
	if m.CheckedAt.IsZero() {
		return
	}
	passed := now.Sub(m.CheckedAt)
	if o.Run == m.Run && o.Clock >= m.Clock {
		measured := o.Clock - m.Clock
		if stepped := passed - measured; stepped.Abs() > time.Second+measured/100 {
			m.lookAgain(now)
		}
		passed = measured
		if o.MX == Here && m.MX == Here && passed <= p.patience() {
			m.Watched += passed
		}
	} else {
		m.lookAgain(now)
	}
	if passed < 0 || passed > p.patience() {
		m.doubt()
	}
}

// lookAgain moves the mark of LookSince to the present: pass times from before a step of the wall clock, or from
// before a restart that may have hidden one, prove nothing.
func (m *Memory) lookAgain(now time.Time) {
	if !m.LookSince.IsZero() {
		m.LookSince = now
	}
}

// doubt makes the world prove its agreement again. TTLs that were seen stay known.
func (m *Memory) doubt() {
	m.Agreed, m.AgreedAt = 0, 0
}

// startOver is the way back to open.
func (m *Memory) startOver() {
	m.doubt()
	m.DrainingAt, m.QuietSince, m.LookSince = 0, 0, time.Time{}
}

// learn keeps the longest TTLs, and notices servers that were deserted while they still named the source.
func (m *Memory) learn(o Observation, p Policy) {
	m.OldTTL = max(m.OldTTL, min(o.OldTTL, p.LongestTTL))
	m.OldTTLKnown = m.OldTTLKnown || o.Complete && o.MX == Elsewhere
	if o.MX == Unknown || len(o.Nameservers) == 0 {
		return // a set that may have gaps says nothing about who left
	}
	left := slices.ContainsFunc(m.Nameservers, func(name string) bool { return !slices.Contains(o.Nameservers, name) })
	if left && m.MX != Here {
		m.Deserted = true
	}
	if left || len(m.Nameservers) != len(o.Nameservers) {
		m.Nameservers = slices.Clone(o.Nameservers)
	}
	m.DelegationTTL = max(m.DelegationTTL, min(o.DelegationTTL, p.LongestTTL))
}

// listen restarts the quiet time when a new message was found at the source. A time that lies in the future was
// written under a wrong clock and could hide later ones: no quiet until it has passed. A time that goes back is no
// news: the account that it belonged to is done.
func (m *Memory) listen(now time.Time, o Observation, p Policy) {
	if !o.LastNewAt.After(m.LastNewAt) && !m.LastNewAt.After(now) {
		return
	}
	m.LastNewAt, m.QuietSince = o.LastNewAt.Round(0), m.Watched
	if !m.Overdue(p) {
		m.LookSince = time.Time{}
	}
}

// count keeps the number of agreeing observations in a row. Each must lie an interval after the one before by the
// clock of one process; after a restart the first one only starts the measurement (D2). Unknown neither counts nor
// resets, since a packet that got lost is no disagreement; but as many in a row as the proof needs have outlived it.
func (m *Memory) count(o Observation, p Policy) {
	switch o.MX {
	case Elsewhere, Mixed:
		m.doubt()
		m.Unknowns = 0
	case Here:
		m.Unknowns = 0
		m.countHere(o, p)
	default:
		if m.Unknowns++; m.Unknowns >= p.AgreeObservations {
			m.doubt()
		}
	}
}

func (m *Memory) countHere(o Observation, p Policy) {
	if m.Agreed >= p.AgreeObservations {
		return
	}
	sameRun := m.CountedRun == o.Run && o.Clock >= m.CountedClock
	if m.Agreed > 0 && sameRun && o.Clock-m.CountedClock < p.ObservationInterval {
		return
	}
	if m.Agreed == 0 || sameRun {
		m.Agreed++
	}
	m.CountedRun, m.CountedClock = o.Run, o.Clock
	if m.Agreed >= p.AgreeObservations {
		m.AgreedAt = m.Watched
	}
}

// next picks the state. wait is how long the present wait lasts at least, when that is known.
func (m *Memory) next(now time.Time, o Observation, p Policy) (to account.DomainState, reason string, wait time.Duration) {
	switch {
	case m.State == account.Closed:
		return account.Closed, "the domain is closed", 0
	case o.MX == Elsewhere || o.MX == Mixed:
		if m.State == account.Open {
			return account.Open, "waiting: " + firstOf(o.Holdouts, "the MX does not name this server everywhere"), 0
		}
		return account.Open, "open again: " + firstOf(o.Holdouts, "the MX no longer names this server everywhere"), 0
	case o.MX != Here:
		return m.State, "waiting, DNS is not known: " + firstOf(o.Holdouts, "no server answered"), 0
	case m.Agreed < p.AgreeObservations:
		return m.State, fmt.Sprintf("waiting: DNS agreed %d of %d times", m.Agreed, p.AgreeObservations), 0
	case m.State == account.Open:
		return account.Cutover, fmt.Sprintf("every authoritative server names this server, seen %d times", m.Agreed), 0
	}
	if left := m.AgreedAt + m.oldAnswers(p) - m.Watched; left > 0 {
		return m.State, fmt.Sprintf("waiting: old answers may live in caches for another %s", span(left)), left
	}
	if o.CachesMX == Elsewhere || o.CachesMX == Mixed {
		return m.State, "waiting: a public resolver still answers the old MX", 0
	}
	if m.State == account.Cutover {
		m.DrainingAt, m.QuietSince, m.LookSince = m.Watched, m.Watched, time.Time{}
		return account.Draining, fmt.Sprintf("old answers have expired: %s have passed since every server agreed", span(m.oldAnswers(p))), 0
	}
	return m.drain(now, o, p)
}

// oldAnswers is how long an old answer may be handed out after the last server changed.
func (m *Memory) oldAnswers(p Policy) time.Duration {
	ttl := m.OldTTL
	if !m.OldTTLKnown {
		ttl = max(ttl, p.AssumedTTL)
	}
	if m.Deserted {
		ttl += m.DelegationTTL
	}
	return ttl + p.Grace
}

// drain ends when the source was quiet for long enough and, after that, every account was looked at once more.
func (m *Memory) drain(now time.Time, o Observation, p Policy) (account.DomainState, string, time.Duration) {
	overdue := m.Overdue(p)
	if left := m.QuietSince + p.QuietFor - m.Watched; left > 0 && !overdue {
		return account.Draining, fmt.Sprintf("waiting: the source must be quiet for another %s", span(left)),
			min(left, m.DrainingAt+p.Deadline-m.Watched)
	}
	if o.NewestPassAt.After(now) {
		// A pass time from the future would count as "after" without being so: set the mark again once it has passed.
		m.LookSince = time.Time{}
		return account.Draining, "waiting: the clock was set back; every account is looked at again", 0
	}
	if m.LookSince.IsZero() {
		m.LookSince = now
	}
	if o.Accounts > 0 && !o.OldestPassAt.After(m.LookSince) {
		return account.Draining, "waiting: not every account has completed a pass since " + m.LookSince.UTC().Format(time.DateTime), 0
	}
	if overdue {
		return account.Closed, fmt.Sprintf("the deadline came: %s of draining", span(p.Deadline)), 0
	}
	return account.Closed, fmt.Sprintf("the source was quiet for %s and DNS still agrees", span(p.QuietFor)), 0
}

func firstOf(sentences []string, otherwise string) string {
	if len(sentences) == 0 {
		return otherwise
	}
	return sentences[0]
}

// span is a duration as people say it.
func span(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	days := d / (24 * time.Hour)
	return fmt.Sprintf("%d days %s", days, (d - days*24*time.Hour).Round(time.Minute).String())
}
