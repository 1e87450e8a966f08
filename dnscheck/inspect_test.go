package dnscheck

import (
	"strings"
	"testing"
)

func TestHostsOfTheMXAreInspected(t *testing.T) {
	for _, c := range []struct {
		name, zone, errors, warnings string
		hosts                        []string
	}{
		{"an MX host that is an alias", "example.org. MX 10 www.example.org.\nwww.example.org. CNAME mx.example.org.", "mx_host_alias", "", []string{"www.example.org"}},
		{"an alias that leads out of the zone", "example.org. MX 10 www.example.org.\nwww.example.org. CNAME a.nic.net.", "mx_host_alias", "", []string{"www.example.org"}},
		{"an MX host without address", "example.org. MX 10 empty.example.org.\nempty.example.org. TXT nothing", "mx_host_no_address", "", []string{"empty.example.org"}},
		{"an MX host that does not exist", "example.org. MX 10 gone.example.org.", "mx_host_no_address", "", []string{"gone.example.org"}},
		{"an MX host in another zone", "example.org. MX 10 a.nic.net.", "", "", []string{"a.nic.net"}},
		{"an MX host that nobody knows", "example.org. MX 10 mx.dead.", "", "mx_host_unknown", []string{"mx.dead"}},
		{"an MX that is an address", "example.org. MX 10 198.51.100.25.", "mx_host_is_address", "", []string{"198.51.100.25"}},
		{"one of two hosts published", "example.org. MX 10 mx.example.org.", "", "mx_incomplete mx_incomplete", []string{"mx.example.org", "ns1.example.org"}},
		{"a broken host of others", "example.org. MX 10 gone.example.org.\nexample.org. MX 5 mx.example.org.", "mx_mixed mx_mixed", "mx_host_no_address", []string{"mx.example.org"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := internet(t, c.zone, c.zone)
			r := w.check(resolvers, Question{Domain: "example.org", Expect: Expect{MXHosts: c.hosts}})
			want(t, "errors", codes(r.Errors), c.errors)
			want(t, "warnings", codes(r.Warnings), c.warnings)
		})
	}
}

func TestDifferentSerialsAreMentioned(t *testing.T) {
	w := internet(t, newMX, newMX)
	w.host("192.0.2.54").zones[0].setSerial(7)
	r := w.check(resolvers, question)
	want(t, "warnings", codes(r.Warnings), "serials_differ")
	want(t, "verdict", r.MX, Here)
}

func TestPublishedRecordsChangeOnlyMXAndSPF(t *testing.T) {
	zone := oldMX + "example.org. 1800 TXT \"google-site-verification=abc\"\nexample.org. 1800 TXT \"say \\\"hi\\\" \\\\ \\200\"\n"
	r := internet(t, zone, zone).check(resolvers, question)
	var lines []string
	for _, record := range r.Publish {
		lines = append(lines, record.Line())
	}
	want(t, "to publish", strings.Join(lines, "\n"), strings.Join([]string{
		"example.org.\t300\tIN\tMX\t10 mx.example.org.",
		"example.org.\t3600\tIN\tTXT\t\"v=spf1 ip4:198.51.100.25 ip4:203.0.113.25 -all\"",
		"example.org.\t3600\tIN\tTXT\t\"google-site-verification=abc\"",
		"example.org.\t3600\tIN\tTXT\t\"say \\\"hi\\\" \\\\ \\200\"",
	}, "\n"))
	lines = nil
	for _, record := range r.Remove {
		lines = append(lines, record.Line())
	}
	want(t, "to remove", strings.Join(lines, "\n"), "example.org.\t7200\tIN\tMX\t10 old.example.org.\n"+
		"example.org.\t3600\tIN\tTXT\t\"v=spf1 ip4:203.0.113.25 -all\"")
}

func TestNothingIsProposedWhenNoServerAnswers(t *testing.T) {
	w := internet(t, oldMX, oldMX)
	w.breakServer("192.0.2.53", silence)
	w.breakServer("192.0.2.54", silence)
	r := w.check(resolvers, question)
	want(t, "to publish", r.Publish, []Record{})
	want(t, "to remove", r.Remove, []Record{})
	want(t, "warnings", codes(r.Warnings), "mx_host_unknown spf_unknown")
}
