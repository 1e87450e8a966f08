package dnscheck

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestCheckSaysHereWhenEveryServerAgrees(t *testing.T) {
	w := internet(t, newMX, newMX)
	r := w.check(resolvers, question)
	want(t, "verdict", r.MX, Here)
	want(t, "servers", r.Nameservers, []string{"ns1.example.org", "ns2.dns.net"})
	want(t, "zone", r.Zone, "example.org")
	want(t, "delegation TTL", r.DelegationTTLSeconds, 86400)
	want(t, "old TTL", r.OldTTLSeconds, 0)
	want(t, "errors", r.Errors, []Finding{})
	want(t, "warnings", r.Warnings, []Finding{})
	want(t, "to publish", r.Publish, []Record{})
	want(t, "sentence", r.Sentence, "mail comes here: 2 of 2 authoritative servers agree")
}

func TestCheckAsksParentAndAuthoritativeServersWithoutRecursion(t *testing.T) {
	w := internet(t, newMX, newMX)
	w.check(resolvers, question)
	asked := strings.Join(w.asked, "\n")
	for _, line := range []string{
		"192.0.2.10 NS example.org. rd=false", "192.0.2.53 MX example.org. rd=false",
		"192.0.2.54 MX example.org. rd=false", "192.0.2.53 TXT example.org. rd=false", "192.0.2.54 SOA example.org. rd=false",
	} {
		if !strings.Contains(asked, line) {
			t.Errorf("never asked %q; asked:\n%s", line, asked)
		}
	}
	if strings.Contains(asked, "192.0.2.8 MX example.org.") {
		t.Errorf("a resolver was asked for the MX, which only counts from authoritative servers")
	}
}

func TestCheckSaysElsewhereAndRemembersTheOldTTL(t *testing.T) {
	r := internet(t, oldMX, oldMX).check(resolvers, question)
	want(t, "verdict", r.MX, Elsewhere)
	want(t, "old TTL", r.OldTTLSeconds, 7200)
	want(t, "holdouts", r.Holdouts, []string{"ns1.example.org (192.0.2.53) still answers the old MX old.example.org",
		"ns2.dns.net (192.0.2.54) still answers the old MX old.example.org"})
	want(t, "warnings", codes(r.Warnings), "ttl_high")
	want(t, "errors", codes(r.Errors), "spf_fail")
}

func TestCheckIsNeverHereWhenOneServerIs(t *testing.T) {
	for _, c := range []struct {
		name    string
		disturb func(w *world)
		verdict Verdict
		code    string
	}{
		{"on the old MX", func(w *world) { w.serve("192.0.2.54", "example.org", "example.org. NS ns2.dns.net.\n"+oldMX) }, Mixed, "servers_differ"},
		{"silent", func(w *world) { w.breakServer("192.0.2.54", silence) }, Unknown, "server_unknown"},
		{"answering SERVFAIL", func(w *world) { w.breakServer("192.0.2.54", rcode(dns.RcodeServerFailure)) }, Unknown, "server_unknown"},
		{"refusing", func(w *world) { w.breakServer("192.0.2.54", rcode(dns.RcodeRefused)) }, Unknown, "server_unknown"},
		{"saying NXDOMAIN", func(w *world) { w.breakServer("192.0.2.54", nxdomain) }, Unknown, "server_unknown"},
		{"lame", func(w *world) { w.breakServer("192.0.2.54", lame) }, Unknown, "server_unknown"},
		{"without the zone", func(w *world) { w.host("192.0.2.54").zones = nil }, Unknown, "server_unknown"},
		{"naming both old and new", func(w *world) {
			w.serve("192.0.2.54", "example.org", "example.org. NS ns2.dns.net.\n"+newMX+"example.org. 300 MX 20 old.example.org.")
		}, Mixed, "mx_mixed"},
		{"naming no MX", func(w *world) { w.serve("192.0.2.54", "example.org", "example.org. NS ns2.dns.net.") }, Mixed, "mx_missing"},
		{"naming the null MX", func(w *world) {
			w.serve("192.0.2.54", "example.org", "example.org. NS ns2.dns.net.\nexample.org. MX 0 .")
		}, Mixed, "mx_null"},
		{"naming an alias", func(w *world) { w.serve("192.0.2.54", "example.org", "example.org. CNAME mx.example.org.") }, Unknown, "server_unknown"},
		{"answering with too many records", func(w *world) { w.breakServer("192.0.2.54", flood) }, Unknown, "server_unknown"},
		{"without an address", func(w *world) { w.serve("192.0.2.56", "dns.net", "dns.net. NS ns.dns.net.") }, Unknown, "server_unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := internet(t, newMX, newMX)
			c.disturb(w)
			r := w.check(resolvers, question)
			want(t, "verdict", r.MX, c.verdict)
			if !strings.Contains(" "+codes(r.Errors)+" ", " "+c.code+" ") {
				t.Errorf("error %s is missing; errors: %v", c.code, r.Errors)
			}
			// Exactly the disturbed server holds back, and nothing else went wrong on the way to it.
			if len(r.Holdouts) != 1 || !strings.HasPrefix(r.Holdouts[0], "ns2.dns.net") {
				t.Errorf("holdouts: %q", r.Holdouts)
			}
		})
	}
}

