package account

import (
	"errors"
	"fmt"
	"strings"
)

// Address is one person's mail address in canonical form: lower case, "local@domain".
// Only ParseAddress makes one from foreign text, so that hundred spellings of an address are one account.
type Address string

const (
	maxAddressOctets = 254 // RFC 5321 §4.5.3.1.3 less the angle brackets
	maxLocalOctets   = 64  // RFC 5321 §4.5.3.1.1
	maxLabelOctets   = 63  // RFC 1035 §2.3.4
)

// ErrAddress is wrapped by every error of ParseAddress.
var ErrAddress = errors.New("not a usable mail address")

// ParseAddress returns the canonical form of text. Surrounding white space is dropped and letters become lower case.
// It is stricter than RFC 5321: the local part takes only ASCII letters, digits and "._+-=~'&#$!^{}", since it becomes
// a folder on disk, a line of a passwd-file and a user name in the login of other programs.
func ParseAddress(text string) (Address, error) {
	folded := strings.ToLower(strings.TrimSpace(text))
	if len(folded) > maxAddressOctets {
		return "", fmt.Errorf("%w: longer than %d characters", ErrAddress, maxAddressOctets)
	}
	at := strings.LastIndexByte(folded, '@')
	if at < 0 {
		return "", fmt.Errorf("%w: %q has no @", ErrAddress, text)
	}
	if err := checkLocal(folded[:at]); err != nil {
		return "", fmt.Errorf("%w: %q: %s", ErrAddress, text, err)
	}
	domain, err := ParseDomainName(folded[at+1:])
	if err != nil {
		return "", fmt.Errorf("%w: %q: %s", ErrAddress, text, err)
	}
	return Address(folded[:at+1] + domain), nil
}

// Local is the part before the @.
func (a Address) Local() string { local, _, _ := strings.Cut(string(a), "@"); return local }

// Domain is the part after the @.
func (a Address) Domain() string { _, domain, _ := strings.Cut(string(a), "@"); return domain }

// WithoutExtension drops an address extension ("anna+shop@…" becomes "anna@…"), as Postfix and Dovecot LMTP do
// with recipient_delimiter=+.
func (a Address) WithoutExtension() Address {
	local, domain, _ := strings.Cut(string(a), "@")
	if base, _, found := strings.Cut(local, "+"); found && base != "" {
		return Address(base + "@" + domain)
	}
	return a
}

func checkLocal(local string) error {
	switch {
	case local == "":
		return errors.New("nothing before the @")
	case len(local) > maxLocalOctets:
		return fmt.Errorf("more than %d characters before the @", maxLocalOctets)
	case local[0] == '#': // a comment in a passwd-file
		return errors.New("starts with # before the @")
	case local[0] == '-' || local[0] == '.' || local[len(local)-1] == '.':
		return errors.New("starts with - or . or ends with . before the @")
	case strings.Contains(local, ".."):
		return errors.New("two dots in a row before the @")
	}
	for i := range len(local) {
		if !isLocalByte(local[i]) {
			return fmt.Errorf("character %q is not taken before the @", local[i])
		}
	}
	return nil
}

func isLocalByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("._+-=~'&#$!^{}", c) >= 0
}

// ParseDomainName returns the canonical form of a mail domain's name: lower case, without a final dot.
// Names are taken in their ASCII form (RFC 5890 A-labels); at least two labels.
func ParseDomainName(text string) (string, error) {
	name := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), ".")
	labels := strings.Split(name, ".")
	if len(labels) < 2 {
		return "", fmt.Errorf("domain %q has no dot", text)
	}
	if len(name) > maxAddressOctets {
		return "", fmt.Errorf("domain is longer than %d characters", maxAddressOctets)
	}
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("domain %q: %w", text, err)
		}
	}
	return name, nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > maxLabelOctets || label[0] == '-' || label[len(label)-1] == '-' {
		return fmt.Errorf("label %q is empty, too long, or starts or ends with -", label)
	}
	for i := range len(label) {
		c := label[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return fmt.Errorf("character %q is not taken in a domain (write names with other letters in their xn-- form)", c)
		}
	}
	return nil
}
