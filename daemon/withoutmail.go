package daemon

import (
	"context"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/finalize"
	"mailstork/daemon/mirror"
	"mailstork/daemon/schedule"
)

// passWithoutMail moves an account whose mail is not copied (mail=no) through the same states as every other. The source
// is only asked about a password that was imported (A1).
func (d *Daemon) passWithoutMail(ctx context.Context, lease schedule.Lease, a *account.Account, began time.Time) error {
	var options mirror.Options
	if a.State == account.Listed {
		var err error
		if options, err = d.mirrorOptions(ctx, lease, *a); err != nil {
			return err
		}
	}
	if err := d.begin(ctx, a, &options); err != nil {
		return err
	}
	if err := d.complete(ctx, a, mirror.Result{}, began); err != nil {
		return err
	}
	if a.State != account.Closing {
		return nil
	}
	if err := finalize.WithoutMail(ctx, d.store, *a, time.Now()); err != nil {
		return err
	}
	d.events.Record(ctx, eventlog.Event{Name: "verify", Domain: a.Domain, Account: a.Address, State: string(account.Done),
		Detail: "its mail was not to be copied; the credential is erased"})
	d.wakeCutover()
	return nil
}
