package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/finalize"
	"mailstork/daemon/ledger"
	"mailstork/daemon/milter"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/schedule"
)

// runPass is what a worker does with an account: stages 4, 5 and 7. It reports its own errors.
func (d *Daemon) runPass(ctx context.Context, lease schedule.Lease, a account.Account) schedule.Outcome {
	began := time.Now()
	d.counters.PassBegun(a.Domain)
	outcome := d.tellPass(ctx, lease, a)
	d.counters.PassEnded(a.Domain, howEnded(outcome), time.Since(began))
	return outcome
}

// tellPass makes a pass that can be watched and interrupted, and writes down how it ended.
func (d *Daemon) tellPass(ctx context.Context, lease schedule.Lease, a account.Account) schedule.Outcome {
	ctx, end := d.progress.begin(ctx, a.Address)
	defer end()
	if now, err := d.store.Account(ctx, a.Address); err == nil && now.Paused { // between the claim and begin
		return d.interrupted(errPaused, a)
	}
	began := time.Now()
	detail, err := d.pass(ctx, lease, &a, began)
	if ctx.Err() != nil {
		return d.interrupted(context.Cause(ctx), a)
	}
	event := eventlog.Event{Name: "pass", Domain: a.Domain, Account: a.Address, State: string(a.State), Took: time.Since(began), Detail: detail}
	if err == nil {
		if detail != "" || a.Stuck != "" {
			d.events.Record(ctx, event)
		}
		return schedule.Outcome{NextPass: d.passInterval(a), Failed: false, Stop: false}
	}
	event.Err = err.Error()
	d.events.Record(ctx, event)
	return d.failed(ctx, a, err)
}

// interrupted is the end of a pass that was told to stop: nothing is wrong with the account.
func (d *Daemon) interrupted(cause error, a account.Account) schedule.Outcome {
	if !errors.Is(cause, context.Canceled) {
		d.logger.Info("pass", "event", "pass", "account", string(a.Address), "detail", "stopped: "+cause.Error())
	}
	return schedule.Outcome{}
}

// failed keeps with the account why a pass failed, and decides when it is tried again. A refused credential is not
// tried again at all, since the source may lock the account or ban us.
func (d *Daemon) failed(ctx context.Context, a account.Account, err error) schedule.Outcome {
	if errors.Is(err, ledger.ErrLeaseLost) {
		return schedule.Outcome{Failed: true} // it is another worker's account now
	}
	d.stick(ctx, a, d.troubleOf(a, err))
	var known *mirror.Error
	var login *wire.LoginError
	switch {
	case errors.As(err, &known) && known.After > 0: // the source said when
		outcome := schedule.Outcome{NextPass: known.After, Failed: true}
		if known.Reach == mirror.ReachSource {
			outcome.LeaveSource = known.After
		}
		return outcome
	case mirror.DiskFull(err) || !errors.As(err, &known) || known.Next != mirror.OperatorMustAct:
		return schedule.Outcome{Failed: true}
	case known.Reach == mirror.ReachAccount && errors.As(err, &login) && login.Refused:
		// From now on the hook asks the source about a password that does not match the hash (§4).
		if err := d.store.SetCredentialRefused(ctx, a.Address, true); err != nil {
			d.report(err)
		}
		return schedule.Outcome{Stop: true}
	}
	return schedule.Outcome{NextPass: d.config.Mirror.RetryMax.Duration(), Failed: true}
}

