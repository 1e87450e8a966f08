package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

// refusalsBeforeDoubt is how many accounts in a row a source may refuse to the credential of their domain, before the
// others are not even tried: a wrong master password must not look like an attack with a thousand logins.
const refusalsBeforeDoubt = 3

// sourceLogins is what connections to sources share while the daemon runs. Its zero value is ready.
type sourceLogins struct {
	mu      sync.Mutex
	links   map[string]*wire.Link    // by host and port
	tokens  map[string]*source.OAuth // by domain, and by account where each has its own
	refused map[string]int           // in a row, by domain
	// transport replaces the one that reaches token endpoints, in tests.
	transport http.RoundTripper
}

func (x *sourceLogins) link(server account.Source) *wire.Link {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := x.links[server.HostPort()]
	if l == nil {
		if l = new(wire.Link); x.links == nil {
			x.links = map[string]*wire.Link{}
		}
		x.links[server.HostPort()] = l
	}
	return l
}

// token returns the token source of a key, made by create when there is none yet.
func (x *sourceLogins) token(key string, create func() *source.OAuth) *source.OAuth {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tokens[key]
	if t == nil {
		if t = create(); x.tokens == nil {
			x.tokens = map[string]*source.OAuth{}
		}
		x.tokens[key] = t
	}
	return t
}

// forget drops what was learnt from older credentials.
func (x *sourceLogins) forget(domain string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.tokens)
	delete(x.refused, domain)
}

// note counts what a source thinks of a domain's credential.
func (x *sourceLogins) note(domain string, err error) {
	var login *wire.LoginError
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case err == nil:
		delete(x.refused, domain)
	case errors.As(err, &login) && login.Refused:
		if x.refused == nil {
			x.refused = map[string]int{}
		}
		x.refused[domain]++
	}
}

func (x *sourceLogins) doubted(domain string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.refused[domain] >= refusalsBeforeDoubt
}

// sourceOptions says how an account is opened at its source: with a password of its own, else with the credential of
// its domain. shared names the latter for people.
func (d *Daemon) sourceOptions(ctx context.Context, domain account.Domain, a account.Account) (o source.Options, shared string, err error) {
	o = source.Options{Server: domain.Source, User: a.SourceUser, IdleTimeout: d.config.Source.IdleTimeout.Duration(),
		PublicOnly: !d.config.Source.AllowPrivateAddresses, Link: d.logins.link(domain.Source)}
	own, ownErr := d.ownCredential(ctx, a)
	if ownErr != nil && !errors.Is(ownErr, store.ErrNotFound) {
		return o, "", ownErr
	}
	login, value, err := d.domainCredential(ctx, domain)
	switch {
	case errors.Is(err, store.ErrNotFound):
		o.Password = own
		return o, "", ownErr
	case err != nil:
		return o, "", err
	case login.Kind == account.LoginRefresh && ownErr != nil:
		return o, "", ownErr
	case login.Kind == account.LoginRefresh:
		o.Tokens = d.tokenSource(domain, login, value, a, own)
		return o, "", nil
	case ownErr == nil:
		o.Password = own
		return o, "", nil
	case d.logins.doubted(domain.Name):
		return o, "", d.notTried(domain)
	case login.Kind == account.LoginClient:
		o.Tokens = d.tokenSource(domain, login, value, account.Account{}, secret.Secret{})
		return o, fmt.Sprintf("the OAuth2 client %s", login.ClientID), nil
	}
	m, err := login.MasterFor(a)
	o.User, o.AuthzID, o.Mechanism, o.Become, o.Password = m.Login, m.Authz, wire.Mechanism(m.Command), m.Become, value
	return o, fmt.Sprintf("the master user %s", login.User), err
}

func (d *Daemon) notTried(domain account.Domain) error {
	return &mirror.Error{Next: mirror.OperatorMustAct, Reach: mirror.ReachSource,
		Sentence: fmt.Sprintf("Not tried: the source %s refused the credential of %s for %d accounts in a row.", domain.Source.HostPort(), domain.Name, refusalsBeforeDoubt),
		Hint:     "mailstork domain login " + domain.Name + " --help   # to try again with what is stored: mailstork account sync ADDRESS"}
}

func (d *Daemon) ownCredential(ctx context.Context, a account.Account) (secret.Secret, error) {
	sealed, err := d.store.Credential(ctx, a.ID, store.KindPassword)
	if err != nil {
		return secret.Secret{}, err
	}
	return d.sealer.Open(sealed, a.ID, store.KindPassword)
}

func (d *Daemon) domainCredential(ctx context.Context, domain account.Domain) (account.SourceLogin, secret.Secret, error) {
	login, sealed, err := d.store.DomainCredential(ctx, domain.ID)
	if err != nil {
		return login, secret.Secret{}, err
	}
	value, err := d.sealer.Open(sealed, domain.ID, store.KindDomain)
	return login, value, err
}

// openable tells whether anything is stored that opens an account at its source.
func (d *Daemon) openable(ctx context.Context, a account.Account) (bool, error) {
	_, err := d.store.Credential(ctx, a.ID, store.KindPassword)
	if err == nil || !errors.Is(err, store.ErrNotFound) || a.State == account.Done {
		return err == nil, ignoreNotFound(err)
	}
	domain, err := d.store.Domain(ctx, a.Domain)
	if err != nil {
		return false, err
	}
	login, _, err := d.store.DomainCredential(ctx, domain.ID)
	return err == nil && login.Kind.OpensAll(), ignoreNotFound(err)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// tokenSource is one for all accounts, or with a refresh token one for each.
func (d *Daemon) tokenSource(domain account.Domain, login account.SourceLogin, value secret.Secret, a account.Account, refresh secret.Secret) *source.OAuth {
	key := fmt.Sprintf("%s/%d", domain.Name, a.ID)
	return d.logins.token(key, func() *source.OAuth {
		o := source.OAuthOptions{URL: login.TokenURL, ClientID: login.ClientID, Scope: login.Scope, ClientSecret: value, RefreshToken: refresh,
			PublicOnly: !d.config.Source.AllowPrivateAddresses, Transport: d.logins.transport}
		if a.ID != 0 {
			o.Rotated = func(ctx context.Context, token secret.Secret) error { return d.keepRefreshToken(ctx, a, token) }
		}
		return source.NewOAuth(o)
	})
}

// keepRefreshToken replaces the one that an endpoint has just made worthless, unless the account was ended meanwhile.
func (d *Daemon) keepRefreshToken(ctx context.Context, a account.Account, token secret.Secret) error {
	sealed, err := d.sealer.Seal(token, a.ID, store.KindPassword)
	if err != nil {
		return err
	}
	return d.store.Write(ctx, func(tx *sql.Tx) error {
		now, err := d.store.AccountIn(ctx, tx, a.Address)
		if err != nil || now.State == account.Done {
			return err
		}
		return d.store.SaveCredential(ctx, tx, a.ID, store.KindPassword, sealed)
	})
}
