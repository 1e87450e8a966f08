package dnscheck

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

func TestSPFIsEvaluatedForEachOutgoingAddress(t *testing.T) {
	mx := "example.org. 300 MX 10 mx.example.org.\n"
	eleven := ""
	for i := range 11 {
		eleven += fmt.Sprintf("i%d.example.org. TXT \"v=spf1 ip4:192.0.2.%d\"\n", i, i)
	}
	includes := ""
	for i := range 11 {
		includes += fmt.Sprintf(" include:i%d.example.org", i)
	}
	for _, c := range []struct{ name, zone, result, codes string }{
		{"ip4", `example.org. TXT "v=spf1 ip4:198.51.100.0/24 -all"`, "pass", ""},
		{"mx by the zone's own servers", `example.org. TXT "v=spf1 mx -all"`, "pass", ""},
		{"two strings joined without a space", `example.org. TXT "v=spf1 ip4:198.51" ".100.25 -all"`, "pass", ""},
		{"capital letters", `example.org. TXT "V=SPF1 MX -ALL"`, "pass", ""},
		{"include in another zone", `example.org. TXT "v=spf1 include:dns.net -all"`, "permerror", "spf_permerror"},
		{"redirect", "example.org. TXT \"v=spf1 redirect=_spf.example.org\"\n_spf.example.org. TXT \"v=spf1 a:mx.example.org -all\"", "pass", ""},
		{"fail", `example.org. TXT "v=spf1 -all"`, "fail", "spf_fail"},
		{"softfail", `example.org. TXT "v=spf1 ~all"`, "softfail", "spf_softfail"},
		{"neutral", `example.org. TXT "v=spf1 ?all"`, "neutral", "spf_neutral"},
		{"no record", `example.org. TXT "something else"`, "none", "spf_none"},
		{"a record that only begins like one", `example.org. TXT "v=spf10 mx -all"`, "none", "spf_none"},
		{"two records", "example.org. TXT \"v=spf1 mx -all\"\nexample.org. TXT \"v=spf1 a ~all\"", "permerror", "spf_permerror"},
		{"a term that nobody knows", `example.org. TXT "v=spf1 ipv4:198.51.100.25 mx -all"`, "permerror", "spf_syntax spf_permerror"},
		{"too many lookups", eleven + `example.org. TXT "v=spf1` + includes + ` mx -all"`, "permerror", "spf_permerror"},
		{"a name that cannot be looked up", `example.org. TXT "v=spf1 include:example.com -all"`, "permerror", "spf_permerror"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := internet(t, mx+c.zone, mx+c.zone).check(resolvers, question)
			if len(r.SPF.Checks) != 1 {
				t.Fatalf("checks: %+v", r.SPF.Checks)
			}
			want(t, "result", r.SPF.Checks[0].Result, c.result)
			want(t, "findings", strings.TrimSpace(codes(r.Errors)+" "+codes(r.Warnings)), c.codes)
			proposed := ""
			for _, record := range r.Publish {
				if record.Type == "TXT" && !record.Keep {
					proposed = record.Data
				}
			}
			if (c.result == "pass") != (proposed == "") {
				t.Errorf("result %s, proposed %q", c.result, proposed)
			}
		})
	}
}

func TestSPFThatCannotBeEvaluatedIsLeftAlone(t *testing.T) {
	w := internet(t, `example.org. TXT "v=spf1 include:dns.net -all"`, `example.org. TXT "v=spf1 include:dns.net -all"`)
	w.breakServer("192.0.2.8", rcodeFor("dns.net.", w))
	w.breakServer("192.0.2.9", rcodeFor("dns.net.", w))
	r := w.check(resolvers, question)
	want(t, "result", r.SPF.Checks[0].Result, "temperror")
	for _, record := range append(r.Publish, r.Remove...) {
		if record.Type == "TXT" {
			t.Errorf("a record was proposed: %s", record.Line())
		}
	}
}

// rcodeFor is a resolver that fails for one name only.
func rcodeFor(name string, w *world) func(string, *dns.Msg) (*dns.Msg, error) {
	return func(_ string, q *dns.Msg) (*dns.Msg, error) {
		if q.Question[0].Name == name && q.Question[0].Qtype == dns.TypeTXT {
			return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure), nil
		}
		return w.recurse(q), nil
	}
}

