package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/finalize"
	"mailstork/daemon/ledger"
	"mailstork/daemon/schedule"
	"mailstork/daemon/store"
)

var _ control.Operator = (*Daemon)(nil)

// Status is one look at everything.
func (d *Daemon) Status(ctx context.Context) (control.Status, error) {
	status := control.Status{Version: d.version, StartedAt: d.startedAt, Now: time.Now().UTC(), Passes: d.progress.running()}
	var err error
	if status.Sources, err = d.guarded(ctx); err != nil {
		return status, err
	}
	if status.Domains, err = d.Domains(ctx); err != nil {
		return status, err
	}
	status.Stuck, err = d.Accounts(ctx, control.AccountFilter{Stuck: true})
	return status, err
}

// guarded tells of the sources that the hook is careful with, and of those that passes leave alone.
func (d *Daemon) guarded(ctx context.Context) ([]control.Source, error) {
	pauses, err := d.leases.PausedSources(ctx)
	sources := []control.Source{}
	for _, v := range d.hook.Sources() {
		if v.Failures > 0 || v.Breaker.Broken > 0 {
			sources = append(sources, control.Source{Host: v.Host, Failures: v.Failures, Budget: v.Budget.Failures,
				WindowSeconds: int(v.Budget.Window.Seconds()), Underway: v.Underway, Until: v.Until, Broken: v.Breaker.Broken,
				PassesUntil: pauses[v.Host]})
			delete(pauses, v.Host)
		}
	}
	for _, host := range slices.Sorted(maps.Keys(pauses)) {
		budget := d.hook.BudgetOf(host)
		sources = append(sources, control.Source{Host: host, Budget: budget.Failures, WindowSeconds: int(budget.Window.Seconds()), PassesUntil: pauses[host]})
	}
	return sources, err
}

// Events returns what happened to an account.
func (d *Daemon) Events(ctx context.Context, address account.Address, since int64, limit int) ([]eventlog.Event, error) {
	if _, err := d.account(ctx, address); err != nil {
		return nil, err
	}
	return d.events.Of(ctx, address, since, limit)
}

// Domains returns all domains with their counts.
func (d *Daemon) Domains(ctx context.Context) ([]control.Domain, error) {
	domains, err := d.store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	shown := make([]control.Domain, 0, len(domains))
	for _, domain := range domains {
		one, err := d.showDomain(ctx, domain)
		if err != nil {
			return nil, err
		}
		shown = append(shown, one)
	}
	return shown, nil
}

// Domain returns one domain.
func (d *Daemon) Domain(ctx context.Context, name string) (control.Domain, error) {
	domain, err := d.domain(ctx, name)
	if err != nil {
		return control.Domain{}, err
	}
	return d.showDomain(ctx, domain)
}

func (d *Daemon) showDomain(ctx context.Context, domain account.Domain) (control.Domain, error) {
	shown := withoutCounts(domain)
	budget := d.hook.BudgetOf(domain.Source.HostKey())
	shown.SourceBudget = control.SourceBudget{Failures: budget.Failures, WindowSeconds: int(budget.Window.Seconds())}
	login, _, err := d.store.DomainCredential(ctx, domain.ID)
	if err == nil {
		shown.Login = &login
	} else if !errors.Is(err, store.ErrNotFound) {
		return shown, err
	}
	accounts, err := d.store.Accounts(ctx, domain.Name)
	if err != nil {
		return shown, err
	}
	for _, a := range accounts {
		a = d.withTrouble(a)
		shown.Accounts[a.State]++
		if a.Paused {
			shown.Paused++
		}
		if a.Stuck != "" {
			shown.Stuck++
		}
		counts, err := d.ledger.Count(ctx, a.ID)
		if err != nil {
			return shown, err
		}
		m := countMessages(counts)
		shown.Messages.Source += m.Source
		shown.Messages.Accounted += m.Accounted
	}
	shown.Cutover, err = d.showCutover(ctx, domain)
	return shown, err
}

// withoutCounts is what a domain is shown with besides its accounts.
func withoutCounts(domain account.Domain) control.Domain {
	return control.Domain{Name: domain.Name, State: domain.State, Source: domain.Source, Policy: domain.Accounts,
		MXHosts: domain.MXHosts, OutgoingAddresses: domain.OutgoingAddresses, Rules: domain.Rules, PasswordsOnly: domain.PasswordsOnly, FirstLogin: domain.FirstLogin, Notice: domain.Notice, Check: domain.Check, Guard: domain.Guard, CreatedAt: domain.CreatedAt,
		ClosedAt: domain.ClosedAt, Accounts: map[account.State]int{}}
}

func countMessages(folders []ledger.FolderCounts) control.Messages {
	var m control.Messages
	for _, f := range folders {
		m.Source += int64(f.SourceMessages)
		m.Accounted += int64(f.Present - f.Intended)
	}
	return m
}

