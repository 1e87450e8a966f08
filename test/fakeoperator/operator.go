package fakeoperator

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

// Status implements control.Observer.
func (o *Operator) Status(context.Context) (control.Status, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	status := control.Status{Version: "0.1.0", StartedAt: Now.Add(-(3*time.Hour + 12*time.Minute)), Now: Now, Domains: o.Known, Passes: o.Running}
	for _, a := range o.List {
		if a.Stuck != "" {
			status.Stuck = append(status.Stuck, a.Account)
		}
	}
	return status, o.Failure
}

// Doctor implements control.Observer.
func (o *Operator) Doctor(context.Context) ([]control.Finding, error) { return o.Findings, o.Failure }

// Events implements control.Observer.
func (o *Operator) Events(_ context.Context, address account.Address, since int64, limit int) ([]control.Event, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.find(address) < 0 {
		return nil, unknownAccount(address)
	}
	var found []control.Event
	for _, e := range o.Log {
		if e.Account == address && e.ID > since {
			found = append(found, e)
		}
	}
	return found[max(0, len(found)-limit):], o.Failure
}

// Happen adds an event while the server runs.
func (o *Operator) Happen(e control.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e.ID = int64(len(o.Log) + 1)
	o.Log = append(o.Log, e)
}

// Domains implements control.DomainOperator.
func (o *Operator) Domains(context.Context) ([]control.Domain, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.Known), o.Failure
}

// Domain implements control.DomainOperator.
func (o *Operator) Domain(_ context.Context, name string) (control.Domain, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, d := range o.Known {
		if d.Name == name {
			return d, o.Failure
		}
	}
	return control.Domain{}, control.NotFound("domain "+name+" is not known here", "mailstork domain list")
}

// AddDomain implements control.DomainOperator.
func (o *Operator) AddDomain(_ context.Context, d account.Domain, dryRun bool) (control.Domain, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, known := range o.Known {
		if known.Name == d.Name {
			return control.Domain{}, control.Refused("domain "+d.Name+" exists already", "mailstork domain show "+d.Name)
		}
	}
	added := control.Domain{
		Name: d.Name, State: account.Open, Source: d.Source, Policy: d.Accounts, MXHosts: d.MXHosts,
		OutgoingAddresses: d.OutgoingAddresses, CreatedAt: Now,
	}
	if !dryRun && o.Failure == nil {
		o.Known = append(o.Known, added)
	}
	return added, o.Failure
}

// Report implements control.DomainOperator.
func (o *Operator) Report(_ context.Context, name string) (control.Report, error) {
	report, found := o.Reports[name]
	if !found {
		return report, control.Refused("domain "+name+" has no report yet", "mailstork domain show "+name)
	}
	return report, o.Failure
}

// CheckDNS implements control.DomainOperator.
func (o *Operator) CheckDNS(context.Context, string) (json.RawMessage, error) {
	return o.DNS, o.Failure
}

// Accounts implements control.AccountOperator.
func (o *Operator) Accounts(_ context.Context, f control.AccountFilter) ([]control.Account, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []control.Account
	for _, a := range o.List {
		if (f.Domain == "" || a.Domain == f.Domain) && (f.State == "" || a.State == f.State) &&
			(!f.Stuck || a.Stuck != "") && (!f.Paused || a.Paused) {
			found = append(found, a.Account)
		}
	}
	return found, o.Failure
}

// Account implements control.AccountOperator.
func (o *Operator) Account(_ context.Context, address account.Address) (control.AccountDetail, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.find(address)
	if i < 0 {
		return control.AccountDetail{}, unknownAccount(address)
	}
	return o.List[i], o.Failure
}

// Import implements control.AccountOperator.
func (o *Operator) Import(_ context.Context, rows []control.ImportRow, dryRun bool) (control.ImportResult, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	result := control.ImportResult{DryRun: dryRun}
	var wrong []control.LineError
	for _, row := range rows {
		action := "added"
		if o.find(row.Address) >= 0 {
			action = "unchanged"
			result.Unchanged++
		} else {
			result.Added++
		}
		if !row.Password.IsZero() {
			result.Passwords++
		}
		if !slices.ContainsFunc(o.Known, func(d control.Domain) bool { return d.Name == row.Address.Domain() }) {
			wrong = append(wrong, control.LineError{Line: row.Line, Problem: "domain " + row.Address.Domain() + " is not known here"})
		}
		result.Rows = append(result.Rows, control.ImportedRow{Line: row.Line, Address: row.Address, Action: action})
	}
	if len(wrong) > 0 {
		return control.ImportResult{}, control.InvalidLines(wrong)
	}
	if !dryRun && o.Failure == nil {
		o.Imported = append(o.Imported, rows...)
	}
	return result, o.Failure
}

// Act implements control.AccountOperator.
func (o *Operator) Act(_ context.Context, address account.Address, action control.Action) (control.Account, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.find(address)
	if i < 0 {
		return control.Account{}, unknownAccount(address)
	}
	a := &o.List[i].Account
	if a.State == account.Listed && action == control.Sync {
		return control.Account{}, control.Refused("account "+string(address)+" has no credential yet: its owner has never logged in", "mailstork account import FILE")
	}
	switch action {
	case control.Pause:
		a.Paused = true
	case control.Resume:
		a.Paused = false
	case control.Sync:
		a.NextPassAt = Now
	}
	return *a, o.Failure
}

func (o *Operator) find(address account.Address) int {
	return slices.IndexFunc(o.List, func(a control.AccountDetail) bool { return a.Address == address })
}

func unknownAccount(address account.Address) error {
	return control.NotFound("account "+string(address)+" is not known here", "mailstork account list")
}
