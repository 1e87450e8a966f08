package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"mailstork/daemon/account"
)

// EnsureAccount returns the account of an address inside tx, and inserts it in state listed when it is new.
func (s *Store) EnsureAccount(ctx context.Context, tx *sql.Tx, domainID int64, address account.Address, sourceUser string) (account.Account, error) {
	if sourceUser == "" {
		sourceUser = string(address)
	}
	_, err := tx.ExecContext(ctx, insertAccount, domainID, address, account.Listed, sourceUser, milliseconds(s.now()))
	if err != nil {
		return account.Account{}, fmt.Errorf("adding account %s: %w", address, err)
	}
	return s.AccountIn(ctx, tx, address)
}

// AccountIn is Account inside a transaction.
func (s *Store) AccountIn(ctx context.Context, tx *sql.Tx, address account.Address) (account.Account, error) {
	a, err := scanAccount(tx.QueryRowContext(ctx, selectAccounts+` WHERE address = $1`, address))
	if err != nil {
		return a, fmt.Errorf("reading account %s: %w", address, notFound(err))
	}
	return a, nil
}

// Account returns one account, or ErrNotFound.
func (s *Store) Account(ctx context.Context, address account.Address) (account.Account, error) {
	a, err := scanAccount(s.read.QueryRowContext(ctx, selectAccounts+` WHERE address = $1`, address))
	if err != nil {
		return a, fmt.Errorf("reading account %s: %w", address, notFound(err))
	}
	return a, nil
}

// AccountByID is Account by its number.
func (s *Store) AccountByID(ctx context.Context, id int64) (account.Account, error) {
	a, err := scanAccount(s.read.QueryRowContext(ctx, selectAccounts+` WHERE account_id = $1`, id))
	if err != nil {
		return a, fmt.Errorf("reading account %d: %w", id, notFound(err))
	}
	return a, nil
}

// Accounts returns the accounts of a domain by address; of all domains when domain is empty.
func (s *Store) Accounts(ctx context.Context, domain string) ([]account.Account, error) {
	rows, err := s.read.QueryContext(ctx, selectAccounts+` WHERE $1 = '' OR domain.name = $1 ORDER BY address`, domain)
	if err != nil {
		return nil, fmt.Errorf("reading accounts: %w", err)
	}
	defer rows.Close()
	var accounts []account.Account
	for rows.Next() {
		a, err := scanAccount(rows)
		if err != nil {
			return nil, fmt.Errorf("reading accounts: %w", err)
		}
		accounts = append(accounts, a)
	}
	return accounts, rows.Err()
}

// Census counts the accounts of a domain that are in one state; PassedOn, Held and Noticed by their route.
type Census struct {
	Domain                                           string
	State                                            account.State
	Accounts, Paused, Stuck, PassedOn, Held, Noticed int
}

