package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Counters count what is kept nowhere else. All methods may be called by many goroutines.
type Counters struct {
	logins, stops, begun, ended, messages, octets *prometheus.CounterVec
	verifications, passes                         *prometheus.HistogramVec
}

// Buckets in seconds: a source's answer takes at most as long as Dovecot waits for ours; a first pass may take days.
var (
	verificationBuckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 15, 20, 25}
	passBuckets         = []float64{.1, .5, 2, 10, 60, 300, 1800, 7200, 28_800, 86_400}
)

// NewCounters returns counters that have counted nothing yet.
func NewCounters() *Counters {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &Counters{
		logins: counter("logins_total", "Logins that Dovecot asked about, by answer (yes, no, try_later, not_ours) and why. Domain and source are empty when the name belongs to no domain that is moved.",
			"domain", "source", "answer", "why"),
		stops: counter("guard_stops_total", "Logins that were answered try_later so that the source sees no attack and no crowd, by the limit that was reached (account, network, source, breaker, creations).",
			"source", "limit"),
		verifications: histogram("verification_seconds", "Time that a source took to accept (proven) or refuse (wrong) a password, or to do neither (unclear).", verificationBuckets, "source", "result"),
		begun:         counter("passes_begun_total", "Passes that were begun.", "domain"),
		ended:         counter("passes_ended_total", "Passes that have ended, by result: complete, failed (tried again later), stopped (not before somebody acts), interrupted (paused, or the daemon ended).", "domain", "result"),
		passes:        histogram("pass_seconds", "Time that passes took, by result.", passBuckets, "result"),
		messages:      counter("copied_messages_total", "Messages that were copied.", "domain"),
		octets:        counter("copied_bytes_total", "Size of the messages that were copied.", "domain"),
	}
}

// Login counts an answer to Dovecot.
func (c *Counters) Login(domain, source, answer, why string) {
	c.logins.WithLabelValues(domain, source, answer, why).Inc()
}

// GuardStop counts a login that the guard held back.
func (c *Counters) GuardStop(source, limit string) { c.stops.WithLabelValues(source, limit).Inc() }

// Verification counts a password that a source was asked about.
func (c *Counters) Verification(source, result string, took time.Duration) {
	c.verifications.WithLabelValues(source, result).Observe(took.Seconds())
}

// PassBegun counts a pass that begins.
func (c *Counters) PassBegun(domain string) { c.begun.WithLabelValues(domain).Inc() }

// PassEnded counts a pass that has ended.
func (c *Counters) PassEnded(domain, result string, took time.Duration) {
	c.ended.WithLabelValues(domain, result).Inc()
	c.passes.WithLabelValues(result).Observe(took.Seconds())
}

// Copied counts messages that have arrived here.
func (c *Counters) Copied(domain string, messages, octets int64) {
	if messages > 0 || octets > 0 {
		c.messages.WithLabelValues(domain).Add(float64(messages))
		c.octets.WithLabelValues(domain).Add(float64(octets))
	}
}

func (c *Counters) all() []prometheus.Collector {
	return []prometheus.Collector{c.logins, c.stops, c.begun, c.ended, c.messages, c.octets, c.verifications, c.passes}
}
