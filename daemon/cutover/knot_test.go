package cutover_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/cutover"
	"mailstork/dnscheck"
	"mailstork/test/testbed"
)

// realDomain is a domain on two real Knot servers, watched as the daemon watches it, in short times.
type realDomain struct {
	t        *testing.T
	servers  []*testbed.Knot
	checker  *dnscheck.Checker
	watch    *cutover.Stopwatch
	memory   cutover.Memory
	decision cutover.Decision
	serial   int
}

var quick = cutover.Policy{AgreeObservations: 3, ObservationInterval: 100 * time.Millisecond, Grace: 200 * time.Millisecond,
	QuietFor: 300 * time.Millisecond, Deadline: time.Hour}

func startDomain(t *testing.T) *realDomain {
	testbed.Need(t, "knotd")
	lab := testbed.NewForTest(t)
	port, err := testbed.FreePort("127.0.0.2", "127.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	d := &realDomain{t: t, watch: cutover.NewStopwatch(), memory: cutover.Memory{State: account.Open}}
	options := dnscheck.Options{QueryTimeout: time.Second}
	for i, host := range []string{"127.0.0.2", "127.0.0.3"} {
		knot, err := lab.StartKnot(testbed.KnotOptions{Host: host, Port: port, Zones: map[string]string{"example.test": d.zone("old")}})
		if err != nil {
			t.Fatal(err)
		}
		d.servers = append(d.servers, knot)
		options.Authoritative = append(options.Authoritative,
			dnscheck.Server{Name: fmt.Sprintf("ns%d.example.test", i+1), Address: netip.MustParseAddrPort(knot.Address)})
	}
	if d.checker, err = dnscheck.New(options); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *realDomain) zone(mx string) string {
	d.serial++
	return fmt.Sprintf("$TTL 1\n@ SOA ns1 hostmaster %d 300 300 3600 1\n@ NS ns1\n@ NS ns2\nns1 A 127.0.0.2\nns2 A 127.0.0.3\n"+
		"mx A 127.0.0.1\nold A 127.0.0.1\n@ MX 10 %s\n", d.serial, mx)
}

func (d *realDomain) point(server int, mx string) {
	d.t.Helper()
	if err := d.servers[server].SetZone("example.test", d.zone(mx)); err != nil {
		d.t.Fatal(err)
	}
}

// look observes once, when the last decision says so.
func (d *realDomain) look() {
	d.t.Helper()
	time.Sleep(min(d.decision.LookAgainIn, quick.ObservationInterval)) // the product's own pace, not a synchronisation
	r := d.checker.Check(context.Background(), dnscheck.Question{Domain: "example.test", Expect: dnscheck.Expect{MXHosts: []string{"mx.example.test"}}})
	run, clock := d.watch.Read()
	now := time.Now()
	d.memory, d.decision = cutover.Decide(now, d.memory, cutover.Observation{
		Run: run, Clock: clock, MX: cutover.Verdict(r.MX), Complete: r.Complete, Holdouts: r.Holdouts,
		OldTTL:      time.Duration(r.OldTTLSeconds) * time.Second,
		Nameservers: r.Nameservers, DelegationTTL: time.Duration(r.DelegationTTLSeconds) * time.Second, CachesMX: cutover.Verdict(r.CachesMX),
		Accounts: 1, OldestPassAt: now, NewestPassAt: now,
	}, quick)
}

// stays looks n times and demands that nothing moves.
func (d *realDomain) stays(n int, state account.DomainState, reason string) {
	d.t.Helper()
	for range n {
		d.look()
		if d.memory.State != state || !strings.Contains(d.decision.Reason, reason) {
			d.t.Fatalf("state %s, want %s; reason %q, want %q", d.memory.State, state, d.decision.Reason, reason)
		}
	}
}

func (d *realDomain) until(state account.DomainState) {
	d.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); d.memory.State != state; {
		if time.Now().After(deadline) {
			d.t.Fatalf("state %s, never %s; %s", d.memory.State, state, d.decision.Reason)
		}
		d.look()
	}
}

func TestRealDomainWithOneServerBehindOrDownNeverCloses(t *testing.T) {
	d := startDomain(t)
	d.stays(2, account.Open, "ns1.example.test (127.0.0.2:")
	d.point(0, "mx")
	d.stays(10, account.Open, "waiting: ns2.example.test (127.0.0.3:")
	d.point(1, "mx")
	d.until(account.Draining)
	if err := d.servers[1].Stop(); err != nil {
		t.Fatal(err)
	}
	d.stays(10, account.Draining, "waiting, DNS is not known: ns2.example.test (127.0.0.3:")
	if err := d.servers[1].Start(); err != nil {
		t.Fatal(err)
	}
	d.point(0, "old")
	d.look()
	d.stays(2, account.Open, "ns1.example.test")
	d.point(0, "mx")
	d.until(account.Cutover)
	agreed := time.Now()
	d.until(account.Closed)
	if took := time.Since(agreed); took < time.Second+quick.Grace+quick.QuietFor {
		t.Errorf("closed %s after agreement: sooner than TTL, grace and quiet time together", took)
	}
}
