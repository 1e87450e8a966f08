package account

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Account is one person's mail on its way here.
type Account struct {
	ID      int64
	Domain  string // canonical name of its domain
	Address Address
	State   State
	Paused  bool   // an admin stopped it; no pass starts
	Stuck   string // why its last pass failed; empty when nothing is wrong
	Hint    string // the next command for that operator
	Orders  Orders // of an operator for the next pass
	// SourceUser is the login name at the source; equal to Address unless the import said otherwise.
	SourceUser string
	// PasswordHash is what its owner's password was proven with here, "{SCHEME}…"; empty before the first login.
	PasswordHash string
	// SwitchedAt is when the destination became the truth (DESIGN §2): the first login, or the end of a live migration.
	// Zero before it.
	SwitchedAt time.Time
	// Route is where its logins lead; changed only along RouteTransitions.
	Route     Route
	Switching Switching
	// CredentialRefused: the source refused the stored password, and nobody proved another one since.
	CredentialRefused bool
	NextPassAt        time.Time
	Priority          int // higher first
	LastPassAt        time.Time
	// LastNewAt is when a pass last found a message at the source that it had not seen before.
	LastNewAt time.Time
	CreatedAt time.Time
	// Rules are the account's own; they go before those of its domain.
	Rules Rules
	// Language is its owner's; empty: that of its domain.
	Language Language
}

// Switched tells whether the destination is the truth, so that nothing done here is undone any more.
func (a Account) Switched() bool { return !a.SwitchedAt.IsZero() }

// Domain is the mail domain that is being moved.
type Domain struct {
	ID     int64
	Name   string
	State  DomainState
	Source Source
	// Accounts says who may join by a first login: "listed" takes only imported addresses, "any" every address of
	// the domain whose password the source accepts.
	Accounts AccountsPolicy
	// MXHosts are the host names that the MX shall point to after the cutover: this server.
	MXHosts []string
	// OutgoingAddresses are the IP addresses from which this server sends the domain's mail; SPF is evaluated for them.
	OutgoingAddresses []netip.Addr
	Rules             Rules // for all its accounts
	Guard             GuardRules
	// PasswordsOnly: logins are proven and accounts created, and no mail is copied.
	PasswordsOnly bool
	// FirstLogin is where the first login of an account leads.
	FirstLogin FirstLogin
	Notice     Notice
	Check      SourceCheck
	CreatedAt  time.Time
	ClosedAt   time.Time
}

// GuardRules are what an admin may tell the hook's guard about one domain. Zero values mean what holds for all.
type GuardRules struct {
	// FailuresPerSource is how many failed logins may reach the source within the guard's window; 0: what SourceAllowsUs says.
	FailuresPerSource int `json:"failures_per_source,omitempty"`
	// SourceAllowsUs: the source's admin has put this server on an allow list.
	SourceAllowsUs bool `json:"source_allows_us,omitempty"`
	// NewAccountsPerHour bounds the accounts that first logins make; 0: no bound of the domain's own.
	NewAccountsPerHour int `json:"new_accounts_per_hour,omitempty"`
}

// AccountsPolicy says who may join a domain by a first login.
type AccountsPolicy string

// The two policies.
const (
	AccountsListed AccountsPolicy = "listed"
	AccountsAny    AccountsPolicy = "any"
)

// FirstLogin says where the first login of an account leads (DESIGN §4).
type FirstLogin string

// The ways. What an account began with stays, whatever its domain says later.
const (
	FirstLoginLocal  FirstLogin = "local"  // into the account here, while its mail arrives
	FirstLoginProxy  FirstLogin = "proxy"  // through us into the source, until nearly everything is here
	FirstLoginNotice FirstLogin = "notice" // into a folder with a notice alone, until all is here
)

// TLSMode is how a connection to a source is protected.
type TLSMode string

// The ways to protect a connection. There is no opportunistic mode: a stripped STARTTLS is an error.
const (
	TLSImplicit TLSMode = "implicit" // RFC 8314, port 993
	TLSStartTLS TLSMode = "starttls" // RFC 9051 §6.2.1, mandatory once chosen
	TLSNone     TLSMode = "none"     // passwords travel in clear: loopback and laboratories only
)

// Source is an old server that is read over IMAP and never changed (L5). Set by an operator, never derived from DNS.
type Source struct {
	Host       string  `json:"host"`
	Port       int     `json:"port"`
	TLS        TLSMode `json:"tls"`
	CAFile     string  `json:"ca_file,omitempty"`     // PEM file that replaces the system's certificate authorities
	ServerName string  `json:"server_name,omitempty"` // the name the certificate must carry, when it is not Host
	// Pin is the only key that the source may show (ParsePin); its authority, name and dates are not asked then.
	Pin string `json:"pin,omitempty"`
	// Compress is "auto" (also empty), "always" or "never": whether the way there is compressed (RFC 4978).
	Compress string `json:"compress,omitempty"`
}

// HostPort is the form that net.Dial takes.
func (s Source) HostPort() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// IsSameServer tells whether two sources differ at most in how their octets are packed: nothing that a look at the server
// found can be otherwise then.
func (s Source) IsSameServer(other Source) bool {
	s.Compress = other.Compress
	return s == other
}

// HostKey is what all accounts of the host share: its budgets, its breaker, and how long it is left alone.
func (s Source) HostKey() string { return strings.ToLower(s.Host) }

// CertificateName is the name that the source's certificate must carry.
func (s Source) CertificateName() string {
	if s.ServerName != "" {
		return s.ServerName
	}
	return s.Host
}

// Check returns what is wrong with a source before anybody connects to it.
func (s Source) Check() error {
	switch {
	case s.Host == "":
		return fmt.Errorf("checking source: no host given")
	case s.Port < 1 || s.Port > 65535:
		return fmt.Errorf("checking source %q: port %d is not between 1 and 65535", s.Host, s.Port)
	case s.TLS != TLSImplicit && s.TLS != TLSStartTLS && s.TLS != TLSNone:
		return fmt.Errorf("checking source %q: tls %q is not implicit, starttls or none", s.Host, s.TLS)
	case s.Pin != "" && s.TLS == TLSNone:
		return fmt.Errorf("checking source %q: a connection without TLS shows no key that a pin could be compared with", s.Host)
	case s.Pin != "" && s.CAFile != "":
		return fmt.Errorf("checking source %q: a pin and a ca_file exclude each other: the pinned key alone is asked for", s.Host)
	case s.Compress != "" && s.Compress != "auto" && s.Compress != "always" && s.Compress != "never":
		return fmt.Errorf("checking source %q: compress %q is not auto, always or never", s.Host, s.Compress)
	}
	if pin, err := ParsePin(s.Pin); err != nil || pin != s.Pin {
		return fmt.Errorf("checking source %q: pin %q is not sha256: and base64", s.Host, s.Pin)
	}
	return nil
}
