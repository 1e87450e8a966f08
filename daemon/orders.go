package daemon

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/finalize"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
)

// approveCommand begins the hint of an account whose guard holds something back. Only then may an operator approve:
// nobody can allow an accident that has not happened yet.
const approveCommand = "mailstork account approve "

// order keeps an operator's order and makes the pass that obeys it due.
func (d *Daemon) order(ctx context.Context, a account.Account, order account.Order) error {
	if err := d.mayOrder(ctx, a, order); err != nil {
		return err
	}
	if err := d.syncable(ctx, a); err != nil {
		return err
	}
	if err := d.store.GiveOrder(ctx, a.Address, order); err != nil {
		return err
	}
	return d.syncNow(ctx, a)
}

// mayOrder refuses what would do nothing.
func (d *Daemon) mayOrder(ctx context.Context, a account.Account, order account.Order) error {
	if order == account.Approve {
		if !strings.Contains(a.Hint, approveCommand) {
			return control.Refused(fmt.Sprintf("nothing of %s is held back", a.Address), "mailstork account show "+string(a.Address))
		}
		return nil
	}
	counts, err := d.ledger.Count(ctx, a.ID)
	if err != nil {
		return err
	}
	total := ledger.Total(counts)
	what, n := "parked", total.Parked
	if order == account.Retry {
		what, n = "refused", total.Fates[ledger.Refused]
	}
	if n == 0 {
		return control.Refused(fmt.Sprintf("no message of %s is %s", a.Address, what), "mailstork account show "+string(a.Address))
	}
	return nil
}

// orders are what the pass shall obey before it lists anything; approval counts until a pass reaches its end.
func (d *Daemon) orders(a account.Account) mirror.Orders {
	obeyed := []account.Order{}
	for _, o := range []account.Order{account.CopyParked, account.LeaveParked, account.Retry} {
		if a.Orders.Has(o) {
			obeyed = append(obeyed, o)
		}
	}
	return mirror.Orders{
		CopyParked: a.Orders.Has(account.CopyParked), LeaveParked: a.Orders.Has(account.LeaveParked), Retry: a.Orders.Has(account.Retry),
		Obeyed: func(ctx context.Context, tx *sql.Tx) error {
			return d.store.OrdersObeyed(ctx, tx, a.Address, obeyed...)
		},
	}
}

// obeyedByAPass is what a pass that reached its end has obeyed, of the orders that it knew.
func obeyedByAPass(a account.Account) []account.Order {
	if a.Orders.Has(account.Approve) {
		return []account.Order{account.Approve}
	}
	return nil
}

// abandon ends an account whose rest at the source can't be had. Nothing here is touched.
func (d *Daemon) abandon(ctx context.Context, a account.Account) error {
	if a.State == account.Done {
		return control.Refused(fmt.Sprintf("account %s is done", a.Address), "mailstork domain report "+a.Domain)
	}
	counts, err := d.ledger.Count(ctx, a.ID)
	if err != nil {
		return err
	}
	exceptions, err := d.ledger.Exceptions(ctx, a.ID)
	if err != nil {
		return err
	}
	d.progress.cancel(a.Address, errPaused)
	if err := finalize.Abandon(ctx, d.store, a, abandonedReport(a, counts, exceptions), time.Now()); err != nil {
		return err
	}
	d.stick(ctx, a, trouble{})
	d.wakeCutover()
	if a.Route == account.RouteHere {
		return nil
	}
	if a.Route == account.RouteNotice {
		return d.endNotice(ctx, a)
	}
	d.stragglers.add(a.Address, time.Now()) // whom Dovecot still passes on comes here next time
	return d.provisioner.Refresh(ctx)
}

// abandonedReport says what the ledger knows; nothing of it was proven.
func abandonedReport(a account.Account, counts []ledger.FolderCounts, exceptions []ledger.Exception) finalize.AccountReport {
	report := finalize.AccountReport{Address: a.Address}
	for _, f := range counts {
		report.Folders = append(report.Folders, finalize.FolderReport{Source: readable(f.SourceName), Destination: readable(f.DestinationName),
			SourceMessages: int64(f.SourceMessages), Fates: finalize.Fates{Copied: int64(f.Fates[ledger.Copied]), Delivered: int64(f.Fates[ledger.Delivered]),
				Deleted: int64(f.Fates[ledger.Deleted]), Skipped: int64(f.Fates[ledger.Skipped]), Refused: int64(f.Fates[ledger.Refused]), Parked: int64(f.Parked)}})
		report.Octets += f.Octets
	}
	for _, e := range exceptions {
		report.Notes = append(report.Notes, note(e))
	}
	return report
}

func showException(e ledger.Exception) control.Exception {
	class := string(e.Fate)
	if e.Stage == ledger.Parked {
		class = string(ledger.Parked)
	}
	return control.Exception{Class: class, Folder: readable(e.SourceName), UID: e.UID, Why: e.Reason, File: e.KeptFile}
}
