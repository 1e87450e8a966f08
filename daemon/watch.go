package daemon

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/cutover"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/finalize"
	"mailstork/dnscheck"
)

// watchDomains looks at every domain that is not closed, again and again: stage 6, and the start of stage 7.
func (d *Daemon) watchDomains(ctx context.Context) error {
	for {
		wait := d.config.Cutover.CheckInterval.Duration()
		domains, err := d.store.Domains(ctx)
		if err != nil && ctx.Err() == nil {
			d.report(err)
		}
		for _, domain := range domains {
			if domain.State == account.Closed {
				continue
			}
			again, err := d.watchDomain(ctx, domain)
			if err != nil && ctx.Err() == nil {
				d.events.Record(ctx, eventlog.Event{Name: "cutover", Domain: domain.Name, State: string(domain.State), Err: err.Error()})
			}
			if again > 0 {
				wait = min(wait, again)
			}
		}
		if !d.restUntilWoken(ctx, wait) {
			return nil
		}
	}
}

func (d *Daemon) restUntilWoken(ctx context.Context, wait time.Duration) bool {
	const shortest = 100 * time.Millisecond // a domain that is due at every look must not make this loop spin
	timer := time.NewTimer(max(wait, shortest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-d.cutoverWake:
	case <-timer.C:
	}
	return true
}

func (d *Daemon) wakeCutover() {
	select {
	case d.cutoverWake <- struct{}{}:
	default:
	}
}

// watchDomain makes one observation of a domain and does what follows from it. It returns when to look again.
func (d *Daemon) watchDomain(ctx context.Context, domain account.Domain) (time.Duration, error) {
	memory, err := d.cutoverMemory(ctx, domain)
	if err != nil {
		return 0, err
	}
	accounts, err := d.store.Accounts(ctx, domain.Name)
	if err != nil {
		return 0, err
	}
	observation := d.observe(ctx, domain, accounts)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	memory, decision := cutover.Decide(time.Now(), memory, observation, d.cutoverPolicy())
	if err := d.follow(ctx, domain, accounts, memory, decision); err != nil {
		return decision.LookAgainIn, err
	}
	if decision.Changed() && decision.To != account.Closed { // that one is told when it is carried out
		d.events.Record(ctx, eventlog.Event{Name: "cutover", Domain: domain.Name, State: string(decision.To), Detail: decision.Reason})
	}
	return decision.LookAgainIn, nil
}

// follow stores the memory and moves domain and accounts as decided. A decision for closed is carried out over
// several looks: last passes first, and the state only when every account is done.
func (d *Daemon) follow(ctx context.Context, domain account.Domain, accounts []account.Account, memory cutover.Memory, decision cutover.Decision) error {
	if decision.To == account.Closed {
		return d.finish(ctx, domain, accounts, memory)
	}
	if err := d.keepMemory(ctx, domain, decision.To, memory); err != nil {
		return err
	}
	if decision.To != domain.State {
		domain.State = decision.To
		if err := d.openAll(ctx, domain); err != nil {
			return err
		}
	}
	// Also while draining goes on: a letter at the source has restarted the quiet time, and is followed like any other.
	return d.moveAccounts(ctx, accounts, account.Closing, account.Following)
}

func (d *Daemon) keepMemory(ctx context.Context, domain account.Domain, to account.DomainState, memory cutover.Memory) error {
	text, err := json.Marshal(memory)
	if err != nil {
		return fmt.Errorf("storing cutover memory: %w", err)
	}
	return d.store.MoveDomain(ctx, domain, to, text)
}

// finish starts the last passes, and closes the domain once every account is done. Whoever never logged in still has
// mail at the source that we could not read: such accounts keep the domain open until the deadline.
func (d *Daemon) finish(ctx context.Context, domain account.Domain, accounts []account.Account, memory cutover.Memory) error {
	if err := d.moveAccounts(ctx, accounts, account.Following, account.Closing); err != nil {
		return err
	}
	overdue := memory.Overdue(d.cutoverPolicy())
	left, listed := 0, 0
	for _, a := range accounts {
		switch {
		case a.State == account.Done:
		case a.State != account.Listed:
			left++
		case !overdue:
			listed++
		default:
			if err := finalize.Expire(ctx, d.store, a); err != nil {
				return err
			}
			d.events.Record(ctx, eventlog.Event{Name: "expire", Domain: domain.Name, Account: a.Address, State: string(account.Done)})
		}
	}
	switch {
	case left > 0:
		memory.Waiting = fmt.Sprintf("last passes: %d of %s not done yet", left, number(len(accounts), "account"))
		return d.keepMemory(ctx, domain, domain.State, memory)
	case listed > 0:
		memory.Waiting = fmt.Sprintf("waiting: %s never logged in here; the domain closes without them at the deadline", number(listed, "account"))
		return d.keepMemory(ctx, domain, domain.State, memory)
	}
	return d.closeDomain(ctx, domain, memory)
}

func (d *Daemon) closeDomain(ctx context.Context, domain account.Domain, memory cutover.Memory) error {
	text, err := json.Marshal(memory)
	if err != nil {
		return fmt.Errorf("storing cutover memory: %w", err)
	}
	report, err := finalize.Close(ctx, d.store, domain, text, time.Now())
	if err != nil {
		return err
	}
	d.logins.forget(domain.Name)
	if err := d.followDomains(ctx); err != nil { // the domain is closed all the same
		d.report(err)
	}
	d.events.Record(ctx, eventlog.Event{Name: "finalize", Domain: domain.Name, State: string(account.Closed),
		Detail: fmt.Sprintf("%d accounts, %d messages, %d never logged in", report.AccountsMoved, report.SourceMessages, report.NeverLoggedIn)})
	return nil
}

// moveAccounts moves all accounts that are in one state to another one and makes their next pass due.
func (d *Daemon) moveAccounts(ctx context.Context, accounts []account.Account, from, to account.State) error {
	moved := false
	for _, a := range accounts {
		if a.State != from {
			continue
		}
		err := d.store.Write(ctx, func(tx *sql.Tx) error {
			return errors.Join(d.store.MoveAccount(ctx, tx, a, to), d.store.DueInTx(ctx, tx, a.Address, priorityClosing))
		})
		if err != nil {
			return err
		}
		d.events.Record(ctx, eventlog.Event{Name: "state", Domain: a.Domain, Account: a.Address, State: string(to)})
		moved = true
	}
	if moved {
		d.workers.Wake()
	}
	return nil
}

// observe looks at the DNS and at what the passes of the domain's accounts have seen at the source.
func (d *Daemon) observe(ctx context.Context, domain account.Domain, accounts []account.Account) cutover.Observation {
	report := d.checkDNS(ctx, domain)
	run, clock := d.stopwatch.Read()
	o := cutover.Observation{Run: run, Clock: clock, MX: cutover.Verdict(report.MX), Complete: report.Complete, Holdouts: report.Holdouts,
		OldTTL: time.Duration(report.OldTTLSeconds) * time.Second, Nameservers: report.Nameservers,
		DelegationTTL: time.Duration(report.DelegationTTLSeconds) * time.Second, CachesMX: cutover.Verdict(report.CachesMX)}
	for _, a := range accounts {
		if a.State == account.Listed || a.State == account.Done {
			continue // nobody proved a credential: its source can't be watched; or it is finished
		}
		o.Accounts++
		if a.LastNewAt.After(o.LastNewAt) {
			o.LastNewAt = a.LastNewAt
		}
		if o.Accounts == 1 || a.LastPassAt.Before(o.OldestPassAt) {
			o.OldestPassAt = a.LastPassAt
		}
		if a.LastPassAt.After(o.NewestPassAt) {
			o.NewestPassAt = a.LastPassAt
		}
	}
	return o
}

func (d *Daemon) checkDNS(ctx context.Context, domain account.Domain) dnscheck.Report {
	return d.dns.Check(ctx, dnscheck.Question{Domain: domain.Name,
		Expect: dnscheck.Expect{MXHosts: domain.MXHosts, OutgoingAddresses: domain.OutgoingAddresses}})
}

func (d *Daemon) cutoverPolicy() cutover.Policy {
	c := d.config.Cutover
	return cutover.Policy{AgreeObservations: c.AgreeObservations, ObservationInterval: c.ObservationInterval.Duration(),
		Grace: c.Grace.Duration(), QuietFor: c.Quiet.Duration(), Deadline: c.Deadline.Duration()}
}

func (d *Daemon) cutoverMemory(ctx context.Context, domain account.Domain) (cutover.Memory, error) {
	var memory cutover.Memory
	text, err := d.store.CutoverMemory(ctx, domain.ID)
	if err != nil {
		return memory, err
	}
	if err := json.Unmarshal(text, &memory); err != nil {
		return memory, fmt.Errorf("reading cutover memory of %s: %w", domain.Name, err)
	}
	memory.State = domain.State
	return memory, nil
}

func showMemory(m cutover.Memory) control.Cutover {
	return control.Cutover{Waiting: strings.TrimPrefix(m.Waiting, "waiting: "), CheckedAt: m.CheckedAt, Holdouts: m.Holdouts, DueAt: m.DueAt}
}
