package dnscheck

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Caps on what foreign servers may make us hold or do. What lies beyond one is unknown, never agreement (C1).
const (
	maxRecords   = 128  // records of one section
	maxTXTBytes  = 4096 // one joined TXT record
	maxServers   = 32   // authoritative servers
	maxAddresses = 8    // addresses of one server
	maxAliases   = 8    // CNAMEs followed in one answer
	maxReferrals = 12   // steps from a parent down
)

// canonical is the form in which names are compared: lower case, with the final dot.
func canonical(name string) string { return dns.CanonicalName(name) }

// errNXDomain is a definite "this name does not exist".
var errNXDomain = errors.New("says that the name does not exist (NXDOMAIN)")

// definite returns nil for an answer that says something, be it that there is no such record.
func definite(msg *dns.Msg) error {
	if len(msg.Answer) > maxRecords || len(msg.Ns) > maxRecords || len(msg.Extra) > maxRecords {
		return fmt.Errorf("answers with more than %d records", maxRecords)
	}
	switch msg.Rcode {
	case dns.RcodeSuccess:
		return nil
	case dns.RcodeNameError:
		return errNXDomain
	}
	if name, ok := dns.RcodeToString[msg.Rcode]; ok {
		return fmt.Errorf("answers %s", name)
	}
	return fmt.Errorf("answers with unknown code %d", msg.Rcode)
}

// errLame is a server that is named as authoritative and is not.
var errLame = errors.New("is not authoritative for the domain (lame)")

// own reads an authoritative answer for exactly this name and type. An alias is an error: MX, TXT and SOA of a mail
// domain that is a CNAME would be somebody else's (RFC 2181 §10.1).
func own(msg *dns.Msg, name string, qtype uint16) ([]dns.RR, error) {
	if err := definite(msg); err != nil {
		return nil, err
	}
	if !msg.Authoritative {
		return nil, errLame
	}
	found, alias := pick(msg.Answer, name, qtype)
	if alias != "" {
		return nil, fmt.Errorf("says that the domain is an alias (CNAME) of %s", plain(alias))
	}
	return found, nil
}

// pick returns the records of one name and type, and the name's alias when it has one.
func pick(section []dns.RR, name string, qtype uint16) (found []dns.RR, alias string) {
	name = canonical(name)
	for _, rr := range section {
		head := rr.Header()
		if head.Class != dns.ClassINET || canonical(head.Name) != name {
			continue
		}
		if head.Rrtype == qtype {
			found = append(found, rr)
		} else if cname, ok := rr.(*dns.CNAME); ok {
			alias = canonical(cname.Target)
		}
	}
	return found, alias
}

// chase follows aliases inside one answer. It returns the last name reached, where a caller may ask on.
func chase(msg *dns.Msg, name string, qtype uint16) (found []dns.RR, last string) {
	last = canonical(name)
	for range maxAliases {
		var alias string
		if found, alias = pick(msg.Answer, last, qtype); len(found) > 0 || alias == "" {
			return found, last
		}
		last = alias
	}
	return nil, last
}

// ttlOf obeys RFC 2181 §8: a TTL with the top bit set counts as zero.
func ttlOf(rr dns.RR) uint32 {
	if ttl := rr.Header().Ttl; ttl < 1<<31 {
		return ttl
	}
	return 0
}

// mxOf reads MX records in a fixed order, with the longest TTL among them.
func mxOf(rrs []dns.RR) (records []MX, ttl uint32, null bool) {
	records = []MX{}
	for _, rr := range rrs {
		if mx, ok := rr.(*dns.MX); ok {
			records = append(records, MX{Host: plain(mx.Mx), Preference: mx.Preference, TTLSeconds: ttlOf(rr)})
			ttl = max(ttl, ttlOf(rr))
			null = null || mx.Mx == "."
		}
	}
	slices.SortFunc(records, func(a, b MX) int {
		if a.Preference != b.Preference {
			return int(a.Preference) - int(b.Preference)
		}
		return strings.Compare(a.Host, b.Host)
	})
	return records, ttl, null
}

// negativeTTL is how long a cache may remember that there is no such record (RFC 2308 §5).
func negativeTTL(msg *dns.Msg) uint32 {
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(ttlOf(rr), soa.Minttl)
		}
	}
	return 0
}

// txtOf joins the strings of each TXT record without spaces (RFC 7208 §3.3) and returns raw bytes.
func txtOf(rrs []dns.RR) ([]string, error) {
	var joined []string
	for _, rr := range rrs {
		txt, ok := rr.(*dns.TXT)
		if !ok {
			continue
		}
		var one strings.Builder
		for _, part := range txt.Txt {
			one.Write(unescape(part))
		}
		if one.Len() > maxTXTBytes {
			return nil, fmt.Errorf("answers with a TXT record of more than %d bytes", maxTXTBytes)
		}
		joined = append(joined, one.String())
	}
	return joined, nil
}

