package wire

import (
	"sync"
	"time"
)

// Compress says when a source is asked to compress.
type Compress string

// The choices. Auto compresses a link that was measured to be slow, as long as that
// makes it faster.
const (
	CompressAuto   Compress = "auto" // also the empty one
	CompressAlways Compress = "always"
	CompressNever  Compress = "never"
)

const (
	// fastLink is the rate, in octets per second of waiting for them, from which on
	// compression costs more (both sides' processors) than it gains.
	fastLink = 4 << 20
	// minSample is how much mail must have come before its rate means something.
	minSample = 1 << 20
	// minGain is how much faster the mail must come when it is compressed.
	minGain = 1.1
)

// Link is what is known of the way to a server: at which rate mail comes when we wait
// for nothing else, plain and compressed. All connections to a server share one; it may
// be used by many goroutines.
type Link struct {
	mu              sync.Mutex
	plain, deflated float64 // octets of mail per second spent waiting for them; 0: not known
	forbidden       bool
}

// wants decides. The first connection is never compressed, so that a fast link pays
// nothing; a slow one pays for the first sample.
func (l *Link) wants(c Compress) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c == CompressNever || l.forbidden:
		return false
	case c == CompressAlways:
		return true
	case l.plain == 0 || l.plain >= fastLink:
		return false
	}
	return l.deflated == 0 || l.deflated >= minGain*l.plain
}

// forbid is for a server whose compression does not work.
func (l *Link) forbid() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forbidden = true
}

func (l *Link) note(deflated bool, octets int64, waited time.Duration) {
	rate := float64(octets) / max(waited, time.Microsecond).Seconds()
	l.mu.Lock()
	defer l.mu.Unlock()
	known := &l.plain
	if deflated {
		known = &l.deflated
	}
	if *known > 0 {
		rate = (rate + *known) / 2
	}
	*known = rate
}

// sample is what came while messages were fetched, and how long that was waited for.
type sample struct {
	octets int64
	waited time.Duration
}

// measure begins a measurement; the returned function ends it. Only time blocked in
// reading counts: when the destination is the slow side, the link looks as fast as it is.
func (c *Conn) measure() (end func()) {
	from, deflated := c.odometer(), c.inflated != nil
	return func() {
		if deflated != (c.inflated != nil) {
			c.sampled = sample{}
			return
		}
		to := c.odometer()
		c.sampled.octets += to.octets - from.octets
		c.sampled.waited += to.waited - from.waited
		if c.sampled.octets >= minSample {
			c.link.note(deflated, c.sampled.octets, c.sampled.waited)
			c.sampled = sample{}
		}
	}
}

func (c *Conn) odometer() sample {
	if c.inflated != nil {
		return sample{c.inflated.out, c.idle.waited}
	}
	return sample{c.idle.octets, c.idle.waited}
}
