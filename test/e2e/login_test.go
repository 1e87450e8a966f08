package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

func TestWrongPasswordIsRefusedAndCreatesNothing(t *testing.T) { // A1
	s := start(t, nil)
	for _, password := range []string{"wrong", "", annaPass + " ", strings.ToUpper(annaPass)} {
		if c, err := s.Dest.Login(anna, password); err == nil {
			_ = c.Close()
			t.Errorf("password %q was accepted", password)
		}
	}
	var accounts []site.Account
	must(t, s.JSON(&accounts, "account", "list"))
	if len(accounts) != 0 {
		t.Errorf("accounts after wrong passwords: %+v", accounts)
	}
	if home := s.Dest.Home(anna); exists(home) {
		t.Errorf("%s exists", home)
	}
	login(t, s, anna, annaPass) // the right one still works after four wrong ones
}

func TestSourceDownIsTemporaryAndLocksNobodyOut(t *testing.T) { // A3
	s := start(t, nil)
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	must(t, s.Source.Stop())
	_, err := s.Dest.Login(bob, s.People[bob])
	var status *testbed.StatusError
	if !errors.As(err, &status) || !strings.Contains(status.Text, "[UNAVAILABLE]") {
		t.Errorf("first login while the source is down: %v; want a temporary failure", err)
	}
	login(t, s, anna, annaPass)
	must(t, s.Source.Start())
	must(t, site.Eventually(func() error {
		c, err := s.Dest.Login(bob, s.People[bob])
		if err == nil {
			return c.Close()
		}
		return err
	}))
}

func TestKnownAccountsLogInWithoutTheDaemon(t *testing.T) {
	s := start(t, nil)
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	must(t, s.Kill(9))
	login(t, s, anna, annaPass)
	must(t, s.Dest.Deliver("carl@elsewhere.example", letterTo(anna, "while the daemon is dead"), anna))
}

// The canary is the old password. It may be in the process that types it, in Dovecot's memory and in the sealed
// column; in clear it may be nowhere.
func TestCanaryPasswordAppearsNowhere(t *testing.T) { // S1
	s := start(t, func(o *site.Options) { o.Config = map[string]map[string]any{"log": {"level": "debug"}} })
	const canary = "c4nary-4nna-0ld"
	must(t, s.Source.SetPassword(anna, canary))
	if c, err := s.Dest.Login(anna, canary+"-wrong"); err == nil {
		_ = c.Close()
		t.Error("a wrong password was accepted")
	}
	login(t, s, anna, canary)
	waitState(t, s, anna, "following")
	_, err := s.CLIWithInput(strings.NewReader("address,password\n"+bob+","+canary+"-imported\n"), "account", "import", "-")
	must(t, err)
	must(t, site.Eventually(func() error { // its pass must fail and say so without the password
		var a site.Account
		if err := s.JSON(&a, "account", "show", bob); err != nil {
			return err
		}
		if a.Stuck == "" {
			return errors.New("bob's account is not stuck yet")
		}
		return nil
	}))
	checkProcess(t, s.PID(), canary)
	for _, args := range [][]string{{"account", "list"}, {"account", "show", anna}, {"account", "show", bob}, {"log", anna}, {"log", bob}, {"status"}, {"domain", "show", domain}} {
		out, err := s.CLI(append(args, "--json")...)
		if must(t, err); strings.Contains(out, canary) {
			t.Errorf("mailstork %s shows the password", strings.Join(args, " "))
		}
	}
	// Dovecot's own files of the lab hold the source's user database with hashes only.
	must(t, filepath.WalkDir(s.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(content), canary) {
			t.Errorf("the password is in %s", path)
		}
		return err
	}))
}

func checkProcess(t *testing.T, pid int, canary string) {
	t.Helper()
	for _, name := range []string{"cmdline", "environ"} {
		content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), canary) {
			t.Errorf("the password is in the daemon's %s", name)
		}
	}
}

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }
