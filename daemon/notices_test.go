package daemon

import (
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/mirror"
	"mailstork/daemon/schedule"
)

// letWait adds anna in a state, and lets her wait behind a notice.
func (d *Daemon) letWait(t *testing.T, source account.Source, state account.State) {
	t.Helper()
	of := d.addDomain(t, source, account.Open)
	of.FirstLogin = account.FirstLoginNotice
	must(t, d.store.SetDomainOptions(t.Context(), of))
	a := d.addAccount(t, of, anna, state)
	must(t, d.store.Write(t.Context(), func(tx *sql.Tx) error {
		return errors.Join(d.store.MoveRoute(t.Context(), tx, a, account.RouteNotice, account.Switching{}, 0), d.store.StorePasswordHash(t.Context(), tx, a.ID, "{X}hash"))
	}))
}

// wantWaiting wants a letter and the entries that lead to it, or neither.
func (d *Daemon) wantWaiting(t *testing.T, waiting bool) {
	t.Helper()
	file, err := os.ReadFile(d.config.Dovecot.ProxiedFile)
	must(t, err)
	a := d.read(t, anna)
	must(t, d.notices.removeEnded(time.Now().Add(time.Minute)))
	entry := strings.Contains(string(file), string(anna)+"/imap:{X}hash::::::userdb_uid=5000 ")
	if _, err := os.Stat(d.notices.Path(a)); entry != waiting || d.notices.Has(a) != waiting || errors.Is(err, os.ErrNotExist) == waiting || (a.Route == account.RouteNotice) != waiting || a.Switched() == waiting {
		t.Errorf("account %+v, letter %v (%v), file\n%s\nwant waiting: %v", a, d.notices.Has(a), err, file, waiting)
	}
}

// openNow is the first step of opening: what a process that dies then has done.
func (d *Daemon) openNow(t *testing.T) {
	t.Helper()
	must(t, d.store.Write(t.Context(), func(tx *sql.Tx) error {
		return d.store.MoveRoute(t.Context(), tx, d.read(t, anna), account.RouteHere, account.Switching{}, 0)
	}))
}

func TestAStartFinishesWhatADeadDaemonBeganWithANotice(t *testing.T) {
	for name, c := range map[string]struct {
		before  func(t *testing.T, d *Daemon)
		waiting bool
	}{
		"the route was stored, no file": {func(t *testing.T, d *Daemon) {}, true},
		"the letter was lost": {func(t *testing.T, d *Daemon) {
			must(t, d.provisioner.Refresh(t.Context()), os.RemoveAll(d.notices.Dir))
		}, true},
		"opened, no file": {func(t *testing.T, d *Daemon) { must(t, d.provisioner.Refresh(t.Context())); d.openNow(t) }, false},
		"opened, the letter is still there": {func(t *testing.T, d *Daemon) {
			must(t, d.provisioner.Refresh(t.Context()))
			d.openNow(t)
			must(t, d.provisioner.Refresh(t.Context()))
		}, false},
		"opened, and half of the letter there": {func(t *testing.T, d *Daemon) {
			must(t, d.provisioner.Refresh(t.Context()))
			d.openNow(t)
			must(t, os.RemoveAll(d.notices.Path(d.read(t, anna))))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := newDaemon(t, "")
			d.letWait(t, account.Source{}, account.Copying)
			c.before(t, d)
			must(t, d.buildProvision(t.Context()))
			d.wantWaiting(t, c.waiting)
		})
	}
}

func TestCutoverEndsAFirstPassToOpenTheAccount(t *testing.T) {
	d, log := newDaemon(t, privateAllowed)
	source, taken := silent(t)
	d.letWait(t, source, account.Copying)
	must(t, d.provisioner.Refresh(t.Context()))
	d.wantWaiting(t, true)
	d.work(t)
	<-taken // the pass waits for a source that says nothing
	d.decide(t, account.Cutover, time.Hour)
	soon(t, func() error {
		a := d.read(t, anna)
		if text, err := os.ReadFile(d.notices.Path(a) + "/inbox"); err != nil || !strings.Contains(string(text), "X-IMAPbase: 2 ") || a.Route != account.RouteHere {
			return fmt.Errorf("%s is not open: %+v, %v, %s", anna, a, err, text)
		}
		return nil
	})
	d.wantWaiting(t, false)
	<-taken // and is begun again
	if text := log.String(); !strings.Contains(text, `event=open domain=example.org account=anna@example.org state=copying detail="the domain's mail comes here"`) || d.read(t, anna).Stuck != "" {
		t.Errorf("the log has\n%s", text)
	}
}

