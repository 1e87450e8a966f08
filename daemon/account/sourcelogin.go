package account

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// SourceLogin says what opens all accounts of a domain at its source, beside the secret itself, which is sealed.
type SourceLogin struct {
	Kind SourceLoginKind `json:"kind"`
	// User and Spelling are those of a master user.
	User     string `json:"user,omitempty"`
	Spelling string `json:"spelling,omitempty"` // the name of a MasterSpelling, or a template of its own
	// TokenURL, ClientID and Scope are those of an OAuth2 client (RFC 6749).
	TokenURL string `json:"token_url,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	Scope    string `json:"scope,omitempty"`
}

// SourceLoginKind is what the secret of a SourceLogin is.
type SourceLoginKind string

// The kinds. With LoginRefresh every account needs its own refresh token too, imported as its password.
const (
	LoginMaster  SourceLoginKind = "master"             // the password of a master user
	LoginClient  SourceLoginKind = "client_credentials" // of an OAuth2 client that may open every account (RFC 6749 §4.4)
	LoginRefresh SourceLoginKind = "refresh_token"      // of an OAuth2 client that exchanges refresh tokens (§6)
)

// OpensAll tells whether the secret alone opens every account.
func (k SourceLoginKind) OpensAll() bool { return k == LoginMaster || k == LoginClient }

// MasterSpelling is how a kind of server wants to hear who opens whose account. In the templates {user} is the account's
// login name at the source, {local} and {domain} the parts of its address, {master} the master user and {master_local}
// the part of it before the "@".
type MasterSpelling struct {
	Name     string
	Login    string // the login name
	Authz    string // SASL authorization identity, empty for none
	Command  string // besides a plain login: PROXYAUTH or X-MASTERAUTH
	Become   string // the account that Command opens
	Servers  string // where this is the way
	NoMaster bool   // the password is enough: there is no master user
}

// MasterSpellings are the known ones (landscape of old servers); any other is written as a template of Login.
var MasterSpellings = []MasterSpelling{
	{Name: "authzid", Login: "{master}", Authz: "{user}", Servers: "Cyrus, Zimbra, Dovecot and most others: SASL PLAIN with an authorization identity"},
	{Name: "dovecot", Login: "{user}*{master}", Servers: "Dovecot with auth_master_user_separator = *"},
	{Name: "exchange", Login: `{domain}\{master}\{local}`, Servers: `Exchange: domain\admin\alias`},
	{Name: "exchange-slash", Login: "{domain}/{master}/{local}", Servers: "Exchange: domain/admin/alias"},
	{Name: "exchange-upn", Login: `{master}\{local}`, Servers: `Exchange: admin@domain\alias`},
	{Name: "office365", Login: `{master}\{user}`, Servers: `Office 365: admin@domain\shared@domain`},
	{Name: "mirapoint", Login: "#{user}#{master}#", Servers: "Mirapoint: #user@domain#admin#"},
	{Name: "kerio", Login: "{user}", Command: "X-MASTERAUTH", Become: "{user}", NoMaster: true, Servers: "Kerio Connect: X-MASTERAUTH with the master password, X-SETUSER"},
	{Name: "sunone", Login: "{master}", Command: "PROXYAUTH", Become: "{user}", Servers: "SunOne, iPlanet, Oracle Messaging: PROXYAUTH"},
}

var masterPlaceholders = []string{"{user}", "{local}", "{domain}", "{master}", "{master_local}"}

// spelling finds the named spelling, or takes text as a template.
func (l SourceLogin) spelling() (MasterSpelling, error) {
	i := slices.IndexFunc(MasterSpellings, func(m MasterSpelling) bool { return m.Name == l.Spelling })
	if i >= 0 {
		return MasterSpellings[i], nil
	}
	bare := l.Spelling
	for _, p := range masterPlaceholders {
		bare = strings.ReplaceAll(bare, p, "")
	}
	switch {
	case !strings.Contains(l.Spelling, "{"):
		return MasterSpelling{}, fmt.Errorf("master login %q is no known spelling and has no {user} in it", l.Spelling)
	case strings.ContainsAny(bare, "{}"):
		return MasterSpelling{}, fmt.Errorf("master login %q has an unknown placeholder (known: %s)", l.Spelling, strings.Join(masterPlaceholders, " "))
	case !strings.Contains(l.Spelling, "{user}") && !strings.Contains(l.Spelling, "{local}"):
		return MasterSpelling{}, fmt.Errorf("master login %q names no account: it needs {user} or {local}", l.Spelling)
	}
	return MasterSpelling{Login: l.Spelling}, nil
}

// Check returns what is wrong with a login before anybody tries it.
func (l SourceLogin) Check() error {
	if strings.ContainsAny(l.User+l.Spelling+l.TokenURL+l.ClientID+l.Scope, "\x00\r\n") {
		return errors.New("a login at the source holds a line break or NUL")
	}
	switch l.Kind {
	case LoginMaster:
		s, err := l.spelling()
		if err == nil && l.User == "" && !s.NoMaster {
			err = fmt.Errorf("master login %q needs the name of the master user", l.Spelling)
		}
		return err
	case LoginClient, LoginRefresh:
		u, err := url.Parse(l.TokenURL)
		switch {
		case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "":
			return errors.New("the token endpoint is not of the form https://HOST/PATH")
		case l.ClientID == "":
			return errors.New("an OAuth2 client has an id")
		}
		return nil
	}
	return fmt.Errorf("a login at the source of kind %q is not known", l.Kind)
}

// MasterFor spells the login of a master user for an account.
func (l SourceLogin) MasterFor(a Account) (MasterSpelling, error) {
	s, err := l.spelling()
	if err != nil {
		return s, err
	}
	masterLocal, _, _ := strings.Cut(l.User, "@")
	fill := strings.NewReplacer("{user}", a.SourceUser, "{local}", a.Address.Local(), "{domain}", a.Address.Domain(),
		"{master}", l.User, "{master_local}", masterLocal).Replace
	s.Login, s.Authz, s.Become = fill(s.Login), fill(s.Authz), fill(s.Become)
	return s, nil
}
