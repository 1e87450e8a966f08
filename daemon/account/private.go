package account

import (
	"fmt"
	"net/netip"
	"syscall"
)

// PrivateAddressError says that a source is inside our own network, where none is looked for unless the configuration
// allows it: whoever may name a source could else look around there through us.
type PrivateAddressError struct{ Address netip.Addr }

func (e *PrivateAddressError) Error() string {
	return fmt.Sprintf("%s is a loopback or private address; source.allow_private_addresses would permit it", e.Address)
}

var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// RefusePrivate is the Control of a net.Dialer that connects to public addresses only. There it sees the address that
// is really dialled, so that a second DNS answer can't change it.
func RefusePrivate(_, hostPort string, _ syscall.RawConn) error {
	dialled, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return err
	}
	ip := dialled.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || sharedAddresses.Contains(ip) {
		return &PrivateAddressError{Address: ip}
	}
	return nil
}
