package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// askServers asks every address of every server and adds the answers to the report. A server without an address
// stands in the report as unknown: it is named, so others may reach it.
func (r *run) askServers(ctx context.Context, servers []nameserver) {
	var answers []ServerAnswer
	var addrs []netip.AddrPort
	for _, server := range servers {
		r.report.Nameservers = append(r.report.Nameservers, plain(server.name))
		if len(server.addrs) == 0 {
			r.report.Servers = append(r.report.Servers, ServerAnswer{Name: plain(server.name), MX: Unknown,
				Records: []MX{}, SPF: []string{}, Problem: "has no address"})
		}
		for _, addr := range server.addrs {
			answers = append(answers, ServerAnswer{Name: plain(server.name), Address: r.short(addr)})
			addrs = append(addrs, addr)
		}
	}
	each(len(answers), func(i int) { r.askServer(ctx, &answers[i], addrs[i]) })
	for i, a := range answers {
		if a.Problem == "" {
			r.talking = append(r.talking, addrs[i])
		}
		if r.zone == "" && a.soaName != "" {
			r.zone, r.report.Zone = a.soaName, plain(a.soaName)
		}
	}
	r.report.Servers = append(r.report.Servers, answers...)
}

// short leaves out the port that all servers share.
func (r *run) short(addr netip.AddrPort) string {
	if addr.Port() == 53 || addr.Port() == r.options.Port && len(r.options.Authoritative) == 0 {
		return addr.Addr().String()
	}
	return addr.String()
}

// askServer asks one address for MX and, if it answers at all, for SOA, TXT and the zone's own NS set.
func (r *run) askServer(ctx context.Context, a *ServerAnswer, addr netip.AddrPort) {
	a.MX, a.Records, a.SPF = Unknown, []MX{}, []string{}
	a.txtErr = errors.New("was not asked")
	msg, err := ask(ctx, r.options.Exchanger, addr, r.domain, dns.TypeMX, false)
	if errors.Is(err, errNoRoute) {
		a.Problem = "was not asked: " + errNoRoute.Error()
		a.Skipped = addr.Addr().Is6() // only until skipUnroutable has seen all addresses
		return
	}
	if err != nil {
		a.Problem = "does not answer: " + brief(err)
		return
	}
	rrs, err := own(msg, r.domain, dns.TypeMX)
	if err != nil {
		a.Problem = err.Error()
		return
	}
	a.Records, a.TTLSeconds, a.null = mxOf(rrs)
	if len(a.Records) == 0 {
		a.TTLSeconds = negativeTTL(msg)
	}
	a.MX = verdictOf(a.Records, r.ours)
	if len(r.ours) == 0 {
		a.MX = Unknown
	}
	r.askRest(ctx, a, addr)
}

func (r *run) askRest(ctx context.Context, a *ServerAnswer, addr netip.AddrPort) {
	if msg, err := ask(ctx, r.options.Exchanger, addr, r.domain, dns.TypeSOA, false); err == nil && msg.Authoritative {
		for _, rr := range append(slices.Clone(msg.Answer), msg.Ns...) {
			if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(canonical(soa.Hdr.Name), r.domain) {
				a.Serial, a.soaName = soa.Serial, canonical(soa.Hdr.Name)
			}
		}
	}
	a.txt, a.txtTTL, a.txtErr = r.askTXT(ctx, addr)
	for _, txt := range a.txt {
		if isSPF(txt) {
			a.SPF = append(a.SPF, txt)
		}
	}
	slices.Sort(a.SPF)
	zone := r.zone
	if zone == "" {
		return
	}
	msg, err := ask(ctx, r.options.Exchanger, addr, zone, dns.TypeNS, false)
	if err != nil {
		return
	}
	if rrs, err := own(msg, zone, dns.TypeNS); err == nil {
		if c, err := cutOf(msg, zone, "", rrs); err == nil {
			a.ns, a.nsTTL = c.names, c.ttl
		}
	}
}

