package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/eventlog"
)

// SetDomain changes options of a domain.
func (d *Daemon) SetDomain(ctx context.Context, name string, options control.DomainOptions, dryRun bool) (control.DomainChanged, error) {
	before, err := d.domain(ctx, name)
	if err != nil {
		return control.DomainChanged{}, err
	}
	if before.State == account.Closed {
		return control.DomainChanged{}, control.Refused("domain "+name+" is closed; nothing of it is copied any more", "mailstork domain report "+name)
	}
	after, err := options.Apply(before, "mailstork domain set --help")
	if err != nil {
		return control.DomainChanged{}, err
	}
	if err := d.mailMayBeLeft(ctx, before, after); err != nil {
		return control.DomainChanged{}, err
	}
	sameServer := after.Source.IsSameServer(before.Source)
	if !sameServer {
		if after.Check, err = d.enable(ctx, after); err != nil {
			return control.DomainChanged{}, err
		}
	}
	if err := d.mayBePassedOn(before, after); err != nil {
		return control.DomainChanged{}, err
	}
	changed := control.DomainChanged{Changes: control.ChangesOf(before, after)}
	if len(changed.Changes) > 0 && !dryRun {
		if err := d.store.SetDomainOptions(ctx, after); err != nil {
			return changed, d.changed(err)
		}
		if err := d.followDomains(ctx); err != nil {
			return changed, err
		}
		d.events.Record(ctx, eventlog.Event{Name: "set", Domain: name, State: string(after.State), Detail: changesInWords(changed.Changes)})
		if !sameServer || after.PasswordsOnly != before.PasswordsOnly || after.FirstLogin != before.FirstLogin {
			d.logins.forget(name)
			if err := errors.Join(d.dueAll(ctx, name), d.openAll(ctx, after)); err != nil {
				return changed, d.changed(err)
			}
		}
		d.wakeCutover()
	}
	changed.Domain, err = d.showDomain(ctx, after)
	return changed, err
}

// mayBePassedOn refuses first logins that Dovecot could pass on for nobody, and a source that it could pass nobody on to
// any more. What only one account lacks, that account falls back for. A notice must be where Dovecot's mail user can read it.
func (d *Daemon) mayBePassedOn(before, after account.Domain) error {
	if err := d.notices.Usable(); after.FirstLogin == account.FirstLoginNotice && err != nil {
		return &control.Error{Kind: control.KindRefused, Sentence: "first logins of " + after.Name + " can't be answered with a notice (--first-login notice)", Raw: err.Error(),
			Hint: "chmod o+x " + d.config.RuntimeDir}
	}
	if after.FirstLogin != account.FirstLoginProxy || before.FirstLogin == after.FirstLogin && before.Source == after.Source {
		return nil
	}
	_, err := account.PassageOf(after, account.Account{SourceUser: "somebody"}, d.config.Dovecot.ProxyCAFile)
	var unpassable *account.Unpassable
	if !errors.As(err, &unpassable) {
		return err
	}
	return &control.Error{Kind: control.KindRefused, Sentence: "first logins of " + after.Name + " can't be passed on to its source (--first-login proxy)", Raw: unpassable.Why,
		Hint: "mailstork setup dovecot --print   # after a change of dovecot.proxy_ca_file"}
}

// mailMayBeLeft refuses to leave mail behind that is being copied: no report could account for it (L1).
func (d *Daemon) mailMayBeLeft(ctx context.Context, before, after account.Domain) error {
	if before.PasswordsOnly || !after.PasswordsOnly {
		return nil
	}
	accounts, err := d.store.Accounts(ctx, before.Name)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.State != account.Listed && a.State != account.Joined {
			return control.Refused(fmt.Sprintf("the mail of %s is being copied already, or was", a.Address), "mailstork account pause ADDRESS   # or exclude folders: mailstork domain set --help")
		}
	}
	return nil
}

// SetAccount changes what an account has of its own.
func (d *Daemon) SetAccount(ctx context.Context, address account.Address, options control.AccountOptions, dryRun bool) (control.AccountChanged, error) {
	a, err := d.account(ctx, address)
	if err != nil {
		return control.AccountChanged{}, err
	}
	if a.State == account.Done {
		return control.AccountChanged{}, control.Refused(fmt.Sprintf("account %s is done; nothing of it is copied any more", address), "mailstork domain report "+a.Domain)
	}
	before := a
	if a, err = options.Apply(before, "mailstork account set --help"); err != nil {
		return control.AccountChanged{}, err
	}
	changed := control.AccountChanged{Changes: control.AccountChanges(before, a)}
	if len(changed.Changes) > 0 && !dryRun {
		if err := errors.Join(d.store.SetAccountRules(ctx, address, a.Rules), d.store.SetLanguage(ctx, address, a.Language)); err != nil {
			return changed, d.changed(err)
		}
		d.events.Record(ctx, eventlog.Event{Name: "set", Domain: a.Domain, Account: address, State: string(a.State), Detail: changesInWords(changed.Changes)})
	}
	counts, err := d.ledger.Count(ctx, a.ID)
	changed.Account = d.showAccount(a, counts)
	return changed, err
}

// changesInWords is for the log: "max-message-size: none → 50MiB".
func changesInWords(changes []control.Change) string {
	parts := make([]string, len(changes))
	for i, c := range changes {
		parts[i] = c.String()
	}
	return strings.Join(parts, "; ")
}