// unescape undoes the presentation form (RFC 1035 §5.1) in which the DNS library hands out foreign strings.
func unescape(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out = append(out, s[i])
			continue
		}
		if i+3 < len(s) && digit(s[i+1]) && digit(s[i+2]) && digit(s[i+3]) {
			out = append(out, (s[i+1]-'0')*100+(s[i+2]-'0')*10+(s[i+3]-'0'))
			i += 3
			continue
		}
		i++
		out = append(out, s[i])
	}
	return out
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// quoted is a TXT record's data in a zone file: strings of at most 255 bytes (RFC 1035 §3.3.14), escaped.
func quoted(raw string) string {
	var out strings.Builder
	for first := true; first || raw != ""; first = false {
		part := raw[:min(len(raw), 255)]
		raw = raw[len(part):]
		if !first {
			out.WriteByte(' ')
		}
		out.WriteByte('"')
		for _, b := range []byte(part) {
			switch {
			case b == '"' || b == '\\':
				out.WriteByte('\\')
				out.WriteByte(b)
			case b < ' ' || b > '~':
				fmt.Fprintf(&out, "\\%03d", b)
			default:
				out.WriteByte(b)
			}
		}
		out.WriteByte('"')
	}
	return out.String()
}

// cut is a zone and the servers that somebody named for it.
type cut struct {
	zone  string
	names []string
	ttl   uint32
	glue  map[string][]netip.Addr
	// inside is true when the server has the zone itself and the domain is a name in it: no servers are named.
	inside bool
}

// readCut reads the answer to "NS of domain?" from a server of zone at; at is empty when its zone is not known.
func readCut(msg *dns.Msg, domain, at string) (cut, error) {
	err := definite(msg)
	if err != nil && !errors.Is(err, errNXDomain) {
		return cut{}, err
	}
	if err == nil && msg.Authoritative {
		if rrs, _ := pick(msg.Answer, domain, dns.TypeNS); len(rrs) > 0 {
			return cutOf(msg, domain, at, rrs)
		}
	}
	if msg.Authoritative {
		for _, rr := range msg.Ns {
			zone := canonical(rr.Header().Name)
			if _, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(zone, domain) && below(zone, at, true) {
				return cut{zone: zone, inside: true}, nil
			}
		}
	}
	if err != nil {
		return cut{}, err
	}
	for _, rr := range msg.Ns {
		zone := canonical(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeNS && dns.IsSubDomain(zone, domain) && below(zone, at, false) {
			rrs, _ := pick(msg.Ns, zone, dns.TypeNS)
			return cutOf(msg, zone, at, rrs)
		}
	}
	return cut{}, errors.New("names no servers for the domain")
}

// below tells whether zone is a step down from at (or at itself, if same is allowed): a referral upwards is a lame one.
func below(zone, at string, same bool) bool {
	if at == "" {
		return same || zone != "."
	}
	return dns.IsSubDomain(at, zone) && (same || zone != at)
}

func cutOf(msg *dns.Msg, zone, at string, rrs []dns.RR) (cut, error) {
	c := cut{zone: zone, glue: map[string][]netip.Addr{}}
	for _, rr := range rrs {
		if ns, ok := rr.(*dns.NS); ok && !contains(c.names, canonical(ns.Ns)) {
			c.names = append(c.names, canonical(ns.Ns))
			c.ttl = max(c.ttl, ttlOf(rr))
		}
	}
	if len(c.names) > maxServers {
		return cut{}, fmt.Errorf("names more than %d servers", maxServers)
	}
	slices.Sort(c.names)
	for _, rr := range msg.Extra {
		owner := canonical(rr.Header().Name)
		// Glue from outside the zone of the server that sends it is hearsay.
		if contains(c.names, owner) && (at == "" || dns.IsSubDomain(at, owner)) {
			c.glue[owner] = append(c.glue[owner], addressOf(rr)...)
		}
	}
	return c, nil
}

// addressOf reads an A or AAAA record; addresses that cannot be a server's are left out.
func addressOf(rr dns.RR) []netip.Addr {
	var ip net.IP
	switch rr := rr.(type) {
	case *dns.A:
		ip = rr.A
	case *dns.AAAA:
		ip = rr.AAAA
	}
	addr, ok := netip.AddrFromSlice(ip)
	if !ok || addr.IsUnspecified() || addr.IsMulticast() {
		return nil
	}
	return []netip.Addr{addr.Unmap()}
}
