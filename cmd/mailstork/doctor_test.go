package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/authhook"
	"mailstork/daemon/control"
	"mailstork/test/fakeoperator"
)

// patient is a machine on which everything is well, until a test spoils something.
type patient struct {
	session
	dir, hookAnswer string
	settings        map[string]string
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	dir := t.TempDir()
	p := &patient{session: session{t: t, operator: fakeoperator.New()}, dir: dir}
	p.operator.List = nil // nobody is stuck
	p.hookAnswer = `{"access_token":"-","username":"-","active":"true","uid":"65534","gid":"65534","home":"/nonexistent"}`
	for name, content := range map[string]string{
		"state/mailstork.db": "", "state/key": strings.Repeat("k", 32), "state/hook-secret": "s3cret\n",
		"state/dovecot/passdb": "", "state/dovecot/userdb": "", "state/dovecot/proxied": "", "run/dovecot/master": "", "doveadm": "", "dovecot.conf": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	p.settings = map[string]string{
		"state_dir": dir + "/state", "runtime_dir": dir + "/run",
		"control": "{socket: " + p.operator.Serve(t) + "}",
		"hook":    "{listen: '" + p.serveHook() + "'}",
		"milter":  "{listen: '" + serveLines(t, "\x00\x00\x00\x0dO\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00") + "'}",
		"dovecot": "{imap_address: '" + serveLines(t, "* OK ready\r\n") + "', file_group: '', doveadm_path: " + dir + "/doveadm, home_template: '" + dir + "/{domain}/{local}'}",
	}
	p.config = filepath.Join(dir, "mailstork.yaml")
	p.writeConfig()
	return p
}

func (p *patient) writeConfig() {
	var text strings.Builder
	for key, value := range p.settings {
		text.WriteString(key + ": " + value + "\n")
	}
	if err := os.WriteFile(p.config, []byte(text.String()), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

func (p *patient) serveHook() string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != authhook.GrantPath || r.FormValue("client_secret") != "s3cret" || r.FormValue("username") != doctorName {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, p.hookAnswer)
	}))
	p.t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// serveLines greets every connection with text.
