package account

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Passage is how Dovecot's proxy reaches an account at its source. The password is the one that its owner types: none is
// kept for it (S1).
type Passage struct {
	Host    string     // the name that the certificate must carry
	Address netip.Addr // connected to; Dovecot looks up no name, so that no name leads it into our own network
	Port    int
	TLS     TLSMode
	User    string // the login name at the source
	// Plain: the source takes AUTHENTICATE PLAIN, which carries every password; else LOGIN.
	Plain bool
}

// Unpassable is why Dovecot can't pass an account on to its source.
type Unpassable struct{ Why string }

func (e *Unpassable) Error() string { return e.Why }

// PassageOf tells how an account is passed on, or returns *Unpassable. authorities is the file that Dovecot's proxy
// verifies certificates against; empty when it has none.
func PassageOf(d Domain, a Account, authorities string) (Passage, error) {
	s := d.Source
	switch {
	case d.PasswordsOnly:
		return Passage{}, &Unpassable{"no mail of its domain is copied, so it would never be switched"}
	case !d.Check.Address.IsValid():
		return Passage{}, &Unpassable{"the address of its source was not seen yet"}
	case s.Pin != "":
		return Passage{}, &Unpassable{"the key of its source is pinned, which Dovecot's proxy can't check"}
	case s.TLS != TLSNone && authorities == "":
		return Passage{}, &Unpassable{"Dovecot's proxy has no authorities to verify the source's certificate (dovecot.proxy_ca_file)"}
	case s.TLS != TLSNone && s.CAFile != "" && s.CAFile != authorities:
		return Passage{}, &Unpassable{fmt.Sprintf("its source is verified against %s, and Dovecot's proxy against %s (dovecot.proxy_ca_file)", s.CAFile, authorities)}
	case !fitsProxyField(s.CertificateName()):
		return Passage{}, &Unpassable{fmt.Sprintf("the name %q can't stand in Dovecot's file", s.CertificateName())}
	case !fitsProxyField(a.SourceUser):
		return Passage{}, &Unpassable{fmt.Sprintf("its login name at the source, %q, can't stand in Dovecot's file", a.SourceUser)}
	}
	return Passage{Host: s.CertificateName(), Address: d.Check.Address, Port: s.Port, TLS: s.TLS, User: a.SourceUser,
		Plain: slices.ContainsFunc(d.Check.Capabilities, func(c string) bool { return strings.EqualFold(c, "AUTH=PLAIN") })}, nil
}

// Carries tells whether Dovecot can hand a password on to the source: LOGIN carries ASCII only, since Dovecot sends no
// literal that waits.
func (p Passage) Carries(password []byte) bool {
	return p.Plain || !slices.ContainsFunc(password, func(c byte) bool { return c < ' ' || c > '~' })
}

// fitsProxyField tells whether text can be the value of an extra field of a passwd-file: fields are separated by spaces,
// colons and "%" have a meaning there.
func fitsProxyField(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`:%"\'`, r) })
}
