package daemon

import (
	"context"
	"net/netip"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/store"
)

// notebook keeps for the hook's guard, in the store, what must survive a restart.
type notebook struct {
	store  *store.Store
	window time.Duration // after which a failure counts no more
}

func (n notebook) Load(ctx context.Context) (past guard.Past, err error) {
	rows, err := n.store.LoginFailures(ctx, time.Now().Add(-n.window))
	if err != nil {
		return past, err
	}
	for _, row := range rows {
		network, _ := netip.ParsePrefix(row.Network) // empty: it does not count
		past.Failures = append(past.Failures, guard.Failure{Address: account.Address(row.Address), Network: network, Host: row.SourceHost, At: row.At})
	}
	created, err := n.store.CreatedByLogin(ctx, time.Now().Add(-time.Hour))
	if err != nil {
		return past, err
	}
	for _, a := range created {
		past.Creations = append(past.Creations, guard.Creation{Domain: a.Domain, At: a.At})
	}
	kept, err := n.store.Breakers(ctx)
	past.Breakers = map[string]guard.Breaker{}
	for _, b := range kept {
		past.Breakers[b.SourceHost] = guard.Breaker{Broken: b.Broken, Until: b.Until}
	}
	return past, err
}

func (n notebook) Begin(ctx context.Context, l guard.Login, at time.Time) (int64, error) {
	failure := store.LoginFailure{Address: string(l.Address), SourceHost: l.Host, At: at}
	if l.Network.IsValid() {
		failure.Network = l.Network.String()
	}
	return n.store.BeginLogin(ctx, failure, at.Add(-n.window))
}

func (n notebook) Forget(ctx context.Context, id int64) error { return n.store.ForgetLogin(ctx, id) }

func (n notebook) SaveBreaker(ctx context.Context, host string, b guard.Breaker) error {
	return n.store.SaveBreaker(ctx, store.Breaker{SourceHost: host, Broken: b.Broken, Until: b.Until})
}