// pass copies and follows, moves the account's state, and finishes it when its domain is closing.
func (d *Daemon) pass(ctx context.Context, lease schedule.Lease, a *account.Account, began time.Time) (detail string, err error) {
	domain, err := d.store.Domain(ctx, a.Domain)
	if err != nil {
		return "", err
	}
	if err := d.open(ctx, lease, a, account.WhyOpen(domain)); err != nil {
		return "", err
	}
	if domain.PasswordsOnly {
		return "", d.passWithoutMail(ctx, lease, a, began)
	}
	if err := d.beforePass(ctx, lease, a); err != nil {
		return "", err
	}
	options, err := d.mirrorOptions(ctx, lease, *a)
	if err != nil {
		return "", err
	}
	if options.SharedLogin != "" {
		defer func() { d.logins.note(a.Domain, err) }()
	}
	if err = d.begin(ctx, a, &options); err != nil {
		return "", err
	}
	result, err := d.mirrorPass(ctx, a.Domain, options)
	d.tellOddities(ctx, *a, result.Oddities)
	if err != nil {
		return "", err
	}
	if err := d.complete(ctx, a, result, began); err != nil {
		return summary(result), err
	}
	if a.Route == account.RouteNotice {
		if err = d.catchUp(ctx, a, options, result); err == nil {
			err = d.open(ctx, lease, a, "the first pass is complete")
		}
		if err != nil {
			return summary(result), err
		}
		options.Account, options.Policy.Switched = *a, a.Switched()
	}
	if a.Route == account.RouteSource {
		if err := d.switchIfDue(ctx, lease, a, domain, options, result); err != nil || a.Route != account.RouteHere {
			return summary(result), err
		}
		options.Account, options.Policy.Switched = *a, true
	}
	if a.State == account.Closing {
		return summary(result), d.finishAccount(ctx, *a, options)
	}
	return summary(result), nil
}

// mirrorPass counts what a pass copies while it runs.
func (d *Daemon) mirrorPass(ctx context.Context, domain string, options mirror.Options) (mirror.Result, error) {
	var before mirror.Progress
	tell := options.Progress
	options.Progress = func(now mirror.Progress) { // never called twice at once
		d.counters.Copied(domain, int64(now.Messages-before.Messages), now.Octets-before.Octets)
		before = now
		tell(now)
	}
	return mirror.Pass(ctx, options)
}

// begin moves an account to copying before its first pass. A credential that was imported is proven first (A1).
func (d *Daemon) begin(ctx context.Context, a *account.Account, options *mirror.Options) error {
	if a.State == account.Listed {
		if err := mirror.Prove(ctx, *options); err != nil {
			return err
		}
		if err := d.move(ctx, a, account.Joined); err != nil {
			return err
		}
	}
	if a.State == account.Joined {
		if err := d.provisioner.Refresh(ctx); err != nil {
			return err
		}
		if err := d.move(ctx, a, account.Copying); err != nil {
			return err
		}
	}
	if a.State == account.Copying { // perhaps since a moment: Dovecot would say that there is no such user. Meanwhile the source is asked
		options.Destination.NotBefore = d.provisioner.DeliverableAt()
	}
	return nil
}

func (d *Daemon) move(ctx context.Context, a *account.Account, to account.State) error {
	if err := d.store.Write(ctx, func(tx *sql.Tx) error { return d.store.MoveAccount(ctx, tx, *a, to) }); err != nil {
		return err
	}
	a.State = to
	d.events.Record(ctx, eventlog.Event{Name: "state", Domain: a.Domain, Account: a.Address, State: string(to)})
	return nil
}

// complete notes a pass that reached its end. A folder that could not be finished keeps the account in copying.
func (d *Daemon) complete(ctx context.Context, a *account.Account, result mirror.Result, began time.Time) error {
	if problems := result.Problems(); len(problems) > 0 {
		reason := fmt.Sprintf("Folder %q could not be finished: %s", problems[0].Name, problems[0].Problem)
		if more := len(problems) - 1; more > 0 {
			reason += " (and " + number(more, "more folder") + ")"
		}
		hint := "mailstork doctor   # tried again by itself; at once: mailstork account sync " + string(a.Address)
		if result.Held > 0 {
			hint = approveCommand + string(a.Address) + "   # if its owner deleted them"
		}
		return &mirror.Error{Next: mirror.RetryLater, Reach: mirror.ReachFolder, Sentence: reason + ".", Hint: hint}
	}
	err := d.store.Write(ctx, func(tx *sql.Tx) error {
		// The start by today's clock: a clock that was set meanwhile must not make a pass look older or newer.
		return errors.Join(d.store.SavePass(ctx, tx, a.ID, time.Now().Add(-time.Since(began)), result.New > 0),
			d.store.OrdersObeyed(ctx, tx, a.Address, obeyedByAPass(*a)...))
	})
	if err != nil {
		return err
	}
	if d.withTrouble(*a).Stuck != "" {
		d.stick(ctx, *a, trouble{})
	}
	if a.State == account.Copying {
		return d.move(ctx, a, account.Following)
	}
	return nil
}