func nxdomain(_ string, q *dns.Msg) (*dns.Msg, error) {
	m := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
	m.Authoritative = true
	return m, nil
}

// lame gives the right answer from a cache: no AA bit.
func lame(_ string, q *dns.Msg) (*dns.Msg, error) {
	m := new(dns.Msg).SetReply(q)
	m.Answer = []dns.RR{&dns.MX{Hdr: dns.RR_Header{Name: "example.org.", Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 60}, Mx: "mx.example.org."}}
	return m, nil
}

func flood(_ string, q *dns.Msg) (*dns.Msg, error) {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	for i := range maxRecords + 1 {
		m.Answer = append(m.Answer, &dns.MX{Hdr: dns.RR_Header{Name: "example.org.", Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 60},
			Preference: uint16(i), Mx: "mx.example.org."})
	}
	return m, nil
}

func TestLyingResolverOnlyDelays(t *testing.T) {
	// The liar names its own parent server, which delegates to its own name server, which says what the thief likes.
	w := internet(t, oldMX, oldMX)
	w.serve("203.0.113.66", "org", "org. NS evil.org.\nevil.org. A 203.0.113.66\nexample.org. NS evil.org.")
	w.breakServer("192.0.2.9", func(_ string, q *dns.Msg) (*dns.Msg, error) {
		m := authoritative([]*zone{
			parseZone(t, ".", ". NS evil.org."), parseZone(t, "org", "org. NS evil.org.\nevil.org. A 203.0.113.66"),
			parseZone(t, "example.org", "example.org. NS evil.org.\n"+newMX),
		}, q)
		m.Authoritative = false
		return m, nil
	})
	w.serve("203.0.113.66", "example.org", "example.org. NS evil.org.\n"+newMX)
	w.host("203.0.113.66").forged = true
	r := w.check(resolvers, question)
	want(t, "verdict", r.MX, Mixed)
	alone := w.check(Options{Resolvers: []netip.AddrPort{at("192.0.2.9")}}, question)
	want(t, "verdict by the liar alone", alone.MX, Here)
}

func TestFailingResolverOnlyDelays(t *testing.T) {
	w := internet(t, newMX, newMX)
	w.breakServer("192.0.2.9", silence)
	r := w.check(resolvers, question)
	want(t, "verdict", r.MX, Unknown)
	if !strings.Contains(codes(r.Errors), "resolver_failed") {
		t.Errorf("the resolver is not named: %v", r.Errors)
	}
}

func TestParentsThatDisagreeAboutTheZoneAreADoubt(t *testing.T) {
	w := internet(t, newMX, newMX)
	w.serve("192.0.2.12", ".", "org. NS a.nic.org.\na.nic.org. A 192.0.2.10")
	w.serve("192.0.2.13", ".", "example.org. NS ns1.example.org.\nns1.example.org. A 192.0.2.53")
	r := w.check(Options{Parents: []netip.AddrPort{at("192.0.2.12"), at("192.0.2.13")}}, question)
	want(t, "verdict", r.MX, Unknown)
	if !strings.Contains(codes(r.Errors), "parents_disagree") {
		t.Errorf("errors: %v", r.Errors)
	}
}

func TestOneSilentParentServerIsNoDoubt(t *testing.T) {
	w := internet(t, newMX, newMX)
	parents := Options{Parents: []netip.AddrPort{at("192.0.2.10"), at("192.0.2.99")}}
	r := w.check(parents, question)
	want(t, "verdict", r.MX, Unknown) // ns2.dns.net is out of the parent's zone and nobody knows its address
	w.serve("192.0.2.10", "org", "example.org. NS ns1.example.org.\nns1.example.org. A 192.0.2.53")
	w.serve("192.0.2.53", "example.org", "example.org. NS ns1.example.org.\nns1.example.org. A 192.0.2.53\nmx.example.org. A 192.0.2.25\n"+newMX)
	r = w.check(parents, question)
	want(t, "verdict", r.MX, Here)
}

func TestWalkFromTheRootNeedsNoResolver(t *testing.T) {
	w := internet(t, newMX, newMX)
	r := w.check(Options{Parents: []netip.AddrPort{at("192.0.2.1")}}, question)
	want(t, "verdict", r.MX, Here)
	want(t, "servers", r.Nameservers, []string{"ns1.example.org", "ns2.dns.net"})
}

