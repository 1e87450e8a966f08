package config

import (
	"fmt"
	"net/netip"
	"time"
)

// The unit of a number is part of its key; these types keep it in Go too.
type (
	// Milliseconds is a key that ends in _milliseconds.
	Milliseconds int
	// Seconds is a key that ends in _seconds.
	Seconds int
	// Minutes is a key that ends in _minutes.
	Minutes int
	// Hours is a key that ends in _hours.
	Hours int
	// Days is a key that ends in _days.
	Days int
)

// Duration is the time meant.
func (n Milliseconds) Duration() time.Duration { return time.Duration(n) * time.Millisecond }

// Duration is the time meant.
func (n Seconds) Duration() time.Duration { return time.Duration(n) * time.Second }

// Duration is the time meant.
func (n Minutes) Duration() time.Duration { return time.Duration(n) * time.Minute }

// Duration is the time meant.
func (n Hours) Duration() time.Duration { return time.Duration(n) * time.Hour }

// Duration is the time meant.
func (n Days) Duration() time.Duration { return time.Duration(n) * 24 * time.Hour }

// Prefixes reads a checked list of networks.
func Prefixes(list []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, len(list))
	for i, text := range list {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("reading network %q: %w", text, err)
		}
		networks[i] = network
	}
	return networks, nil
}

// parseNetwork reads 192.0.2.0/24, or one address.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return address.Prefix(address.BitLen())
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err
}

// AddrPorts reads a checked list of ip:port.
func AddrPorts(list []string) ([]netip.AddrPort, error) {
	addresses := make([]netip.AddrPort, len(list))
	for i, text := range list {
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("reading address %q: %w", text, err)
		}
		addresses[i] = address
	}
	return addresses, nil
}
