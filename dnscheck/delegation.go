package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// nameserver is one authoritative server with all its addresses.
type nameserver struct {
	name  string
	addrs []netip.AddrPort
}

// start is a zone above the domain and the servers that somebody named for it.
type start struct {
	zone    string // empty when not known: configured parents
	names   []string
	servers []netip.AddrPort
	saidBy  string
}

// findServers walks from every start down to the zone of the domain and unites what it is told. A start that leads
// nowhere, and starts that lead to different zones, are doubts: a liar must not be able to outlast honest servers.
func (r *run) findServers(ctx context.Context) []nameserver {
	if len(r.options.Authoritative) > 0 {
		return r.configured()
	}
	names := map[string][]netip.Addr{}
	for _, s := range r.starts(ctx) {
		found, err := r.walk(ctx, s)
		if err != nil {
			r.doubt("delegation_unknown", fmt.Sprintf("the way from %s to the domain's servers ends: %v", s.saidBy, err))
			continue
		}
		if r.zone != "" && r.zone != found.zone {
			r.doubt("parents_disagree", fmt.Sprintf("the domain's zone is %s according to some parents and %s according to %s",
				plain(r.zone), plain(found.zone), s.saidBy))
		}
		if r.zone == "" {
			r.zone = found.zone
			r.report.Zone = plain(found.zone)
		}
		r.report.DelegationTTLSeconds = max(r.report.DelegationTTLSeconds, found.ttl)
		for _, name := range found.names {
			names[name] = append(names[name], found.glue[name]...)
		}
	}
	return r.locate(ctx, names)
}

// configured groups the servers of a private network by name.
func (r *run) configured() []nameserver {
	var servers []nameserver
	for _, s := range r.options.Authoritative {
		name := s.Address.String()
		if s.Name != "" {
			name = canonical(s.Name)
		}
		i := slices.IndexFunc(servers, func(n nameserver) bool { return n.name == name })
		if i < 0 {
			i = len(servers)
			servers = append(servers, nameserver{name: name})
		}
		servers[i].addrs = append(servers[i].addrs, s.Address)
	}
	return servers
}

// starts asks each resolver by itself for the parent zone, so that each one's word is walked to its end.
func (r *run) starts(ctx context.Context) []start {
	if len(r.options.Parents) > 0 {
		return []start{{servers: r.options.Parents, saidBy: "the configured parents"}}
	}
	var found []start
	for _, resolver := range r.options.Resolvers {
		zone, names, err := r.parentBy(ctx, resolver)
		if err != nil {
			r.doubt("resolver_failed", fmt.Sprintf("the resolver %s does not lead to the parent zone: %v", resolver, err))
			continue
		}
		if i := slices.IndexFunc(found, func(s start) bool { return s.zone == zone && slices.Equal(s.names, names) }); i >= 0 {
			found[i].saidBy += ", " + resolver.String()
			continue // the same parent said twice is walked once
		}
		glue := map[string][]netip.Addr{}
		for _, name := range names {
			glue[name] = nil
		}
		next := start{zone: zone, names: names, saidBy: resolver.String()}
		for _, server := range r.locate(ctx, glue) {
			next.servers = append(next.servers, server.addrs...)
		}
		found = append(found, next)
	}
	return found
}

// parentBy finds, by one resolver, the zone above the one that holds the domain.
func (r *run) parentBy(ctx context.Context, resolver netip.AddrPort) (zone string, names []string, err error) {
	cuts := 0
	for name := r.domain; ; name = parentName(name) {
		msg, err := ask(ctx, r.options.Exchanger, resolver, name, dns.TypeNS, true)
		if err != nil {
			return "", nil, err
		}
		rrs, _ := pick(msg.Answer, name, dns.TypeNS)
		err = definite(msg)
		switch {
		case msg.Rcode == dns.RcodeServerFailure && cuts <= 1:
			cuts = 1 // the domain's own servers are broken: that is for their parent to lead to
		case err != nil && !errors.Is(err, errNXDomain):
			return "", nil, err
		case len(rrs) > 0:
			cuts++
		}
		if cuts == 2 {
			c, err := cutOf(msg, name, "", rrs)
			return name, c.names, err
		}
		if name == "." {
			return "", nil, errors.New("it knows no zone above the domain")
		}
	}
}

func parentName(name string) string {
	next, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[next:]
}