// AddDomain adds a domain after its source was looked at, and has refused a password that nobody has.
func (d *Daemon) AddDomain(ctx context.Context, domain account.Domain, dryRun bool) (control.Domain, error) {
	if err := domain.Source.Check(); err != nil {
		return control.Domain{}, control.Invalid(err.Error(), "mailstork domain add --help")
	}
	if _, err := d.store.Domain(ctx, domain.Name); !errors.Is(err, store.ErrNotFound) {
		if err != nil {
			return control.Domain{}, err
		}
		return control.Domain{}, control.Refused("domain "+domain.Name+" exists already", "mailstork domain show "+domain.Name)
	}
	var err error
	if domain.Check, err = d.enable(ctx, domain); err != nil {
		return control.Domain{}, err
	}
	if err := d.mayBePassedOn(account.Domain{}, domain); err != nil {
		return control.Domain{}, err
	}
	if dryRun {
		domain.State = account.Open
		return withoutCounts(domain), nil
	}
	added, err := d.store.AddDomain(ctx, domain)
	if err != nil {
		return control.Domain{}, d.changed(err)
	}
	d.events.Record(ctx, eventlog.Event{Name: "add", Domain: added.Name, State: string(added.State), Detail: "source " + added.Source.HostPort() + saysItIs(domain.Check.ID)})
	if err := d.followDomains(ctx); err != nil {
		return control.Domain{}, err
	}
	d.wakeCutover()
	return d.showDomain(ctx, added)
}

// saysItIs quotes what a source tells of itself, for the person who wonders later what it was.
func saysItIs(id string) string {
	if id == "" {
		return ""
	}
	return fmt.Sprintf(", which says it is %q", id)
}

// Report is a domain's report, finished or so far.
func (d *Daemon) Report(ctx context.Context, name string) (control.Report, error) {
	domain, err := d.domain(ctx, name)
	if err != nil {
		return control.Report{}, err
	}
	report, err := d.domainReport(ctx, domain)
	if err != nil {
		return control.Report{}, err
	}
	var text bytes.Buffer
	if err := report.Text(&text); err != nil {
		return control.Report{}, err
	}
	raw, err := json.Marshal(report)
	return control.Report{Text: text.String(), JSON: raw}, err
}

// domainReport is the kept report of a closed domain, or what is known so far.
func (d *Daemon) domainReport(ctx context.Context, domain account.Domain) (finalize.DomainReport, error) {
	kept, err := d.store.DomainReport(ctx, domain.ID)
	if err != nil || len(kept) == 0 {
		return finalize.Domain(ctx, d.store, domain)
	}
	var report finalize.DomainReport
	if err := json.Unmarshal(kept, &report); err != nil {
		return report, fmt.Errorf("reading report of %s: %w", domain.Name, err)
	}
	return report, nil
}

// CheckDNS looks at a domain's DNS now.
func (d *Daemon) CheckDNS(ctx context.Context, name string) (json.RawMessage, error) {
	domain, err := d.domain(ctx, name)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d.checkDNS(ctx, domain))
}

// Accounts lists accounts.
func (d *Daemon) Accounts(ctx context.Context, filter control.AccountFilter) ([]control.Account, error) {
	accounts, err := d.store.Accounts(ctx, filter.Domain)
	if err != nil {
		return nil, err
	}
	shown := []control.Account{}
	for _, a := range accounts {
		a = d.withTrouble(a)
		if filter.State != "" && a.State != filter.State || filter.Stuck && a.Stuck == "" || filter.Paused && !a.Paused {
			continue
		}
		counts, err := d.ledger.Count(ctx, a.ID)
		if err != nil {
			return nil, err
		}
		shown = append(shown, d.showAccount(a, counts))
	}
	return shown, nil
}

// Account returns one account with its folders.
func (d *Daemon) Account(ctx context.Context, address account.Address) (control.AccountDetail, error) {
	a, err := d.account(ctx, address)
	if err != nil {
		return control.AccountDetail{}, err
	}
	counts, err := d.ledger.Count(ctx, a.ID)
	if err != nil {
		return control.AccountDetail{}, err
	}
	detail := control.AccountDetail{Account: d.showAccount(a, counts), Orders: a.Orders}
	if detail.Credential, err = d.openable(ctx, a); err != nil {
		return detail, err
	}
	for _, f := range counts {
		detail.Folders = append(detail.Folders, showFolder(f))
	}
	exceptions, err := d.ledger.Exceptions(ctx, a.ID)
	if more := len(exceptions) - control.MaxExceptions; more > 0 {
		exceptions, detail.ExceptionsLeft = exceptions[:control.MaxExceptions], more
	}
	for _, e := range exceptions {
		detail.Exceptions = append(detail.Exceptions, showException(e))
	}
	return detail, err
}

