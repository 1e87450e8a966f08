package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/mirror"
	"mailstork/daemon/schedule"
)

// Verify holds the account's lease while it reads both sides, so that no pass changes one of them meanwhile.
func (d *Daemon) Verify(ctx context.Context, address account.Address, tell func(control.Pass)) (shown control.Verification, err error) {
	a, err := d.verifiable(ctx, address)
	if err != nil {
		return shown, err
	}
	waiting := func() { tell(control.Pass{Account: address, Phase: "waiting until the running pass ends"}) }
	err = d.workers.Borrow(ctx, a.ID, waiting, func(ctx context.Context, lease schedule.Lease) error {
		if a, err = d.verifiable(ctx, address); err != nil { // it may be done since
			return err
		}
		ctx, end := d.progress.begin(ctx, address)
		defer end()
		shown, err = d.verify(ctx, lease, a, tell)
		if err != nil && errors.Is(context.Cause(ctx), errPaused) {
			err = control.Refused("the verification was stopped: "+errPaused.Error(), "mailstork account verify "+string(address))
		}
		return err
	})
	var known *mirror.Error
	if errors.As(err, &known) {
		return shown, forCommand(known, control.KindFailed)
	}
	return shown, err
}

// verifiable returns an account of which there is something to verify.
func (d *Daemon) verifiable(ctx context.Context, address account.Address) (account.Account, error) {
	a, err := d.account(ctx, address)
	if err != nil {
		return a, err
	}
	openable, err := d.openable(ctx, a)
	switch {
	case err != nil:
		return a, err
	case a.State == account.Done:
		return a, control.Refused(fmt.Sprintf("account %s is done: it was verified at its last pass, and its password for the source is erased", address),
			"mailstork domain report "+a.Domain)
	case a.State == account.Listed || a.State == account.Joined:
		return a, control.Refused(fmt.Sprintf("nothing of %s was copied yet", address), "mailstork account sync "+string(address))
	case !openable:
		return a, control.Refused(fmt.Sprintf("there is no password for the source of %s, so it can't be read", address), "mailstork account import --help")
	}
	return a, err
}

func (d *Daemon) verify(ctx context.Context, lease schedule.Lease, a account.Account, tell func(control.Pass)) (control.Verification, error) {
	began := time.Now()
	event := eventlog.Event{Name: "verify", Domain: a.Domain, Account: a.Address, State: string(a.State)}
	options, err := d.mirrorOptions(ctx, lease, a)
	if err != nil {
		return control.Verification{}, err
	}
	note := options.Progress
	options.Progress = func(p mirror.Progress) {
		note(p)
		tell(showProgress(a.Address, p))
	}
	report, err := mirror.Verify(ctx, options, mirror.VerifyOptions{Reread: true})
	event.Took = time.Since(began)
	if err != nil {
		if ctx.Err() == nil {
			event.Err = err.Error()
			d.events.Record(ctx, event)
		}
		return control.Verification{}, err
	}
	shown := showVerification(a.Address, report)
	event.Detail = fmt.Sprintf("%d messages at the source, %d missing, %d pending, %d here twice", shown.Messages, shown.Missing, shown.Pending, shown.Twice)
	d.events.Record(ctx, event)
	return shown, nil
}

func showVerification(address account.Address, r mirror.VerifyReport) control.Verification {
	shown := control.Verification{Account: address, At: r.At.UTC(), Missing: int64(r.Count(mirror.Missing)), Pending: int64(r.Count(mirror.Pending)),
		Twice: int64(r.Twice), HereOnly: int64(r.HereOnly)}
	for _, f := range r.Folders {
		shown.Messages += int64(f.Messages)
		n := func(class mirror.Class) int64 { return int64(f.Classes[class]) }
		shown.Folders = append(shown.Folders, control.VerifiedFolder{Source: f.Name, Destination: readable(f.DestinationName),
			Messages: int64(f.Messages), Here: n(mirror.Here), Elsewhere: n(mirror.Elsewhere), Delivered: n(mirror.Delivered),
			Deleted: n(mirror.Deleted), Skipped: n(mirror.Skipped), Refused: n(mirror.Refused), Parked: n(mirror.Parked),
			Pending: n(mirror.Pending), Missing: n(mirror.Missing), Problem: f.Problem})
	}
	for _, f := range r.Findings {
		shown.Findings = append(shown.Findings, control.VerifiedFinding{Class: string(f.Class), Folder: f.Folder, UID: f.UID,
			MessageID: f.MessageID, Date: f.Date, Why: f.Why})
	}
	return shown
}
