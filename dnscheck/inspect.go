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

const (
	// maxHosts caps how many different MX hosts are looked up.
	maxHosts = 32
	// highTTL is where an old MX is worth a warning before the cutover.
	highTTL = 3600
	// moveTTL is what new MX records are given: short, so that the way back is short too.
	moveTTL = 300
)

// inspectAnswers compares the servers with one another and with what a mail domain should look like.
func (r *run) inspectAnswers() {
	var serials, verdicts []string
	var highest uint32
	for _, s := range r.report.Servers {
		if s.Skipped {
			continue
		}
		if s.Problem != "" {
			r.fail("server_unknown", "%s %s", s.label(), s.Problem)
			continue
		}
		r.inspectAnswer(s)
		serials = appendNew(serials, fmt.Sprint(s.Serial))
		verdicts = appendNew(verdicts, string(s.MX))
		if s.MX != Here {
			highest = max(highest, s.TTLSeconds)
		}
	}
	if len(verdicts) > 1 {
		r.fail("servers_differ", "the domain's servers give different MX answers; the new zone has not reached all of them")
	}
	if len(serials) > 1 {
		r.warn("serials_differ", "the domain's servers have different versions of the zone: serials %s", strings.Join(serials, ", "))
	}
	if highest > highTTL {
		r.warn("ttl_high", "the old MX may stay in caches for %d seconds; lower its TTL to %d a day before the cutover", highest, moveTTL)
	}
}

func (r *run) inspectAnswer(s ServerAnswer) {
	var missing []string
	for _, host := range r.ours {
		if !slices.ContainsFunc(s.Records, func(mx MX) bool { return mx.Host == host }) {
			missing = append(missing, host)
		}
	}
	switch {
	case s.null && len(s.Records) > 1:
		r.fail("mx_null", "%s has a null MX beside other MX records (RFC 7505 §3)", s.label())
	case s.null:
		r.fail("mx_null", "%s says that the domain takes no mail (null MX, RFC 7505)", s.label())
	case len(s.Records) == 0:
		r.fail("mx_missing", "%s has no MX: mail goes to the domain's own address (RFC 5321 §5.1)", s.label())
	case s.MX == Mixed:
		r.fail("mx_mixed", "%s names both old and new MX (%s): mail goes to both", s.label(), hostsOf(s.Records))
	case s.MX == Here && len(missing) > 0:
		r.warn("mx_incomplete", "%s does not name %s", s.label(), strings.Join(missing, ", "))
	}
}

// inspectHosts looks at every MX host, published or ours: it must have an address and be no alias.
func (r *run) inspectHosts(ctx context.Context) {
	hosts := slices.Clone(r.ours)
	for _, s := range r.report.Servers {
		for _, mx := range s.Records {
			if mx.Host != "." {
				hosts = appendNew(hosts, mx.Host)
			}
		}
	}
	hosts = hosts[:min(len(hosts), maxHosts)]
	findings := make([]Finding, len(hosts))
	each(len(hosts), func(i int) { findings[i] = r.inspectHost(ctx, hosts[i]) })
	for i, found := range findings {
		switch {
		case found.Code == "":
		case found.Code == "mx_host_unknown" || !contains(r.ours, hosts[i]):
			r.report.Warnings = append(r.report.Warnings, found)
		default:
			r.report.Errors = append(r.report.Errors, found)
		}
	}
}

func (r *run) inspectHost(ctx context.Context, host string) Finding {
	if _, err := netip.ParseAddr(host); err == nil {
		return Finding{"mx_host_is_address", fmt.Sprintf("the MX host %s is an address; an MX needs a name (RFC 1035 §3.3.9)", host)}
	}
	addresses := 0
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		rrs, aliased, err := r.resolve(ctx, host, qtype)
		if aliased {
			return Finding{"mx_host_alias", fmt.Sprintf("the MX host %s is an alias (CNAME), which RFC 2181 §10.3 forbids", host)}
		}
		if err != nil && !errors.Is(err, errNXDomain) {
			return Finding{"mx_host_unknown", fmt.Sprintf("the addresses of the MX host %s are not known: %v", host, err)}
		}
		addresses += len(rrs)
	}
	if addresses == 0 {
		return Finding{"mx_host_no_address", fmt.Sprintf("the MX host %s has no address", host)}
	}
	return Finding{}
}

// publishMX lists the MX records to enter and to remove, unless every server that answers has them already.
func (r *run) publishMX() {
	owner := r.domain
	wrong, talked := false, false
	for _, s := range r.report.Servers {
		if s.Problem != "" {
			continue
		}
		talked = true
		if s.MX == Here {
			continue
		}
		wrong = true
		for _, mx := range s.Records {
			if !contains(r.ours, mx.Host) {
				old := Record{Name: owner, TTLSeconds: mx.TTLSeconds, Type: "MX", Data: fmt.Sprintf("%d %s", mx.Preference, canonical(mx.Host))}
				if !slices.ContainsFunc(r.report.Remove, func(have Record) bool { return have.Data == old.Data }) {
					r.report.Remove = append(r.report.Remove, old)
				}
			}
		}
	}
	if !talked || !wrong {
		return
	}
	for i, host := range r.ours {
		r.report.Publish = append(r.report.Publish, Record{Name: owner, TTLSeconds: moveTTL, Type: "MX",
			Data: fmt.Sprintf("%d %s", 10*(i+1), canonical(host))})
	}
}

func appendNew(all []string, one string) []string {
	if slices.Contains(all, one) {
		return all
	}
	return append(all, one)
}