func TestServersThatPublishDifferentSPFAreEvaluatedApart(t *testing.T) {
	r := internet(t, newMX, strings.Replace(newMX, "mx -all", "-all", 1)).check(resolvers, question)
	want(t, "checks", r.SPF.Checks, []SPFCheck{
		{Address: "198.51.100.25", Result: "pass", Detail: "matched mx", Servers: []string{"ns1.example.org (192.0.2.53)"}},
		{Address: "198.51.100.25", Result: "fail", Detail: "matched all", Servers: []string{"ns2.dns.net (192.0.2.54)"}},
	})
	want(t, "findings", codes(r.Errors)+" "+codes(r.Warnings), "spf_fail spf_differs")
}

func TestProposedSPFKeepsWhatIsAllowed(t *testing.T) {
	ours := []netip.Addr{netip.MustParseAddr("198.51.100.25"), netip.MustParseAddr("2001:db8::25"), netip.MustParseAddr("::ffff:198.51.100.25")}
	for _, c := range []struct {
		name      string
		published []string
		want      string
	}{
		{"nothing published", nil, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 ~all"},
		{"one record", []string{"v=spf1 include:_spf.old.example -all"}, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 include:_spf.old.example -all"},
		{"a redirect", []string{"v=spf1 redirect=_spf.old.example"}, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 redirect=_spf.old.example"},
		{"two records", []string{"v=spf1 mx -all", "V=SPF1 mx redirect=_spf.old.example exp=x.example"}, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 mx include:_spf.old.example -all"},
		{"two endings", []string{"v=spf1 a -all", "v=spf1 mx ~all"}, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 a mx ~all"},
		{"a broken term", []string{"v=spf1 ipv4:1.2.3.4 ip4:192.0.2.1 -all"}, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 ip4:192.0.2.1 -all"},
		{"no ending", []string{"v=spf1 mx"}, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 mx ~all"},
		{"everybody allowed by two records", []string{"v=spf1 +all", "v=spf1 mx"}, "v=spf1 ip4:198.51.100.25 ip6:2001:db8::25 mx ~all"},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, "proposed", proposeSPF(c.published, ours), c.want) })
	}
}

func TestProposedSPFPassesForEveryAddressOfOurs(t *testing.T) {
	term := rapid.SampledFrom([]string{"mx", "-mx", "a:gone.example.org", "include:none.example.com", "ip4:192.0.2.0/24", "-ip4:0.0.0.0/0", "~all", "-all",
		"?all", "redirect=x.example.com", "exp=y.example.com", "bogus", "ip4:", "a//", "exists:%{i}.example.org", "ptr", "unknown=1", "-ip6:::/0"})
	w := internet(t, newMX, newMX)
	rapid.Check(t, func(t *rapid.T) {
		var published []string
		for range rapid.IntRange(0, 3).Draw(t, "records") {
			published = append(published, "v=spf1 "+strings.Join(rapid.SliceOfN(term, 0, 12).Draw(t, "terms"), " "))
		}
		ours := []netip.Addr{netip.MustParseAddr("198.51.100.77"), netip.MustParseAddr("2001:db8::25")}
		proposed := proposeSPF(published, ours)
		if !isSPF(proposed) {
			t.Fatalf("not a record: %q", proposed)
		}
		for _, term := range strings.Fields(proposed)[1:] {
			if !validTerm(term) {
				t.Fatalf("invalid term %q in %q", term, proposed)
			}
		}
		checker, err := New(Options{Exchanger: w, Resolvers: resolvers.Resolvers})
		if err != nil {
			t.Fatal(err)
		}
		r := &run{Checker: checker, domain: "example.org.", known: map[dns.Question]lookup{}}
		for _, addr := range ours {
			if check := r.evaluate(context.Background(), []string{proposed}, addr); check.Result != "pass" {
				t.Fatalf("%s for %s by %q (%s), published %q", check.Result, addr, proposed, check.Detail, published)
			}
		}
	})
}