func TestDomainInsideAZoneIsAskedAtThatZonesServers(t *testing.T) {
	sub := "people.example.org. 300 MX 10 mx.example.org.\n"
	w := internet(t, newMX+sub, newMX+sub)
	q := question
	q.Domain = "people.example.org"
	r := w.check(resolvers, q)
	want(t, "verdict", r.MX, Here)
	want(t, "zone", r.Zone, "example.org")
	want(t, "servers", r.Nameservers, []string{"ns1.example.org", "ns2.dns.net"})
}

func TestServersThatOnlyTheZoneNamesAreAskedToo(t *testing.T) {
	extra := "example.org. NS ns3.example.org.\nns3.example.org. A 192.0.2.55\n"
	w := internet(t, newMX+extra, newMX+extra)
	w.serve("192.0.2.55", "example.org", oldMX)
	r := w.check(resolvers, question)
	want(t, "verdict", r.MX, Mixed)
	want(t, "servers", r.Nameservers, []string{"ns1.example.org", "ns2.dns.net", "ns3.example.org"})
	if !strings.Contains(codes(r.Warnings), "ns_differs") {
		t.Errorf("warnings: %v", r.Warnings)
	}
}

func TestCachedOldAnswerIsReportedWithItsRemainingTTL(t *testing.T) {
	w := internet(t, newMX, newMX)
	w.breakServer("192.0.2.7", func(_ string, q *dns.Msg) (*dns.Msg, error) {
		m := authoritative([]*zone{parseZone(t, "example.org", "example.org. 4321 MX 10 old.example.org.")}, q)
		m.Authoritative = false
		return m, nil
	})
	o := resolvers
	o.PublicResolvers = []netip.AddrPort{at("192.0.2.8"), at("192.0.2.7")}
	r := w.check(o, question)
	want(t, "verdict", r.MX, Here)
	want(t, "caches", r.CachesMX, Mixed)
	want(t, "remaining TTL", r.Caches[1].RemainingTTLSeconds, 4321)
	want(t, "old TTL", r.OldTTLSeconds, 0)
	want(t, "warnings", codes(r.Warnings), "cache_old")
}

func TestIPv6AddressWithoutRouteIsSkippedOnlyIfTheServerAnswersElsewhere(t *testing.T) {
	w := internet(t, newMX, newMX)
	noRoute := func(string, *dns.Msg) (*dns.Msg, error) { return nil, errNoRoute }
	w.breakServer("2001:db8::53", noRoute)
	w.serve("192.0.2.10", "org", "org. NS a.nic.org.\na.nic.org. A 192.0.2.10\nexample.org. NS ns1.example.org.\n"+
		"ns1.example.org. A 192.0.2.53\nns1.example.org. AAAA 2001:db8::53")
	w.serve("192.0.2.53", "example.org", "example.org. NS ns1.example.org.\nmx.example.org. A 198.51.100.25\n"+newMX)
	w.serve("192.0.2.54", "example.org", newMX)
	r := w.check(resolvers, question)
	want(t, "verdict", r.MX, Here)
	want(t, "warnings", codes(r.Warnings), "ipv6_skipped")
	w.serve("192.0.2.10", "org", "org. NS a.nic.org.\na.nic.org. A 192.0.2.10\nexample.org. NS ns1.example.org.\nexample.org. NS ns2.dns.net.\n"+
		"ns1.example.org. AAAA 2001:db8::53")
	r = w.check(resolvers, question)
	want(t, "verdict when ns1 can't be reached at all", r.MX, Unknown)
}

func TestExpectationWithoutHostsIsNeverHere(t *testing.T) {
	w := internet(t, newMX, newMX)
	r := w.check(resolvers, Question{Domain: "example.org"})
	want(t, "verdict", r.MX, Unknown)
	want(t, "errors", codes(r.Errors), "expect_empty")
}

func TestThingsThatAreNoDomainAreRefused(t *testing.T) {
	for _, domain := range []string{"", ".", "a b.org", "bücher.org", "x@example.org", "a..b", strings.Repeat("a", 64) + ".org", "a\nb.org"} {
		r := internet(t, newMX, newMX).check(resolvers, Question{Domain: domain, Expect: question.Expect})
		want(t, domain, string(r.MX)+" "+codes(r.Errors), "unknown domain_invalid")
	}
}

func TestDomainIsComparedWithoutRegardToCase(t *testing.T) {
	w := internet(t, strings.ReplaceAll(newMX, "mx.example", "MX.Example"), newMX)
	r := w.check(resolvers, Question{Domain: "Example.ORG", Expect: Expect{MXHosts: []string{"Mx.EXAMPLE.org."}}})
	want(t, "verdict", r.MX, Here)
}
