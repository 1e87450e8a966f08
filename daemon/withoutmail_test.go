package daemon

import (
	"errors"
	"strings"
	"testing"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/schedule"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

func passwordsOnly(yes bool) control.DomainOptions { return control.DomainOptions{PasswordsOnly: &yes} }

func TestAnAccountWithoutMailIsDoneWithoutASingleLookAtItsMail(t *testing.T) { // A1, L1
	d, _ := newDaemon(t, privateAllowed)
	srv, source := scripted(t, wiretest.Script{})
	added := d.addDomain(t, source, account.Open)
	mx, out := []string{"mx.new.example"}, []string{"192.0.2.1"}
	options := passwordsOnly(true)
	options.MXHosts, options.Outgoing = &mx, &out
	_, err := d.SetDomain(t.Context(), domain, options, false)
	must(t, err)
	d.addAccount(t, added, anna, account.Listed)
	must(t, d.provisioner.Admit(t.Context(), anna, "{X}hash", secret.FromString("own")))
	a := d.read(t, anna)
	if _, err := d.store.Credential(t.Context(), a.ID, store.KindPassword); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a password was borrowed that no pass needs: %v", err)
	}
	d.runPass(t.Context(), schedule.Lease{AccountID: a.ID}, a)
	if a = d.read(t, anna); a.State != account.Following || a.LastPassAt.IsZero() || a.Stuck != "" {
		t.Fatalf("after a pass: %s, last pass %v, stuck %q", a.State, a.LastPassAt, a.Stuck)
	}
	must(t, d.moveAccounts(t.Context(), []account.Account{a}, account.Following, account.Closing))
	a = d.read(t, anna)
	d.runPass(t.Context(), schedule.Lease{AccountID: a.ID}, a)
	if a = d.read(t, anna); a.State != account.Done {
		t.Fatalf("the account is %s, stuck %q", a.State, a.Stuck)
	}
	if lines := srv.Lines(); len(lines) > 0 {
		t.Errorf("the source heard %q", lines)
	}
	report, err := d.Report(t.Context(), domain)
	if err != nil || !strings.Contains(string(report.JSON), `"without_mail":1`) || strings.Contains(string(report.JSON), "every message is accounted for") {
		t.Errorf("the report says %s, %v", report.JSON, err)
	}
}

func TestMailThatIsBeingCopiedIsNotLeftBehind(t *testing.T) { // L1
	d, _ := newDaemon(t, privateAllowed)
	of := d.addDomain(t, account.Source{Host: "h", Port: 1, TLS: account.TLSNone}, account.Open)
	mx, out := []string{"mx.new.example"}, []string{"192.0.2.1"}
	_, err := d.SetDomain(t.Context(), domain, control.DomainOptions{MXHosts: &mx, Outgoing: &out}, false)
	must(t, err)
	d.addAccount(t, of, anna, account.Copying)
	_, err = d.SetDomain(t.Context(), domain, passwordsOnly(true), false)
	var refused *control.Error
	if !errors.As(err, &refused) || refused.Kind != control.KindRefused {
		t.Errorf("got %v, want a refusal", err)
	}
}

// What was changed about a source is looked at before anything is kept.
func TestAnotherSourceIsCheckedBeforeItIsUsed(t *testing.T) { // A1, S1
	d, _ := newDaemon(t, privateAllowed)
	_, good := sourceThat(t, refusesAll)
	_, bad := sourceThat(t, "TAG OK\r\n")
	of := newDomain(good)
	of.MXHosts = []string{"mx.new.example"}
	options := control.OptionsOf(of)
	outgoing := []string{"192.0.2.1"}
	options.Outgoing = &outgoing
	of, err := options.Apply(of, "")
	must(t, err)
	_, err = d.AddDomain(t.Context(), of, false)
	must(t, err)
	to := func(s account.Source) control.DomainOptions {
		return control.DomainOptions{SourceOptions: control.SourceOptions{Endpoint: &control.Endpoint{Host: s.Host, Port: s.Port, TLS: s.TLS}}}
	}
	if _, err = d.SetDomain(t.Context(), domain, to(bad), false); err == nil || !strings.Contains(err.Error(), "accepts every password") {
		t.Errorf("a source that accepts everything: %v", err)
	}
	if now, err := d.store.Domain(t.Context(), domain); err != nil || now.Source != good {
		t.Errorf("the source is %+v, %v", now.Source, err)
	}
	_, better := sourceThat(t, refusesAll)
	changed, err := d.SetDomain(t.Context(), domain, to(better), false)
	if err != nil || len(changed.Changes) != 1 || changed.Changes[0].Option != "source" {
		t.Errorf("changes %+v, %v", changed.Changes, err)
	}
	if now, err := d.store.Domain(t.Context(), domain); err != nil || now.Source != better || now.Check.At.IsZero() {
		t.Errorf("the source is %+v after check %+v, %v", now.Source, now.Check, err)
	}
}
