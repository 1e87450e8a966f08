package dnscheck

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// isSPF tells an SPF record from other TXT records (RFC 7208 §4.5).
func isSPF(txt string) bool {
	version, _, more := strings.Cut(txt, " ")
	return strings.EqualFold(version, "v=spf1") && (more || len(txt) == len("v=spf1"))
}

// termSyntax is the part of RFC 7208 §4.6.1 that decides whether receivers give up on a record.
var termSyntax = regexp.MustCompile(`(?i)^(` +
	`[-+?~]?all|` +
	`[-+?~]?(include|exists):[!-~]+|` +
	`[-+?~]?(a|mx)(:[!-.0-~]+)?(/[0-9]{1,2})?(//[0-9]{1,3})?|` +
	`[-+?~]?ptr(:[!-~]+)?|` +
	`[-+?~]?ip[46]:[0-9a-f.:]+(/[0-9]{1,3})?|` +
	`[a-z][a-z0-9_.-]*=[!-~]*)$`)

func validTerm(term string) bool { return termSyntax.MatchString(term) }

// proposeSPF returns one record that lets every given address pass and keeps what the published ones allow. Our
// addresses stand first, where no lookup limit and no earlier term can keep a receiver from reaching them.
func proposeSPF(published []string, ours []netip.Addr) string {
	terms := []string{"v=spf1"}
	for _, addr := range ours {
		addr = addr.Unmap()
		kind := "ip4:"
		if addr.Is6() {
			kind = "ip6:"
		}
		terms = appendNew(terms, kind+addr.WithZone("").String())
	}
	var all []string
	for _, record := range published {
		for _, term := range strings.Fields(record)[1:] {
			name, value, isModifier := strings.Cut(strings.ToLower(term), "=")
			switch {
			case !validTerm(term):
			case strings.TrimLeft(name, "-+?~") == "all":
				all = append(all, name)
			case isModifier && name == "redirect" && len(published) > 1:
				// A record may have one redirect only; of several records each becomes an include (RFC 7208 §6.1).
				terms = appendNew(terms, "include:"+value)
			case isModifier && name == "exp" && len(published) > 1:
			default:
				terms = appendNew(terms, term)
			}
		}
	}
	return strings.Join(append(terms, ending(terms, all)...), " ")
}

// ending picks how the record ends: the most cautious "all" that was published; "~all" where nothing else says so.
func ending(terms, all []string) []string {
	for _, soft := range []string{"?all", "~all", "-all"} {
		if slices.Contains(all, soft) {
			return []string{soft}
		}
	}
	if slices.ContainsFunc(terms, func(t string) bool { return strings.HasPrefix(strings.ToLower(t), "redirect=") }) {
		return nil
	}
	return []string{"~all"}
}
