package daemon

import (
	"testing"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

func TestWhatIsSaidOfASourceHoldsAtOnceAndForAllItsDomains(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	source := account.Source{Host: "Imap.Old.Example", Port: 993, TLS: account.TLSImplicit}
	d.addDomain(t, source, account.Open)
	_, err := d.store.AddDomain(t.Context(), account.Domain{Name: "example.net", Source: source, Accounts: account.AccountsListed})
	must(t, err)
	mx, out := []string{"mx.new.example"}, []string{"192.0.2.1"}
	set := func(name string, g control.GuardOptions) control.Domain {
		t.Helper()
		changed, err := d.SetDomain(t.Context(), name, control.DomainOptions{MXHosts: &mx, Outgoing: &out, GuardOptions: g}, false)
		must(t, err)
		return changed.Domain
	}
	yes, twelve, thirty := true, 12, 30
	want := func(failures int) {
		t.Helper()
		if got := d.hook.BudgetOf("imap.old.example"); got != (guard.Budget{Failures: failures, Window: 10 * time.Minute}) {
			t.Errorf("the budget is %+v, want %d", got, failures)
		}
	}
	if shown := set(domain, control.GuardOptions{SourceAllowsUs: &yes}); !shown.Guard.SourceAllowsUs || shown.SourceBudget.Failures != 4 {
		t.Errorf("shown: %+v %+v; the other domain has not said so", shown.Guard, shown.SourceBudget)
	}
	want(4)
	set("example.net", control.GuardOptions{FailuresPerSource: &twelve, NewAccountsPerHour: &thirty})
	want(12)
	must(t, d.buildHook(t.Context())) // as at the next start
	want(12)
	for _, next := range []account.DomainState{account.Cutover, account.Draining} {
		other, err := d.store.Domain(t.Context(), "example.net")
		must(t, err, d.store.MoveDomain(t.Context(), other, next, []byte("{}")))
	}
	other, err := d.store.Domain(t.Context(), "example.net")
	must(t, err)
	memory, err := d.cutoverMemory(t.Context(), other)
	must(t, err, d.closeDomain(t.Context(), other, memory))
	want(guard.AllowedFailures) // a closed domain's word counts no more
}

func TestAnotherCompressionAsksTheSourceNothing(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	srv, source := scripted(t, wiretest.Script{})
	d.addDomain(t, source, account.Open)
	mx, out, never := []string{"mx.new.example"}, []string{"192.0.2.1"}, "never"
	options := control.DomainOptions{MXHosts: &mx, Outgoing: &out, SourceOptions: control.SourceOptions{Compress: &never}}
	changed, err := d.SetDomain(t.Context(), domain, options, false)
	must(t, err)
	of, err := d.store.Domain(t.Context(), domain)
	must(t, err)
	if of.Source.Compress != "never" || len(changed.Changes) != 3 || len(srv.Lines()) > 0 {
		t.Errorf("compress %q, changes %v, the source heard %q", of.Source.Compress, changed.Changes, srv.Lines())
	}
	often := "often"
	if _, err := d.SetDomain(t.Context(), domain, control.DomainOptions{SourceOptions: control.SourceOptions{Compress: &often}}, false); err == nil {
		t.Error("a compression that nobody knows was taken")
	}
	auto := "auto"
	if _, err := d.SetDomain(t.Context(), domain, control.DomainOptions{SourceOptions: control.SourceOptions{Compress: &auto}}, false); err != nil {
		t.Error(err)
	}
	if of, err = d.store.Domain(t.Context(), domain); err != nil || of.Source.Compress != "" {
		t.Errorf("compress %q, %v", of.Source.Compress, err)
	}
}

func TestAnAccountMadeByAFirstLoginCountsAfterARestartToo(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	_, err := d.store.AddDomain(t.Context(), account.Domain{Name: domain, Accounts: account.AccountsAny})
	must(t, err)
	of, err := d.store.Domain(t.Context(), domain)
	must(t, err)
	d.addAccount(t, of, bob, account.Listed) // imported: no first login made it
	must(t, d.provisioner.Admit(t.Context(), anna, "{X}hash", secret.FromString("own")))
	past, err := notebook{d.store, time.Minute}.Load(t.Context())
	must(t, err)
	if len(past.Creations) != 1 || past.Creations[0].Domain != domain || time.Since(past.Creations[0].At) > time.Minute {
		t.Errorf("got %+v", past.Creations)
	}
}
