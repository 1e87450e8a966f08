package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen starts a real server on one loopback port over UDP and TCP.
func listen(t *testing.T, udp, tcp dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	var packets net.PacketConn
	var stream net.Listener
	for range 50 { // the kernel picks the port for TCP; UDP must be free there as well
		var err error
		if stream, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if packets, err = net.ListenPacket("udp", stream.Addr().String()); err == nil {
			break
		}
		_ = stream.Close()
	}
	if packets == nil {
		t.Fatal("no port is free for both UDP and TCP")
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: udp}, {Listener: stream, Handler: tcp}} {
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(ended); _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown(); <-ended })
	}
	return netip.MustParseAddrPort(stream.Addr().String())
}

func reply(w dns.ResponseWriter, q *dns.Msg, change func(m *dns.Msg)) {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	m.Answer = []dns.RR{&dns.MX{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeMX, Class: dns.ClassINET, Ttl: 60}, Mx: "mx.example.org."}}
	change(m)
	_ = w.WriteMsg(m)
}

func plainReply(w dns.ResponseWriter, q *dns.Msg) { reply(w, q, func(*dns.Msg) {}) }

func never(t *testing.T, what string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		t.Errorf("asked over %s", what)
		plainReply(w, q)
	}
}

func TestQuestionReachesServersThatMisbehave(t *testing.T) {
	var times atomic.Int32
	for _, c := range []struct {
		name     string
		udp, tcp dns.HandlerFunc
	}{
		{"answering over UDP", plainReply, never(t, "TCP")},
		{"truncating over UDP", func(w dns.ResponseWriter, q *dns.Msg) {
			reply(w, q, func(m *dns.Msg) { m.Truncated, m.Answer = true, nil })
		}, plainReply},
		{"losing the first packet", func(w dns.ResponseWriter, q *dns.Msg) {
			if times.Add(1) > 1 {
				plainReply(w, q)
			}
		}, never(t, "TCP")},
		{"losing every packet", func(dns.ResponseWriter, *dns.Msg) {}, plainReply},
		{"sending garbage under the right number", func(w dns.ResponseWriter, q *dns.Msg) {
			packet, _ := new(dns.Msg).SetReply(q).Pack()
			packet[5] = 9 // claims nine questions
			_, _ = w.Write(packet)
		}, plainReply},
		{"that do not know EDNS", func(w dns.ResponseWriter, q *dns.Msg) {
			reply(w, q, func(m *dns.Msg) {
				if q.IsEdns0() != nil {
					*m = dns.Msg{MsgHdr: dns.MsgHdr{Id: q.Id, Response: true, Rcode: dns.RcodeFormatError}}
				}
			})
		}, never(t, "TCP")},
		{"behind a forger", func(w dns.ResponseWriter, q *dns.Msg) {
			forge := func(change func(m *dns.Msg)) {
				reply(w, q, func(m *dns.Msg) { m.Answer[0].(*dns.MX).Mx = "evil.example."; change(m) })
			}
			forge(func(m *dns.Msg) { m.Id++ })
			forge(func(m *dns.Msg) { m.Question[0].Name = "other.org." })
			forge(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT })
			forge(func(m *dns.Msg) { m.Question = nil })
			forge(func(m *dns.Msg) { m.Response = false })
			plainReply(w, q)
		}, never(t, "TCP")},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := listen(t, c.udp, c.tcp)
			m, err := ask(context.Background(), wire{300 * time.Millisecond}, server, "Example.org", dns.TypeMX, false)
			if err != nil {
				t.Fatal(err)
			}
			want(t, "answer", m.Answer[0].(*dns.MX).Mx, "mx.example.org.")
		})
	}
}

func TestServerThatNeverAnswersCostsAtMostThreeTimeouts(t *testing.T) {
	server := listen(t, func(dns.ResponseWriter, *dns.Msg) {}, func(dns.ResponseWriter, *dns.Msg) {})
	begun := time.Now()
	_, err := ask(context.Background(), wire{200 * time.Millisecond}, server, "example.org", dns.TypeMX, false)
	if err == nil || brief(err) != "timeout" {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(begun); took < 500*time.Millisecond || took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestFloodOfForgedPacketsEndsTheTry(t *testing.T) {
	server := listen(t, func(w dns.ResponseWriter, q *dns.Msg) {
		for range 2 * maxStray {
			reply(w, q, func(m *dns.Msg) { m.Id++ })
		}
		plainReply(w, q)
	}, plainReply)
	_, err := wire{5 * time.Second}.Exchange(context.Background(), "udp", server, new(dns.Msg).SetQuestion("example.org.", dns.TypeMX))
	if err == nil || !strings.Contains(err.Error(), "another question") {
		t.Errorf("error is %v", err)
	}
}

func TestCancelledQuestionReturnsAtOnce(t *testing.T) {
	asked := make(chan struct{}, 8)
	server := listen(t, func(dns.ResponseWriter, *dns.Msg) { asked <- struct{}{} }, plainReply)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-asked; cancel() }()
	begun := time.Now()
	if _, err := ask(ctx, wire{time.Minute}, server, "example.org", dns.TypeMX, false); err == nil {
		t.Error("no error")
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestAddressFamilyWithoutRouteIsTold(t *testing.T) {
	err := fmt.Errorf("connecting: %w", &net.OpError{Op: "dial", Err: errors.New("x")})
	want(t, "other errors", unroutable(err), false)
	_, err = wire{time.Second}.Exchange(context.Background(), "udp", netip.MustParseAddrPort("[2001:db8::1]:53"), new(dns.Msg).SetQuestion("a.", 1))
	if !errors.Is(err, errNoRoute) && !silent(err) {
		t.Errorf("error is %v: neither without route nor silent", err)
	}
}

func TestWholeCheckOverRealSockets(t *testing.T) {
	zones := []*zone{parseZone(t, "example.org", "example.org. NS ns1.example.org.\nns1.example.org. A 127.0.0.1\nmx.example.org. A 127.0.0.1\n"+newMX)}
	handler := func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(authoritative(zones, q)) }
	server := listen(t, handler, handler)
	checker, err := New(Options{Authoritative: []Server{{Name: "ns1.example.org", Address: server}}, QueryTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r := checker.Check(context.Background(), Question{Domain: "example.org", Expect: Expect{MXHosts: []string{"mx.example.org"},
		OutgoingAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}})
	want(t, "verdict", r.MX, Here)
	want(t, "SPF", r.SPF.Checks[0].Result, "pass")
	want(t, "errors", r.Errors, []Finding{})
}

func TestDeadlineEndsAWholeCheck(t *testing.T) {
	server := listen(t, func(dns.ResponseWriter, *dns.Msg) {}, func(dns.ResponseWriter, *dns.Msg) {})
	checker, err := New(Options{Resolvers: []netip.AddrPort{server}, QueryTimeout: time.Minute, Deadline: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	r := checker.Check(context.Background(), question)
	want(t, "verdict", r.MX, Unknown)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}
