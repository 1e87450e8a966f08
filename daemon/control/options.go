package control

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"mailstork/daemon/account"
)

// DomainOptions are what an admin may say about a domain, when it is added and at any time later. What is nil was not
// said. A new option is a field here, a line in Apply and one in ChangesOf, and a flag of the command.
type DomainOptions struct {
	Policy   *account.AccountsPolicy `json:"accounts_policy,omitempty"`
	MXHosts  *[]string               `json:"mx_hosts,omitempty"`
	Outgoing *[]string               `json:"outgoing_addresses,omitempty"`
	// PasswordsOnly: logins are proven and accounts created, and no mail is copied.
	PasswordsOnly *bool `json:"passwords_only,omitempty"`
	// FirstLogin is where first logins lead from now on.
	FirstLogin *account.FirstLogin `json:"first_login,omitempty"`
	GuardOptions
	Notice NoticeOptions `json:"notice,omitzero"`
	SourceOptions
	RuleOptions
}

// RuleOptions are what an admin may say about the messages and folders of a domain, or of one account.
type RuleOptions struct {
	ExcludeRoles     *[]account.Role    `json:"exclude_roles,omitempty"`
	ExcludeFolders   *[]string          `json:"exclude_folders,omitempty"`
	MaxMessageOctets *int64             `json:"max_message_octets,omitempty"` // 0: no limit
	Map              *map[string]string `json:"map,omitempty"`
	AllMail          *account.AllMail   `json:"all_mail,omitempty"`
}

// Change is one option that has another value than before. The values are as people write them.
type Change struct {
	Option string `json:"option"` // as the flag is called, without its dashes
	Old    string `json:"old"`
	New    string `json:"new"`
}

// String is "max-message-size: none → 50MiB".
func (c Change) String() string {
	return c.Option + ": " + cmp.Or(c.Old, "none") + " → " + cmp.Or(c.New, "none")
}

// DomainChanged is a domain after a change of its options, and what has changed.
type DomainChanged struct {
	Domain  Domain   `json:"domain"`
	Changes []Change `json:"changes"`
}

// AccountChanged is DomainChanged for an account.
type AccountChanged struct {
	Account Account  `json:"account"`
	Changes []Change `json:"changes"`
}

// OptionsOf says everything that there is to say about a domain.
func OptionsOf(d account.Domain) DomainOptions {
	outgoing := make([]string, len(d.OutgoingAddresses))
	for i, address := range d.OutgoingAddresses {
		outgoing[i] = address.String()
	}
	return DomainOptions{Policy: &d.Accounts, MXHosts: &d.MXHosts, Outgoing: &outgoing, PasswordsOnly: &d.PasswordsOnly, FirstLogin: &d.FirstLogin, Notice: noticeOptionsOf(d.Notice), GuardOptions: GuardOptions{
		&d.Guard.FailuresPerSource, &d.Guard.SourceAllowsUs, &d.Guard.NewAccountsPerHour}, RuleOptions: RuleOptions{
		ExcludeRoles: &d.Rules.ExcludeRoles, ExcludeFolders: &d.Rules.ExcludeFolders, MaxMessageOctets: &d.Rules.MaxMessageOctets, Map: &d.Rules.Map, AllMail: &d.Rules.AllMail}}
}

// Apply changes what was said and checks the whole domain. Its errors are of kind Invalid.
func (o DomainOptions) Apply(d account.Domain, hint string) (account.Domain, error) {
	if o.Policy != nil {
		d.Accounts = *o.Policy
	}
	if d.Accounts != account.AccountsListed && d.Accounts != account.AccountsAny {
		return d, Invalid(fmt.Sprintf("accounts %q is neither listed nor any", d.Accounts), hint)
	}
	if o.MXHosts != nil {
		d.MXHosts = nil
		for _, text := range *o.MXHosts {
			host, err := account.ParseDomainName(text)
			if err != nil {
				return d, Invalid("MX host: "+err.Error(), hint)
			}
			d.MXHosts = append(d.MXHosts, host)
		}
	}
	if len(d.MXHosts) == 0 || len(d.MXHosts) > maxMXHosts {
		return d, Invalid(fmt.Sprintf("%d MX hosts are not between 1 and %d", len(d.MXHosts), maxMXHosts), hint)
	}
	if o.Outgoing != nil {
		d.OutgoingAddresses = nil
		for _, text := range *o.Outgoing {
			address, err := netip.ParseAddr(text)
			if err != nil || address.Zone() != "" {
				return d, Invalid(fmt.Sprintf("outgoing address %q is not an IP address", text), hint)
			}
			d.OutgoingAddresses = append(d.OutgoingAddresses, address.Unmap())
		}
	}
	if len(d.OutgoingAddresses) == 0 || len(d.OutgoingAddresses) > maxOutgoing {
		return d, Invalid(fmt.Sprintf("%d outgoing addresses are not between 1 and %d", len(d.OutgoingAddresses), maxOutgoing), hint)
	}
	if o.PasswordsOnly != nil {
		d.PasswordsOnly = *o.PasswordsOnly
	}
	if o.FirstLogin != nil {
		d.FirstLogin = cmp.Or(*o.FirstLogin, account.FirstLoginLocal)
	}
	if err := checkFirstLogin(d, hint); err != nil {
		return d, err
	}
	var err error
	if d.Guard, err = o.GuardOptions.Apply(d.Guard, hint); err != nil {
		return d, err
	}
	if d.Notice, err = o.Notice.Apply(d.Notice, hint); err != nil {
		return d, err
	}
	if d.Source, err = o.SourceOptions.Apply(d.Source, hint); err != nil {
		return d, err
	}
	d.Rules, err = o.RuleOptions.Apply(d.Rules, hint)
	return d, err
}

