package provision

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// passOn lets example.org pass its first logins on to a source that was seen.
func (b *bench) passOn(t *testing.T, change func(*account.Domain)) {
	t.Helper()
	d, err := b.store.Domain(t.Context(), "example.org")
	if err != nil {
		t.Fatal(err)
	}
	d.FirstLogin = account.FirstLoginProxy
	d.Source.CAFile = b.options.Authorities
	d.Check = account.SourceCheck{Address: netip.MustParseAddr("192.0.2.9"), Capabilities: []string{"IMAP4rev1", "AUTH=PLAIN"}}
	if change != nil {
		change(&d)
	}
	if err := b.store.SetDomainOptions(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) proxied(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(b.options.ProxiedFile)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(string(content), headline)
}

// move changes the route of an account as a switch does.
func (b *bench) move(t *testing.T, address account.Address, to account.Route) {
	t.Helper()
	err := b.store.Write(t.Context(), func(tx *sql.Tx) error {
		a, err := b.store.AccountIn(t.Context(), tx, address)
		return errors.Join(err, b.store.MoveRoute(t.Context(), tx, a, to, a.Switching, 0))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFirstLoginThatIsPassedOnIsNoSwitch(t *testing.T) {
	b := newBench(t)
	b.passOn(t, nil)
	b.admitted(t, anna, hashA, "old password")
	a := b.account(t, anna)
	if a.State != account.Joined || a.PasswordHash != hashA || a.Route != account.RouteSource || a.Switched() || a.Priority != FirstLoginPriority {
		t.Errorf("got %+v", a)
	}
	if b.credential(t, anna) != "old password" || len(b.joins.led) != 1 || b.joins.led[0].Route != account.RouteSource {
		t.Errorf("the journal was told %+v", b.joins.led)
	}
	fields := "proxy=y host=imap.example.org hostip=192.0.2.9 port=993 destuser=anna@example.org proxy_not_trusted=y ssl=yes proxy_mech=PLAIN"
	want := "anna@example.org/imap:" + hashA + "::::::" + fields + "\n"
	for _, service := range []string{"smtp", "submission", "sieve"} {
		want += "anna@example.org/" + service + ":" + hashA + "::::::\n"
	}
	if got := b.proxied(t); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "")

	b.move(t, anna, account.RouteHeld)
	if err := b.Publish(t.Context()); err != nil || b.proxied(t) != "" {
		t.Errorf("while it is switched: %v, %q", err, b.proxied(t))
	}
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "")
	b.move(t, anna, account.RouteHere)
	if err := b.Publish(t.Context()); err != nil || b.proxied(t) != "" || !b.account(t, anna).Switched() {
		t.Errorf("when it is here: %v, %q", err, b.proxied(t))
	}
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "anna@example.org:"+hashA+"::::::\n")
}

func TestWhatCannotBePassedOnLandsHereAndSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(*account.Domain)
		user     string
		password string
		why      string
	}{
		"a pinned key":                            {change: func(d *account.Domain) { d.Source.Pin = "sha256:x" }, why: "pinned"},
		"other authorities than the proxy's":      {change: func(d *account.Domain) { d.Source.CAFile = "/etc/other.pem" }, why: "/etc/other.pem"},
		"a source that was never seen":            {change: func(d *account.Domain) { d.Check.Address = netip.Addr{} }, why: "not seen"},
		"a domain without mail":                   {change: func(d *account.Domain) { d.PasswordsOnly = true }, why: "never be switched"},
		"a login name with a space":               {user: "anna a", why: "login name"},
		"a login name that Dovecot expands":       {user: "%u", why: "login name"},
		"a name for its certificate that is none": {change: func(d *account.Domain) { d.Source.ServerName = "a b" }, why: "can't stand"},
		"a password that LOGIN can't carry":       {password: "pässword", change: func(d *account.Domain) { d.Check.Capabilities = nil }, why: "ASCII"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.passOn(t, c.change)
			b.list(t, anna)
			if c.user != "" {
				a := b.account(t, anna)
				if err := b.store.Write(t.Context(), func(tx *sql.Tx) error { return b.store.SetSourceUser(t.Context(), tx, a.ID, c.user) }); err != nil {
					t.Fatal(err)
				}
			}
			if c.password == "" {
				c.password = "old password"
			}
			b.admitted(t, anna, hashA, c.password)
			a := b.account(t, anna)
			if a.Route != account.RouteHere || !a.Switched() || !strings.Contains(a.Switching.Fallback, c.why) || b.proxied(t) != "" {
				t.Errorf("got %+v, want it here because of %q", a, c.why)
			}
			if len(b.joins.led) != 1 || b.joins.led[0].Switching.Fallback != a.Switching.Fallback {
				t.Errorf("the journal was told %+v", b.joins.led)
			}
			if route, err := b.Lead(t.Context(), anna, "imap"); route != account.RouteHere || err != nil {
				t.Errorf("its login leads to %s, %v", route, err)
			}
		})
	}
}

func TestNoTLSIsPassedOnOnlyWhereTheDomainHasNone(t *testing.T) {
	for mode, want := range map[account.TLSMode]string{account.TLSImplicit: " ssl=yes", account.TLSStartTLS: " starttls=yes", account.TLSNone: ""} {
		b := newBench(t)
		b.passOn(t, func(d *account.Domain) { d.Source.TLS = mode })
		b.admitted(t, anna, hashA, "old password")
		got := b.proxied(t)
		if !strings.Contains(got, want) || strings.Contains(got, "any-cert") || want == "" && strings.Contains(got, "tls") || want == "" && strings.Contains(got, "ssl") {
			t.Errorf("%s: got %q, want %q in it", mode, got, want)
		}
	}
}

