package daemon

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailstork/authhook/guard"
)

func TestGuardRemembersOverARestartWhatASourceMayHaveCounted(t *testing.T) {
	d, _ := newDaemon(t, "")
	n := notebook{d.store, 10 * time.Minute}
	now := time.Now().Truncate(time.Millisecond)
	begin := func(login guard.Login, at time.Time) int64 {
		id, err := n.Begin(t.Context(), login, at)
		must(t, err)
		return id
	}
	v4 := guard.Login{Address: "anna@example.org", Host: "imap.old.example"}
	v6 := guard.Login{Address: "bob@example.org", Host: "imap.old.example"}
	v6.Network = guard.NetworkOf(netip.MustParseAddr("2001:db8::1"))
	begin(v4, now.Add(-11*time.Minute)) // too long ago
	begin(v6, now.Add(-2*time.Minute))
	right := begin(v4, now.Add(-time.Minute))
	begin(v4, now) // under way when the process died
	must(t, n.Forget(t.Context(), right),
		n.SaveBreaker(t.Context(), "imap.old.example", guard.Breaker{Broken: 3, Until: now}),
		n.SaveBreaker(t.Context(), "well.example", guard.Breaker{Broken: 1, Until: now}), n.SaveBreaker(t.Context(), "well.example", guard.Breaker{}))
	past, err := n.Load(t.Context())
	must(t, err)
	want := []guard.Failure{
		{Address: "bob@example.org", Network: v6.Network, Host: "imap.old.example", At: now.Add(-2 * time.Minute)},
		{Address: "anna@example.org", Host: "imap.old.example", At: now},
	}
	if diff := cmp.Diff(want, past.Failures, cmpopts.EquateApproxTime(0), cmpopts.EquateComparable(guard.Failure{}.Network)); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]guard.Breaker{"imap.old.example": {Broken: 3, Until: now}}, past.Breakers, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("breakers (-want +got):\n%s", diff)
	}
}
