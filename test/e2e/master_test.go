package e2e

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mailstork/test/corpus"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

const masterCanary = "c4nary m4ster pässword"

// Two addresses and a master user are enough: both accounts are copied before anybody logs in. The first login is still
// what switches an account, and the master password is nowhere to be read (S1).
func TestAMasterUserCopiesAccountsOfWhichOnlyTheAddressIsKnown(t *testing.T) {
	s := start(t, func(o *site.Options) {
		o.Prepare = func(lab *testbed.Lab, o *site.Options) error {
			file := filepath.Join(lab.Dir, "masters")
			o.Source.ExtraConfig = "auth_master_user_separator = *\npassdb {\n  driver = passwd-file\n  master = yes\n  args = " + file + "\n}\n"
			return os.WriteFile(file, fmt.Appendf(nil, "admin:{SHA256.HEX}%x\n", sha256.Sum256([]byte(masterCanary))), 0o644)
		}
	})
	must(t, corpus.Seed(s.Source, anna, annaPass, corpus.Small()))
	dir := t.TempDir()
	secretFile, list := filepath.Join(dir, "master"), filepath.Join(dir, "list")
	must(t, os.WriteFile(secretFile, []byte(masterCanary+"\n"), 0o600), os.WriteFile(list, []byte(anna+"\n"+bob+"\n"), 0o600))
	for _, args := range [][]string{
		{"domain", "login", domain, "--master-user", "admin", "--master-login", "dovecot", "--login-secret-file", secretFile},
		{"account", "import", list},
	} {
		if out, err := s.CLI(args...); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	waitState(t, s, anna, "following")
	waitState(t, s, bob, "following")
	var shown struct {
		SwitchedAt string `json:"switched_at"`
	}
	must(t, s.JSON(&shown, "account", "show", anna))
	if shown.SwitchedAt != "" {
		t.Errorf("switched at %s, and nobody has logged in", shown.SwitchedAt)
	}
	login(t, s, anna, annaPass)
	must(t, s.JSON(&shown, "account", "show", anna))
	if shown.SwitchedAt == "" {
		t.Error("the first login did not switch the account")
	}
	compareWithSource(t, s)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.StateDir, "mailstork.db")+"?mode=ro")
	must(t, err)
	defer db.Close()
	var own, shared int
	must(t, db.QueryRow("SELECT (SELECT count(*) FROM credential), (SELECT count(*) FROM domain_credential)").Scan(&own, &shared))
	if own != 0 || shared != 1 {
		t.Errorf("%d passwords of owners are stored and %d of the domain; want 0 and 1", own, shared)
	}
	log, err := os.ReadFile(s.DaemonLog)
	must(t, err)
	if foundIn(t, s, []byte(masterCanary)) || bytes.Contains(log, []byte(masterCanary)) {
		t.Error("the master password stands in the database or in the log")
	}
}
