package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/live"
	"mailstork/daemon/mirror"
	"mailstork/daemon/schedule"
)

// The seams of a live migration (package live): decide after a pass, switch with the daemon's hands, and end what Dovecot
// passed on too late.

// passInterval is the time to the next pass after a good one.
func (d *Daemon) passInterval(a account.Account) time.Duration {
	if a.Route == account.RouteSource {
		return min(d.config.Live.PassInterval.Duration(), d.config.Mirror.PassInterval.Duration())
	}
	return d.config.Mirror.PassInterval.Duration()
}

// beforePass heals what a failed switch left behind.
func (d *Daemon) beforePass(ctx context.Context, lease schedule.Lease, a *account.Account) error {
	if a.Route == account.RouteHeld {
		if err := live.Undo(ctx, &hands{Daemon: d, a: a, lease: lease}, errUnfinished); err != nil {
			return err
		}
	}
	if d.filesBehind.Load() {
		if err := errors.Join(d.provisioner.Refresh(ctx), d.clearNotices(ctx)); err != nil {
			return err
		}
		d.filesBehind.Store(false)
	}
	return nil
}

var errUnfinished = errors.New("the daemon ended while logins waited")

// rollBackHeld is the first thing that a new process does: its predecessor died while logins waited, and their owners
// work on at the source.
func (d *Daemon) rollBackHeld(ctx context.Context) error {
	accounts, err := d.store.Accounts(ctx, "")
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Route == account.RouteHeld {
			if err := (&hands{Daemon: d, a: &a}).Move(ctx, account.RouteSource, errUnfinished); err != nil {
				return err
			}
		}
		if a.Route == account.RouteHere && time.Since(a.SwitchedAt) < stragglersFor {
			d.stragglers.add(a.Address, time.Now())
		}
	}
	return nil
}

// switchIfDue switches an account after a pass that reached its end, if it is time. A failed switch is no failed pass: the
// account says why, and its owner works on at the source.
func (d *Daemon) switchIfDue(ctx context.Context, lease schedule.Lease, a *account.Account, domain account.Domain, options mirror.Options, result mirror.Result) error {
	domain = d.followAddress(ctx, domain)
	facts, err := d.switchFacts(ctx, *a, domain, result)
	if err != nil {
		return err
	}
	c := d.config.Live
	verdict := live.Decide(facts, live.Policy{SmallChanges: c.SmallChanges, Quick: c.Quick.Duration(), Patience: c.Patience.Duration()})
	if !verdict.Switch {
		return d.noteReady(ctx, a)
	}
	h := &hands{Daemon: d, a: a, lease: lease, options: options, why: verdict.Why}
	err = live.Switch(ctx, h)
	var late *live.Late
	switch {
	case errors.As(err, &late): // its owner logs in through the hook until the files can be written
		d.filesBehind.Store(true)
		d.report(err)
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil && a.Route == account.RouteHeld: // not even the way back worked: the next pass begins with it
		return err
	case err != nil:
		return nil // Move has noted why
	}
	d.stragglers.add(a.Address, time.Now())
	return nil
}

func (d *Daemon) switchFacts(ctx context.Context, a account.Account, domain account.Domain, result mirror.Result) (live.Facts, error) {
	now, err := d.store.Account(ctx, a.Address) // the hook may have made it urgent
	if err != nil {
		return live.Facts{}, err
	}
	delivered, err := d.deliveries.Unclaimed(ctx, a.Address)
	if err != nil {
		return live.Facts{}, err
	}
	facts := live.Facts{Now: time.Now(), Route: now.Route, State: a.State, Switching: now.Switching, FirstLogin: domain.FirstLogin,
		DomainState: domain.State, Deliveries: len(delivered), Changes: result.Changes, Took: result.Took}
	if _, err := account.PassageOf(domain, a, d.config.Dovecot.ProxyCAFile); err != nil {
		facts.Unpassable = err.Error()
	}
	return facts, nil
}

// noteReady keeps when a pass was first complete.
func (d *Daemon) noteReady(ctx context.Context, a *account.Account) error {
	_, err := d.store.ChangeSwitching(ctx, a.Address, func(now *account.Account) bool {
		first := now.Switching.ReadyAt.IsZero()
		if first {
			now.Switching.ReadyAt = time.Now().UTC()
		}
		return first
	})
	return err
}

// followAddress keeps up with a source that moves to another address while accounts are passed on to it: Dovecot looks
// up no name.
func (d *Daemon) followAddress(ctx context.Context, domain account.Domain) account.Domain {
	lookup, cancel := context.WithTimeout(ctx, d.config.Source.ConnectTimeout.Duration())
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(lookup, "ip", domain.Source.Host)
	known := func(a netip.Addr) bool { return a.Unmap() == domain.Check.Address }
	if err != nil || slices.ContainsFunc(addresses, known) {
		return domain
	}
	seen, err := d.lookAtSource(ctx, domain.Source)
	if err != nil {
		return domain
	}
	domain.Check.Address = seen.Address
	if err := errors.Join(d.store.SaveSourceCheck(ctx, domain), d.provisioner.Refresh(ctx)); err != nil {
		d.report(err)
	}
	return domain
}

