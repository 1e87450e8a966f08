package mirror

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/wire"
)

// Rules are what an admin says about the folders of an account: its own rules go before those of its domain.
type Rules struct{ Account, Domain account.Rules }

// Limit is the largest message that is copied, in octets; 0 means no limit.
func (r Rules) Limit() int64 { return cmp.Or(r.Account.MaxMessageOctets, r.Domain.MaxMessageOctets) }

// folderRule is what rules say about one folder of the source.
type folderRule struct {
	skip  string       // why its messages are left out; empty: they are copied
	place []string     // the folder here that an admin wants; nil: nobody said
	why   string       // who wants it there
	role  account.Role // what the folder is for
	note  string       // what a person should know of how it is copied; empty when nothing special
	// gathers is above 0 for a folder that shows messages of others once more, and of which only the rest is copied;
	// what a folder with a smaller number has is not copied from one with a larger number.
	gathers int
}

// gathering are the uses of folders that show messages of others once more (RFC 6154 §2, RFC 8457 §3), by what they gather
// from: what is starred is in all mail, too.
var gathering = map[string]int{wire.UseAll: 1, wire.UseFlagged: 2, wire.UseImportant: 3}

// RestInWords says what is copied from a folder that gathers.
const RestInWords = "the rest: only what no other folder has"

// tellsOrigins is the capability of a source that says of which letter a message is one more sighting. Only there can
// the rest be told from the others without reading everything.
const tellsOrigins = "X-GM-EXT-1"

func (r Rules) allMail() account.AllMail {
	return cmp.Or(r.Account.AllMail, r.Domain.AllMail, account.AllMailRest)
}

// gathers says what the policy means for a folder.
func (r Rules) gathers(f wire.Folder, origins bool) int {
	if !origins || isInbox(f) || !f.Selectable || r.allMail() == account.AllMailWhole {
		return 0
	}
	return gathering[f.SpecialUse]
}

// skipsAllMail tells whether the policy leaves a folder out.
func (r Rules) skipsAllMail(f wire.Folder, origins bool) bool {
	return r.allMail() == account.AllMailSkip && (f.SpecialUse == wire.UseAll || origins && gathering[f.SpecialUse] > 0)
}

