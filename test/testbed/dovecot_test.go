package testbed

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	anna         = "anna@example.org"
	annaPassword = "old: \"pass\" wörd"
)

func mustLogin(t *testing.T, d *Dovecot, address, password string) *Client {
	t.Helper()
	client, err := d.Login(address, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Cut)
	return client
}

func letter(subject string) []byte {
	return []byte("From: a@example.net\r\nTo: " + anna + "\r\nSubject: " + subject + "\r\n\r\nHello.\r\n")
}

func TestSourceServesItsOwnersInAllThreeModes(t *testing.T) {
	Need(t, "dovecot")
	lab := NewForTest(t)
	source, err := lab.StartSource(SourceOptions{Accounts: map[string]string{anna: annaPassword}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Dial(source.IMAPAddress)
	if err != nil {
		t.Fatal(err)
	}
	implicit, err := DialTLS(source.IMAPSAddress, lab.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	upgraded, err := Dial(source.IMAPAddress)
	if err != nil {
		t.Fatal(err)
	}
	if err := upgraded.StartTLS(lab.CAFile); err != nil {
		t.Fatal(err)
	}
	for name, client := range map[string]*Client{"none": plain, "implicit": implicit, "starttls": upgraded} {
		if err := client.Login(anna, annaPassword); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := client.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALabRunsTheVersionThatItWasAskedFor(t *testing.T) {
	Need(t, "dovecot 2.3", "dovecot 2.4")
	lab := NewForTest(t)
	for _, version := range []string{Dovecot23, Dovecot24} {
		source, err := lab.StartSource(SourceOptions{Name: "source-" + version, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		destination, err := lab.StartDestination(DestinationOptions{Name: "destination-" + version, Version: version})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []*Dovecot{source, destination} {
			log, err := os.ReadFile(d.LogFile)
			if err != nil || !strings.Contains(string(log), "Dovecot v"+version) {
				t.Errorf("%s says %q, %v", d.Name, log, err)
			}
			out, err := exec.Command(filepath.Join(d.BinDir, "dovecot"), "--version").Output()
			if err != nil || !strings.HasPrefix(string(out), version) {
				t.Errorf("dovecot of %s is %q, %v", d.Name, out, err)
			}
			if out, err := d.Doveadm("who"); err != nil || !strings.HasPrefix(out, "username") {
				t.Errorf("doveadm of %s said %q, %v", d.Name, out, err)
			}
		}
	}
	if _, err := lab.StartSource(SourceOptions{Name: "old", Version: "2.2"}); err == nil || !strings.Contains(err.Error(), "2.2") {
		t.Errorf("an unknown version: %v", err)
	}
}

func TestWrongPasswordsDoNotSlowDownTheNextLogin(t *testing.T) {
	Need(t, "dovecot")
	source, err := NewForTest(t).StartSource(SourceOptions{Accounts: map[string]string{anna: annaPassword}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 4 {
		var refused *StatusError
		if _, err := source.Login(anna, "wrong"); !errors.As(err, &refused) || !strings.Contains(refused.Text, "AUTHENTICATIONFAILED") {
			t.Fatalf("got %v, want AUTHENTICATIONFAILED", err)
		}
	}
	mustLogin(t, source, anna, annaPassword)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("four failures and a login took %s", took)
	}
}

func TestCertificateOfTheSourceCanBeWrong(t *testing.T) {
	Need(t, "dovecot")
	lab := NewForTest(t)
	for name, options := range map[string]SourceOptions{
		"expired":   {Name: "expired", CertificateExpired: true},
		"otherhost": {Name: "otherhost", CertificateHosts: []string{"imap.example.net"}},
	} {
		source, err := lab.StartSource(options)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DialTLS(source.IMAPSAddress, lab.CAFile); err == nil || !strings.Contains(err.Error(), "x509") {
			t.Errorf("%s: got %v, want an x509 error", name, err)
		}
	}
}

func TestSourceKeepsItsNamespacePrefixAndSpecialUse(t *testing.T) {
	Need(t, "dovecot")
	source, err := NewForTest(t).StartSource(SourceOptions{
		Accounts: map[string]string{anna: annaPassword}, Prefix: "INBOX.",
		SpecialUse: map[string]string{"Posta inviata": `\Sent`},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mustLogin(t, source, anna, annaPassword)
	if err := client.Create("INBOX.Posta inviata"); err != nil {
		t.Fatal(err)
	}
	folders, err := client.Folders()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if folder.Name == "INBOX.Posta inviata" && folder.Separator == "." && folder.Has(`\Sent`) && folder.Subscribed {
			return
		}
	}
	t.Errorf("got %+v, want INBOX.Posta inviata as \\Sent", folders)
}

func TestQuotaOfTheSourceIsEnforced(t *testing.T) {
	Need(t, "dovecot")
	source, err := NewForTest(t).StartSource(SourceOptions{Accounts: map[string]string{anna: annaPassword}, Quota: "1M"})
	if err != nil {
		t.Fatal(err)
	}
	client := mustLogin(t, source, anna, annaPassword)
	_, err = client.Append("INBOX", nil, time.Now(), append(letter("big"), bytes.Repeat([]byte("x\r\n"), 500_000)...))
	if err == nil || !strings.Contains(err.Error(), "[OVERQUOTA]") {
		t.Errorf("got %v, want OVERQUOTA", err)
	}
}

func TestLetterByLMTPReachesTheOwner(t *testing.T) {
	Need(t, "dovecot")
	source, err := NewForTest(t).StartSource(SourceOptions{Accounts: map[string]string{anna: annaPassword}})
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Deliver("a@example.net", letter("hello there"), anna); err != nil {
		t.Fatal(err)
	}
	if err := source.Deliver("a@example.net", letter("nobody"), "nobody@example.org"); err == nil {
		t.Error("a letter for nobody was accepted")
	}
	client := mustLogin(t, source, anna, annaPassword)
	if _, err := client.Select("INBOX"); err != nil {
		t.Fatal(err)
	}
	uids, err := client.Search(`SUBJECT "hello there"`)
	if err != nil || len(uids) != 1 {
		t.Errorf("got UIDs %v and error %v, want one", uids, err)
	}
}

// grants answers like the daemon's auth hook: one password is right.
type grants struct {
	home  string
	calls atomic.Int64
}

func (g *grants) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.calls.Add(1)
	reply := map[string]string{"access_token": "t", "username": r.PostFormValue("username"), "active": "false"}
	if r.PostFormValue("client_secret") == "s3cret" && r.PostFormValue("password") == annaPassword {
		reply["active"], reply["uid"], reply["gid"], reply["home"] = "true", "5000", "5000", g.home
	}
	_ = json.NewEncoder(w).Encode(reply)
}

func startHook(t *testing.T, lab *Lab) (*grants, string) {
	t.Helper()
	hook := &grants{home: filepath.Join(lab.Dir, "destination", "home", "example.org", "anna")}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: hook}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return hook, listener.Addr().String()
}

func TestFirstLoginAtTheDestinationAsksTheHook(t *testing.T) {
	Need(t, "dovecot")
	lab := NewForTest(t)
	hook, address := startHook(t, lab)
	destination, err := lab.StartDestination(DestinationOptions{HookAddress: address, HookSecret: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	var refused *StatusError
	if _, err := destination.Login(anna, "wrong"); !errors.As(err, &refused) || !strings.Contains(refused.Text, "AUTHENTICATIONFAILED") {
		t.Errorf("wrong password: got %v, want AUTHENTICATIONFAILED", err)
	}
	client := mustLogin(t, destination, anna, annaPassword)
	if _, err := client.Append("INBOX", nil, time.Now(), letter("first")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(destination.Home(anna), "Maildir")); err != nil {
		t.Errorf("the home that the hook named was not used: %v", err)
	}
	if calls := hook.calls.Load(); calls != 2 {
		t.Errorf("the hook was asked %d times, want 2", calls)
	}
}

func TestKnownAccountsLogInWhileTheHookIsAway(t *testing.T) {
	Need(t, "dovecot")
	destination, err := NewForTest(t).StartDestination(DestinationOptions{
		Accounts:   map[string]string{anna: annaPassword},
		MasterUser: "stork", MasterPassword: "master pw",
	})
	if err != nil {
		t.Fatal(err)
	}
	mustLogin(t, destination, anna, annaPassword)
	mustLogin(t, destination, anna+"*stork", "master pw")
	var refused *StatusError
	if _, err := destination.Login("new@example.org", "any"); !errors.As(err, &refused) || !strings.Contains(refused.Text, "UNAVAILABLE") {
		t.Errorf("unknown account: got %v, want UNAVAILABLE", err)
	}
}

func TestAccountAddedWhileRunningIsKnownAtOnce(t *testing.T) {
	Need(t, "dovecot")
	destination, err := NewForTest(t).StartDestination(DestinationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := destination.ListAccount("listed@example.org"); err != nil {
		t.Fatal(err)
	}
	if err := destination.Deliver("a@example.net", letter("early"), "listed@example.org"); err != nil {
		t.Error(err)
	}
	if err := destination.AddAccount(anna, "first", destination.QuotaField("1M")); err != nil {
		t.Fatal(err)
	}
	client := mustLogin(t, destination, anna, "first")
	lines, err := client.Command("GETQUOTAROOT INBOX")
	if err != nil || len(lines) < 2 || !strings.Contains(lines[1].String(), "STORAGE 0 1024") {
		t.Errorf("got %v and error %v, want a limit of 1024 KiB", lines, err)
	}
	if err := destination.SetPassword(anna, "second"); err != nil {
		t.Fatal(err)
	}
}

func TestDoveadmSeesAndKicksSessions(t *testing.T) {
	Need(t, "dovecot")
	destination, err := NewForTest(t).StartDestination(DestinationOptions{Accounts: map[string]string{anna: annaPassword}})
	if err != nil {
		t.Fatal(err)
	}
	client := mustLogin(t, destination, anna, annaPassword)
	if who, err := destination.Doveadm("who", "-1"); err != nil || !strings.Contains(who, anna) {
		t.Errorf("got %q and error %v, want %s in it", who, err, anna)
	}
	if _, err := destination.Doveadm("kick", anna); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(pollEvery) {
		if _, err := client.Command("NOOP"); err != nil {
			return // the signal has arrived
		}
		if time.Now().After(deadline) {
			t.Fatal("the session survived its kick")
		}
	}
}

func TestCommandsShowsWhatClientsSentWithoutBodies(t *testing.T) {
	Need(t, "dovecot")
	destination, err := NewForTest(t).StartDestination(DestinationOptions{
		Accounts: map[string]string{anna: annaPassword}, RawLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := mustLogin(t, destination, anna, annaPassword)
	if _, err := client.Append("INBOX", []string{`\Seen`}, time.Now(), letter("kept secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AppendAll("INBOX", []Message{{Content: letter("one")}, {Content: letter("two")}}); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	commands, err := destination.Commands()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(commands, "\n")
	if len(commands) != 4 || strings.Contains(all, "Subject") || !strings.Contains(all, `APPEND "INBOX" (\Seen)`) {
		t.Errorf("got %d commands:\n%s", len(commands), all)
	}
}

func TestCloseLeavesNoProcessBehind(t *testing.T) {
	Need(t, "dovecot")
	lab := NewForTest(t)
	source, err := lab.StartSource(SourceOptions{Accounts: map[string]string{anna: annaPassword}})
	if err != nil {
		t.Fatal(err)
	}
	mustLogin(t, source, anna, annaPassword)
	family := descendants(source.proc.cmd.Process.Pid)
	if len(family) < 3 {
		t.Fatalf("got %d processes below the master, want at least 3", len(family))
	}
	if err := lab.Close(); err != nil {
		t.Fatal(err)
	}
	for _, member := range family {
		if member.alive() {
			t.Errorf("process %d is still there", member.pid)
		}
	}
	if _, err := Dial(source.IMAPAddress); err == nil {
		t.Error("somebody still answers")
	}
}

func TestLabsPasswordsAreInNoFile(t *testing.T) {
	Need(t, "dovecot")
	lab := NewForTest(t)
	const canary = "canary-4711"
	source, err := lab.StartSource(SourceOptions{Accounts: map[string]string{anna: canary}})
	if err != nil {
		t.Fatal(err)
	}
	mustLogin(t, source, anna, canary)
	err = filepath.WalkDir(lab.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(canary)) {
			t.Errorf("%s contains the password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