// hands are what live needs of the daemon for one account.
type hands struct {
	*Daemon
	a       *account.Account
	lease   schedule.Lease
	options mirror.Options
	why     string // for the log
}

// Move implements live.Hands. A problem is kept with the account and delays the next try.
func (h *hands) Move(ctx context.Context, to account.Route, problem error) error {
	if to == account.RouteHeld || h.a.Route == account.RouteNotice {
		release, err := h.provisioner.Hold(ctx, h.a.Address)
		if err != nil {
			return err
		}
		defer release()
	}
	var before account.Account
	err := h.store.Write(ctx, func(tx *sql.Tx) (err error) {
		if before, err = h.store.AccountIn(ctx, tx, h.a.Address); err != nil {
			return err
		}
		next := before.Switching
		switch {
		case problem != nil:
			next.Problem, next.NotBefore = problem.Error(), time.Now().UTC().Add(schedule.Backoff(next.Failures, h.config.Mirror.RetryMin.Duration(), h.config.Mirror.RetryMax.Duration()))
			next.Failures++
		case to == account.RouteHere:
			next = account.Switching{}
		}
		return h.store.MoveRoute(ctx, tx, before, to, next, h.lease.Epoch)
	})
	if err != nil {
		return err
	}
	now, err := h.store.Account(ctx, h.a.Address)
	if err != nil {
		return err
	}
	h.a.Route, h.a.Switching, h.a.SwitchedAt = now.Route, now.Switching, now.SwitchedAt
	transition, _ := account.NextRoute(before.Route, to) // MoveRoute has looked
	event := eventlog.Event{Name: transition.Event, Domain: now.Domain, Account: now.Address, State: string(now.State), Detail: h.why}
	if problem != nil {
		event.Err = problem.Error()
	}
	h.events.Record(ctx, event)
	return nil
}

// Publish implements live.Hands.
func (h *hands) Publish(ctx context.Context) error { return h.provisioner.Publish(ctx) }

// Sessions implements live.Hands.
func (h *hands) Sessions(ctx context.Context) (int, error) {
	sessions, err := h.proxy().Sessions(ctx, string(h.a.Address))
	return len(sessions), err
}

// Kick implements live.Hands.
func (h *hands) Kick(ctx context.Context) error { return h.proxy().Kick(ctx, string(h.a.Address)) }

// Pass implements live.Hands.
func (h *hands) Pass(ctx context.Context) (changes int, err error) {
	began := time.Now()
	result, err := mirror.Pass(ctx, h.options)
	h.tellOddities(ctx, *h.a, result.Oddities)
	if err == nil {
		err = h.complete(ctx, h.a, result, began)
	}
	return result.Changes, err
}

// proxy is how Dovecot is asked for the sessions that it passes on.
func (d *Daemon) proxy() live.Dovecot {
	return live.Dovecot{Command: d.doveadm(), Anvil: d.anvilKnowsProxies}
}

// switchTrouble says why an account could not be switched, until it is.
func switchTrouble(a account.Account) (reason, hint string) {
	return fmt.Sprintf("It could not be switched, its owner works on at the source; tried again after %s. %s", a.Switching.NotBefore.Local().Format(time.DateTime), a.Switching.Problem),
		"mailstork log " + string(a.Address)
}

const (
	// stragglersFor is how long after a switch a login may arrive at the source that Dovecot began to pass on before it:
	// its own limit is half a minute.
	stragglersFor  = time.Minute
	stragglersLook = 500 * time.Millisecond
)

// stragglers are accounts that were switched just now.
type stragglers struct {
	mu    sync.Mutex
	until map[account.Address]time.Time
}

func (s *stragglers) add(address account.Address, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until == nil {
		s.until = map[account.Address]time.Time{}
	}
	s.until[address] = now.Add(stragglersFor)
}

func (s *stragglers) left(now time.Time) (left []account.Address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, until := range s.until {
		if now.After(until) {
			delete(s.until, address)
			continue
		}
		left = append(left, address)
	}
	return left
}

// endStragglers ends sessions that reached the source after their account was switched, and removes notices whose sessions
// had time to end. What was stored at the source comes with the next pass.
func (d *Daemon) endStragglers(ctx context.Context) error {
	ticker := time.NewTicker(stragglersLook)
	defer ticker.Stop()
	for {
		if err := d.notices.removeEnded(time.Now()); err != nil {
			d.report(err)
		}
		if left := d.stragglers.left(time.Now()); len(left) > 0 {
			if err := d.endLate(ctx, left); err != nil && ctx.Err() == nil {
				d.report(err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (d *Daemon) endLate(ctx context.Context, switched []account.Address) error {
	sessions, err := d.proxy().AllSessions(ctx, "")
	for _, address := range switched {
		if len(sessions[string(address)]) > 0 {
			d.logger.Warn("switch", "event", "straggler", "account", string(address), "detail", "a session reached the source after the switch and is ended")
			err = errors.Join(err, d.proxy().Kick(ctx, string(address)), d.store.DuePass(ctx, address, priorityAsked))
		}
	}
	return err
}