func (d *Daemon) showAccount(a account.Account, counts []ledger.FolderCounts) control.Account {
	shown := control.Account{Address: a.Address, Domain: a.Domain, State: a.State, Paused: a.Paused, Stuck: a.Stuck, Hint: a.Hint,
		SourceUser: a.SourceUser, Rules: a.Rules, Language: a.Language, SwitchedAt: a.SwitchedAt, Route: a.Route, Switching: a.Switching, LastPassAt: a.LastPassAt, NextPassAt: a.NextPassAt,
		LastNewAt: a.LastNewAt, CreatedAt: a.CreatedAt, Messages: countMessages(counts)}
	if schedule.Never(a.NextPassAt) {
		shown.NextPassAt = time.Time{}
	}
	shown.Pass = d.progress.of(a.Address)
	return shown
}

func showFolder(f ledger.FolderCounts) control.Folder {
	return control.Folder{Source: readable(f.SourceName), Destination: readable(f.DestinationName), Messages: int64(f.SourceMessages),
		Copied: int64(f.Fates[ledger.Copied]), Delivered: int64(f.Fates[ledger.Delivered]), Deleted: int64(f.Fates[ledger.Deleted]),
		Skipped: int64(f.Fates[ledger.Skipped]), Refused: int64(f.Fates[ledger.Refused]), Unsettled: int64(f.Intended + f.Parked),
		Problem: f.Problem, Limits: f.Limits}
}

// Act does one thing to an account.
func (d *Daemon) Act(ctx context.Context, address account.Address, action control.Action) (control.Account, error) {
	a, err := d.account(ctx, address)
	if err != nil {
		return control.Account{}, err
	}
	switch action {
	case control.Sync:
		err = d.syncNow(ctx, a)
	case control.Pause:
		if err = d.store.SetPaused(ctx, address, true); err == nil {
			d.progress.cancel(address, errPaused)
		}
	case control.Resume:
		err = errors.Join(d.store.SetPaused(ctx, address, false), d.store.DuePass(ctx, address, priorityAsked))
		d.workers.Wake()
	case control.Approve, control.Retry, control.CopyParked, control.LeaveParked:
		err = d.order(ctx, a, account.Order(action))
	case control.Abandon:
		err = d.abandon(ctx, a)
		a.State = account.Done
	}
	if err != nil {
		return control.Account{}, d.changed(err)
	}
	if action != control.Pause {
		d.troubles.note(address, trouble{}, false) // DuePass has forgotten what it could
	}
	d.events.Record(ctx, eventlog.Event{Name: string(action), Domain: a.Domain, Account: address, State: string(a.State)})
	if a, err = d.account(ctx, address); err != nil {
		return control.Account{}, err
	}
	counts, err := d.ledger.Count(ctx, a.ID)
	return d.showAccount(a, counts), err
}

// syncable tells why no pass of an account can be made due.
func (d *Daemon) syncable(ctx context.Context, a account.Account) error {
	openable, err := d.openable(ctx, a)
	switch {
	case err != nil:
		return err
	case a.State == account.Listed && !openable:
		return control.Refused(fmt.Sprintf("nobody has logged in as %s yet and no password was imported", a.Address), "mailstork account import --help")
	case a.State == account.Done:
		return control.Refused(fmt.Sprintf("account %s is done; its password for the source is erased", a.Address), "mailstork domain report "+a.Domain)
	case a.Paused:
		return control.Refused(fmt.Sprintf("account %s is paused", a.Address), "mailstork account resume "+string(a.Address))
	}
	return nil
}

func (d *Daemon) syncNow(ctx context.Context, a account.Account) error {
	if err := d.syncable(ctx, a); err != nil {
		return err
	}
	d.logins.forget(a.Domain) // somebody looks at it: what was doubted may be tried
	if err := d.store.DuePass(ctx, a.Address, priorityAsked); err != nil {
		return err
	}
	d.workers.Wake()
	return nil
}

func (d *Daemon) account(ctx context.Context, address account.Address) (account.Account, error) {
	a, err := d.store.Account(ctx, address)
	if errors.Is(err, store.ErrNotFound) {
		return a, control.NotFound(fmt.Sprintf("there is no account %s", address), "mailstork account list")
	}
	return d.withTrouble(a), err
}

func (d *Daemon) domain(ctx context.Context, name string) (account.Domain, error) {
	domain, err := d.store.Domain(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return domain, control.NotFound(fmt.Sprintf("there is no domain %s", name), "mailstork domain list")
	}
	return domain, err
}

func (d *Daemon) showCutover(ctx context.Context, domain account.Domain) (control.Cutover, error) {
	if domain.State == account.Closed {
		return control.Cutover{}, nil
	}
	memory, err := d.cutoverMemory(ctx, domain)
	if err != nil {
		return control.Cutover{}, err
	}
	return showMemory(memory), nil
}
