package daemon

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

func row(line int, address account.Address, password string) control.ImportRow {
	r := control.ImportRow{Line: line, Address: address}
	if password != "" {
		r.Password = secret.FromString(password)
	}
	return r
}

func actions(result control.ImportResult) (all []string) {
	for _, r := range result.Rows {
		all = append(all, string(r.Address)+" "+r.Action)
	}
	return all
}

func (d *Daemon) addresses(t *testing.T) (all []account.Address) {
	t.Helper()
	accounts, err := d.store.Accounts(t.Context(), "")
	must(t, err)
	for _, a := range accounts {
		all = append(all, a.Address)
	}
	return all
}

func TestImportNamesEveryWrongLineAndAddsNone(t *testing.T) {
	d, _ := newDaemon(t, "")
	d.addDomain(t, account.Source{}, account.Closed)
	open, err := d.store.AddDomain(t.Context(), account.Domain{Name: "open.example", Accounts: account.AccountsListed})
	must(t, err)
	good := account.Address("x@" + open.Name)
	_, err = d.Import(t.Context(), []control.ImportRow{
		row(2, good, "secret"), row(3, "y@unknown.example", ""), row(4, "y@"+account.Address(open.Name), ""), row(5, anna, ""), row(7, good, ""),
	}, false)
	var told *control.Error
	if !errors.As(err, &told) || told.Kind != control.KindInvalid || told.Sentence != "3 lines can't be imported, nothing was changed" {
		t.Fatalf("got %v", err)
	}
	want := []control.LineError{
		{Line: 3, Problem: "domain unknown.example is not known; add it first: mailstork domain add unknown.example"},
		{Line: 5, Problem: "domain example.org is closed"},
		{Line: 7, Problem: "x@open.example stands in line 2 already"},
	}
	if !reflect.DeepEqual(told.Lines, want) {
		t.Errorf("lines:\n got %+v\nwant %+v", told.Lines, want)
	}
	if all := d.addresses(t); len(all) > 0 {
		t.Errorf("accounts were added: %v", all)
	}
}

func TestImportThatFailsInTheMiddleChangesNothing(t *testing.T) {
	d, _ := newDaemon(t, "")
	d.addDomain(t, account.Source{}, account.Open)
	_, err := d.store.Reader().ExecContext(t.Context(),
		`CREATE TRIGGER broken BEFORE INSERT ON account WHEN NEW.address = 'carla@example.org' BEGIN SELECT RAISE(ABORT, 'broken'); END`)
	must(t, err)
	result, err := d.Import(t.Context(), []control.ImportRow{row(1, anna, "one"), row(2, bob, "two"), row(3, carla, "three")}, false)
	if err == nil || !strings.Contains(err.Error(), "importing line 3") || len(result.Rows) > 0 {
		t.Errorf("got %+v, %v; want an error about line 3", result, err)
	}
	if all := d.addresses(t); len(all) > 0 {
		t.Errorf("accounts were added: %v", all)
	}
}

func TestDryRunOfAnImportTellsWhatTheRealOneDoesAndChangesNothing(t *testing.T) {
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{}, account.Open)
	d.addAccount(t, of, anna, account.Following)
	d.addAccount(t, of, bob, account.Listed)
	must(t, d.provisioner.Refresh(t.Context()))
	files := func() string {
		content, err := os.ReadFile(d.config.Dovecot.UserdbFile)
		must(t, err)
		return string(content)
	}
	sealed := func() []byte {
		before, err := d.store.Credential(t.Context(), d.read(t, anna).ID, store.KindPassword)
		must(t, err)
		return before
	}
	userdb, credential, at := files(), sealed(), d.read(t, anna)
	rows := []control.ImportRow{row(1, anna, "newer"), row(2, bob, ""), row(3, carla, "hers")}
	rows[1].SourceUser = "bob"
	tried, err := d.Import(t.Context(), rows, true)
	must(t, err)
	if got := d.read(t, anna); len(d.addresses(t)) != 2 || files() != userdb || !bytes.Equal(sealed(), credential) || !reflect.DeepEqual(got, at) ||
		d.read(t, bob).SourceUser != string(bob) {
		t.Errorf("the dry run changed something: %v, %+v", d.addresses(t), got)
	}
	done, err := d.Import(t.Context(), rows, false)
	must(t, err)
	want := []string{"anna@example.org changed", "bob@example.org changed", "carla@example.org added"}
	if !tried.DryRun || done.DryRun || !reflect.DeepEqual(actions(tried), want) || !reflect.DeepEqual(tried.Rows, done.Rows) ||
		done.Added != 1 || done.Changed != 2 || done.Passwords != 2 || tried.Added != 1 || tried.Changed != 2 {
		t.Errorf("dry run %+v\nreal %+v\nwant %v", tried, done, want)
	}
	if !strings.Contains(files(), string(carla)+":") {
		t.Error("mail for the imported account would not be accepted: it is not in the userdb file")
	}
}

func TestImportedPasswordIsSealedAndItsPassDue(t *testing.T) { // S1
	d, log := newDaemon(t, "")
	of := d.addDomain(t, account.Source{}, account.Open)
	a := d.addAccount(t, of, anna, account.Following)
	must(t, d.store.SetStuck(t.Context(), anna, "refused", "import"))
	const password = "c4nary-imp0rted"
	_, err := d.Import(t.Context(), []control.ImportRow{row(1, anna, password)}, false)
	must(t, err)
	sealed, err := d.store.Credential(t.Context(), a.ID, store.KindPassword)
	must(t, err)
	opened, err := d.sealer.Open(sealed, a.ID, store.KindPassword)
	if err != nil || string(opened.Reveal()) != password || bytes.Contains(sealed, []byte(password)) {
		t.Errorf("the stored credential opens to %q, %v", opened.Reveal(), err)
	}
	if a = d.read(t, anna); a.NextPassAt.After(time.Now()) || a.Stuck != "" || a.State != account.Following {
		t.Errorf("after the import: %+v, want a due pass and no trouble", a)
	}
	if strings.Contains(log.String(), password) {
		t.Error("the log shows the password")
	}
	again, err := d.Import(t.Context(), []control.ImportRow{row(1, anna, ""), row(2, bob, "")}, false)
	if err != nil || again.Unchanged != 1 || again.Added != 1 || again.Passwords != 0 {
		t.Errorf("importing addresses alone: %+v, %v", again, err)
	}
}

func TestImportGivesAFinishedAccountNoCredential(t *testing.T) { // S1
	d, _ := newDaemon(t, "")
	a := d.addAccount(t, d.addDomain(t, account.Source{}, account.Draining), anna, account.Done)
	result, err := d.Import(t.Context(), []control.ImportRow{row(1, anna, "late")}, false)
	if err != nil || result.Unchanged != 1 {
		t.Errorf("got %+v, %v; want it unchanged", result, err)
	}
	if _, err := d.store.Credential(t.Context(), a.ID, store.KindPassword); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a credential is stored: %v", err)
	}
}
