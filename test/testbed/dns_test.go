package testbed

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func zoneText(mx string) string {
	return `$TTL 300
@ SOA ns1.example.org. hostmaster.example.org. 1 300 300 3600 300
@ NS ns1.example.org.
@ NS ns2.example.org.
ns1 A 127.0.0.2
ns2 A 127.0.0.3
@ MX 10 ` + mx + "\n"
}

func lookupMX(t *testing.T, network, server string) string {
	t.Helper()
	question := new(dns.Msg)
	question.SetQuestion("example.org.", dns.TypeMX)
	answer, _, err := (&dns.Client{Net: network, Timeout: 3 * time.Second}).Exchange(question, server)
	if err != nil {
		return err.Error()
	}
	for _, record := range answer.Answer {
		if mx, ok := record.(*dns.MX); ok {
			return mx.Mx
		}
	}
	return dns.RcodeToString[answer.Rcode]
}

func TestTwoKnotsServeOneZoneAndChangeOneByOne(t *testing.T) {
	Need(t, "knotd")
	lab := NewForTest(t)
	port, err := FreePort("127.0.0.2", "127.0.0.3")
	if err != nil {
		t.Fatal(err)
	}
	var servers []*Knot
	for _, host := range []string{"127.0.0.2", "127.0.0.3"} {
		server, err := lab.StartKnot(KnotOptions{Host: host, Port: port, Zones: map[string]string{"example.org": zoneText("old.example.net.")}})
		if err != nil {
			t.Fatal(err)
		}
		servers = append(servers, server)
	}
	if err := servers[1].SetZone("example.org.", zoneText("new.example.net.")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"old.example.net.", "new.example.net."} {
		for _, network := range []string{"udp", "tcp"} {
			if got := lookupMX(t, network, servers[i].Address); got != want {
				t.Errorf("server %d over %s: got %s, want %s", i, network, got, want)
			}
		}
	}
}

func TestKnotTakesAZoneThatItDidNotKnow(t *testing.T) {
	Need(t, "knotd")
	server, err := NewForTest(t).StartKnot(KnotOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := lookupMX(t, "udp", server.Address); got != "REFUSED" {
		t.Errorf("before: got %s, want REFUSED", got)
	}
	if err := server.SetZone("example.org", zoneText("mx.example.org.")); err != nil {
		t.Fatal(err)
	}
	if got := lookupMX(t, "udp", server.Address); got != "mx.example.org." {
		t.Errorf("after: got %s, want mx.example.org.", got)
	}
}

func TestUnboundBelievesItsCacheUntilFlushed(t *testing.T) {
	Need(t, "knotd", "unbound")
	lab := NewForTest(t)
	server, err := lab.StartKnot(KnotOptions{Zones: map[string]string{"example.org": zoneText("old.example.net.")}})
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := lab.StartUnbound(server)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	got = append(got, lookupMX(t, "udp", resolver.Address))
	if err := server.SetZone("example.org", zoneText("new.example.net.")); err != nil {
		t.Fatal(err)
	}
	got = append(got, lookupMX(t, "udp", resolver.Address))
	if err := resolver.Flush("example.org"); err != nil {
		t.Fatal(err)
	}
	got = append(got, lookupMX(t, "udp", resolver.Address))
	if fmt.Sprint(got) != "[old.example.net. old.example.net. new.example.net.]" {
		t.Errorf("got %v, want old, old, new", got)
	}
}
