package config

import (
	"fmt"
	"net/netip"
	"time"
)

// The unit of a number is part of its key; these types keep it in Go too.
type (
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
func (n Seconds) Duration() time.Duration { return time.Duration(n) * time.Second }

// Duration is the time meant.
func (n Minutes) Duration() time.Duration { return time.Duration(n) * time.Minute }

// Duration is the time meant.
func (n Hours) Duration() time.Duration { return time.Duration(n) * time.Hour }

// Duration is the time meant.
func (n Days) Duration() time.Duration { return time.Duration(n) * 24 * time.Hour }

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
