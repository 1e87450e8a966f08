package account

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Role is what a folder is for (RFC 6154), as commands and pages say it.
type Role string

// The roles that a rule may name.
const (
	RoleSent    Role = "sent"
	RoleDrafts  Role = "drafts"
	RoleTrash   Role = "trash"
	RoleJunk    Role = "junk"
	RoleArchive Role = "archive"
	RoleAll     Role = "all"     // everything once more, as Gmail has it
	RoleFlagged Role = "flagged" // what is starred, once more
)

// AllMail is what is copied from a folder that shows the messages of all others once more, as Gmail's All Mail does.
type AllMail string

// The policies. Empty means AllMailRest.
const (
	AllMailRest  AllMail = "rest"  // what no other folder has; of a source that does not tell which these are, everything
	AllMailWhole AllMail = "whole" // everything, though it is here twice then
	AllMailSkip  AllMail = "skip"  // nothing, neither what is archived and nowhere else
)

// AllMails are all of them.
var AllMails = []AllMail{AllMailRest, AllMailWhole, AllMailSkip}

// Roles are all of them.
var Roles = []Role{RoleSent, RoleDrafts, RoleTrash, RoleJunk, RoleArchive, RoleAll, RoleFlagged}

// Rules are what an admin says about which messages of the source are copied, and where to. Folder names are as
// people write them, with "/" between their parts; upper and lower case are the same.
type Rules struct {
	ExcludeRoles     []Role            `json:"exclude_roles,omitempty"`
	ExcludeFolders   []string          `json:"exclude_folders,omitempty"` // with everything below
	MaxMessageOctets int64             `json:"max_message_octets,omitempty"`
	Map              map[string]string `json:"map,omitempty"` // folder of the source → folder here, with everything below
	AllMail          AllMail           `json:"all_mail,omitempty"`
}

// The caps of rules, so that they fit one request and a page.
const (
	maxRuleFolders     = 200
	maxRuleNameOctets  = 250
	minMaxMessageOctet = 1024
)

// Equal tells whether two sets of rules say the same.
func (r Rules) Equal(s Rules) bool {
	return slices.Equal(r.ExcludeRoles, s.ExcludeRoles) && slices.Equal(r.ExcludeFolders, s.ExcludeFolders) &&
		r.MaxMessageOctets == s.MaxMessageOctets && maps.Equal(r.Map, s.Map) && r.AllMail == s.AllMail
}

// Check returns what is wrong with rules before anybody follows them.
func (r Rules) Check() error {
	for _, role := range r.ExcludeRoles {
		if !slices.Contains(Roles, role) {
			return fmt.Errorf("%q is no role of a folder; the roles are %s", role, joinRoles(Roles))
		}
	}
	if r.AllMail != "" && !slices.Contains(AllMails, r.AllMail) {
		return fmt.Errorf("%q is no policy for a folder of all mail; it is rest, whole or skip", r.AllMail)
	}
	if len(r.ExcludeFolders)+len(r.Map) > maxRuleFolders {
		return fmt.Errorf("%d rules about folders are more than %d", len(r.ExcludeFolders)+len(r.Map), maxRuleFolders)
	}
	for _, name := range r.ExcludeFolders {
		if err := checkFolderName(name); err != nil {
			return err
		}
		if strings.EqualFold(name, "INBOX") {
			return fmt.Errorf("the inbox can't be excluded: an account without it is not moved")
		}
	}
	seen := map[string]string{}
	for _, from := range slices.Sorted(maps.Keys(r.Map)) {
		if other, twice := seen[strings.ToLower(from)]; twice {
			return fmt.Errorf("%q and %q are the same folder: map it once", other, from)
		}
		seen[strings.ToLower(from)] = from
		for _, name := range []string{from, r.Map[from]} {
			if err := checkFolderName(name); err != nil {
				return err
			}
		}
	}
	if r.MaxMessageOctets != 0 && r.MaxMessageOctets < minMaxMessageOctet {
		return fmt.Errorf("a largest message of %d octets would leave out everything; 0 means no limit", r.MaxMessageOctets)
	}
	return nil
}

func joinRoles(roles []Role) string {
	texts := make([]string, len(roles))
	for i, role := range roles {
		texts[i] = string(role)
	}
	return strings.Join(texts, ", ")
}

// checkFolderName takes what may name a folder on either side.
func checkFolderName(name string) error {
	switch {
	case name == "" || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.Contains(name, "//"):
		return fmt.Errorf("%q is no name of a folder: write its parts with one / between them", name)
	case len(name) > maxRuleNameOctets:
		return fmt.Errorf("the name of a folder is longer than %d octets", maxRuleNameOctets)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("the name %q of a folder holds what is no text", name)
	}
	return nil
}
