package dnscheck

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/miekg/dns"
)

func seedPacket(f *testing.F, authority bool, records ...string) {
	f.Helper()
	m := new(dns.Msg).SetQuestion("example.org.", dns.TypeMX)
	m.Response, m.Authoritative = true, authority
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		switch section, _, _ := strings.Cut(text, "."); section {
		case "ns":
			m.Extra = append(m.Extra, rr)
		case "example", "www":
			m.Answer = append(m.Answer, rr)
		}
		m.Ns = append(m.Ns, rr)
	}
	packet, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packet)
}

// FuzzHostileServer lets one server of a domain answer every question with foreign bytes while the other is on the old
// MX: the check must end, stay within its caps, and never say Here.
func FuzzHostileServer(f *testing.F) {
	seedPacket(f, true, "example.org. 300 IN MX 10 mx.example.org.", "example.org. 300 IN TXT \"v=spf1 include:%{d}.%{i}.x -all\"")
	seedPacket(f, true, "example.org. IN CNAME www.example.org.", "www.example.org. IN CNAME example.org.")
	seedPacket(f, false, "example.org. IN NS ns.example.org.", "ns.example.org. IN A 192.0.2.1", "ns.example.org. IN AAAA ::")
	seedPacket(f, true, "example.org. 4294967295 IN SOA . . 1 1 1 1 1", "example.org. IN MX 0 .", "example.org. IN TXT \"v=spf1\"")
	f.Add([]byte("short"))
	honest := []*zone{{apex: "example.org."}}
	for _, text := range []string{"example.org. 60 IN SOA . . 1 1 1 1 1", "example.org. 60 IN MX 10 old.example.org."} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		honest[0].rrs = append(honest[0].rrs, rr)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		hostile := func(_ context.Context, _ string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
			if server == at("192.0.2.2") {
				return authoritative(honest, q), nil
			}
			forged := slices.Clone(packet)
			if len(forged) > 1 {
				forged[0], forged[1] = byte(q.Id>>8), byte(q.Id)
			}
			return parse(forged, q)
		}
		for _, o := range []Options{
			{Authoritative: []Server{{Address: at("192.0.2.1")}, {Address: at("192.0.2.2")}}},
			{Parents: []netip.AddrPort{at("192.0.2.1"), at("192.0.2.2")}},
			{Resolvers: []netip.AddrPort{at("192.0.2.1")}, Authoritative: []Server{{Address: at("192.0.2.2")}}},
		} {
			o.Exchanger, o.Deadline = exchangerFunc(hostile), 5*time.Second
			checker, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			r := checker.Check(context.Background(), question)
			if r.MX == Here {
				t.Errorf("the verdict is Here: %+v", r)
			}
			if len(r.Servers) > maxServers*maxAddresses || len(r.Publish) > 2*maxRecords {
				t.Errorf("a cap does not hold: %d servers, %d records", len(r.Servers), len(r.Publish))
			}
			var text bytes.Buffer
			if err := Text(&text, r); err != nil || bytes.ContainsAny(text.Bytes(), "\x1b\x00\r\x07") || !utf8.Valid(text.Bytes()) {
				t.Errorf("text is not fit for a terminal (%v): %q", err, text.String())
			}
			if _, err := json.Marshal(r); err != nil {
				t.Error(err)
			}
		}
	})
}

type exchangerFunc func(context.Context, string, netip.AddrPort, *dns.Msg) (*dns.Msg, error)

func (f exchangerFunc) Exchange(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	return f(ctx, network, server, q)
}

// FuzzTXT: what we tell people to publish must read back as the bytes that we meant, through a zone file and the wire.
func FuzzTXT(f *testing.F) {
	f.Add([]byte("v=spf1 mx -all"))
	f.Add([]byte(`say "hi" \ \032 ;`))
	f.Add(bytes.Repeat([]byte{0, 255, '\\'}, 200))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[:min(len(raw), maxTXTBytes)]
		rr, err := dns.NewRR("example.org. 300 IN TXT " + quoted(string(raw)))
		if err != nil {
			t.Fatalf("zone file line for %q: %v", raw, err)
		}
		m := &dns.Msg{Answer: []dns.RR{rr}}
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		back := new(dns.Msg)
		if err := back.Unpack(packet); err != nil {
			t.Fatal(err)
		}
		txt, err := txtOf(back.Answer)
		if err != nil || len(txt) != 1 || txt[0] != string(raw) {
			t.Errorf("got %q (%v), want %q", txt, err, raw)
		}
	})
}

// FuzzProposeSPF: whatever stands in DNS today, one valid record that begins with our addresses comes out.
func FuzzProposeSPF(f *testing.F) {
	f.Add("v=spf1 mx -all", "v=spf1 redirect=x.example")
	f.Add("v=spf1", "V=SPF1 +ALL ?all")
	f.Add("v=spf1 \x00 \xff a:%{i}//129", "v=spf1 \texp=")
	ours := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	f.Fuzz(func(t *testing.T, one, two string) {
		var published []string
		for _, txt := range []string{one, two} {
			if isSPF(txt) {
				published = append(published, txt)
			}
		}
		proposed := proposeSPF(published, ours)
		if !strings.HasPrefix(proposed+" ", "v=spf1 ip4:192.0.2.1 ") || !isSPF(proposed) {
			t.Errorf("proposed %q", proposed)
		}
		for _, c := range []byte(proposed) {
			if c < ' ' || c > '~' {
				t.Errorf("proposed %q has byte %d", proposed, c)
			}
		}
	})
}
