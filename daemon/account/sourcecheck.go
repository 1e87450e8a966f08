package account

import (
	"net/netip"
	"time"
)

// SourceCheck is what a source was found to be, when it was last looked at.
type SourceCheck struct {
	// At is the last look that got a clear answer; TriedAt the last one.
	At      time.Time `json:"at,omitzero"`
	TriedAt time.Time `json:"tried_at,omitzero"`
	// Doubt is why no password goes there from first logins; empty when it refused a password that nobody has (A1).
	Doubt string `json:"doubt,omitempty"`
	// AcceptsAny: it took a random password for a random name.
	AcceptsAny bool `json:"accepts_any,omitempty"`

	TLSVersion  string       `json:"tls_version,omitempty"` // TLS 1.3; empty without TLS
	Certificate *Certificate `json:"certificate,omitempty"`
	// Address is where it was reached.
	Address      netip.Addr `json:"address,omitzero"`
	ID           string     `json:"id,omitempty"` // what it says it is (RFC 2971); its own words
	Capabilities []string   `json:"capabilities,omitempty"`
}

// Certificate is what a source shows of itself.
type Certificate struct {
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Names   []string  `json:"names,omitempty"`
	Until   time.Time `json:"until"`
	Pin     string    `json:"pin"` // PinOf
}
