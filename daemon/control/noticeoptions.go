package control

import (
	"mailstork/daemon/account"
)

// NoticeOptions are what an admin may say about what the owners of a domain's accounts are told.
type NoticeOptions struct {
	Welcome  *bool   `json:"welcome,omitempty"`
	Language *string `json:"language,omitempty"` // account.ParseLanguage
	// Sender is an address; empty: the domain's postmaster.
	Sender *string `json:"notice_from,omitempty"`
}

// Apply changes what was said. Its errors are of kind Invalid.
func (o NoticeOptions) Apply(n account.Notice, hint string) (account.Notice, error) {
	if o.Welcome != nil {
		n.Welcome = *o.Welcome
	}
	var err error
	if o.Language != nil {
		if n.Language, err = account.ParseLanguage(*o.Language); err != nil {
			return n, Invalid(err.Error(), hint)
		}
	}
	if o.Sender != nil {
		if n.Sender = ""; *o.Sender != "" {
			if n.Sender, err = account.ParseAddress(*o.Sender); err != nil {
				return n, Invalid("sender of notices: "+err.Error(), hint)
			}
		}
	}
	return n, nil
}

func noticeOptionsOf(n account.Notice) NoticeOptions {
	language, sender := string(n.Language), string(n.Sender)
	return NoticeOptions{Welcome: &n.Welcome, Language: &language, Sender: &sender}
}

func noticeChanges(before, after account.Notice) []Change {
	changes := difference(nil, "welcome", yesNo(before.Welcome), yesNo(after.Welcome))
	changes = difference(changes, "language", string(before.Language), string(after.Language))
	return difference(changes, "notice-from", string(before.Sender), string(after.Sender))
}

// AccountOptions are what an admin may say about one account.
type AccountOptions struct {
	Language *string `json:"language,omitempty"`
	RuleOptions
}

// Apply changes what was said and checks it. Its errors are of kind Invalid.
func (o AccountOptions) Apply(a account.Account, hint string) (account.Account, error) {
	var err error
	if o.Language != nil {
		if a.Language, err = account.ParseLanguage(*o.Language); err != nil {
			return a, Invalid(err.Error(), hint)
		}
	}
	a.Rules, err = o.RuleOptions.Apply(a.Rules, hint)
	return a, err
}

// AccountChanges says in which options two accounts differ.
func AccountChanges(before, after account.Account) []Change {
	changes := difference(nil, "language", string(before.Language), string(after.Language))
	return append(changes, RuleChanges(before.Rules, after.Rules)...)
}
