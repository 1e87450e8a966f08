package provision

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// The services that an entry of the file answers. IMAP is passed on; whoever sends mail is only let in, without any field
// of a proxy. Everything else, POP3 too, is asked of the hook: it would show half of the mail, and change what is not the
// truth yet, so that it waits for the switch and makes it urgent.
const serviceIMAP = "imap"

var servicesHere = []string{"smtp", "submission", "sieve"}

func leadsElsewhere(a account.Account) bool {
	return a.Route == account.RouteSource || a.Route == account.RouteHeld || a.Route == account.RouteNotice
}

// elsewhereLines are one account for the passdb of those whose logins lead elsewhere.
func (p *Provisioner) elsewhereLines(a account.Account, d account.Domain) string {
	if a.Route == account.RouteNotice {
		return p.noticedLines(a, d)
	}
	return p.proxiedLines(a, d)
}

// linesHere let whoever sends mail in.
func linesHere(a account.Account) string {
	var lines strings.Builder
	for _, service := range servicesHere {
		fmt.Fprintf(&lines, "%s/%s:%s::::::\n", a.Address, service, a.PasswordHash)
	}
	return lines.String()
}

// proxiedLines are one account for the passdb that passes sessions on: its entries are called address/service. There is
// no password of the source in them: Dovecot hands on the one that its owner types (S1), after it has matched the hash.
func (p *Provisioner) proxiedLines(a account.Account, d account.Domain) string {
	if a.Route != account.RouteSource || a.PasswordHash == "" || !fitsName(a.Address) || !fitsHash(a.PasswordHash) {
		return ""
	}
	passage, err := account.PassageOf(d, a, p.authorities)
	if err != nil {
		return "" // Lead tells why
	}
	return fmt.Sprintf("%s/%s:%s::::::%s\n", a.Address, serviceIMAP, a.PasswordHash, proxyFields(passage)) + linesHere(a)
}

// proxyFields are Dovecot's extra fields. "proxy" is a matter of presence: any value means yes.
func proxyFields(p account.Passage) string {
	fields := []string{"proxy=y", "host=" + p.Host, "hostip=" + p.Address.String(), fmt.Sprintf("port=%d", p.Port), "destuser=" + p.User,
		"proxy_not_trusted=y"} // tells the source nothing about its clients
	switch p.TLS {
	case account.TLSImplicit:
		fields = append(fields, "ssl=yes")
	case account.TLSStartTLS:
		fields = append(fields, "starttls=yes")
	}
	if p.Plain {
		fields = append(fields, "proxy_mech=PLAIN")
	}
	return strings.Join(fields, " ")
}

// lead decides where the first login of an account leads, and returns the account when its domain wants first logins to
// lead elsewhere.
func (p *Provisioner) lead(ctx context.Context, tx *sql.Tx, domain account.Domain, address account.Address, password secret.Secret) (account.Account, error) {
	if domain.FirstLogin != account.FirstLoginProxy && domain.FirstLogin != account.FirstLoginNotice {
		return account.Account{}, nil
	}
	member, err := p.ensure(ctx, tx, address)
	if err != nil || member.PasswordHash != "" || member.State == account.Done {
		return account.Account{}, err
	}
	if domain.FirstLogin == account.FirstLoginNotice {
		return p.leadToNotice(ctx, tx, domain, member)
	}
	return p.leadToSource(ctx, tx, domain, member, password)
}

// leadToSource passes an account on. What can't be passed on leads here, and says why.
func (p *Provisioner) leadToSource(ctx context.Context, tx *sql.Tx, domain account.Domain, member account.Account, password secret.Secret) (account.Account, error) {
	passage, err := account.PassageOf(domain, member, p.authorities)
	if err == nil && !passage.Carries(password.Reveal()) {
		err = &account.Unpassable{Why: "the source takes LOGIN only, and its password is not ASCII"}
	}
	var unpassable *account.Unpassable
	if errors.As(err, &unpassable) {
		member.Switching.Fallback = unpassable.Why
		return member, p.store.SaveSwitching(ctx, tx, member)
	}
	if err == nil {
		err = p.store.MoveRoute(ctx, tx, member, account.RouteSource, account.Switching{}, 0)
		member.Route = account.RouteSource
	}
	return member, err
}

const (
	holdWithin = 15 * time.Second // a login that waits longer for a switch is told to come back
	holdLooks  = 50 * time.Millisecond
)

// Lead tells where a login whose password is right leads. While an account is being switched it waits. RouteSource and
// RouteNotice mean that Dovecot finds the entry that leads there; RouteHeld that the owner has to come back, err being why
// if an operator should know.
func (p *Provisioner) Lead(ctx context.Context, address account.Address, service string) (account.Route, error) {
	ctx, cancel := context.WithTimeout(ctx, holdWithin)
	defer cancel()
	ticker := time.NewTicker(holdLooks)
	defer ticker.Stop()
	for {
		if !p.onward.begin(address) { // it is about to be held
			select {
			case <-ctx.Done():
				return account.RouteHeld, nil
			case <-ticker.C:
			}
			continue
		}
		route, err := p.leadNow(ctx, address, service)
		p.onward.end(address, route == account.RouteSource || route == account.RouteNotice, time.Now())
		switch {
		case ctx.Err() != nil && route != account.RouteHere:
			return account.RouteHeld, nil
		case err != nil || route != "":
			return route, err
		}
		select {
		case <-ctx.Done():
			return account.RouteHeld, nil
		case <-ticker.C:
		}
	}
}

// leadNow is Lead without waiting for a switch: an empty route means that one goes on.
func (p *Provisioner) leadNow(ctx context.Context, address account.Address, service string) (account.Route, error) {
	domain, member, err := p.Standing(ctx, address)
	switch {
	case err != nil:
		return account.RouteHeld, err
	case !leadsElsewhere(member) || slices.Contains(servicesHere, service):
		return account.RouteHere, nil
	case member.Route == account.RouteNotice:
		return p.leadToItsNotice(ctx, domain, member, service)
	case service != serviceIMAP:
		return account.RouteHeld, p.urge(ctx, address, "its owner uses "+strings.ToUpper(service))
	case member.Route == account.RouteHeld:
		return "", nil
	}
	if _, err := account.PassageOf(domain, member, p.authorities); err != nil {
		return account.RouteHeld, fmt.Errorf("passing %s on to its source: %w", address, err)
	}
	return account.RouteSource, p.Publish(ctx)
}

// urge makes the switch of an account urgent, and its next pass due, once.
func (p *Provisioner) urge(ctx context.Context, address account.Address, why string) error {
	return p.store.Write(ctx, func(tx *sql.Tx) error {
		member, err := p.store.AccountIn(ctx, tx, address)
		if err != nil || member.Switching.Urgent != "" || !leadsElsewhere(member) {
			return err
		}
		member.Switching.Urgent = why
		return errors.Join(p.store.SaveSwitching(ctx, tx, member), p.store.DueInTx(ctx, tx, address, FirstLoginPriority))
	})
}

// Publish returns when the files say what the database says, and Dovecot has seen that they do.
func (p *Provisioner) Publish(ctx context.Context) error {
	if err := p.files.sync(ctx); err != nil {
		return err
	}
	seen := max(p.files.passdb.seen.Load(), p.files.proxied.seen.Load())
	timer := time.NewTimer(time.Until(time.Unix(0, seen)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting until Dovecot sees its passwd-files: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}
