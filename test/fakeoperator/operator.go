package fakeoperator

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

// Status implements control.Observer.
func (o *Operator) Status(context.Context) (control.Status, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	status := control.Status{Version: "0.1.0", StartedAt: Now.Add(-(3*time.Hour + 12*time.Minute)), Now: Now, Domains: o.Known, Passes: o.Running, Sources: o.Sources}
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

// CheckSource implements control.DomainOperator.
func (o *Operator) CheckSource(ctx context.Context, name string) (account.SourceCheck, error) {
	d, err := o.Domain(ctx, name)
	return d.Check, err
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
		OutgoingAddresses: d.OutgoingAddresses, Rules: d.Rules, PasswordsOnly: d.PasswordsOnly, FirstLogin: d.FirstLogin, Notice: d.Notice, CreatedAt: Now,
	}
	if !dryRun && o.Failure == nil {
		o.Known = append(o.Known, added)
	}
	return added, o.Failure
}

// SetDomain implements control.DomainOperator.
func (o *Operator) SetDomain(_ context.Context, name string, options control.DomainOptions, dryRun bool) (control.DomainChanged, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.Known, func(d control.Domain) bool { return d.Name == name })
	if i < 0 {
		return control.DomainChanged{}, control.NotFound("domain "+name+" is not known here", "mailstork domain list")
	}
	known := &o.Known[i]
	before := account.Domain{Name: name, Accounts: known.Policy, MXHosts: known.MXHosts, OutgoingAddresses: known.OutgoingAddresses, Rules: known.Rules,
		Guard: known.Guard, Source: known.Source, PasswordsOnly: known.PasswordsOnly, FirstLogin: known.FirstLogin, Notice: known.Notice}
	after, err := options.Apply(before, "mailstork domain set --help")
	if err != nil {
		return control.DomainChanged{}, err
	}
	changed := control.DomainChanged{Domain: *known, Changes: control.ChangesOf(before, after)}
	if !dryRun && o.Failure == nil {
		known.Policy, known.MXHosts, known.OutgoingAddresses, known.Rules = after.Accounts, after.MXHosts, after.OutgoingAddresses, after.Rules
		known.Guard, known.Source, known.PasswordsOnly, known.FirstLogin, known.Notice = after.Guard, after.Source, after.PasswordsOnly, after.FirstLogin, after.Notice
	}
	return changed, o.Failure
}

// SetAccount implements control.AccountOperator.
func (o *Operator) SetAccount(_ context.Context, address account.Address, options control.AccountOptions, dryRun bool) (control.AccountChanged, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.find(address)
	if i < 0 {
		return control.AccountChanged{}, unknownAccount(address)
	}
	known := &o.List[i].Account
	before := account.Account{Rules: known.Rules, Language: known.Language}
	after, err := options.Apply(before, "mailstork account set --help")
	if err != nil {
		return control.AccountChanged{}, err
	}
	changed := control.AccountChanged{Account: *known, Changes: control.AccountChanges(before, after)}
	if !dryRun && o.Failure == nil {
		known.Rules, known.Language = after.Rules, after.Language
	}
	return changed, o.Failure
}

// FolderMap implements control.AccountOperator.
func (o *Operator) FolderMap(_ context.Context, address account.Address) (control.FolderMap, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.find(address) < 0 {
		return control.FolderMap{}, unknownAccount(address)
	}
	m, known := o.Maps[address]
	if !known {
		return m, control.Refused("nobody has logged in as "+string(address)+" yet and no password was imported, so its folders are not known", "mailstork account import --help")
	}
	return m, o.Failure
}

// SetDomainLogin keeps the login and the secret.
func (o *Operator) SetDomainLogin(ctx context.Context, name string, login account.SourceLogin, value secret.Secret, dryRun bool) (control.Domain, error) {
	d, err := o.Domain(ctx, name)
	if err != nil {
		return d, err
	}
	if d.Login = &login; login.Kind == "" {
		d.Login = nil
	}
	if !dryRun {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.DomainSecret = value
	}
	return d, nil
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

// SetPassword implements control.AccountOperator.
func (o *Operator) SetPassword(_ context.Context, address account.Address, password secret.Secret, alsoAtSource, dryRun bool) (control.Account, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.find(address)
	switch {
	case i < 0:
		return control.Account{}, unknownAccount(address)
	case !alsoAtSource && o.List[i].SwitchedAt.IsZero():
		return control.Account{}, control.Refused("nobody has logged in as "+string(address)+" yet: a password must be proven at the source first",
			"mailstork account set-password "+string(address)+" --also-at-source")
	}
	if !dryRun {
		o.NewPassword = secret.New(password.Reveal())
	}
	return o.List[i].Account, o.Failure
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
	case control.Approve:
		if a.Stuck == "" {
			return control.Account{}, control.Refused("nothing of "+string(address)+" is held back", "mailstork account show "+string(address))
		}
		o.List[i].Orders = o.List[i].Orders.With(account.Order(action))
	case control.Retry, control.CopyParked, control.LeaveParked:
		o.List[i].Orders = o.List[i].Orders.With(account.Order(action))
	case control.Abandon:
		a.State = account.Done
	}
	return *a, o.Failure
}

