package daemon

import (
	"context"
	"errors"
	"fmt"

	"mailstork/authhook"
	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

// SetPassword makes a password valid here. An account that nobody has logged in to gets one only if the source takes it
// as well: else its owner's first login would never be proven there (A1).
func (d *Daemon) SetPassword(ctx context.Context, address account.Address, password secret.Secret, alsoAtSource, dryRun bool) (control.Account, error) {
	a, err := d.account(ctx, address)
	if err != nil {
		return control.Account{}, err
	}
	domain, err := d.domain(ctx, a.Domain)
	if err != nil {
		return control.Account{}, err
	}
	switch {
	case alsoAtSource && (a.State == account.Done || domain.State == account.Closed):
		return control.Account{}, control.Refused(fmt.Sprintf("account %s is done; its source is not asked any more", address), "mailstork account set-password "+string(address))
	case !alsoAtSource && a.PasswordHash == "":
		return control.Account{}, control.Refused(fmt.Sprintf("nobody has logged in as %s yet: a password must be proven at the source first", address),
			"mailstork account set-password "+string(address)+" --also-at-source")
	case !alsoAtSource && a.Route != account.RouteHere:
		return control.Account{}, control.Refused(fmt.Sprintf("the owner of %s still works at the source, which would refuse another password", address),
			"mailstork account set-password "+string(address)+" --also-at-source")
	}
	if !dryRun {
		if err := d.setPassword(ctx, domain, a, password, alsoAtSource); err != nil {
			return control.Account{}, err
		}
		if a, err = d.account(ctx, address); err != nil {
			return control.Account{}, err
		}
	}
	counts, err := d.ledger.Count(ctx, a.ID)
	return d.showAccount(a, counts), err
}

func (d *Daemon) setPassword(ctx context.Context, domain account.Domain, a account.Account, password secret.Secret, alsoAtSource bool) error {
	if alsoAtSource {
		if err := d.provenAtSource(ctx, domain, a, password); err != nil {
			return err
		}
	}
	hash, err := d.hook.Hash(ctx, password)
	if err != nil {
		return err
	}
	if a.PasswordHash == "" {
		return d.changed(d.provisioner.Admit(ctx, a.Address, hash, password))
	}
	return d.changed(d.provisioner.SetPassword(ctx, a.Address, hash, password, alsoAtSource))
}

func (d *Daemon) provenAtSource(ctx context.Context, domain account.Domain, a account.Account, password secret.Secret) error {
	if domain.Check.Doubt != "" {
		return control.Refused("the source of "+domain.Name+" is not asked: "+domain.Check.Doubt, "mailstork domain check "+domain.Name)
	}
	err := d.hook.Prove(ctx, domain, a, password)
	var wrong *authhook.WrongPassword
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return &control.Error{Kind: control.KindRefused, Sentence: "the source refuses this password; nothing was changed", Raw: wrong.Answer,
			Hint: "mailstork account set-password " + string(a.Address) + "   # without --also-at-source it is valid here alone"}
	}
	return &control.Error{Kind: control.KindFailed, Sentence: "the source gave no clear answer about the password; nothing was changed", Raw: err.Error(),
		Hint: "mailstork status"}
}
