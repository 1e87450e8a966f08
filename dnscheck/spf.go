package dnscheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
	"github.com/miekg/dns"
)

// maxVariants caps how many different policies of disagreeing servers are evaluated, maxOutgoing our addresses.
const (
	maxVariants = 4
	maxOutgoing = 32
)

// policy is what some of the servers publish as the domain's TXT records.
type policy struct {
	txt     []string // all TXT records
	spf     []string
	ttl     uint32
	servers []string
}

// inspectSPF evaluates the published policies for our addresses and proposes a record when one of them is not allowed.
func (r *run) inspectSPF(ctx context.Context) {
	policies := r.policies()
	if len(policies) == 0 {
		r.warn("spf_unknown", "no server says whether there is an SPF record")
		return
	}
	if len(policies) > 1 {
		r.warn("spf_differs", "the domain's servers publish different SPF records")
	}
	allowed, known := false, true
	for _, p := range policies {
		passes := true
		for _, record := range p.spf {
			r.report.SPF.Records = appendNew(r.report.SPF.Records, record)
		}
		for _, addr := range r.expect.OutgoingAddresses[:min(len(r.expect.OutgoingAddresses), maxOutgoing)] {
			check := r.evaluate(ctx, p.txt, addr)
			check.Servers = p.servers
			r.report.SPF.Checks = append(r.report.SPF.Checks, check)
			passes = passes && check.Result == string(spf.Pass)
			known = known && check.Result != string(spf.TempError)
		}
		allowed = allowed || passes
	}
	r.reportSPF()
	// What could not be evaluated is left as it stands: a guess could break a record that works. And a record that
	// passes at one server is on its way to the others.
	if !allowed && known {
		r.publishSPF(policies[0])
	}
}

// policies groups the servers by the SPF records they publish, the largest group first.
func (r *run) policies() []policy {
	var found []policy
	for _, s := range r.report.Servers {
		if s.Problem != "" {
			continue
		}
		if s.txtErr != nil {
			r.warn("txt_unknown", "%s does not tell its TXT records: %s", s.label(), brief(s.txtErr))
			continue
		}
		i := slices.IndexFunc(found, func(p policy) bool { return slices.Equal(p.spf, s.SPF) })
		if i < 0 {
			i = len(found)
			found = append(found, policy{txt: s.txt, spf: s.SPF, ttl: s.txtTTL})
		}
		found[i].servers = append(found[i].servers, s.label())
	}
	slices.SortStableFunc(found, func(a, b policy) int { return len(b.servers) - len(a.servers) })
	return found[:min(len(found), maxVariants)]
}

// evaluate asks what a receiver asks: may this address send mail of the domain (RFC 7208 §4)?
func (r *run) evaluate(ctx context.Context, txt []string, addr netip.Addr) SPFCheck {
	helo := plain(r.domain)
	if len(r.ours) > 0 {
		helo = r.ours[0]
	}
	result, err := spf.CheckHostWithSender(net.IP(addr.Unmap().AsSlice()), helo, "postmaster@"+plain(r.domain),
		spf.WithContext(ctx), spf.WithResolver(&receiver{r, txt}))
	check := SPFCheck{Address: addr.String(), Result: string(result)}
	if err != nil {
		check.Detail = err.Error()
	}
	return check
}

// reportSPF turns results into findings: what makes receivers refuse or doubt our mail.
func (r *run) reportSPF() {
	for _, record := range r.report.SPF.Records {
		for _, term := range strings.Fields(record)[1:] {
			if !validTerm(term) {
				r.fail("spf_syntax", "the SPF record has a term that receivers do not understand: %q", term)
			}
		}
	}
	for _, c := range r.report.SPF.Checks {
		text := fmt.Sprintf("SPF says %s for %s, according to %s", c.Result, c.Address, strings.Join(c.Servers, ", "))
		if c.Detail != "" {
			text += ": " + c.Detail
		}
		switch spf.Result(c.Result) {
		case spf.Pass:
		case spf.Fail, spf.SoftFail, spf.PermError:
			r.report.Errors = append(r.report.Errors, Finding{"spf_" + c.Result, text})
		default:
			r.report.Warnings = append(r.report.Warnings, Finding{"spf_" + c.Result, text})
		}
	}
}

// publishSPF proposes the one SPF record and repeats every other TXT record, so that none is lost on the way.
func (r *run) publishSPF(p policy) {
	ttl := p.ttl
	if len(p.txt) == 0 {
		ttl = highTTL
	}
	record := func(raw string, keep bool) Record {
		return Record{Name: r.domain, TTLSeconds: ttl, Type: "TXT", Data: quoted(raw), Keep: keep}
	}
	r.report.Publish = append(r.report.Publish, record(proposeSPF(p.spf, r.expect.OutgoingAddresses), false))
	for _, txt := range p.txt {
		if isSPF(txt) {
			r.report.Remove = append(r.report.Remove, record(txt, false))
		} else {
			r.report.Publish = append(r.report.Publish, record(txt, true))
		}
	}
}

// receiver is the DNS that the evaluation sees: the domain's own TXT as its servers publish it, the rest looked up.
type receiver struct {
	r   *run
	txt []string
}

func (v *receiver) lookup(ctx context.Context, name string, qtype uint16) ([]dns.RR, error) {
	rrs, _, err := v.r.resolve(ctx, name, qtype)
	switch {
	case errors.Is(err, errNXDomain):
		return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
	case err != nil:
		return nil, &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true}
	}
	return rrs, nil
}

// LookupTXT serves RFC 7208 §4.4.
func (v *receiver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if canonical(name) == v.r.domain {
		return v.txt, nil
	}
	rrs, err := v.lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return nil, err
	}
	txt, err := txtOf(rrs)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: name}
	}
	return txt, nil
}

// LookupMX serves the mechanism "mx".
func (v *receiver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	rrs, err := v.lookup(ctx, name, dns.TypeMX)
	var found []*net.MX
	for _, rr := range rrs {
		if mx, ok := rr.(*dns.MX); ok {
			found = append(found, &net.MX{Host: mx.Mx, Pref: mx.Preference})
		}
	}
	return found, err
}

// LookupIPAddr serves "a", "mx" and "exists". One family that is missing is no error.
func (v *receiver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	var found []net.IPAddr
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		rrs, err := v.lookup(ctx, host, qtype)
		if err != nil {
			return nil, err
		}
		for _, rr := range rrs {
			for _, addr := range addressOf(rr) {
				found = append(found, net.IPAddr{IP: addr.AsSlice()})
			}
		}
	}
	return found, nil
}

// LookupAddr serves "ptr".
func (v *receiver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: addr}
	}
	rrs, err := v.lookup(ctx, name, dns.TypePTR)
	var names []string
	for _, rr := range rrs {
		if ptr, ok := rr.(*dns.PTR); ok {
			names = append(names, ptr.Ptr)
		}
	}
	return names, err
}