// walk follows referrals from one start to the zone that holds the domain.
func (r *run) walk(ctx context.Context, s start) (cut, error) {
	at, servers := s.zone, s.servers
	for range maxReferrals {
		found, err := r.askParents(ctx, at, servers, r.domain)
		if err != nil {
			return cut{}, err
		}
		if found.inside {
			// The domain is a name inside this zone: the zone's own NS set is what counts.
			found, err = r.askParents(ctx, at, servers, found.zone)
			if err == nil && len(found.names) == 0 {
				err = fmt.Errorf("the zone %s names no servers", plain(found.zone))
			}
			return found, err
		}
		if found.zone == r.domain {
			return found, nil
		}
		at, servers = found.zone, nil
		for _, server := range r.locate(ctx, found.glue) {
			servers = append(servers, server.addrs...)
		}
	}
	return cut{}, fmt.Errorf("more than %d referrals", maxReferrals)
}

// askParents asks every server for the NS set of name and unites the answers. One answer is enough, since a parent
// that is down names nobody else; answers that point to different zones are a doubt.
func (r *run) askParents(ctx context.Context, at string, servers []netip.AddrPort, name string) (cut, error) {
	if len(servers) > maxServers*maxAddresses {
		servers = servers[:maxServers*maxAddresses]
	}
	cuts, errs := make([]cut, len(servers)), make([]error, len(servers))
	each(len(servers), func(i int) {
		msg, err := ask(ctx, r.options.Exchanger, servers[i], name, dns.TypeNS, false)
		if err == nil {
			cuts[i], err = readCut(msg, name, at)
		}
		errs[i] = err
	})
	united, last := cut{}, errors.New("no address of a parent server is known")
	for i, c := range cuts {
		switch {
		case errs[i] != nil:
			last = fmt.Errorf("parent server %s %w", servers[i], errs[i])
		case united.zone == "":
			united = c
		case united.zone != c.zone || united.inside != c.inside:
			r.doubt("parents_disagree", fmt.Sprintf("parent servers disagree: the zone is %s or, according to %s, %s",
				plain(united.zone), servers[i], plain(c.zone)))
		default:
			united = unite(united, c)
		}
	}
	if united.zone == "" {
		return cut{}, last
	}
	for _, name := range united.names {
		if _, ok := united.glue[name]; !ok {
			united.glue[name] = nil
		}
	}
	return united, nil
}

func unite(a, b cut) cut {
	for _, name := range b.names {
		if !contains(a.names, name) {
			a.names = append(a.names, name)
		}
	}
	slices.Sort(a.names)
	for name, addrs := range b.glue {
		a.glue[name] = append(a.glue[name], addrs...)
	}
	a.ttl = max(a.ttl, b.ttl)
	return a
}

// locate finds the addresses of servers: the glue that came with the delegation, else what the resolvers say, united.
func (r *run) locate(ctx context.Context, names map[string][]netip.Addr) []nameserver {
	sorted := slices.Sorted(maps.Keys(names))
	if len(sorted) > maxServers {
		r.doubt("too_many_servers", fmt.Sprintf("more than %d servers are named; only so many are asked", maxServers))
		sorted = sorted[:maxServers]
	}
	servers := make([]nameserver, len(sorted))
	each(len(sorted), func(i int) {
		addrs := slices.Clone(names[sorted[i]])
		if len(addrs) == 0 {
			addrs = r.everyAddress(ctx, sorted[i])
		}
		slices.SortFunc(addrs, netip.Addr.Compare)
		addrs = slices.Compact(addrs)
		if len(addrs) > maxAddresses {
			r.doubt("too_many_servers", fmt.Sprintf("%s has more than %d addresses; only so many are asked", plain(sorted[i]), maxAddresses))
			addrs = addrs[:maxAddresses]
		}
		servers[i].name = sorted[i]
		for _, addr := range addrs {
			servers[i].addrs = append(servers[i].addrs, netip.AddrPortFrom(addr, r.options.Port))
		}
	})
	return servers
}

// everyAddress unites what all resolvers say of a server's addresses, so that a lying one can only add addresses.
func (r *run) everyAddress(ctx context.Context, name string) []netip.Addr {
	var addrs []netip.Addr
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		for _, one := range r.ways() {
			rrs, err := r.follow(ctx, one, name, qtype)
			if err != nil && !errors.Is(err, errNXDomain) {
				r.doubt("address_unknown", fmt.Sprintf("the addresses of the server %s are not known: %v", plain(name), err))
			}
			for _, rr := range rrs {
				addrs = append(addrs, addressOf(rr)...)
			}
		}
	}
	return addrs
}