func checkFirstLogin(d account.Domain, hint string) error {
	switch d.FirstLogin {
	case "", account.FirstLoginLocal:
	case account.FirstLoginProxy:
		if d.PasswordsOnly {
			return Invalid("first logins can't be passed on to the source (--first-login proxy) while no mail is copied (--mail no): nobody would ever be switched", hint)
		}
	case account.FirstLoginNotice:
		if d.PasswordsOnly {
			return Invalid("first logins can't be answered with a notice (--first-login notice) while no mail is copied (--mail no): there is nothing to wait for", hint)
		}
	default:
		return Invalid(fmt.Sprintf("first-login %q is neither local, proxy nor notice", d.FirstLogin), hint)
	}
	return nil
}

// Apply changes what was said and checks all rules. Its errors are of kind Invalid.
func (o RuleOptions) Apply(r account.Rules, hint string) (account.Rules, error) {
	r = o.Over(r)
	if err := r.Check(); err != nil {
		return r, Invalid(err.Error(), hint)
	}
	return r, nil
}

// Over is r with what was said, unchecked.
func (o RuleOptions) Over(r account.Rules) account.Rules {
	if o.ExcludeRoles != nil {
		r.ExcludeRoles = slices.Compact(slices.Sorted(slices.Values(*o.ExcludeRoles)))
	}
	if o.ExcludeFolders != nil {
		r.ExcludeFolders = slices.Compact(slices.Sorted(slices.Values(*o.ExcludeFolders)))
	}
	if o.MaxMessageOctets != nil {
		r.MaxMessageOctets = *o.MaxMessageOctets
	}
	if o.Map != nil {
		r.Map = maps.Clone(*o.Map)
	}
	if o.AllMail != nil {
		r.AllMail = *o.AllMail
	}
	return r
}

// ChangesOf says in which options two domains differ.
func ChangesOf(before, after account.Domain) []Change {
	changes := difference(nil, "accounts", string(before.Accounts), string(after.Accounts))
	changes = difference(changes, "mx", strings.Join(before.MXHosts, ", "), strings.Join(after.MXHosts, ", "))
	changes = difference(changes, "outgoing", strings.Join(*OptionsOf(before).Outgoing, ", "), strings.Join(*OptionsOf(after).Outgoing, ", "))
	changes = difference(changes, "mail", mailName(before), mailName(after))
	changes = difference(changes, "first-login", string(cmp.Or(before.FirstLogin, account.FirstLoginLocal)), string(cmp.Or(after.FirstLogin, account.FirstLoginLocal)))
	changes = append(changes, guardChanges(before.Guard, after.Guard)...)
	changes = append(changes, noticeChanges(before.Notice, after.Notice)...)
	changes = append(changes, sourceChanges(before.Source, after.Source)...)
	return append(changes, RuleChanges(before.Rules, after.Rules)...)
}

// RuleChanges says in which rules two sets differ.
func RuleChanges(before, after account.Rules) []Change {
	changes := difference(nil, "exclude-role", roleNames(before.ExcludeRoles), roleNames(after.ExcludeRoles))
	changes = difference(changes, "exclude-folder", strings.Join(before.ExcludeFolders, ", "), strings.Join(after.ExcludeFolders, ", "))
	changes = difference(changes, "max-message-size", sizeName(before.MaxMessageOctets), sizeName(after.MaxMessageOctets))
	changes = difference(changes, "map", MapInWords(before.Map), MapInWords(after.Map))
	return difference(changes, "all-mail", string(before.AllMail), string(after.AllMail))
}

func difference(changes []Change, option, before, after string) []Change {
	if before == after {
		return changes
	}
	return append(changes, Change{Option: option, Old: before, New: after})
}

func roleNames(roles []account.Role) string {
	names := make([]string, len(roles))
	for i, role := range roles {
		names[i] = string(role)
	}
	return strings.Join(names, ", ")
}

// sizeName writes a size as the flag takes it.
func sizeName(octets int64) string {
	for _, unit := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if octets > 0 && octets%unit.size == 0 {
			return strconv.FormatInt(octets/unit.size, 10) + unit.name
		}
	}
	if octets == 0 {
		return ""
	}
	return strconv.FormatInt(octets, 10)
}

// MapInWords writes a folder map as the flag takes it.
func MapInWords(m map[string]string) string {
	entries := make([]string, 0, len(m))
	for _, from := range slices.Sorted(maps.Keys(m)) {
		entries = append(entries, from+"="+m[from])
	}
	return strings.Join(entries, ", ")
}
