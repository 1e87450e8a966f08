package daemon

import (
	"context"
	"errors"
	"fmt"

	"mailstork/authhook"
	"mailstork/daemon/account"
	"mailstork/daemon/eventlog"
)

// Priorities of passes: somebody waits for a first login's mail, an operator asked, a domain wants to close.
const (
	priorityClosing = 10
	priorityAsked   = 50
)

// joinJournal writes down that an account joined, and starts its first pass.
type joinJournal struct{ *Daemon }

func (j joinJournal) Joined(ctx context.Context, a account.Account) {
	j.events.Record(ctx, eventlog.Event{Name: "join", Domain: a.Domain, Account: a.Address, State: string(a.State)})
	j.workers.Wake()
}

// Led writes down where the first login of an account leads whose domain wants it to lead elsewhere.
func (j joinJournal) Led(ctx context.Context, a account.Account) {
	event := eventlog.Event{Name: "proxy", Domain: a.Domain, Account: a.Address, State: string(a.State), Detail: "logins are passed on to the source"}
	switch a.Route {
	case account.RouteNotice:
		event.Name, event.Detail = "notice", "logins are answered with a notice until the first pass is complete"
	case account.RouteHere:
		event.Detail, event.Err = "logins lead here", "it can't be passed on: "+a.Switching.Fallback
	}
	j.events.Record(ctx, event)
	j.workers.Wake()
}

// Renewed ends stuck with the next pass, which is due now.
func (j joinJournal) Renewed(ctx context.Context, a account.Account) {
	j.troubles.note(a.Address, trouble{}, false)
	if a.Route == account.RouteNotice {
		if err := j.clearNotices(ctx); err != nil {
			j.report(err)
		}
	}
	j.events.Record(ctx, eventlog.Event{Name: "renew", Domain: a.Domain, Account: a.Address, State: string(a.State), Detail: "another password is valid here"})
	j.workers.Wake()
}

// loginJournal writes down decisions on logins. Rows are kept only for what a source was asked about: that is bounded
// by the guard, while anybody can send names and passwords without end.
type loginJournal struct{ *Daemon }

func (j loginJournal) Decided(ctx context.Context, decision authhook.Decision) {
	event := eventlog.Event{Name: "login", Domain: decision.Address.Domain(), Account: decision.Address, Took: decision.Took,
		Detail: fmt.Sprintf("%s: %s, from %s by %s", decision.Result, decision.Why, decision.Client, decision.Service)}
	if decision.Err != nil {
		event.Err = decision.Err.Error()
	}
	j.counters.Login(decision.Domain, decision.Source, string(decision.Result), decision.Why)
	if stop := (*authhook.GuardStop)(nil); errors.As(decision.Err, &stop) {
		j.counters.GuardStop(stop.Host, string(stop.Limit))
	}
	switch {
	case decision.Why == "proven" || decision.Why == "renewed" || decision.Why == "wrong" && decision.Err != nil:
		j.events.Record(ctx, event)
	case decision.Result == authhook.TryLater:
		j.logger.Warn("login", "event", "login", "account", string(event.Account), "detail", event.Detail, "err", event.Err)
	default:
		j.logger.Debug("login", "event", "login", "account", string(event.Account), "detail", event.Detail)
	}
}

func (j loginJournal) Trouble(_ context.Context, err error) { j.report(err) }
