package site

import (
	"fmt"
	"strings"

	"mailstork/test/testbed"
)

// The authoritative servers of a site's domain, and the parent's server, on addresses of their own.
const (
	parentHost = "127.0.0.4"
	firstHost  = "127.0.0.2"
	secondHost = "127.0.0.3"
)

// SourceMX is the host that the MX names before the cutover.
const SourceMX = "mx.old.example"

// TTL is the time to live of the MX, in seconds: short, so that a test sees old answers expire.
const TTL = 2

// DNS is the domain's part of the world's DNS: the parent zone, two authoritative servers, a resolver with a cache.
type DNS struct {
	domain   string
	Servers  [2]*testbed.Knot
	parent   *testbed.Knot
	Resolver *testbed.Unbound
	serial   int
}

// StartDNS starts the servers with the MX at the source.
func StartDNS(lab *testbed.Lab, domain string) (*DNS, error) {
	d := &DNS{domain: domain, serial: 1}
	port, err := testbed.FreePort(firstHost, secondHost, parentHost)
	if err != nil {
		return nil, err
	}
	for i, host := range []string{firstHost, secondHost} {
		d.Servers[i], err = lab.StartKnot(testbed.KnotOptions{Host: host, Port: port, Zones: map[string]string{domain: d.zone(SourceMX)}})
		if err != nil {
			return nil, err
		}
	}
	_, parentZone, _ := strings.Cut(domain, ".")
	d.parent, err = lab.StartKnot(testbed.KnotOptions{Host: parentHost, Port: port, Zones: map[string]string{parentZone: d.delegation(parentZone), "example": hosts}})
	if err != nil {
		return nil, err
	}
	d.Resolver, err = lab.StartUnbound(d.Servers[0], d.Servers[1], d.parent)
	return d, err
}

// Point makes the given servers (0, 1) answer with this MX.
func (d *DNS) Point(mx string, servers ...int) error {
	d.serial++
	for _, i := range servers {
		if err := d.Servers[i].SetZone(d.domain, d.zone(mx)); err != nil {
			return err
		}
	}
	return nil
}

// Config is the group dns of a daemon that lives in this world.
func (d *DNS) Config() map[string]any {
	return map[string]any{"parents": []string{d.parent.Address}, "port": d.parent.Port, "resolvers": []string{d.Resolver.Address}, "public_resolvers": []string{d.Resolver.Address}, "timeout_seconds": 1}
}

func (d *DNS) zone(mx string) string {
	return fmt.Sprintf(`$ORIGIN %[1]s.
$TTL %[2]d
@ SOA ns1 hostmaster %[3]d 60 60 600 %[2]d
@ NS ns1
@ NS ns2
ns1 A %[4]s
ns2 A %[5]s
@ MX 10 %[6]s.
@ TXT "v=spf1 ip4:%[7]s -all"
`, d.domain, TTL, d.serial, firstHost, secondHost, mx, OutgoingAddress)
}

func (d *DNS) delegation(parentZone string) string {
	return fmt.Sprintf(`$ORIGIN %[1]s.
$TTL %[2]d
@ SOA ns.%[1]s. hostmaster 1 60 60 600 60
@ NS ns
ns A %[3]s
%[4]s. NS ns1.%[4]s.
%[4]s. NS ns2.%[4]s.
ns1.%[4]s. A %[5]s
ns2.%[4]s. A %[6]s
`, parentZone, TTL, parentHost, d.domain, firstHost, secondHost)
}

// hosts is the zone of the mail hosts that the MX may name.
const hosts = `$ORIGIN example.
$TTL 60
@ SOA ns.example. hostmaster 1 60 60 600 60
@ NS ns
ns A 127.0.0.4
mx.here A 192.0.2.25
mx.old A 192.0.2.26
`
