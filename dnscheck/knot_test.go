package dnscheck_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mailstork/dnscheck"
	"mailstork/test/testbed"
)

// realDNS is a parent server, two authoritative servers and a caching resolver: real Knot and Unbound.
type realDNS struct {
	t        *testing.T
	ns1, ns2 *testbed.Knot
	resolver *testbed.Unbound
	checker  *dnscheck.Checker
	serial   int
}

const parentZone = `$TTL 600
@ SOA ns.test. hostmaster.test. 1 300 300 3600 300
@ NS ns.test.
ns A 127.0.0.1
example NS ns1.example.test.
example NS ns2.example.test.
ns1.example A 127.0.0.2
ns2.example A 127.0.0.3
`

func startDNS(t *testing.T) *realDNS {
	testbed.Need(t, "knotd", "unbound")
	lab := testbed.NewForTest(t)
	port, err := testbed.FreePort("127.0.0.1", "127.0.0.2", "127.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	d := &realDNS{t: t}
	start := func(host, zone, text string) *testbed.Knot {
		knot, err := lab.StartKnot(testbed.KnotOptions{Host: host, Port: port, Zones: map[string]string{zone: text}})
		if err != nil {
			t.Fatal(err)
		}
		return knot
	}
	parent := start("127.0.0.1", "test", parentZone)
	d.ns1 = start("127.0.0.2", "example.test", d.zone(oldRecords))
	d.ns2 = start("127.0.0.3", "example.test", d.zone(oldRecords))
	if d.resolver, err = lab.StartUnbound(parent, d.ns1, d.ns2); err != nil {
		t.Fatal(err)
	}
	d.checker, err = dnscheck.New(dnscheck.Options{
		Parents:         []netip.AddrPort{netip.MustParseAddrPort(parent.Address)},
		PublicResolvers: []netip.AddrPort{netip.MustParseAddrPort(d.resolver.Address)},
		Port:            uint16(port), QueryTimeout: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const (
	oldRecords = "@ 120 MX 10 old\n@ TXT \"v=spf1 ip4:203.0.113.25 -all\"\n"
	newRecords = "@ 120 MX 10 mx\n@ TXT \"v=spf1 mx -all\"\n"
)

func (d *realDNS) zone(records string) string {
	d.serial++
	return fmt.Sprintf(`$TTL 600
@ SOA ns1 hostmaster %d 300 300 3600 300
@ NS ns1
@ NS ns2
ns1 A 127.0.0.2
ns2 A 127.0.0.3
mx A 198.51.100.25
old A 203.0.113.25
`, d.serial) + records
}

func (d *realDNS) set(server *testbed.Knot, records string) {
	d.t.Helper()
	if err := server.SetZone("example.test", d.zone(records)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *realDNS) check() dnscheck.Report {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return d.checker.Check(ctx, dnscheck.Question{Domain: "example.test", Expect: dnscheck.Expect{
		MXHosts: []string{"mx.example.test"}, OutgoingAddresses: []netip.Addr{netip.MustParseAddr("198.51.100.25")}}})
}

func (d *realDNS) expect(r dnscheck.Report, mx, caches dnscheck.Verdict, holdouts ...string) {
	d.t.Helper()
	if r.MX != mx || r.CachesMX != caches || len(r.Holdouts) != len(holdouts) {
		d.t.Fatalf("got %s, caches %s, %q; want %s, %s, %q\n%+v", r.MX, r.CachesMX, r.Holdouts, mx, caches, holdouts, r.Errors)
	}
	for i, holdout := range holdouts {
		if !strings.Contains(r.Holdouts[i], holdout) {
			d.t.Errorf("holdout %q does not say %q", r.Holdouts[i], holdout)
		}
	}
}

func TestRealServersAreFollowedThroughACutover(t *testing.T) {
	d := startDNS(t)
	r := d.check()
	d.expect(r, dnscheck.Elsewhere, dnscheck.Elsewhere, "ns1.example.test (127.0.0.2) still answers", "ns2.example.test (127.0.0.3) still answers")
	if r.OldTTLSeconds != 120 || r.DelegationTTLSeconds != 600 || !r.Complete {
		t.Errorf("old TTL %d, delegation TTL %d, complete %v", r.OldTTLSeconds, r.DelegationTTLSeconds, r.Complete)
	}
	if len(r.SPF.Checks) != 1 || r.SPF.Checks[0].Result != "fail" {
		t.Errorf("SPF %+v", r.SPF)
	}

	d.set(d.ns2, newRecords)
	d.expect(d.check(), dnscheck.Mixed, dnscheck.Elsewhere, "ns1.example.test (127.0.0.2) still answers the old MX old.example.test")

	d.set(d.ns1, newRecords)
	r = d.check()
	d.expect(r, dnscheck.Here, dnscheck.Elsewhere)
	if left := r.Caches[0].RemainingTTLSeconds; left == 0 || left > 120 {
		t.Errorf("the cache keeps the old answer for %d seconds", left)
	}
	if len(r.SPF.Checks) != 1 || r.SPF.Checks[0].Result != "pass" || len(r.Errors) > 0 {
		t.Errorf("SPF %+v, errors %+v", r.SPF, r.Errors)
	}
	if err := d.resolver.Flush("example.test"); err != nil {
		t.Fatal(err)
	}
	d.expect(d.check(), dnscheck.Here, dnscheck.Here)

	if err := d.ns1.Stop(); err != nil {
		t.Fatal(err)
	}
	r = d.check()
	d.expect(r, dnscheck.Unknown, dnscheck.Here, "ns1.example.test (127.0.0.2) does not answer")
	if r.Complete {
		t.Error("a check without one of two servers calls itself complete")
	}
}

func TestRealServerThatTruncatesIsAskedOverTCP(t *testing.T) {
	d := startDNS(t)
	records := newRecords
	for i := range 40 {
		records += fmt.Sprintf("@ TXT \"filler %d %s\"\n", i, strings.Repeat("x", 80))
	}
	records = strings.Replace(records, "v=spf1 mx -all", "v=spf1 -all", 1)
	d.set(d.ns1, records)
	d.set(d.ns2, records)
	r := d.check()
	if len(r.SPF.Records) != 1 {
		t.Errorf("SPF records %q", r.SPF.Records)
	}
	kept := 0
	for _, record := range r.Publish {
		if record.Keep {
			kept++
		}
	}
	if kept != 40 {
		t.Errorf("%d of 40 other TXT records are kept", kept)
	}
}

func TestRealServersWithAndWithoutMXDisagree(t *testing.T) {
	d := startDNS(t)
	d.set(d.ns2, newRecords)
	d.set(d.ns1, "")
	r := d.check()
	d.expect(r, dnscheck.Mixed, r.CachesMX, "ns1.example.test (127.0.0.2) has no MX") // the resolver asks whom it likes
}
