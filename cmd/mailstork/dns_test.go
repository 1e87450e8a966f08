package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"mailstork/dnscheck"
	"mailstork/test/fakeoperator"
)

func TestDNSReportIsReadable(t *testing.T) {
	old := []dnscheck.MX{{Host: "mail.old.example", Preference: 10, TTLSeconds: 3600}}
	here := []dnscheck.MX{{Host: "mx.new.example", Preference: 10, TTLSeconds: 300}}
	report := dnscheck.Report{
		Domain: "example.org", Zone: "example.org", CheckedAt: fakeoperator.Now.Add(-time.Minute), MX: dnscheck.Mixed,
		Sentence:    "one of three servers still sends mail elsewhere, one does not answer",
		Holdouts:    []string{"ns2.example.net names mail.old.example", "ns3.example.net does not answer"},
		Nameservers: []string{"ns1.example.net", "ns2.example.net", "ns3.example.net"},
		Servers: []dnscheck.ServerAnswer{
			{Name: "ns1.example.net", Address: "192.0.2.53", MX: dnscheck.Here, Records: here, Serial: 2026112102, TTLSeconds: 300},
			{Name: "ns2.example.net", Address: "2001:db8::53", MX: dnscheck.Elsewhere, Records: old, Serial: 2026112101, TTLSeconds: 3600},
			{Name: "ns3.example.net", Address: "192.0.2.54", MX: dnscheck.Unknown, Problem: "timeout"},
		},
		CachesMX: dnscheck.Elsewhere,
		Caches:   []dnscheck.CacheAnswer{{Resolver: "9.9.9.9:53", MX: dnscheck.Elsewhere, Records: old, RemainingTTLSeconds: 1712}},
		SPF: dnscheck.SPF{Records: []string{"v=spf1 include:old.example -all"}, Checks: []dnscheck.SPFCheck{
			{Address: "192.0.2.25", Result: "fail", Detail: "matched all", Servers: []string{"ns1.example.net"}},
		}},
		Errors:   []dnscheck.Finding{{Code: "spf_fail", Text: "SPF forbids 192.0.2.25 to send mail of example.org"}},
		Warnings: []dnscheck.Finding{{Code: "serial", Text: "the servers have different versions of the zone"}},
		Publish: []dnscheck.Record{
			{Name: "example.org", TTLSeconds: 300, Type: "MX", Data: "10 mx.new.example."},
			{Name: "example.org", TTLSeconds: 3600, Type: "TXT", Data: `"site-verification=1"`, Keep: true},
		},
		Remove: []dnscheck.Record{{Name: "example.org", TTLSeconds: 3600, Type: "MX", Data: "10 mail.old.example."}},
	}
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t)
	s.operator.DNS = text
	got := s.run("dns", "check", "example.org")
	golden(t, "dns-check.golden", fmt.Sprintf("$ mailstork dns check example.org\n%s%sexit code %d\n", got.stdout, got.stderr, got.code))
}

func TestDNSCheckWithFlagsNeedsNoDaemon(t *testing.T) {
	s := &session{t: t, config: writeConfig(t, "/nonexistent/s")}
	got := s.run("dns", "check", "example.org", "--mx", "mx.new.example", "--outgoing", "192.0.2.25",
		"--parent", "127.0.0.1:1", "--resolver", "127.0.0.1:1", "--public-resolver", "127.0.0.1:1", "--port", "1", "--json")
	var report dnscheck.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	if got.code != exitDNS || report.MX == dnscheck.Here || len(report.Holdouts) == 0 {
		t.Errorf("nobody answers, and that is not here: %+v", got)
	}
}
