package metrics

import (
	"context"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// View is what is read from where it is kept, at the moment when somebody asks.
type View struct {
	Version string
	// Waiting and Running are passwords on their way to a source.
	Waiting, Running int
	Sources          []Source
	Passes           int // running now
	Milter           Milter

	// Readable tells whether the database could be read. What follows is from it.
	Readable bool
	Domains  []Domain
	Due      int           // accounts whose pass is due and not begun
	Lag      time.Duration // how long the first of them has been waiting
}

// Source is what the guard knows of a source host.
type Source struct {
	Host             string
	Failures, Budget int
	Broken           bool // its breaker is open
	Paused           bool // passes leave it alone
}

// Milter counts letters and connections since the start.
type Milter struct{ Recorded, Late, Missed, Refused int64 }

// Domain is one domain that is moved, or was.
type Domain struct {
	Name, State     string
	Source          string
	Doubted         bool           // no first login is passed on to its source
	Accounts        map[string]int // by state
	Paused, Stuck   int
	PassedOn, Held  int    // accounts whose logins lead to the source, or nowhere for a moment
	Noticed         int    // accounts whose logins are answered with a notice
	Refused, Parked int    // messages
	MX              string // the verdict of the last look at its DNS
	Holdouts        int    // servers that do not name us yet
	CheckedAt       time.Time
}

// Words are the closed sets of states and verdicts: a state set has a 1 at the one that holds and a 0 at all others.
type Words struct{ AccountStates, DomainStates, Verdicts []string }

const (
	namespace = "mailstork"
	// lookWithin bounds what one question may cost.
	lookWithin = 10 * time.Second
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

var (
	buildInfo     = desc("build_info", "Always 1; the labels tell what runs.", "version", "go_version")
	readable      = desc("database_readable", "1 when the database could be read for this answer; otherwise what is read from it is missing here.")
	verifications = desc("verifications", "Passwords on their way to a source: waiting for the guard, other logins or a free place, or running at the source.", "phase")
	failures      = desc("source_failed_logins", "Failed logins that a source may have counted against this server within the guard's window.", "source")
	budget        = desc("source_failed_logins_allowed", "How many of them the guard allows.", "source")
	breaker       = desc("source_breaker_open", "1 while a source is left alone because it could not be reached or asked for it.", "source")
	pausedSource  = desc("source_paused", "1 while no pass of a source's accounts begins because it asked to be left alone.", "source")
	running       = desc("passes_running", "Passes that run now.")
	due           = desc("passes_due", "Accounts whose next pass is due and has not begun.")
	lag           = desc("pass_lag_seconds", "How long the first of them has been waiting.")
	letters       = desc("milter_letters_total", "Letters for domains that are moved, as Postfix delivered them here: recorded, or missed.", "result")
	late          = desc("milter_late_total", "Letters whose record was made after Postfix had its answer.")
	refusedConns  = desc("milter_connections_refused_total", "Connections of Postfix beyond the limit, or that did not speak the protocol.")
	accounts      = desc("accounts", "Accounts by state.", "domain", "state")
	paused        = desc("accounts_paused", "Accounts whose passes an admin has stopped.", "domain")
	stuck         = desc("accounts_stuck", "Accounts whose last pass failed: mailstork status tells why.", "domain")
	passedOn      = desc("accounts_passed_on", "Accounts whose logins are passed on to the source (first_login: proxy).", "domain")
	noticed       = desc("accounts_noticed", "Accounts whose logins are answered with a notice until everything is here (first_login: notice).", "domain")
	held          = desc("accounts_held", "Accounts whose logins wait while the last difference is copied: seconds, not minutes.", "domain")
	refused       = desc("messages_refused", "Messages that Dovecot refuses to store.", "domain")
	parked        = desc("messages_parked", "Messages that an operator must settle.", "domain")
	doubted       = desc("source_doubted", "1 while no first login of a domain is passed on to its source: mailstork domain check tells why.", "domain", "source")
	domainState   = desc("domain_state", "1 at the state that a domain is in.", "domain", "state")
	domainMX      = desc("domain_mx", "1 at what all authoritative servers together said of a domain's MX.", "domain", "verdict")
	holdouts      = desc("domain_dns_holdouts", "Servers that do not name this server as MX yet.", "domain")
	checkedAt     = desc("domain_dns_checked_timestamp_seconds", "When the DNS of a domain was last looked at.", "domain")
)

// viewed is the collector of a View.
type viewed struct {
	words Words
	look  func(context.Context) View
}

func (c viewed) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{buildInfo, readable, verifications, failures, budget, breaker, pausedSource, running, due, lag, letters, late, refusedConns,
		accounts, paused, stuck, passedOn, noticed, held, refused, parked, doubted, domainState, domainMX, holdouts, checkedAt} {
		ch <- d
	}
}

// Collect looks once. Prometheus' interface has no context of whoever asks.
func (c viewed) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), lookWithin)
	defer cancel()
	v := c.look(ctx)
	tell := teller(ch)
	tell.gauge(buildInfo, 1, v.Version, runtime.Version())
	tell.gauge(readable, number(v.Readable))
	tell.gauge(verifications, float64(v.Waiting), "waiting")
	tell.gauge(verifications, float64(v.Running), "running")
	for _, s := range v.Sources {
		tell.gauge(failures, float64(s.Failures), s.Host)
		tell.gauge(budget, float64(s.Budget), s.Host)
		tell.gauge(breaker, number(s.Broken), s.Host)
		tell.gauge(pausedSource, number(s.Paused), s.Host)
	}
	tell.gauge(running, float64(v.Passes))
	tell.counter(letters, v.Milter.Recorded, "recorded")
	tell.counter(letters, v.Milter.Missed, "missed")
	tell.counter(late, v.Milter.Late)
	tell.counter(refusedConns, v.Milter.Refused)
	if !v.Readable {
		return
	}
	tell.gauge(due, float64(v.Due))
	tell.gauge(lag, v.Lag.Seconds())
	for _, d := range v.Domains {
		c.domain(tell, d)
	}
}

func (c viewed) domain(tell teller, d Domain) {
	for _, state := range c.words.AccountStates {
		tell.gauge(accounts, float64(d.Accounts[state]), d.Name, state)
	}
	tell.gauge(paused, float64(d.Paused), d.Name)
	tell.gauge(stuck, float64(d.Stuck), d.Name)
	tell.gauge(passedOn, float64(d.PassedOn), d.Name)
	tell.gauge(noticed, float64(d.Noticed), d.Name)
	tell.gauge(held, float64(d.Held), d.Name)
	tell.gauge(refused, float64(d.Refused), d.Name)
	tell.gauge(parked, float64(d.Parked), d.Name)
	tell.gauge(doubted, number(d.Doubted), d.Name, d.Source)
	for _, state := range c.words.DomainStates {
		tell.gauge(domainState, number(state == d.State), d.Name, state)
	}
	for _, verdict := range c.words.Verdicts {
		tell.gauge(domainMX, number(verdict == d.MX), d.Name, verdict)
	}
	tell.gauge(holdouts, float64(d.Holdouts), d.Name)
	if !d.CheckedAt.IsZero() {
		tell.gauge(checkedAt, float64(d.CheckedAt.Unix()), d.Name)
	}
}

type teller chan<- prometheus.Metric

func (t teller) gauge(d *prometheus.Desc, value float64, labels ...string) {
	t <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (t teller) counter(d *prometheus.Desc, value int64, labels ...string) {
	t <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
