package guard

import "time"

// Breaker is what is remembered of a source that can't be reached or asks to be left alone.
type Breaker struct {
	Broken int       // logins in a row that found the source so
	Until  time.Time // not asked before; zero while it is well
}

// After so many in a row the source is left alone for a while, which doubles with each one more. A source that says
// itself that it is too much is left alone at once.
const (
	brokenInRow  = 3
	firstPause   = 15 * time.Second
	longestPause = 10 * time.Minute
	// A source may ask for no longer than this: nobody can turn logins off for good by an answer.
	longestAsked = time.Hour
)

// note takes the outcome of one login.
func (b *Breaker) note(now time.Time, o Outcome) {
	if o.Trouble == Well {
		*b = Breaker{}
		return
	}
	if now.Before(b.Until) { // one that was on its way when the pause began tells nothing new
		b.Until = later(b.Until, now.Add(min(o.RetryAfter, longestAsked)))
		return
	}
	b.Broken++
	if o.Trouble == Throttled {
		b.Broken = max(b.Broken, brokenInRow)
	}
	if b.Broken < brokenInRow {
		return
	}
	pause := firstPause << min(b.Broken-brokenInRow, 10)
	pause = max(min(pause, longestPause), min(o.RetryAfter, longestAsked))
	b.Until = now.Add(pause)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// weigh lets one login through when the pause is over; its outcome says whether others follow.
func (b *Breaker) weigh(now time.Time, underway int) (Word, time.Time) {
	switch {
	case b.Broken < brokenInRow:
		return Go, time.Time{}
	case now.Before(b.Until):
		return Stop, b.Until
	case underway > 0:
		return Wait, time.Time{}
	}
	return Go, time.Time{}
}
