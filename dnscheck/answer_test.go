package dnscheck

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

func message(t *testing.T, authority bool, answer, ns, extra []string) *dns.Msg {
	t.Helper()
	m := &dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: authority}}
	for _, section := range []struct {
		into  *[]dns.RR
		texts []string
	}{{&m.Answer, answer}, {&m.Ns, ns}, {&m.Extra, extra}} {
		for _, text := range section.texts {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			*section.into = append(*section.into, rr)
		}
	}
	return m
}

func TestReferralsOnlyLeadDown(t *testing.T) {
	for _, c := range []struct {
		name, ns, at string
		zone         string // empty for an error
	}{
		{"one step down", "example.org. NS a.example.org.", "org.", "example.org."},
		{"to the same zone", "org. NS a.org.", "org.", ""},
		{"up to the root", ". NS a.root.", "org.", ""},
		{"up to the root from an unknown zone", ". NS a.root.", "", ""},
		{"sideways", "other.org. NS a.other.org.", "org.", ""},
		{"past the domain", "www.example.org. NS a.example.org.", "org.", ""},
		{"from an unknown zone", "org. NS a.org.", "", "org."},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readCut(message(t, false, nil, []string{c.ns}, nil), "example.org.", c.at)
			if (err != nil) != (c.zone == "") || got.zone != c.zone {
				t.Errorf("got %q (%v), want %q", got.zone, err, c.zone)
			}
		})
	}
}

func TestGlueFromOutsideTheZoneIsHearsay(t *testing.T) {
	m := message(t, false, nil, []string{"example.org. NS a.org.", "example.org. NS b.net."},
		[]string{"a.org. A 192.0.2.1", "b.net. A 192.0.2.2", "c.org. A 192.0.2.3", "a.org. AAAA ::", "a.org. A 224.0.0.1", "a.org. AAAA ::ffff:192.0.2.9"})
	got, err := readCut(m, "example.org.", "org.")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "glue", got.glue, map[string][]netip.Addr{"a.org.": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.9")}})
}

func TestRFC2181TTLWithTopBitIsZero(t *testing.T) {
	for ttl, wanted := range map[uint32]uint32{0: 0, 1<<31 - 1: 1<<31 - 1, 1 << 31: 0, 1<<32 - 1: 0} {
		want(t, fmt.Sprint(ttl), ttlOf(&dns.MX{Hdr: dns.RR_Header{Ttl: ttl}}), wanted)
	}
}

func TestRFC2308NegativeTTLIsTheSmallerOne(t *testing.T) {
	want(t, "by minimum", negativeTTL(message(t, true, nil, []string{"example.org. 900 SOA a. b. 1 2 3 4 60"}, nil)), 60)
	want(t, "by TTL", negativeTTL(message(t, true, nil, []string{"example.org. 30 SOA a. b. 1 2 3 4 60"}, nil)), 30)
	want(t, "without SOA", negativeTTL(message(t, true, nil, nil, nil)), 0)
}

func TestAliasesInACircleEnd(t *testing.T) {
	m := message(t, true, []string{"a.org. CNAME b.org.", "b.org. CNAME a.org."}, nil, nil)
	found, _ := chase(m, "a.org.", dns.TypeA)
	want(t, "found", len(found), 0)
}

func TestOversizedRecordsAndServerListsAreRefused(t *testing.T) {
	txt := &dns.TXT{}
	for range 17 {
		txt.Txt = append(txt.Txt, string(make([]byte, 255)))
	}
	if _, err := txtOf([]dns.RR{txt}); err == nil {
		t.Error("a TXT record beyond the cap is accepted")
	}
	var names []string
	for i := range maxServers + 1 {
		names = append(names, fmt.Sprintf("example.org. NS ns%d.org.", i))
	}
	if _, err := readCut(message(t, false, nil, names, nil), "example.org.", "org."); err == nil {
		t.Error("a delegation beyond the cap is accepted")
	}
}