// judge says what the rules mean for each folder of a listing, by raw name. It is pure. What is said about a folder
// goes before what is said about the one above it, and a name goes before a role: who maps a folder wants it copied.
func (r Rules) judge(source []wire.Folder, origins bool) map[string]folderRule {
	j := judgement{rules: r, roles: rolesOf(source), notMail: groupware(source), byPath: map[string]wire.Folder{}}
	for _, f := range source {
		j.byPath[exactKey(f.Name)] = f
	}
	judged := map[string]folderRule{}
	for _, f := range source {
		rule := j.named(f)
		rule.role = account.Role(strings.ToLower(strings.TrimPrefix(j.roles[f.Raw], `\`)))
		if rule.skip == "" && rule.place == nil && !isInbox(f) {
			rule.skip = j.byKind(f)
			if rule.skip == "" && r.skipsAllMail(f, origins) {
				rule.skip = "left out: it shows the mail of other folders once more"
			}
		}
		if rule.skip == "" {
			rule.gathers = r.gathers(f, origins)
			switch {
			case rule.gathers > 0:
				rule.note = RestInWords
			case f.SpecialUse == wire.UseAll && r.allMail() != account.AllMailWhole:
				rule.note = "copied whole: the source does not tell what of it other folders have"
			}
		}
		judged[f.Raw] = rule
	}
	return judged
}

func isInbox(f wire.Folder) bool { return len(f.Name) == 1 && f.Name[0] == inbox }

type judgement struct {
	rules   Rules
	roles   map[string]string // raw → special use
	notMail map[string]string // raw → what it is
	byPath  map[string]wire.Folder
}

// named finds the rule that names the folder, or the nearest one above it.
func (j judgement) named(f wire.Folder) folderRule {
	spellings := [][]string{f.Name, rawPath(f)}
	for below := 0; below < max(len(spellings[0]), len(spellings[1])); below++ {
		for _, by := range []struct {
			who   string
			rules account.Rules
		}{{"account", j.rules.Account}, {"domain", j.rules.Domain}} {
			for _, path := range spellings {
				n := len(path) - below
				if n < 1 {
					continue
				}
				name := strings.Join(path[:n], "/")
				if below > 0 && strings.EqualFold(name, inbox) {
					continue // what is said about the inbox is about nothing below it
				}
				if rule, found := said(by.who, by.rules, name, path[n:]); found {
					return rule
				}
			}
		}
	}
	return folderRule{}
}

// rawPath is the path with the part that the source's namespace puts before every name.
func rawPath(f wire.Folder) []string {
	if f.Separator == 0 {
		return []string{wire.DecodeName(f.Raw)}
	}
	parts := strings.Split(f.Raw, string([]byte{f.Separator}))
	for i, part := range parts {
		parts[i] = wire.DecodeName(part)
	}
	return parts
}

func said(who string, rules account.Rules, name string, below []string) (rule folderRule, found bool) {
	for _, excluded := range rules.ExcludeFolders {
		if fold(excluded) == fold(name) {
			return folderRule{skip: fmt.Sprintf("excluded by the %s: folder %q", who, excluded)}, true
		}
	}
	for _, from := range slices.Sorted(maps.Keys(rules.Map)) {
		if fold(from) == fold(name) {
			return folderRule{place: append(strings.Split(rules.Map[from], "/"), below...), why: fmt.Sprintf("mapped by the %s: %q", who, from)}, true
		}
	}
	return folderRule{}, false
}

// byKind tells why a folder that nobody names is left out: the role of it or of one above it, or no mail.
func (j judgement) byKind(f wire.Folder) string {
	for n := len(f.Name); n > 0; n-- {
		above, listed := j.byPath[exactKey(f.Name[:n])]
		if !listed || isInbox(above) {
			continue
		}
		role := account.Role(strings.ToLower(strings.TrimPrefix(j.roles[above.Raw], `\`)))
		for _, by := range []struct {
			who   string
			rules account.Rules
		}{{"account", j.rules.Account}, {"domain", j.rules.Domain}} {
			if role != "" && slices.Contains(by.rules.ExcludeRoles, role) {
				return fmt.Sprintf("excluded by the %s: role %s", by.who, role)
			}
		}
		if kind := j.notMail[above.Raw]; kind != "" {
			return "not mail: " + kind
		}
	}
	return ""
}

// rolesOf tells the special use of each folder. Where the source declares a folder for a use, names count no more for it.
func rolesOf(source []wire.Folder) map[string]string {
	declared, roles := map[string]bool{}, map[string]string{}
	for _, f := range source {
		declared[f.SpecialUse] = true
	}
	for _, f := range source {
		role, _ := roleOf(f)
		if role != "" && !isInbox(f) && (f.SpecialUse != "" || !declared[role]) {
			roles[f.Raw] = role
		}
	}
	return roles
}

// groupware finds folders such as calendars, which Exchange and others show over IMAP as if they were mail. A name alone
// proves nothing, since people call a folder "Notes" or "Contacts": only beside both a calendar and contacts of
// the same language is it one.
func groupware(source []wire.Folder) map[string]string {
	calendars, contacts := map[int]bool{}, map[int]bool{}
	at := map[string]notMailName{}
	for _, f := range source {
		name := f.Name
		if len(name) == 2 && name[0] == inbox {
			name = name[1:]
		}
		if len(name) != 1 || f.SpecialUse != "" {
			continue
		}
		if known, is := notMailByName[fold(name[0])]; is {
			at[f.Raw] = known
			for _, language := range known.languages {
				calendars[language] = calendars[language] || known.kind == kindCalendar
				contacts[language] = contacts[language] || known.kind == kindContacts
			}
		}
	}
	found := map[string]string{}
	for raw, known := range at {
		if slices.ContainsFunc(known.languages, func(language int) bool { return calendars[language] && contacts[language] }) {
			found[raw] = known.kind
		}
	}
	return found
}
