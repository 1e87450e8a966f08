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

func (n notebook) Load(ctx context.Context) ([]guard.Failure, map[string]guard.Breaker, error) {
	rows, err := n.store.LoginFailures(ctx, time.Now().Add(-n.window))
	if err != nil {
		return nil, nil, err
	}
	failures := make([]guard.Failure, 0, len(rows))
	for _, row := range rows {
		network, _ := netip.ParsePrefix(row.Network) // empty: it does not count
		failures = append(failures, guard.Failure{Address: account.Address(row.Address), Network: network, Host: row.SourceHost, At: row.At})
	}
	kept, err := n.store.Breakers(ctx)
	if err != nil {
		return nil, nil, err
	}
	breakers := map[string]guard.Breaker{}
	for _, b := range kept {
		breakers[b.SourceHost] = guard.Breaker{Broken: b.Broken, Until: b.Until}
	}
	return failures, breakers, nil
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