// Census counts all accounts.
func (s *Store) Census(ctx context.Context) ([]Census, error) {
	rows, err := s.read.QueryContext(ctx, selectCensus)
	if err != nil {
		return nil, fmt.Errorf("counting accounts: %w", err)
	}
	defer rows.Close()
	var all []Census
	for rows.Next() {
		var c Census
		if err := rows.Scan(&c.Domain, &c.State, &c.Accounts, &c.Paused, &c.Stuck, &c.PassedOn, &c.Held, &c.Noticed); err != nil {
			return nil, fmt.Errorf("counting accounts: %w", err)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// MoveAccount changes an account's state along account.Transitions inside tx.
func (s *Store) MoveAccount(ctx context.Context, tx *sql.Tx, a account.Account, to account.State) error {
	if _, err := account.Next(a.State, to); err != nil {
		return err
	}
	if err := mustChange(tx.ExecContext(ctx, updateAccountState, to, a.ID, a.State)); err != nil {
		return fmt.Errorf("moving account %s to %s: %w", a.Address, to, err)
	}
	return nil
}

// StorePasswordHash keeps the hash of a proven password and marks the switch, unless a hash is stored already (A2) or the
// account's logins are passed on.
func (s *Store) StorePasswordHash(ctx context.Context, tx *sql.Tx, accountID int64, hash string) error {
	_, err := tx.ExecContext(ctx, updatePasswordHash, hash, milliseconds(s.now()), accountID)
	if err != nil {
		return fmt.Errorf("storing password hash: %w", err)
	}
	return nil
}

// ReplacePasswordHash keeps the hash of a password in the place of another one. Only of one that was proven at the source
// while the stored credential was refused there, or that an admin chose: a wrong password never comes here (A2).
func (s *Store) ReplacePasswordHash(ctx context.Context, tx *sql.Tx, accountID int64, hash string) error {
	if err := mustChange(tx.ExecContext(ctx, replacePasswordHash, hash, milliseconds(s.now()), accountID)); err != nil {
		return fmt.Errorf("storing password hash: %w", err)
	}
	return nil
}

// SetCredentialRefused notes whether the source refused the stored password.
func (s *Store) SetCredentialRefused(ctx context.Context, address account.Address, refused bool) error {
	return s.changeAccount(ctx, address, `UPDATE account SET credential_refused = $2 WHERE address = $1`, number(refused))
}

// SetPaused starts or stops the passes of an account.
func (s *Store) SetPaused(ctx context.Context, address account.Address, paused bool) error {
	return s.changeAccount(ctx, address, `UPDATE account SET paused = $2 WHERE address = $1`, number(paused))
}

// SetStuck notes why the last pass failed, and the next command for an operator.
func (s *Store) SetStuck(ctx context.Context, address account.Address, reason, hint string) error {
	return s.changeAccount(ctx, address, `UPDATE account SET stuck = $2, hint = $3 WHERE address = $1`, reason, hint)
}

// DuePass makes an account's next pass due now, with at least the given priority; stuck is forgotten.
func (s *Store) DuePass(ctx context.Context, address account.Address, priority int) error {
	return s.changeAccount(ctx, address, updateDue, milliseconds(s.now()), priority)
}

// DueInTx is DuePass inside a transaction.
func (s *Store) DueInTx(ctx context.Context, tx *sql.Tx, address account.Address, priority int) error {
	if err := mustChange(tx.ExecContext(ctx, updateDue, address, milliseconds(s.now()), priority)); err != nil {
		return fmt.Errorf("scheduling account %s: %w", address, err)
	}
	return nil
}

// SetSourceUser changes the login name that an account has at the source.
func (s *Store) SetSourceUser(ctx context.Context, tx *sql.Tx, accountID int64, user string) error {
	return mustChange(tx.ExecContext(ctx, `UPDATE account SET source_user = $1 WHERE account_id = $2`, user, accountID))
}

// SetAccountRules stores the rules that an account has of its own.
func (s *Store) SetAccountRules(ctx context.Context, address account.Address, rules account.Rules) error {
	text, err := json.Marshal(rules)
	if err != nil {
		return fmt.Errorf("changing account %s: %w", address, err)
	}
	return s.changeAccount(ctx, address, `UPDATE account SET rules_json = $2 WHERE address = $1`, string(text))
}

// SetLanguage stores the language of an account's owner; empty: that of the domain.
func (s *Store) SetLanguage(ctx context.Context, address account.Address, language account.Language) error {
	return s.changeAccount(ctx, address, `UPDATE account SET language = $2 WHERE address = $1`, string(language))
}

// SavePass notes a complete pass that began at the given time by the present clock; foundNew tells whether the source
// had a message that was not seen before.
func (s *Store) SavePass(ctx context.Context, tx *sql.Tx, accountID int64, began time.Time, foundNew bool) error {
	var newAt int64
	if foundNew {
		newAt = milliseconds(s.now())
	}
	_, err := tx.ExecContext(ctx, updatePass, milliseconds(began), newAt, accountID)
	if err != nil {
		return fmt.Errorf("noting the end of a pass: %w", err)
	}
	return nil
}

// SaveVerified keeps the verification of an account (JSON).
func (s *Store) SaveVerified(ctx context.Context, tx *sql.Tx, accountID int64, report []byte) error {
	return mustChange(tx.ExecContext(ctx, `UPDATE account SET verified_json = $1 WHERE account_id = $2`, string(report), accountID))
}

// Verified returns what SaveVerified kept; empty before that.
func (s *Store) Verified(ctx context.Context, accountID int64) ([]byte, error) {
	var text string
	err := s.read.QueryRowContext(ctx, `SELECT verified_json FROM account WHERE account_id = $1`, accountID).Scan(&text)
	if err != nil {
		return nil, fmt.Errorf("reading verification of account %d: %w", accountID, notFound(err))
	}
	return []byte(text), nil
}

func (s *Store) changeAccount(ctx context.Context, address account.Address, statement string, values ...any) error {
	err := s.Write(ctx, func(tx *sql.Tx) error {
		return mustChange(tx.ExecContext(ctx, statement, append([]any{address}, values...)...))
	})
	if err != nil {
		return fmt.Errorf("changing account %s: %w", address, err)
	}
	return nil
}

func scanAccount(r row) (account.Account, error) {
	var a account.Account
	var switched, nextPass, lastPass, lastNew, created int64
	var rules, switching string
	err := r.Scan(&a.ID, &a.Domain, &a.Address, &a.State, &a.Paused, &a.Stuck, &a.Hint, &a.Orders, &a.SourceUser, &a.PasswordHash,
		&switched, &nextPass, &a.Priority, &lastPass, &lastNew, &created, &rules, &a.CredentialRefused,
		&a.Route, &switching, &a.Language)
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(rules), &a.Rules), json.Unmarshal([]byte(switching), &a.Switching))
	}
	a.SwitchedAt, a.NextPassAt = fromMilliseconds(switched), fromMilliseconds(nextPass)
	a.LastPassAt, a.LastNewAt = fromMilliseconds(lastPass), fromMilliseconds(lastNew)
	a.CreatedAt = fromMilliseconds(created)
	return a, err
}