func (r *run) askTXT(ctx context.Context, addr netip.AddrPort) (txt []string, ttl uint32, err error) {
	msg, err := ask(ctx, r.options.Exchanger, addr, r.domain, dns.TypeTXT, false)
	if err != nil {
		return nil, 0, err
	}
	rrs, err := own(msg, r.domain, dns.TypeTXT)
	if err != nil {
		return nil, 0, err
	}
	for _, rr := range rrs {
		ttl = max(ttl, ttlOf(rr))
	}
	txt, err = txtOf(rrs)
	return txt, ttl, err
}

// zonesOwnServers returns servers that the zone itself names and its parent does not: caches ask them as well.
func (r *run) zonesOwnServers(ctx context.Context) []nameserver {
	extra := map[string][]netip.Addr{}
	for _, a := range r.report.Servers {
		r.report.DelegationTTLSeconds = max(r.report.DelegationTTLSeconds, a.nsTTL)
		for _, name := range a.ns {
			if !contains(r.report.Nameservers, plain(name)) {
				extra[name] = nil
			}
		}
	}
	if len(extra) == 0 {
		return nil
	}
	servers := r.locate(ctx, extra)
	var names []string
	for _, s := range servers {
		names = append(names, plain(s.name))
	}
	r.warn("ns_differs", "the zone names servers that its parent does not: %s (they are asked as well)", strings.Join(names, ", "))
	return servers
}

// skipUnroutable lets an IPv6 address of a server pass when this machine has no IPv6 and the same server answered at
// another address. A server that can't be reached at all stays unknown.
func (r *run) skipUnroutable() {
	answered := map[string]bool{}
	for _, a := range r.report.Servers {
		answered[a.Name] = answered[a.Name] || a.Problem == ""
	}
	skipped := 0
	for i, a := range r.report.Servers {
		r.report.Servers[i].Skipped = a.Skipped && answered[a.Name]
		if r.report.Servers[i].Skipped {
			skipped++
		}
	}
	if skipped > 0 {
		r.warn("ipv6_skipped", "%s could not be asked: this machine has no route to IPv6", plural(skipped, "IPv6 address"))
	}
}

// askCaches asks the public resolvers what they still hand out.
func (r *run) askCaches(ctx context.Context) {
	caches := make([]CacheAnswer, len(r.options.PublicResolvers))
	each(len(caches), func(i int) {
		resolver := r.options.PublicResolvers[i]
		c := CacheAnswer{Resolver: r.short(resolver), MX: Unknown, Records: []MX{}}
		msg, err := ask(ctx, r.options.Exchanger, resolver, r.domain, dns.TypeMX, true)
		if err != nil {
			c.Problem = "does not answer: " + brief(err)
		} else if err = definite(msg); err != nil {
			c.Problem = err.Error()
		} else {
			rrs, _ := pick(msg.Answer, r.domain, dns.TypeMX)
			c.Records, c.RemainingTTLSeconds, _ = mxOf(rrs)
			if len(c.Records) == 0 {
				c.RemainingTTLSeconds = negativeTTL(msg)
			}
			if len(r.ours) > 0 {
				c.MX = verdictOf(c.Records, r.ours)
			}
		}
		caches[i] = c
	})
	r.report.Caches = append(r.report.Caches, caches...)
	for _, c := range caches {
		if c.MX == Elsewhere || c.MX == Mixed {
			r.warn("cache_old", "the resolver %s still answers %s for another %d seconds", c.Resolver, hostsOf(c.Records), c.RemainingTTLSeconds)
		}
	}
}

// brief is a network error without the addresses that the sentence around it has already.
func brief(err error) string {
	if silent(err) || errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	for unwrapped := err; unwrapped != nil; unwrapped = errors.Unwrap(unwrapped) {
		err = unwrapped
	}
	return fmt.Sprint(err)
}
