package account

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// PrivateAddressError says that a source is inside our own network, where none is looked for unless the configuration
// allows it: whoever may name a source could else look around there through us.
type PrivateAddressError struct{ Address netip.Addr }

func (e *PrivateAddressError) Error() string {
	return fmt.Sprintf("%s is a loopback or private address; source.allow_private_addresses would permit it", e.Address)
}

// ownNetworks are those that netip does not know as private: special-purpose addresses (RFC 6890) that lead to this
// machine or its neighbours, and IPv6 addresses with an IPv4 address inside, which some networks translate.
var ownNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),      // "this network"; Linux takes 0.0.0.0 for loopback
	netip.MustParsePrefix("100.64.0.0/10"),  // RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),   // RFC 6890
	netip.MustParsePrefix("198.18.0.0/15"),  // RFC 2544
	netip.MustParsePrefix("240.0.0.0/4"),    // RFC 1112
	netip.MustParsePrefix("::/96"),          // IPv4-compatible, RFC 4291 §2.5.5.1
	netip.MustParsePrefix("64:ff9b:1::/48"), // RFC 8215
	netip.MustParsePrefix("100::/64"),       // RFC 6666
	netip.MustParsePrefix("2001::/32"),      // Teredo, RFC 4380
	netip.MustParsePrefix("2002::/16"),      // 6to4, RFC 3056
	netip.MustParsePrefix("fec0::/10"),      // site-local, RFC 3879
}

// translated is how a network without IPv4 names the IPv4 addresses of the world (RFC 6052): what is inside counts.
var translated = netip.MustParsePrefix("64:ff9b::/96")

// RefusePrivate is the Control of a net.Dialer that connects to public addresses only. There it sees the address that
// is really dialled, so that a second DNS answer can't change it.
func RefusePrivate(_, hostPort string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return err
	}
	ip := dialled.Addr().Unmap().WithZone("")
	if translated.Contains(ip) {
		octets := ip.As16()
		ip = netip.AddrFrom4([4]byte(octets[12:]))
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(ownNetworks, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return &PrivateAddressError{Address: ip}
	}
	return nil
}