// finishAccount proves that every message is accounted for (L1), and ends the account.
func (d *Daemon) finishAccount(ctx context.Context, a account.Account, options mirror.Options) error {
	verified, err := mirror.Verify(ctx, options, mirror.VerifyOptions{})
	if err == nil && len(verified.Unexplained()) > 0 { // a letter came, or its owner deleted one, since the pass ended
		began := time.Now()
		result, passErr := d.mirrorPass(ctx, a.Domain, options)
		if passErr == nil {
			passErr = d.complete(ctx, &a, result, began)
		}
		if passErr != nil {
			return passErr
		}
		verified, err = mirror.Verify(ctx, options, mirror.VerifyOptions{})
	}
	if err != nil {
		return err
	}
	if err := finalize.Account(ctx, d.store, a, accountReport(a, verified)); err != nil {
		return err
	}
	d.events.Record(ctx, eventlog.Event{Name: "verify", Domain: a.Domain, Account: a.Address, State: string(account.Done),
		Detail: "every message is accounted for; the credential is erased"})
	d.wakeCutover()
	return nil
}

// mirrorOptions says everything that a pass of this account needs; the credential is opened for it.
func (d *Daemon) mirrorOptions(ctx context.Context, lease schedule.Lease, a account.Account) (mirror.Options, error) {
	domain, err := d.store.Domain(ctx, a.Domain)
	if err != nil {
		return mirror.Options{}, err
	}
	from, shared, err := d.sourceOptions(ctx, domain, a)
	if err != nil {
		return mirror.Options{}, err
	}
	return mirror.Options{
		Account: a, Lease: ledger.Lease{Owner: lease.Owner, Epoch: lease.Epoch}, Ledger: d.ledger,
		Source: from, SharedLogin: shared,
		Destination: d.destination(a),
		Fence:       func(ctx context.Context) error { return destination.Fence(ctx, d.fence(string(a.Address))) },
		Deliveries:  deliveries{d.deliveries}, Policy: mirror.Policy{Switched: a.Switched(), OwnerAtSource: a.Route != account.RouteHere, MassDeletion: a.Orders.Has(account.Approve)},
		Orders:  d.orders(a),
		Rules:   mirror.Rules{Account: a.Rules, Domain: domain.Rules},
		KeepDir: filepath.Join(d.config.Mirror.RefusedDir, strconv.FormatInt(a.ID, 10)),
		Pairs:   d.config.Mirror.ConnectionsPerAccount, Newest: d.newestFirst(a), Refile: d.config.Mirror.Refile,
		Notice: ownersLetter{domain, a}, Welcome: welcomes(domain, a), NoticeEvery: d.config.Mirror.NoticeInterval.Duration(), Tell: d.tellWaiting(domain, a),
		Progress: func(p mirror.Progress) { d.progress.update(showProgress(a.Address, p)) },
	}, nil
}

// newestFirst is how many messages an owner waits for. Who has not logged in here waits for none.
func (d *Daemon) newestFirst(a account.Account) int {
	if !a.Switched() {
		return 0
	}
	return d.config.Mirror.NewestFirst
}

func showProgress(address account.Address, p mirror.Progress) control.Pass {
	return control.Pass{Account: address, Phase: p.Phase, Folder: p.Folder, Messages: int64(p.Messages), MessagesTotal: int64(p.Of),
		Octets: p.Octets, OctetsTotal: p.OfOctets}
}

// number is "1 account" or "2 accounts".
func number(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// summary tells what a pass changed; empty when nothing.
func summary(r mirror.Result) string {
	if r.New == 0 && r.Appended == 0 && r.Held == 0 {
		return ""
	}
	text := fmt.Sprintf("%d messages at the source, %d new, %d copied (%s)", r.Source, r.New, r.Appended, finalize.Octets(r.Octets))
	if r.Held > 0 {
		text += fmt.Sprintf("; %d deletions at the source held back, they are unusually many", r.Held)
	}
	return text
}

// deliveries lets the mirror ask the milter's table.
type deliveries struct{ *milter.Deliveries }

func (x deliveries) Unclaimed(ctx context.Context, address account.Address) ([]mirror.Delivery, error) {
	found, err := x.Deliveries.Unclaimed(ctx, address)
	all := make([]mirror.Delivery, len(found))
	for i, one := range found {
		all[i] = mirror.Delivery{ID: one.ID, Fingerprint: one.Fingerprint}
	}
	return all, err
}
