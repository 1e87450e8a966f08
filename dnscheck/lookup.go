package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// lookup is one finished search for records, kept for the length of a check.
type lookup struct {
	rrs     []dns.RR
	aliased bool
	err     error
}

// way is one way to get an answer for a name; it brings the whole message so that aliases can be followed.
type way func(ctx context.Context, name string, qtype uint16) (*dns.Msg, error)

// ways are the sources for names outside the domain's zone: each resolver, or, in a network without one, the
// configured servers asked from the top down.
func (r *run) ways() []way {
	var all []way
	for _, resolver := range r.options.Resolvers {
		all = append(all, func(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
			msg, err := ask(ctx, r.options.Exchanger, resolver, name, qtype, true)
			if err != nil {
				return nil, fmt.Errorf("resolver %s: %w", resolver, err)
			}
			return msg, nil
		})
	}
	if len(all) > 0 {
		return all
	}
	top := slices.Clone(r.options.Parents)
	for _, s := range r.options.Authoritative {
		top = append(top, s.Address)
	}
	return []way{func(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
		return r.descend(ctx, top, name, qtype)
	}}
}

// resolve finds records of any name: at the domain's own servers when the name is in its zone, else elsewhere.
// aliased tells that a CNAME was on the way.
func (r *run) resolve(ctx context.Context, name string, qtype uint16) (rrs []dns.RR, aliased bool, err error) {
	key := dns.Question{Name: canonical(name), Qtype: qtype, Qclass: dns.ClassINET}
	r.mu.Lock()
	got, ok := r.known[key]
	r.mu.Unlock()
	if ok {
		return got.rrs, got.aliased, got.err
	}
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, false, fmt.Errorf("looking up %q: not a domain name", name)
	}
	all := r.ways()
	if r.zone != "" && dns.IsSubDomain(r.zone, key.Name) && len(r.talking) > 0 {
		all = append([]way{r.inZone}, all...)
	}
	for _, one := range all {
		got.rrs, got.aliased, got.err = r.followNoting(ctx, one, key.Name, qtype)
		if got.err == nil || errors.Is(got.err, errNXDomain) {
			break
		}
	}
	r.mu.Lock()
	r.known[key] = got
	r.mu.Unlock()
	return got.rrs, got.aliased, got.err
}

// inZone asks two of the domain's own servers; when neither answers for itself, the name may be delegated away.
func (r *run) inZone(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	var last error
	for _, server := range r.talking[:min(2, len(r.talking))] {
		msg, err := ask(ctx, r.options.Exchanger, server, name, qtype, false)
		if err == nil && msg.Authoritative {
			return msg, nil
		}
		if last = err; err == nil {
			last = errLame
		}
	}
	return nil, fmt.Errorf("asking the domain's servers for %s: %w", plain(name), last)
}

func (r *run) follow(ctx context.Context, get way, name string, qtype uint16) ([]dns.RR, error) {
	rrs, _, err := r.followNoting(ctx, get, name, qtype)
	return rrs, err
}

// followNoting gets records by one way, following aliases inside an answer and, where it ends, with further questions.
func (r *run) followNoting(ctx context.Context, get way, name string, qtype uint16) (rrs []dns.RR, aliased bool, err error) {
	name = canonical(name)
	for range maxAliases {
		msg, err := get(ctx, name, qtype)
		if err == nil {
			err = definite(msg)
		}
		if err != nil && !errors.Is(err, errNXDomain) {
			return nil, aliased, fmt.Errorf("looking up %s %s: %w", plain(name), dns.TypeToString[qtype], err)
		}
		rrs, last := chase(msg, name, qtype)
		if err != nil || len(rrs) > 0 || last == name {
			return rrs, aliased || last != name, err
		}
		aliased, name = true, last
		if msg.RecursionAvailable && msg.RecursionDesired {
			return nil, true, nil // a resolver follows to the end: there is nothing behind the alias
		}
	}
	return nil, true, fmt.Errorf("looking up %s: more than %d aliases", plain(name), maxAliases)
}

// descend asks from the top down without a resolver, using only addresses that come with the referrals.
func (r *run) descend(ctx context.Context, servers []netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	at := ""
	last := errors.New("no resolver is configured and no server knows the name")
	for range maxReferrals {
		var next []netip.AddrPort
		for _, server := range servers {
			msg, err := ask(ctx, r.options.Exchanger, server, name, qtype, false)
			if err == nil {
				err = definite(msg)
			}
			if err != nil && !errors.Is(err, errNXDomain) {
				last = err
				continue
			}
			if msg.Authoritative {
				return msg, nil
			}
			if c, err := readCut(msg, name, at); err == nil && !c.inside {
				at, next = c.zone, r.glued(c)
				break
			}
		}
		if len(next) == 0 {
			break
		}
		servers = next
	}
	return nil, last
}

func (r *run) glued(c cut) []netip.AddrPort {
	var servers []netip.AddrPort
	for _, name := range c.names {
		for _, addr := range c.glue[name] {
			servers = append(servers, netip.AddrPortFrom(addr, r.options.Port))
		}
	}
	return servers[:min(len(servers), maxServers)]
}