func serveLines(t *testing.T, text string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

// diagnose returns what is not well, by check.
func (p *patient) diagnose(t *testing.T) map[string]control.Finding {
	t.Helper()
	got := p.run("doctor", "--json")
	var findings []control.Finding
	if err := json.Unmarshal([]byte(got.stdout), &findings); err != nil {
		t.Fatalf("%v: %+v", err, got)
	}
	bad, failed := map[string]control.Finding{}, false
	for _, f := range findings {
		if !strings.HasSuffix(f.Sentence, ".") {
			t.Errorf("%s: %q is not a sentence", f.Check, f.Sentence)
		}
		if f.Level != control.OK {
			bad[f.Check] = f
			if f.Next == "" {
				t.Errorf("%s: no next command after %q", f.Check, f.Sentence)
			}
		}
		failed = failed || f.Level == control.Fail
	}
	if failed != (got.code == exitUnhealthy) {
		t.Errorf("exit code %d with failures %v", got.code, failed)
	}
	return bad
}

func TestDoctorFindsNothingOnAHealthyMachine(t *testing.T) {
	p := newPatient(t)
	bad := p.diagnose(t)
	for _, check := range []string{"disk state", "disk mail", "daemon"} { // how full the disk is, and the fake's version
		if bad[check].Level == control.Warn {
			delete(bad, check)
		}
	}
	if len(bad) > 0 {
		t.Errorf("got %+v", bad)
	}
	for _, line := range []string{"ok    destination  Dovecot at 127.0.0.1:143 accepts the master user.", "ok    milter ", "ok    hook ", " 0 failed\n"} {
		if out := p.run("doctor").stdout; !strings.Contains(out, line) {
			t.Errorf("no %q in:\n%s", line, out)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	chmod := func(name string, mode os.FileMode) func(*testing.T, *patient) {
		return func(t *testing.T, p *patient) {
			if err := os.Chmod(filepath.Join(p.dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(name string) func(*testing.T, *patient) {
		return func(t *testing.T, p *patient) {
			if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	set := func(key, value string) func(*testing.T, *patient) {
		return func(_ *testing.T, p *patient) { p.settings[key] = value; p.writeConfig() }
	}
	cases := []struct {
		name  string
		spoil func(*testing.T, *patient)
		check string
		level control.Level
		want  string
	}{
		{"broken configuration", set("log", "{level: loud}"), "config", control.Fail, "log.level"},
		{"state folder that others may write", chmod("state", 0o777), "state_dir", control.Fail, "Other users may write"},
		{"no runtime folder", remove("run"), "runtime_dir", control.Fail, "does not exist"},
		{"key lost", remove("state/key"), "key_file", control.Fail, "is missing"},
		{"key cut", func(t *testing.T, p *patient) {
			if err := os.WriteFile(filepath.Join(p.dir, "state/key"), []byte("short"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "key_file", control.Fail, "has 5 octets"},
		{"key that all may read", chmod("state/key", 0o644), "key_file", control.Fail, "Every user may read"},
		{"client secret lost", remove("state/hook-secret"), "hook_secret", control.Fail, "is missing"},
		{"hook not asked", remove("state/hook-secret"), "hook", control.Warn, "was not asked"},
		{"userdb lost", remove("state/dovecot/userdb"), "userdb_file", control.Fail, "does not know the accounts"},
		{"passdb that all may read", chmod("state/dovecot/passdb", 0o644), "passdb_file", control.Fail, "Every user may read"},
		{"no doveadm", remove("doveadm"), "doveadm", control.Fail, "not at"},
		{"Dovecot down", set("dovecot", "{imap_address: '127.0.0.1:1', file_group: ''}"), "dovecot", control.Fail, "Nothing answers IMAP"},
		{"another server at Dovecot's port", func(t *testing.T, p *patient) {
			set("dovecot", "{imap_address: '"+serveLines(t, "220 smtp\r\n")+"', file_group: ''}")(t, p)
		}, "dovecot", control.Fail, "not an IMAP server"},
		{"no such group", set("dovecot", "{imap_address: '127.0.0.1:1', file_group: nosuchgroup}"), "master_file", control.Fail, "no group nosuchgroup"},
		{"daemon down", set("control", "{socket: /nonexistent/s}"), "daemon", control.Fail, "There is no daemon"},
		{"account stuck", func(_ *testing.T, p *patient) { p.operator.List = fakeoperator.New().List }, "accounts", control.Warn, "wait for you: 1."},
		{"fence broken", func(_ *testing.T, p *patient) {
			p.operator.Findings = []control.Finding{{Check: "fence", Level: control.Fail, Sentence: "doveadm may not ask.", Next: "mailstork setup"}}
		}, "fence", control.Fail, "may not ask"},
		{"hook of another secret", set("hook", "{listen: '"+"127.0.0.1:1"+"'}"), "hook", control.Fail, "does not answer"},
		{"hook that lets everybody in", func(_ *testing.T, p *patient) {
			p.hookAnswer = `{"username":"` + doctorName + `","active":"true"}`
		}, "hook", control.Fail, "misunderstand"},
		{"milter off", set("milter", "{listen: ''}"), "milter", control.Warn, "is off"},
		{"milter down", set("milter", "{listen: '127.0.0.1:1'}"), "milter", control.Fail, "Nothing answers"},
		{"no milter at the milter's address", func(t *testing.T, p *patient) {
			set("milter", "{listen: '"+serveLines(t, "* OK IMAP\r\n")+"'}")(t, p)
		}, "milter", control.Fail, "does not speak"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPatient(t)
			c.spoil(t, p)
			got := p.diagnose(t)[c.check]
			if got.Level != c.level || !strings.Contains(got.Sentence, c.want) {
				t.Errorf("%s: got %+v, want %s with %q", c.check, got, c.level, c.want)
			}
		})
	}
}

func TestDoctorMissesNothingBeforeTheFirstStart(t *testing.T) {
	p := newPatient(t)
	for _, name := range []string{"mailstork.db", "key", "hook-secret", "dovecot"} {
		if err := os.RemoveAll(filepath.Join(p.dir, "state", name)); err != nil {
			t.Fatal(err)
		}
	}
	for check := range p.diagnose(t) {
		if strings.Contains(check, "file") || check == "hook_secret" {
			t.Errorf("%s is missed", check)
		}
	}
}
