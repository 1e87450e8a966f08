package daemon

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

const masterCanary = "c4nary-m4ster"

var masterLogin = account.SourceLogin{Kind: account.LoginMaster, User: "admin", Spelling: "dovecot"}

// scripted is a source that says what a script wants.
func scripted(t *testing.T, s wiretest.Script) (*wiretest.Server, account.Source) {
	t.Helper()
	srv := wiretest.Start(t, s)
	host, port, _ := net.SplitHostPort(srv.Address)
	n, _ := strconv.Atoi(port)
	return srv, account.Source{Host: host, Port: n, TLS: account.TLSNone}
}

func TestAddressesAloneAreOpenedByTheMasterUser(t *testing.T) { // A1, S1
	d, log := newDaemon(t, privateAllowed)
	srv, source := scripted(t, wiretest.Script{})
	d.addDomain(t, source, account.Open)
	shown, err := d.SetDomainLogin(t.Context(), domain, masterLogin, secret.FromString(masterCanary), true)
	if err != nil || shown.Login == nil {
		t.Fatalf("dry run: %+v, %v", shown.Login, err)
	}
	if _, err := d.Import(t.Context(), []control.ImportRow{row(1, anna, "")}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Act(t.Context(), anna, control.Sync); err == nil {
		t.Error("a dry run stored something: the account can be opened")
	}
	shown, err = d.SetDomainLogin(t.Context(), domain, masterLogin, secret.FromString(masterCanary), false)
	if err != nil || shown.Login == nil || *shown.Login != masterLogin {
		t.Fatalf("got %+v, %v", shown.Login, err)
	}
	d.work(t)
	want := fmt.Sprintf("LOGIN {22}\r\nanna@example.org*admin {%d}\r\n%s", len(masterCanary), masterCanary)
	soon(t, func() error {
		if a := d.read(t, anna); a.State == account.Listed || !slices.Contains(srv.Lines(), want) {
			return fmt.Errorf("%s is %s after %q", anna, a.State, srv.Lines())
		}
		return nil
	})
	detail, err := d.Account(t.Context(), anna)
	if err != nil || !detail.Credential {
		t.Errorf("shown as without credential: %v", err)
	}
	if _, err := d.store.Credential(t.Context(), detailID(t, d), store.KindPassword); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the account got a copy of the credential: %v", err)
	}
	if strings.Contains(log.String(), masterCanary) || inDatabase(t, d, masterCanary) {
		t.Error("the master password stands in the log or in the database")
	}
}

func detailID(t *testing.T, d *Daemon) int64 { return d.read(t, anna).ID }

func inDatabase(t *testing.T, d *Daemon, octets string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.config.StateDir, "mailstork.db*"))
	must(t, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		if bytes.Contains(content, []byte(octets)) {
			return true
		}
	}
	return false
}

func TestAPasswordOfItsOwnGoesBeforeTheMasterUser(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed)
	of := d.addDomain(t, account.Source{Host: "x.example", Port: 993, TLS: account.TLSImplicit}, account.Open)
	_, err := d.SetDomainLogin(t.Context(), domain, masterLogin, secret.FromString("m"), false)
	must(t, err)
	own := d.addAccount(t, of, anna, account.Following)
	shared := d.addAccount(t, of, bob, account.Listed)
	o, name, err := d.sourceOptions(t.Context(), of, own)
	if err != nil || o.User != string(anna) || name != "" {
		t.Errorf("own: %q, %q, %v", o.User, name, err)
	}
	o, name, err = d.sourceOptions(t.Context(), of, shared)
	if err != nil || o.User != "bob@example.org*admin" || name != "the master user admin" {
		t.Errorf("shared: %q, %q, %v", o.User, name, err)
	}
}

// A wrong master password must not look like an attack: after three accounts nobody asks any more, until somebody looks.
func TestAMasterUserThatIsRefusedIsNotTriedForEveryAccount(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed+"mirror: {workers: 1}\n")
	srv, source := scripted(t, wiretest.Script{Replies: map[string]string{"LOGIN": "TAG NO [AUTHENTICATIONFAILED] no\r\n"}})
	d.addDomain(t, source, account.Open)
	_, err := d.SetDomainLogin(t.Context(), domain, masterLogin, secret.FromString("wrong"), false)
	must(t, err)
	var rows []control.ImportRow
	for i := range 8 {
		rows = append(rows, row(i+1, account.Address(fmt.Sprintf("p%d@example.org", i)), ""))
	}
	_, err = d.Import(t.Context(), rows, false)
	must(t, err)
	d.work(t)
	soon(t, func() error {
		stuck := 0
		for _, r := range rows {
			if d.read(t, r.Address).Stuck != "" {
				stuck++
			}
		}
		if stuck < len(rows) {
			return fmt.Errorf("%d of %d accounts tell what is wrong", stuck, len(rows))
		}
		return nil
	})
	logins := 0
	for _, line := range srv.Lines() {
		if strings.HasPrefix(line, "LOGIN") {
			logins++
		}
	}
	if logins != refusalsBeforeDoubt {
		t.Errorf("%d logins reached the source, want %d", logins, refusalsBeforeDoubt)
	}
	first, last := d.read(t, rows[0].Address), d.read(t, rows[7].Address)
	if !strings.Contains(first.Stuck, "does not let the master user admin open p0@example.org") || !strings.Contains(first.Hint, "mailstork domain login example.org") {
		t.Errorf("the first account says %q, %q", first.Stuck, first.Hint)
	}
	if !strings.Contains(last.Stuck, "Not tried") {
		t.Errorf("the last account says %q", last.Stuck)
	}
}