func (o *Operator) find(address account.Address) int {
	return slices.IndexFunc(o.List, func(a control.AccountDetail) bool { return a.Address == address })
}

func unknownAccount(address account.Address) error {
	return control.NotFound("account "+string(address)+" is not known here", "mailstork account list")
}

// Verify implements control.AccountOperator. Anna's account has one of each; bob's has nothing wrong.
func (o *Operator) Verify(_ context.Context, address account.Address, tell func(control.Pass)) (control.Verification, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.find(address)
	if i < 0 {
		return control.Verification{}, unknownAccount(address)
	}
	if o.List[i].State == account.Listed {
		return control.Verification{}, control.Refused("nothing of "+string(address)+" was copied yet", "mailstork account sync "+string(address))
	}
	tell(control.Pass{Account: address, Phase: "waiting until the running pass ends"})
	tell(control.Pass{Account: address, Phase: "verifying", Folder: "Sent", Messages: 10, MessagesTotal: 9_800})
	v := control.Verification{Account: address, At: Now, Messages: 9_800,
		Folders: []control.VerifiedFolder{{Source: "INBOX", Destination: "INBOX", Messages: 9_800, Here: 9_799, Pending: 1}}, Pending: 1,
		Findings: []control.VerifiedFinding{{Class: "pending", Folder: "INBOX", UID: 9_800, Date: Now, Why: "newer than the last pass"}}}
	if address == "anna@example.org" {
		v = annaVerified()
	}
	return v, o.Failure
}

func annaVerified() control.Verification {
	return control.Verification{Account: "anna@example.org", At: Now, Messages: 19_143, Missing: 2, Pending: 1, Twice: 1, HereOnly: 12,
		Folders: []control.VerifiedFolder{
			{Source: "INBOX", Destination: "INBOX", Messages: 12_003, Here: 11_630, Elsewhere: 10, Delivered: 12, Deleted: 348, Pending: 1, Missing: 2},
			{Source: "INBOX.Gesendete Objekte", Destination: "Sent", Messages: 7_139, Here: 7_136, Refused: 2, Parked: 1},
			{Source: "INBOX.Été à la mer", Destination: "Été à la mer", Messages: 1, Here: 1},
			{Source: "INBOX.Locked", Problem: "the source refuses to open it: NO [NOPERM] not yours"},
		},
		Findings: []control.VerifiedFinding{
			{Class: "missing", Folder: "INBOX", UID: 812, MessageID: "<812@example.net>", Date: Now.Add(-100 * time.Hour),
				Why: `message 811 of "INBOX" here was its copy and has gone since the last pass: its owner deleted it meanwhile, or it was lost`},
			{Class: "missing", Folder: "INBOX", UID: 813, Why: `message 812 of "INBOX" here should be its copy and has other bytes`},
			{Class: "twice", Folder: "INBOX", UID: 12_400, MessageID: "<9@example.net>", Date: Now.Add(-90 * time.Hour),
				Why: "there is one more of it here than at the source: it was appended twice, or its owner copied it"},
			{Class: "pending", Folder: "INBOX", UID: 12_900, MessageID: "<new@example.net>", Date: Now.Add(-time.Minute), Why: "newer than the last pass"},
			{Class: "parked", Folder: "INBOX.Gesendete Objekte", UID: 4, Date: Now.Add(-80 * time.Hour), Why: "its copy may have arrived here"},
			{Class: "refused", Folder: "INBOX.Gesendete Objekte", UID: 5, Date: Now.Add(-80 * time.Hour), Why: "refused here: zero bytes, kept as /var/lib/mailstork/refused/1/5.eml"},
		}}
}