// Dovecot looks the entry up when the hook has said that it is there: till then it stays, or a right password would be wrong.
func TestAnAccountIsNotOpenedWhileALoginIsOnItsWayToTheNotice(t *testing.T) {
	d, _ := newDaemon(t, "")
	d.letWait(t, account.Source{}, account.Copying)
	must(t, d.provisioner.Refresh(t.Context()))
	route, err := d.provisioner.Lead(t.Context(), anna, "imap")
	sent := time.Now()
	if must(t, err); route != account.RouteNotice {
		t.Fatalf("the login leads to %s", route)
	}
	a := d.read(t, anna)
	must(t, d.open(t.Context(), schedule.Lease{}, &a, ""))
	d.wantWaiting(t, true)
	must(t, d.open(t.Context(), schedule.Lease{}, &a, "the first pass is complete"))
	if took := time.Since(sent); took < 2*time.Second {
		t.Errorf("it was opened %v after a login was sent to the notice", took)
	}
	d.wantWaiting(t, false)
}

func TestAbandonedAccountHasNoNotice(t *testing.T) {
	d, _ := newDaemon(t, "")
	d.letWait(t, account.Source{}, account.Copying)
	must(t, d.provisioner.Refresh(t.Context()))
	must(t, d.abandon(t.Context(), d.read(t, anna)))
	d.wantWaiting(t, false)
}

func TestNoticeWhereDovecotCannotReadItIsRefused(t *testing.T) {
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{Host: "imap.example.org", Port: 993, TLS: account.TLSImplicit}, account.Open)
	of.MXHosts, of.OutgoingAddresses = []string{"mx.example.org"}, []netip.Addr{sessionAddress}
	must(t, d.store.SetDomainOptions(t.Context(), of), os.Chmod(d.config.RuntimeDir, 0o750))
	way := account.FirstLoginNotice
	_, err := d.SetDomain(t.Context(), domain, control.DomainOptions{FirstLogin: &way}, true)
	var refused *control.Error
	if !errors.As(err, &refused) || refused.Kind != control.KindRefused || refused.Hint != "chmod o+x "+d.config.RuntimeDir {
		t.Errorf("got %v", err)
	}
	must(t, os.Chmod(d.config.RuntimeDir, 0o755))
	if changed, err := d.SetDomain(t.Context(), domain, control.DomainOptions{FirstLogin: &way}, true); err != nil || len(changed.Changes) != 1 {
		t.Errorf("got %+v, %v", changed, err)
	}
}

func TestANoticeIsReplacedByTheFirstCountAndThenByWhatHasChangedAfterAWhile(t *testing.T) {
	d, _ := newDaemon(t, "mirror: {notice_interval_seconds: 600}\n")
	a := account.Account{Address: anna}
	begin := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for i, c := range []struct {
		after  time.Duration
		copied int
		due    bool
	}{
		{0, 0, true},
		{time.Minute, 50, false},
		{10 * time.Minute, 100, true},
		{15 * time.Minute, 150, false},
		{20 * time.Minute, 100, false}, // nothing has come since
		{21 * time.Minute, 200, true},
	} {
		facts, due := d.notices.due(a, mirror.Standing{At: begin.Add(c.after), Copied: c.copied, Messages: 1000})
		if due != c.due || due && (facts.Copied != c.copied || facts.Messages != 1000) {
			t.Errorf("%d: got %+v, %v", i, facts, due)
		}
	}
	d.notices.forget(anna)
	if _, due := d.notices.due(a, mirror.Standing{At: begin, Copied: 200}); !due {
		t.Error("who waits anew is not told")
	}
}

func TestTheEndIsExpectedAtThePaceSoFar(t *testing.T) {
	begin := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	first := mirror.Standing{At: begin, Copied: 100, Messages: 1000}
	for i, c := range []struct {
		now  mirror.Standing
		want time.Time
	}{
		{mirror.Standing{At: begin.Add(time.Hour), Copied: 200, Messages: 1000}, begin.Add(10 * time.Hour)}, // 8 hours more, and one to be safe
		{mirror.Standing{At: begin.Add(time.Minute), Copied: 200, Messages: 1000}, time.Time{}},
		{mirror.Standing{At: begin.Add(time.Hour), Copied: 100, Messages: 1000}, time.Time{}},
	} {
		if got := expected(first, c.now); !got.Equal(c.want) {
			t.Errorf("%d: got %v, want %v", i, got, c.want)
		}
	}
}