func TestTheCredentialOfADomainIsErasedWithoutATrace(t *testing.T) { // S1
	for _, how := range []string{"closed", "removed"} {
		d, _ := newDaemon(t, "")
		of := d.addDomain(t, account.Source{}, account.Draining)
		_, err := d.SetDomainLogin(t.Context(), domain, masterLogin, secret.FromString(masterCanary), false)
		must(t, err)
		_, sealed, err := d.store.DomainCredential(t.Context(), of.ID)
		must(t, err)
		if !inDatabase(t, d, string(sealed)) {
			t.Fatal("the search does not even find what is there")
		}
		if how == "removed" {
			shown, err := d.SetDomainLogin(t.Context(), domain, account.SourceLogin{}, secret.Secret{}, false)
			if err != nil || shown.Login != nil {
				t.Errorf("removing: %+v, %v", shown.Login, err)
			}
		} else {
			d.decide(t, account.Closed, 0)
			if d.domainNow(t).State != account.Closed {
				t.Fatal("the domain did not close")
			}
			_, err := d.SetDomainLogin(t.Context(), domain, masterLogin, secret.FromString("x"), false)
			var refused *control.Error
			if !errors.As(err, &refused) || refused.Kind != control.KindRefused {
				t.Errorf("a login for a closed domain: %v", err)
			}
		}
		if _, _, err := d.store.DomainCredential(t.Context(), of.ID); !errors.Is(err, store.ErrNotFound) || inDatabase(t, d, string(sealed)) {
			t.Errorf("%s: the credential is still there: %v", how, err)
		}
	}
}

// An owner whose account the domain's credential opens lends us nothing: the password is not even sealed.
func TestAFirstLoginUnderAMasterUserLeavesNoPassword(t *testing.T) {
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{}, account.Open)
	a := d.addAccount(t, of, anna, account.Listed)
	_, err := d.SetDomainLogin(t.Context(), domain, masterLogin, secret.FromString("m"), false)
	must(t, err, d.provisioner.Admit(t.Context(), anna, "{X}hash", secret.FromString("own")))
	if _, err := d.store.Credential(t.Context(), a.ID, store.KindPassword); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a password is stored: %v", err)
	}
	if now := d.read(t, anna); now.State != account.Joined || !now.Switched() {
		t.Errorf("the account is %s, switched %v", now.State, now.Switched())
	}
}

func TestARefreshTokenThatIsReplacedIsSealedInThePlaceOfTheOldOne(t *testing.T) { // S1
	d, log := newDaemon(t, privateAllowed)
	srv, source := scripted(t, wiretest.Script{Capabilities: "AUTH=XOAUTH2 SASL-IR"})
	d.addDomain(t, source, account.Open)
	endpoint := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		_, _ = fmt.Fprintf(w, `{"access_token":"c4nary-a","token_type":"Bearer","expires_in":3600,"refresh_token":"c4nary-r2"}`)
	}))
	t.Cleanup(endpoint.Close)
	d.logins.transport = endpoint.Client().Transport
	_, err := d.SetDomainLogin(t.Context(), domain, account.SourceLogin{Kind: account.LoginRefresh, TokenURL: endpoint.URL, ClientID: "c"}, secret.FromString("c4nary-s"), false)
	must(t, err)
	_, err = d.Import(t.Context(), []control.ImportRow{row(1, anna, "c4nary-r1")}, false)
	must(t, err)
	d.work(t)
	want := "AUTHENTICATE XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=anna@example.org\x01auth=Bearer c4nary-a\x01\x01"))
	soon(t, func() error {
		if !slices.Contains(srv.Lines(), want) {
			return fmt.Errorf("sent %q", srv.Lines())
		}
		return nil
	})
	token, err := d.ownCredential(t.Context(), d.read(t, anna))
	if err != nil || string(token.Reveal()) != "c4nary-r2" {
		t.Errorf("stored is %q, %v", token.Reveal(), err)
	}
	if strings.Contains(log.String(), "c4nary") || inDatabase(t, d, "c4nary") {
		t.Error("a token or secret stands in the log or in the database")
	}
}

func TestAddingADomainTellsWhatItsSourceSaysItIs(t *testing.T) {
	for reply, told := range map[string]bool{
		"* ID (\"name\" \"OldIMAP\" \"version\" \"1.2\")\r\nTAG OK\r\n": true,
		"TAG BAD what\r\n": false,
		"CLOSE":            false,
	} {
		d, log := newDaemon(t, privateAllowed)
		_, source := scripted(t, wiretest.Script{Capabilities: "ID", Replies: map[string]string{"ID": reply, "LOGIN": "TAG NO [AUTHENTICATIONFAILED] no\r\n"}})
		_, err := d.AddDomain(t.Context(), account.Domain{Name: domain, Source: source, Accounts: account.AccountsListed}, false)
		if err != nil || strings.Contains(log.String(), "OldIMAP 1.2") != told {
			t.Errorf("%q: %v; log %s", reply, err, log.String())
		}
	}
}
