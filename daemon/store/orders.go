package store

import (
	"context"
	"database/sql"
	"fmt"

	"mailstork/daemon/account"
)

const updateOrders = `UPDATE account SET orders = $1 WHERE account_id = $2`

// GiveOrder keeps an order for an account's next pass.
func (s *Store) GiveOrder(ctx context.Context, address account.Address, order account.Order) error {
	return s.Write(ctx, func(tx *sql.Tx) error {
		a, err := s.AccountIn(ctx, tx, address)
		if err != nil {
			return err
		}
		return s.saveOrders(ctx, tx, a, a.Orders.With(order))
	})
}

// OrdersObeyed forgets orders inside tx, so that each is obeyed once; those that came meanwhile stay.
func (s *Store) OrdersObeyed(ctx context.Context, tx *sql.Tx, address account.Address, orders ...account.Order) error {
	a, err := s.AccountIn(ctx, tx, address)
	if err != nil {
		return err
	}
	return s.saveOrders(ctx, tx, a, a.Orders.Without(orders...))
}

func (s *Store) saveOrders(ctx context.Context, tx *sql.Tx, a account.Account, orders account.Orders) error {
	if orders == a.Orders {
		return nil
	}
	if err := mustChange(tx.ExecContext(ctx, updateOrders, string(orders), a.ID)); err != nil {
		return fmt.Errorf("changing the orders of %s: %w", a.Address, err)
	}
	return nil
}
