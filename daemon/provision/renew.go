package provision

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

var (
	errNotRefused = errors.New("the source does not refuse its stored password any more")
	errDone       = errors.New("it is done; nothing of it is copied any more")
)

// Renew replaces hash and credential by those of a password that was proven at the source while the stored one was
// refused there. Whoever knows the source's password owns the account (A1); a wrong one never comes here (A2).
func (p *Provisioner) Renew(ctx context.Context, address account.Address, hash string, password secret.Secret) error {
	return p.replace(ctx, address, hash, func(tx *sql.Tx, member account.Account) error {
		if !member.CredentialRefused || member.PasswordHash == "" {
			return errNotRefused
		}
		return p.borrow(ctx, tx, member, password)
	})
}

// SetPassword replaces the hash by that of a password that an admin chose. With proven, the password is the source's as
// well and is kept for the passes.
func (p *Provisioner) SetPassword(ctx context.Context, address account.Address, hash string, password secret.Secret, proven bool) error {
	return p.replace(ctx, address, hash, func(tx *sql.Tx, member account.Account) error {
		if !proven {
			return nil
		}
		if member.State == account.Done {
			return errDone // a credential would never be erased
		}
		return p.borrow(ctx, tx, member, password)
	})
}

func (p *Provisioner) replace(ctx context.Context, address account.Address, hash string, and func(*sql.Tx, account.Account) error) error {
	if !fitsName(address) || !fitsHash(hash) {
		return fmt.Errorf("renewing password of %s: address or hash can't stand in a passwd-file", address)
	}
	var member account.Account
	err := p.store.Write(ctx, func(tx *sql.Tx) (err error) {
		if member, err = p.ensure(ctx, tx, address); err != nil {
			return err
		}
		if err := and(tx, member); err != nil {
			return err
		}
		return p.store.ReplacePasswordHash(ctx, tx, member.ID, hash)
	})
	if err != nil {
		return fmt.Errorf("renewing password of %s: %w", address, err)
	}
	p.journal.Renewed(ctx, member)
	if err := p.files.sync(ctx); err != nil {
		return fmt.Errorf("renewing password of %s: %w", address, err)
	}
	return nil
}
