package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"mailstork/daemon/account"
)

// MoveRoute changes where an account's logins lead, along account.RouteTransitions, together with what is known of its
// switch. The way to RouteHere is the switch of DESIGN §2. With an epoch it succeeds only for the holder of that lease.
func (s *Store) MoveRoute(ctx context.Context, tx *sql.Tx, a account.Account, to account.Route, switching account.Switching, epoch int64) error {
	if _, err := account.NextRoute(a.Route, to); err != nil {
		return err
	}
	text, err := json.Marshal(switching)
	if err != nil {
		return fmt.Errorf("changing the route of %s: %w", a.Address, err)
	}
	if err := mustChange(tx.ExecContext(ctx, updateRoute, to, string(text), milliseconds(s.now()), a.ID, a.Route, epoch)); err != nil {
		return fmt.Errorf("changing the route of %s to %s: %w", a.Address, to, err)
	}
	return nil
}

// ChangeSwitching changes what is known of an account's switch and returns the account as it is then; change tells
// whether there was anything to change. It may be called beside a pass.
func (s *Store) ChangeSwitching(ctx context.Context, address account.Address, change func(*account.Account) bool) (a account.Account, err error) {
	err = s.Write(ctx, func(tx *sql.Tx) error {
		if a, err = s.AccountIn(ctx, tx, address); err != nil || !change(&a) {
			return err
		}
		return s.SaveSwitching(ctx, tx, a)
	})
	return a, err
}

// SaveSwitching stores what is known of an account's switch.
func (s *Store) SaveSwitching(ctx context.Context, tx *sql.Tx, a account.Account) error {
	text, err := json.Marshal(a.Switching)
	if err == nil {
		err = mustChange(tx.ExecContext(ctx, `UPDATE account SET switch_json = $1 WHERE account_id = $2`, string(text), a.ID))
	}
	if err != nil {
		return fmt.Errorf("noting the switch of %s: %w", a.Address, err)
	}
	return nil
}
