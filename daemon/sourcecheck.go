package daemon

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/mirror/wire"
)

const (
	// checkEvery is how often a source is asked whether it still refuses wrong passwords: once a day costs one failed
	// login of its budget.
	checkEvery = 24 * time.Hour
	// checkAgain is when one that gave no clear answer is asked again, and how often the daemon looks for due ones.
	checkAgain = 10 * time.Minute

	doubtAcceptsAny = "it accepted a random password for a random name, so everybody could make accounts here"
	doubtUnclear    = "it was not seen to refuse a wrong password yet"

	maxToldCapabilities = 100
	maxToldOctets       = 200
)

// lookAtSource connects to a source without any password and tells what it shows: what can't even greet us is no source.
func (d *Daemon) lookAtSource(ctx context.Context, source account.Source) (account.SourceCheck, error) {
	var seen account.SourceCheck
	ctx, cancel := context.WithTimeout(ctx, d.config.Source.ConnectTimeout.Duration())
	defer cancel()
	conn, err := wire.Dial(ctx, wire.Options{Address: source.HostPort(), TLS: source.TLS, CAFile: source.CAFile, ServerName: source.ServerName,
		Pin: source.Pin, IdleTimeout: d.config.Source.ConnectTimeout.Duration(), ReadOnly: true, PublicOnly: !d.config.Source.AllowPrivateAddresses})
	if err != nil {
		return seen, sourceTrouble(source, err)
	}
	defer conn.Close()
	seen.Address = conn.Remote()
	seen.ID, _ = conn.AskID(ctx) // what it does not tell is no reason against it
	for _, name := range conn.Capabilities() {
		if len(seen.Capabilities) < maxToldCapabilities {
			seen.Capabilities = append(seen.Capabilities, cut(name))
		}
	}
	if state := conn.TLS(); state != nil {
		seen.TLSVersion = tls.VersionName(state.Version)
		leaf := state.PeerCertificates[0]
		seen.Certificate = &account.Certificate{Subject: cut(leaf.Subject.String()), Issuer: cut(leaf.Issuer.String()),
			Until: leaf.NotAfter.UTC(), Pin: account.PinOf(leaf)}
		for _, name := range leaf.DNSNames[:min(len(leaf.DNSNames), maxToldCapabilities)] {
			seen.Certificate.Names = append(seen.Certificate.Names, cut(name))
		}
	}
	return seen, nil
}

// cut bounds one text of a source.
func cut(text string) string {
	if len(text) > maxToldOctets {
		text = text[:maxToldOctets]
	}
	return strings.ToValidUTF8(text, "?")
}

// checkSource looks at a domain's source and asks it about a password that nobody has. What it found before stays when
// there is no clear answer now: only the source's own word starts or ends a doubt. err is why there was none.
func (d *Daemon) checkSource(ctx context.Context, domain account.Domain) (account.SourceCheck, error) {
	before, now := domain.Check, time.Now().UTC()
	seen, err := d.lookAtSource(ctx, domain.Source)
	if err != nil {
		before.TriedAt = now
		return before, err
	}
	seen.At, seen.TriedAt, seen.Doubt, seen.AcceptsAny = before.At, now, before.Doubt, before.AcceptsAny
	accepts, err := d.hook.Challenge(ctx, domain)
	switch {
	case err != nil && before.At.IsZero() && before.Doubt == "":
		seen.Doubt = doubtUnclear
	case err != nil:
	case accepts:
		seen.At, seen.Doubt, seen.AcceptsAny = now, doubtAcceptsAny, true
	default:
		seen.At, seen.Doubt, seen.AcceptsAny = now, "", false
	}
	return seen, err
}

// enable is checkSource for a source that is about to be used: one that accepts everything is refused. One that gives no
// clear answer may be used, but first logins wait until it has.
func (d *Daemon) enable(ctx context.Context, domain account.Domain) (account.SourceCheck, error) {
	domain.Check = account.SourceCheck{}
	check, err := d.checkSource(ctx, domain)
	switch {
	case check.AcceptsAny:
		return check, control.Refused("the source "+domain.Source.HostPort()+" accepts every password: "+doubtAcceptsAny,
			"mailstork domain add --help   # is it the mail server itself, and not something before it?")
	case err != nil && check.Doubt == "": // it was not even reached
		return check, err
	}
	return check, nil
}

// CheckSource looks at a domain's source now and keeps what it found.
func (d *Daemon) CheckSource(ctx context.Context, name string) (account.SourceCheck, error) {
	domain, err := d.domain(ctx, name)
	if err != nil {
		return account.SourceCheck{}, err
	}
	if domain.State == account.Closed {
		return account.SourceCheck{}, control.Refused("domain "+name+" is closed; its source is not asked any more", "mailstork domain report "+name)
	}
	check, err := d.checkSource(ctx, domain)
	if kept := d.keepCheck(ctx, domain, check, err); kept != nil {
		return check, kept
	}
	if err != nil {
		return check, &control.Error{Kind: control.KindFailed, Sentence: "the source of " + name + " gave no clear answer", Raw: err.Error(),
			Hint: "mailstork status   # asked again by itself"}
	}
	return check, nil
}

// keepCheck stores what was found and tells when a doubt began or ended.
func (d *Daemon) keepCheck(ctx context.Context, domain account.Domain, check account.SourceCheck, unclear error) error {
	before := domain.Check.Doubt
	domain.Check = check
	if err := d.store.SaveSourceCheck(ctx, domain); err != nil {
		return d.changed(err)
	}
	event := eventlog.Event{Name: "source", Domain: domain.Name, State: string(domain.State), Detail: domain.Source.HostPort() + " refuses wrong passwords"}
	if check.Doubt != "" {
		event.Detail, event.Err = "no first logins are passed on to "+domain.Source.HostPort(), check.Doubt
		if unclear != nil {
			event.Err += ": " + unclear.Error()
		}
	}
	if before != check.Doubt {
		d.events.Record(ctx, event)
	}
	return nil
}

// watchSources checks every source once a day, and sooner where there is a doubt.
func (d *Daemon) watchSources(ctx context.Context) error {
	ticker := time.NewTicker(checkAgain)
	defer ticker.Stop()
	for {
		if err := d.checkDueSources(ctx, time.Now()); err != nil && ctx.Err() == nil {
			d.report(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// checkDueSources asks each source host at most once: all its domains share one budget of failed logins.
func (d *Daemon) checkDueSources(ctx context.Context, now time.Time) error {
	domains, err := d.store.Domains(ctx)
	if err != nil {
		return err
	}
	slices.SortStableFunc(domains, func(a, b account.Domain) int { return a.Check.TriedAt.Compare(b.Check.TriedAt) })
	asked := map[string]bool{}
	for _, domain := range domains {
		host := domain.Source.HostKey()
		if domain.State == account.Closed || asked[host] || !checkDue(now, domain.Check) {
			continue
		}
		asked[host] = true
		check, unclear := d.checkSource(ctx, domain)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := d.keepCheck(ctx, domain, check, unclear); err != nil {
			return err
		}
	}
	return nil
}

func checkDue(now time.Time, check account.SourceCheck) bool {
	if check.Doubt != "" {
		return now.Sub(check.TriedAt) >= checkAgain
	}
	return now.Sub(check.TriedAt) >= checkEvery
}
