package daemon

import (
	"errors"
	"strings"
	"testing"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

func TestAnAdminsPasswordIsProvenAtTheSourceBeforeItCountsAsIts(t *testing.T) { // A1, A2
	d, log := newDaemon(t, privateAllowed)
	srv, source := scripted(t, wiretest.Script{Answer: func(line string) (string, bool) {
		return refusesAll, strings.HasPrefix(line, "LOGIN") && !strings.Contains(line, "c4nary-right")
	}})
	of := d.addDomain(t, source, account.Open)
	d.addAccount(t, of, anna, account.Listed)
	set := func(password string, alsoAtSource, dryRun bool) error {
		_, err := d.SetPassword(t.Context(), anna, secret.FromString(password), alsoAtSource, dryRun)
		return err
	}
	var refused *control.Error
	if err := set("c4nary-x", false, false); !errors.As(err, &refused) || refused.Kind != control.KindRefused {
		t.Errorf("before the first login: %v", err)
	}
	must(t, set("c4nary-right", true, true))
	if len(srv.Lines()) != 0 || d.read(t, anna).PasswordHash != "" {
		t.Errorf("a dry run asked the source %q, or stored a hash", srv.Lines())
	}
	must(t, set("c4nary-right", true, false))
	a := d.read(t, anna)
	first := a.PasswordHash
	if first == "" || a.State != account.Joined {
		t.Fatalf("proven: %s, hash %q", a.State, first)
	}
	if err := set("c4nary-wrong", true, false); !errors.As(err, &refused) || !strings.Contains(refused.Sentence, "refuses this password") {
		t.Errorf("a wrong one: %v", err)
	}
	if now := d.read(t, anna); now.PasswordHash != first {
		t.Error("a password that the source refuses replaced the hash")
	}
	asked := len(srv.Lines())
	must(t, set("c4nary-local", false, false))
	if now := d.read(t, anna); now.PasswordHash == first || len(srv.Lines()) != asked {
		t.Error("a local password was not stored, or the source was asked about it")
	}
	if own, err := d.ownCredential(t.Context(), d.read(t, anna)); err != nil || string(own.Reveal()) != "c4nary-right" {
		t.Errorf("the passes have %q, %v", own.Reveal(), err)
	}
	if strings.Contains(log.String(), "c4nary") || inDatabase(t, d, "c4nary") {
		t.Error("a password stands in the log or in the database")
	}
}
