package dnscheck

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// world is a small Internet in memory: authoritative servers and resolvers by address. Every message is packed and
// parsed on its way, as on the wire.
type world struct {
	t       *testing.T
	mu      sync.Mutex
	servers map[netip.AddrPort]*host
	asked   []string
}

// host is one address. answer, when set, replaces the zones.
type host struct {
	zones     []*zone
	recursive bool
	forged    bool // honest resolvers never come here
	answer    func(network string, q *dns.Msg) (*dns.Msg, error)
}

type zone struct {
	apex string
	rrs  []dns.RR
}

func at(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), 53) }

func newWorld(t *testing.T) *world {
	return &world{t: t, servers: map[netip.AddrPort]*host{}}
}

func parseZone(t *testing.T, apex, text string) *zone {
	t.Helper()
	z := &zone{apex: canonical(apex)}
	soa := z.apex + " 3600 IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 300\n"
	parser := dns.NewZoneParser(strings.NewReader(soa+text+"\n"), z.apex, "")
	parser.SetDefaultTTL(3600)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		rr.Header().Name = canonical(rr.Header().Name)
		z.rrs = append(z.rrs, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("parsing zone %s: %v", apex, err)
	}
	return z
}

// serve puts a zone on a server; several calls for one address give it several zones.
func (w *world) serve(addr, apex, text string) {
	w.t.Helper()
	h := w.host(addr)
	for i, z := range h.zones {
		if z.apex == canonical(apex) {
			h.zones[i] = parseZone(w.t, apex, text)
			return
		}
	}
	h.zones = append(h.zones, parseZone(w.t, apex, text))
}

func (w *world) host(addr string) *host {
	if w.servers[at(addr)] == nil {
		w.servers[at(addr)] = &host{}
	}
	return w.servers[at(addr)]
}

// breakServer replaces all answers of one address.
func (w *world) breakServer(addr string, answer func(network string, q *dns.Msg) (*dns.Msg, error)) {
	w.host(addr).answer = answer
}

type timeoutError struct{}

func (timeoutError) Error() string { return "i/o timeout" }
func (timeoutError) Timeout() bool { return true }

func silence(string, *dns.Msg) (*dns.Msg, error) { return nil, timeoutError{} }

func rcode(code int) func(string, *dns.Msg) (*dns.Msg, error) {
	return func(_ string, q *dns.Msg) (*dns.Msg, error) {
		return new(dns.Msg).SetRcode(q, code), nil
	}
}

// Exchange makes world an Exchanger.
func (w *world) Exchange(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.asked = append(w.asked, fmt.Sprintf("%s %s %s rd=%v", server.Addr(), dns.TypeToString[q.Question[0].Qtype], q.Question[0].Name, q.RecursionDesired))
	h := w.servers[server]
	w.mu.Unlock()
	if h == nil {
		return nil, timeoutError{}
	}
	var answer *dns.Msg
	var err error
	switch {
	case h.answer != nil:
		answer, err = h.answer(network, q)
	case h.recursive:
		answer = w.recurse(q)
	default:
		answer = authoritative(h.zones, q)
	}
	if err != nil {
		return nil, err
	}
	packet, err := answer.Pack()
	if err != nil {
		w.t.Errorf("packing answer: %v", err)
		return nil, err
	}
	return parse(packet, q)
}

func deepest(zones []*zone, name string) *zone {
	var best *zone
	for _, z := range zones {
		if dns.IsSubDomain(z.apex, name) && (best == nil || dns.CountLabel(z.apex) > dns.CountLabel(best.apex)) {
			best = z
		}
	}
	return best
}

// authoritative answers as a plain server does: referral, data, alias, no data, no name.
func authoritative(zones []*zone, q *dns.Msg) *dns.Msg {
	name, qtype := canonical(q.Question[0].Name), q.Question[0].Qtype
	reply := new(dns.Msg).SetReply(q)
	z := deepest(zones, name)
	if z == nil {
		reply.Rcode = dns.RcodeRefused
		return reply
	}
	for _, rr := range z.rrs {
		owner := rr.Header().Name
		if rr.Header().Rrtype == dns.TypeNS && owner != z.apex && dns.IsSubDomain(owner, name) {
			reply.Ns = append(reply.Ns, rr)
			reply.Extra = append(reply.Extra, z.find(rr.(*dns.NS).Ns, dns.TypeA)...)
			reply.Extra = append(reply.Extra, z.find(rr.(*dns.NS).Ns, dns.TypeAAAA)...)
		}
	}
	if len(reply.Ns) > 0 {
		return reply
	}
	reply.Authoritative = true
	reply.Answer = z.find(name, qtype)
	if alias := z.find(name, dns.TypeCNAME); len(reply.Answer) == 0 && len(alias) > 0 {
		reply.Answer = append(alias, z.find(alias[0].(*dns.CNAME).Target, qtype)...)
	}
	if len(reply.Answer) == 0 {
		reply.Ns = z.find(z.apex, dns.TypeSOA)
		if !z.has(name) {
			reply.Rcode = dns.RcodeNameError
		}
	}
	return reply
}