func TestLeadSendsEveryLoginToWhereTheAccountIs(t *testing.T) {
	b := newBench(t)
	b.passOn(t, nil)
	b.admitted(t, anna, hashA, "old password")
	lead := func(service string) (account.Route, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return b.Lead(ctx, anna, service)
	}
	for service, want := range map[string]account.Route{"imap": account.RouteSource, "smtp": account.RouteHere, "submission": account.RouteHere} {
		if got, err := lead(service); got != want || err != nil {
			t.Errorf("%s leads to %s, %v; want %s", service, got, err, want)
		}
	}
	b.move(t, anna, account.RouteHeld)
	if err := b.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.move(t, anna, account.RouteSource) // rolled back, and not published yet
	if got, err := lead("imap"); got != account.RouteSource || err != nil || !strings.Contains(b.proxied(t), "proxy=y") {
		t.Errorf("a login leads to %s, %v, and Dovecot finds no entry: %q", got, err, b.proxied(t))
	}
	if a := b.account(t, anna); a.Switching.Urgent != "" {
		t.Errorf("urgent before POP3: %+v", a)
	}
	if got, err := lead("pop3"); got != account.RouteHeld || err != nil || b.account(t, anna).Switching.Urgent != "its owner uses POP3" {
		t.Errorf("POP3 leads to %s, %v, and the switch is %+v", got, err, b.account(t, anna).Switching)
	}
	b.passOn(t, func(d *account.Domain) { d.Source.Pin = "sha256:x" })
	if got, err := lead("imap"); got != account.RouteHeld || err == nil { // an entry that is not there would be a wrong password
		t.Errorf("what can't be passed on any more leads to %s, %v", got, err)
	}

	b.move(t, anna, account.RouteHeld)
	if got, err := lead("smtp"); got != account.RouteHere || err != nil {
		t.Errorf("while it is switched mail can't be sent: %s, %v", got, err)
	}
	if got, err := lead("imap"); got != account.RouteHeld || err != nil {
		t.Errorf("a switch that takes too long leads to %s, %v", got, err)
	}
	waits := make(chan account.Route, 1)
	go func() { route, _ := b.Lead(t.Context(), anna, "imap"); waits <- route }()
	b.move(t, anna, account.RouteHere)
	if got := <-waits; got != account.RouteHere {
		t.Errorf("a login that waited for the switch leads to %s", got)
	}
}

func TestNothingThatWouldMakeAnotherFieldGetsIntoTheProxiedFile(t *testing.T) {
	b := newBench(t)
	rapid.Check(t, func(t *rapid.T) {
		d := account.Domain{Name: "example.org", Source: account.Source{Host: rapid.String().Draw(t, "host"), Port: 993, TLS: account.TLSImplicit},
			Check: account.SourceCheck{Address: netip.MustParseAddr("2001:db8::9")}}
		a := account.Account{Address: anna, Route: account.RouteSource, SourceUser: rapid.String().Draw(t, "user"), PasswordHash: hashA}
		lines := b.proxiedLines(a, d)
		if lines == "" {
			return
		}
		first, _, _ := strings.Cut(lines, "\n")
		fields := strings.Fields(first)
		if strings.Count(lines, "\n") != 4 || len(fields) != 7 || !strings.HasPrefix(fields[0], "anna@example.org/imap:{ARGON2ID}") || strings.Contains(lines, "%") {
			t.Fatalf("%+v, %+v gives %q", d.Source, a.SourceUser, lines)
		}
	})
}

func TestSetPasswordAndRenewDoNotSwitch(t *testing.T) {
	b := newBench(t)
	b.passOn(t, nil)
	b.admitted(t, anna, hashA, "old password")
	if err := b.store.SetCredentialRefused(t.Context(), anna, true); err != nil {
		t.Fatal(err)
	}
	if err := b.Renew(t.Context(), anna, hashB, secret.FromString("new password")); err != nil {
		t.Fatal(err)
	}
	if a := b.account(t, anna); a.Route != account.RouteSource || a.Switched() || !strings.Contains(b.proxied(t), hashB) {
		t.Errorf("got %+v", a)
	}
}

func TestAnEntryStaysUntilEveryLoginThatWasSentToItHasFoundIt(t *testing.T) {
	b := newBench(t)
	b.passOn(t, nil)
	b.admitted(t, anna, hashA, "old password")
	if route, err := b.Lead(t.Context(), anna, "imap"); route != account.RouteSource || err != nil {
		t.Fatalf("got %s, %v", route, err)
	}
	sent := time.Now()
	release, err := b.Hold(t.Context(), anna)
	if err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(sent); waited < onwardWithin-100*time.Millisecond { // a bound from below
		t.Errorf("the account may be held %s after a login was sent on", waited)
	}
	waits := make(chan account.Route, 1)
	go func() { route, _ := b.Lead(t.Context(), anna, "imap"); waits <- route }()
	b.move(t, anna, account.RouteHeld)
	release()
	b.move(t, anna, account.RouteHere)
	if got := <-waits; got != account.RouteHere {
		t.Errorf("a login that came meanwhile leads to %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	b.onward.begin(anna) // a login that never ends
	if _, err := b.Hold(ctx, anna); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if !b.onward.begin(anna) {
		t.Error("an account that could not be held stays shut")
	}
}
