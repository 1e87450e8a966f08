package daemon

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"mailstork/authhook"
	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/cutover"
	"mailstork/daemon/metrics"
	"mailstork/daemon/schedule"
	"mailstork/daemon/secret"
)

// metricsHandler answers with what is counted and with a look at everything else.
func (d *Daemon) metricsHandler() http.Handler {
	words := metrics.Words{Verdicts: []string{string(cutover.Here), string(cutover.Elsewhere), string(cutover.Mixed), string(cutover.Unknown)}}
	for _, state := range account.States {
		words.AccountStates = append(words.AccountStates, string(state))
	}
	for _, state := range account.DomainStates {
		words.DomainStates = append(words.DomainStates, string(state))
	}
	return metrics.Handler(d.counters, words, d.measure, d.report)
}

// openMetrics opens the doors for Prometheus that the configuration names.
func (d *Daemon) openMetrics(ctx context.Context, group *errgroup.Group, handler http.Handler) error {
	c := d.config.Metrics
	server := &control.MetricsServer{Metrics: handler, Logger: d.logger}
	if c.Socket != "" {
		listener, err := listenUnix("metrics", c.Socket, 0o660)
		if err == nil {
			err = control.ShareWithGroup(c.Socket, c.Group)
		}
		if err != nil {
			return err
		}
		group.Go(func() error { return server.Serve(ctx, listener) })
	}
	if c.Listen == "" {
		return nil
	}
	token, err := openToken("metrics token", c.TokenFile)
	if err == nil {
		err = shareToken(c.TokenFile, c.Group)
	}
	if err != nil {
		return err
	}
	listener, err := d.listeners.open("metrics", c.Listen, 0)
	if err != nil {
		return err
	}
	withToken := &control.MetricsServer{Metrics: handler, Token: token, Logger: d.logger}
	group.Go(func() error { return withToken.Serve(ctx, listener) })
	return nil
}

// shareToken lets a group read a token that is its owner's alone otherwise.
func shareToken(path, group string) error {
	if group == "" {
		return nil
	}
	return errors.Join(control.ShareWithGroup(path, group), os.Chmod(path, 0o640))
}

// measure is one look at what Prometheus asks about.
func (d *Daemon) measure(ctx context.Context) metrics.View {
	v := metrics.View{Version: d.version, Passes: len(d.progress.running())}
	v.Waiting, v.Running = d.hook.Load()
	now := time.Now()
	for _, s := range d.hook.Sources() {
		v.Sources = append(v.Sources, metrics.Source{Host: s.Host, Failures: s.Failures, Budget: s.Budget.Failures, Broken: s.Breaker.Until.After(now)})
	}
	letters := d.milter.Stats()
	v.Milter = metrics.Milter{Recorded: letters.Recorded, Late: letters.Late, Missed: letters.Missed, Refused: letters.Refused}
	if err := d.measureStore(ctx, &v); err != nil {
		d.report(err)
		return v
	}
	v.Readable = true
	return v
}

func (d *Daemon) measureStore(ctx context.Context, v *metrics.View) (err error) {
	if v.Due, v.Lag, err = d.leases.Queue(ctx); err != nil {
		return err
	}
	pauses, err := d.leases.PausedSources(ctx)
	if err != nil {
		return err
	}
	for i, s := range v.Sources {
		v.Sources[i].Paused = !pauses[s.Host].IsZero()
		delete(pauses, s.Host)
	}
	for host := range pauses {
		v.Sources = append(v.Sources, metrics.Source{Host: host, Budget: d.hook.BudgetOf(host).Failures, Paused: true})
	}
	domains, err := d.store.Domains(ctx)
	if err != nil {
		return err
	}
	place := map[string]int{}
	for i, domain := range domains {
		memory, err := d.cutoverMemory(ctx, domain)
		if err != nil {
			return err
		}
		place[domain.Name] = i
		v.Domains = append(v.Domains, metrics.Domain{Name: domain.Name, State: string(domain.State), Source: domain.Source.Host,
			Doubted: domain.Check.Doubt != "", Accounts: map[string]int{}, MX: string(memory.MX), Holdouts: len(memory.Holdouts), CheckedAt: memory.CheckedAt})
	}
	return errors.Join(d.measureAccounts(ctx, v.Domains, place), d.measureMessages(ctx, v.Domains, place))
}

func (d *Daemon) measureAccounts(ctx context.Context, domains []metrics.Domain, place map[string]int) error {
	census, err := d.store.Census(ctx)
	for _, c := range census {
		if i, known := place[c.Domain]; known { // else it was added meanwhile
			domains[i].Accounts[string(c.State)] = c.Accounts
			domains[i].Paused += c.Paused
			domains[i].Stuck += c.Stuck
			domains[i].PassedOn += c.PassedOn
			domains[i].Held += c.Held
			domains[i].Noticed += c.Noticed
		}
	}
	return err
}

func (d *Daemon) measureMessages(ctx context.Context, domains []metrics.Domain, place map[string]int) error {
	counts, err := d.ledger.ForPeople(ctx)
	for _, c := range counts {
		if i, known := place[c.Domain]; known {
			domains[i].Refused, domains[i].Parked = c.Refused, c.Parked
		}
	}
	return err
}

// timed counts what sources say to the hook, and how long it takes.
type timed struct {
	authhook.Verifier
	counters *metrics.Counters
}

func (t timed) Verify(ctx context.Context, source account.Source, user string, password secret.Secret) error {
	began := time.Now()
	err := t.Verifier.Verify(ctx, source, user, password)
	result := "unclear"
	var wrong *authhook.WrongPassword
	switch {
	case err == nil:
		result = "proven"
	case errors.As(err, &wrong):
		result = "wrong"
	}
	t.counters.Verification(source.HostKey(), result, time.Since(began))
	return err
}

// howEnded is the word of the metrics for the end of a pass.
func howEnded(outcome schedule.Outcome) string {
	switch {
	case outcome.Stop:
		return "stopped"
	case outcome.Failed:
		return "failed"
	case outcome.NextPass == 0:
		return "interrupted"
	}
	return "complete"
}