func (z *zone) find(name string, qtype uint16) []dns.RR {
	var found []dns.RR
	for _, rr := range z.rrs {
		if rr.Header().Name == canonical(name) && rr.Header().Rrtype == qtype {
			found = append(found, dns.Copy(rr))
		}
	}
	return found
}

func (z *zone) setSerial(serial uint32) {
	for _, rr := range z.rrs {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Serial = serial
		}
	}
}

func (z *zone) has(name string) bool {
	for _, rr := range z.rrs {
		if dns.IsSubDomain(name, rr.Header().Name) {
			return true
		}
	}
	return false
}

// recurse answers from all zones of the world at once, following aliases.
func (w *world) recurse(q *dns.Msg) *dns.Msg {
	var all []*zone
	for _, addr := range slices.SortedFunc(maps.Keys(w.servers), netip.AddrPort.Compare) {
		h := w.servers[addr]
		if !h.recursive && !h.forged && h.answer == nil {
			all = append(all, h.zones...)
		}
	}
	reply := authoritative(all, q)
	if len(reply.Answer) == 0 && !reply.Authoritative {
		return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure) // the way ends at a server that does not answer
	}
	if alias, ok := lastAlias(reply); ok {
		onward := q.Copy()
		onward.Question[0].Name = alias
		reply.Answer = append(reply.Answer, authoritative(all, onward).Answer...)
	}
	reply.Authoritative, reply.RecursionAvailable = false, true
	return reply
}

func lastAlias(m *dns.Msg) (string, bool) {
	if len(m.Answer) == 0 {
		return "", false
	}
	cname, ok := m.Answer[len(m.Answer)-1].(*dns.CNAME)
	if !ok {
		return "", false
	}
	return cname.Target, true
}

func (w *world) check(o Options, q Question) Report {
	w.t.Helper()
	o.Exchanger = w
	checker, err := New(o)
	if err != nil {
		w.t.Fatalf("making checker: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := checker.Check(ctx, q)
	if os.Getenv("SHOW") != "" {
		_ = Text(os.Stdout, r)
		text, _ := json.MarshalIndent(r, "", "  ")
		fmt.Println(string(text))
	}
	return r
}

// internet is the usual world: root, org and net, a domain on two servers, and two honest resolvers.
func internet(t *testing.T, ns1, ns2 string) *world {
	w := newWorld(t)
	w.serve("192.0.2.1", ".", "dead. NS a.dead.\norg. NS a.nic.org.\na.nic.org. A 192.0.2.10\nnet. NS a.nic.net.\na.nic.net. A 192.0.2.11\n. NS a.root.org.\na.root.org. A 192.0.2.1")
	w.serve("192.0.2.10", "org", "org. NS a.nic.org.\na.nic.org. A 192.0.2.10\na.root.org. A 192.0.2.1\n"+
		"example.org. 86400 NS ns1.example.org.\nexample.org. 86400 NS ns2.dns.net.\nns1.example.org. A 192.0.2.53\nnew.org. NS ns1.example.org.")
	w.serve("192.0.2.11", "net", "net. NS a.nic.net.\na.nic.net. A 192.0.2.11\ndns.net. NS ns.dns.net.\nns.dns.net. A 192.0.2.56")
	// The names of ns2 are served elsewhere, so that ns2 may fail without becoming unfindable.
	w.serve("192.0.2.56", "dns.net", "dns.net. NS ns.dns.net.\nns.dns.net. A 192.0.2.56\nns2.dns.net. A 192.0.2.54")
	common := "example.org. NS ns1.example.org.\nexample.org. NS ns2.dns.net.\nns1.example.org. A 192.0.2.53\n" +
		"mx.example.org. A 198.51.100.25\nold.example.org. A 203.0.113.25\n"
	w.serve("192.0.2.53", "example.org", common+ns1)
	w.serve("192.0.2.54", "example.org", common+ns2)
	w.host("192.0.2.8").recursive = true
	w.host("192.0.2.9").recursive = true
	return w
}

var (
	resolvers = Options{Resolvers: []netip.AddrPort{at("192.0.2.8"), at("192.0.2.9")}}
	question  = Question{Domain: "example.org", Expect: Expect{MXHosts: []string{"mx.example.org"},
		OutgoingAddresses: []netip.Addr{netip.MustParseAddr("198.51.100.25")}}}
)

const (
	newMX = "example.org. 300 MX 10 mx.example.org.\nexample.org. TXT \"v=spf1 mx -all\"\n"
	oldMX = "example.org. 7200 MX 10 old.example.org.\nexample.org. 3600 TXT \"v=spf1 ip4:203.0.113.25 -all\"\n"
)

func codes(findings []Finding) string {
	var all []string
	for _, f := range findings {
		all = append(all, f.Code)
	}
	return strings.Join(all, " ")
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}
