package daemon

import (
	"context"
	"errors"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

// SetDomainLogin seals what opens all accounts of a domain, and makes the passes due that waited for it. Whether it is
// right is proven with the first account (A1): without one there is nothing to open.
func (d *Daemon) SetDomainLogin(ctx context.Context, name string, login account.SourceLogin, value secret.Secret, dryRun bool) (control.Domain, error) {
	domain, err := d.domain(ctx, name)
	if err != nil {
		return control.Domain{}, err
	}
	if domain.State == account.Closed {
		return control.Domain{}, control.Refused("domain "+name+" is closed; nothing opens its accounts any more", "mailstork domain report "+name)
	}
	if login.Kind != "" {
		if err := login.Check(); err != nil {
			return control.Domain{}, control.Invalid(err.Error(), "mailstork domain login --help")
		}
	}
	if dryRun {
		shown, err := d.showDomain(ctx, domain)
		if shown.Login = &login; login.Kind == "" {
			shown.Login = nil
		}
		return shown, err
	}
	if err := d.saveDomainLogin(ctx, domain, login, value); err != nil {
		return control.Domain{}, d.changed(err)
	}
	return d.showDomain(ctx, domain)
}

func (d *Daemon) saveDomainLogin(ctx context.Context, domain account.Domain, login account.SourceLogin, value secret.Secret) error {
	event := eventlog.Event{Name: "login", Domain: domain.Name, Detail: "the credential of the domain is erased"}
	if login.Kind == "" {
		if err := d.store.EraseDomainCredential(ctx, domain.ID); err != nil {
			return err
		}
	} else {
		sealed, err := d.sealer.Seal(value, domain.ID, store.KindDomain)
		if err != nil {
			return err
		}
		if err := d.store.SaveDomainCredential(ctx, domain.ID, login, sealed); err != nil {
			return err
		}
		event.Detail = "a credential of the domain opens its accounts: " + string(login.Kind)
	}
	d.logins.forget(domain.Name)
	d.events.Record(ctx, event)
	return d.dueAll(ctx, domain.Name)
}

// dueAll makes the next passes of a domain's accounts due now, also of those that were stuck.
func (d *Daemon) dueAll(ctx context.Context, name string) error {
	accounts, err := d.store.Accounts(ctx, name)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.State != account.Done {
			err = errors.Join(err, d.store.DuePass(ctx, a.Address, 0))
		}
	}
	d.workers.Wake()
	return err
}
