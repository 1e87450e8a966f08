package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/test/fakeoperator"
)

var update = flag.Bool("update", false, "write the golden files anew")

// result is what a command line left behind.
type result struct {
	code           int
	stdout, stderr string
}

// session runs command lines against one fake daemon.
type session struct {
	t        *testing.T
	operator *fakeoperator.Operator
	config   string
	stdin    string
}

func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{t: t, operator: fakeoperator.New()}
	s.config = writeConfig(t, s.operator.Serve(t))
	return s
}

func writeConfig(t *testing.T, socket string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mailstork.yaml")
	if err := os.WriteFile(path, []byte("control: {socket: "+socket+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *session) run(args ...string) result {
	s.t.Helper()
	return s.runUntil(s.t.Context(), new(bytes.Buffer), args...)
}

func (s *session) runUntil(ctx context.Context, stdout io.Writer, args ...string) result {
	s.t.Helper()
	root := newRoot(app{now: func() time.Time { return fakeoperator.Now }, zone: time.UTC})
	var stderr bytes.Buffer
	root.SetOut(stdout)
	root.SetErr(&stderr)
	root.SetIn(strings.NewReader(s.stdin))
	code := run(ctx, root, append([]string{"--config", s.config}, args...), &stderr)
	text := ""
	if buffer, ok := stdout.(*bytes.Buffer); ok {
		text = buffer.String()
	}
	return result{code, text, stderr.String()}
}

// golden compares text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-file +now); when the change is meant: go test ./cmd/mailstork -update\n%s", path, diff)
	}
}

func TestOutputsAreAsReviewed(t *testing.T) {
	cases := []struct{ name, args string }{
		{"status", "status"},
		{"status-metrics", "status --metrics"},
		{"status-metrics-json", "status --metrics --json"},
		{"domain-list", "domain list"},
		{"domain-show", "domain show example.net"},
		{"domain-check", "domain check example.org"},
		{"domain-check-doubt", "domain check example.net"},
		{"domain-report", "domain report example.org"},
		{"domain-add-dry-run", "domain add new.example --source imap://imap.old.example --mx mx.new.example --mx mx2.new.example --outgoing 192.0.2.25,2001:db8::25 --accounts any --dry-run"},
		{"domain-add-known", "domain add example.org --source imaps://imap.old.example --mx mx.new.example --outgoing 192.0.2.25"},
		{"domain-set", "domain set example.net --exclude-role trash,junk --max-message-size 0 --map Old=New --map Older=New"},
		{"domain-set-dry-run", "domain set example.net --accounts listed --exclude-folder= --dry-run"},
		{"domain-set-same", "domain set example.net --max-message-size 50MiB"},
		{"domain-set-guard", "domain set example.org --failures-per-source 12 --source-allows-us yes --new-accounts-per-hour 30 --compress never"},
		{"domain-set-guard-wrong", "domain set example.org --source-allows-us perhaps"},
		{"domain-set-downgrade", "domain set example.org --source imap://imap.old.example --no-tls"},
		{"domain-set-first-login", "domain set example.net --first-login proxy"},
		{"domain-set-notice", "domain set example.net --first-login notice"},
		{"domain-set-notice-nothing", "domain set example.net --first-login notice --mail no --dry-run"},
		{"domain-set-source", "domain set example.org --source imap://imap2.old.example --pin sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 --mail no --dry-run"},
		{"domain-set-all-mail", "domain set example.net --all-mail Whole"},
		{"domain-set-all-mail-wrong", "domain set example.net --all-mail half"},
		{"account-set-all-mail", "account set bob@example.org --all-mail skip"},
		{"account-set-password", "account set-password anna@example.org"},
		{"account-set-password-unproven", "account set-password dora@example.org"},
		{"account-set", "account set bob@example.org --map Junk=Junk"},
		{"account-show-proxied", "account show greta@example.net"},
		{"account-show-fallback", "account show hugo@example.net"},
		{"account-show-notice", "account show ivo@example.net"},
		{"account-show-folders", "account show bob@example.org --folders"},
		{"domain-login", "domain login example.org --master-user admin --master-login dovecot --login-secret-file -"},
		{"domain-login-unknown", "domain login example.org --master-user admin --master-login dovekot"},
		{"domain-login-remove", "domain login example.org --remove --dry-run"},
		{"domain-add-master", "domain add new.example --source imaps://imap.old.example --mx mx.new.example --outgoing 192.0.2.25 --compress never --master-user admin --master-login authzid --login-secret-file - --dry-run"},
		{"account-list", "account list"},
		{"account-show", "account show Anna@Example.org"},
		{"account-show-stuck", "account show carla.o'neill@example.org"},
		{"account-verify", "account verify anna@example.org"},
		{"account-verify-sound", "account verify bob@example.org"},
		{"account-sync-refused", "account sync anna@example.org dora@example.org"},
		{"account-approve-refused", "account approve anna@example.org"},
		{"account-settle-which", "account settle anna@example.org"},
		{"account-settle-dry-run", "account settle anna@example.org --copy --dry-run"},
		{"account-retry", "account retry anna@example.org"},
		{"account-abandon-dry-run", "account abandon carla.o'neill@example.org --dry-run"},
		{"account-abandon", "account abandon carla.o'neill@example.org"},
		{"account-pause-dry-run", "account pause anna@example.org --dry-run"},
		{"log", "log anna@example.org"},
		{"setup-dovecot-2.3", "setup dovecot --print --dovecot 2.3"},
		{"setup-dovecot-2.4", "setup dovecot --print --dovecot 2.4"},
		{"setup-dovecot-checkpassword", "setup dovecot --print --dovecot 2.3 --checkpassword"},
		{"setup-dovecot-unknown", "setup dovecot --print --dovecot 2.2"},
		{"not-found", "account show nobody@example.org"},
		{"usage", "account list --sate following"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(t)
			s.stdin = "canary-secret\n"
			got := s.run(strings.Fields(c.args)...)
			golden(t, c.name+".golden", fmt.Sprintf("$ mailstork %s\n%s%sexit code %d\n", c.args, got.stdout, got.stderr, got.code))
		})
	}
}

func TestEveryReadingVerbWritesJSONAndEveryChangingVerbHasDryRun(t *testing.T) {
	reading := "status, doctor, version, log, list, show, report, check, verify"
	changing := "add, set, set-password, login, import, sync, pause, resume, approve, retry, settle, abandon"
	eachCommand(newRoot(app{now: time.Now, zone: time.UTC}), func(c *cobra.Command) {
		if has(reading, c.Name()) && c.Flags().Lookup("json") == nil {
			t.Errorf("%s reads and has no --json", c.CommandPath())
		}
		if has(changing, c.Name()) && c.Flags().Lookup("dry-run") == nil {
			t.Errorf("%s changes and has no --dry-run", c.CommandPath())
		}
		if !has(reading, c.Name()) && !has(changing, c.Name()) && !c.HasSubCommands() && !has("serve, copy, dovecot", c.Name()) {
			t.Errorf("%s is neither a reading nor a changing verb: add it to this test", c.CommandPath())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s has no help", c.CommandPath(), f.Name)
			}
		})
	})
}

func has(list, word string) bool {
	for _, one := range strings.Split(list, ", ") {
		if one == word {
			return true
		}
	}
	return false
}

func eachCommand(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, below := range c.Commands() {
		eachCommand(below, do)
	}
}

func TestJSONIsWhatTheDaemonSaid(t *testing.T) {
	s := newSession(t)
	s.operator.DNS = json.RawMessage(`{"domain":"example.org","mx":"here"}`)
	for _, args := range []string{"status", "domain list", "domain show example.org", "domain report example.org", "account list",
		"account show anna@example.org", "account show bob@example.org --folders", "domain set example.org --accounts any", "account verify bob@example.org", "dns check example.org", "version"} {
		got := s.run(append(strings.Fields(args), "--json")...)
		if got.code != exitOK || !json.Valid([]byte(got.stdout)) || got.stderr != "" && !strings.HasPrefix(args, "account verify") {
			t.Errorf("%s --json: %+v", args, got)
		}
	}
	var accounts []control.Account
	if err := json.Unmarshal([]byte(s.run("account", "list", "--json", "--state", "listed").stdout), &accounts); err != nil {
		t.Fatal(err)
	}
	if len(accounts) != 1 || accounts[0].Address != "dora@example.org" {
		t.Errorf("got %+v", accounts)
	}
	lines := strings.Split(strings.TrimSpace(s.run("log", "anna@example.org", "--json", "-n", "2").stdout), "\n")
	if len(lines) != 2 || !json.Valid([]byte(lines[0])) || !strings.Contains(lines[1], `"event":"pass"`) {
		t.Errorf("log --json: got %q", lines)
	}
}

func TestExitCodesTellWhatSortOfFailureItWas(t *testing.T) {
	s := newSession(t)
	s.operator.DNS = json.RawMessage(`{"domain":"example.org","mx":"unknown","sentence":"one server does not answer"}`)
	cases := []struct {
		args string
		want int
	}{
		{"status", exitOK},
		{"account list", exitOK},
		{"account pause bob@example.org", exitOK},
		{"bogus", exitUsage},
		{"account bogus", exitUsage},
		{"account show", exitUsage},
		{"account show no-address", exitUsage},
		{"domain set example.net", exitUsage},
		{"domain set example.net --exclude-role inbox", exitUsage},
		{"domain set example.net --exclude-folder INBOX", exitUsage},
		{"domain set example.net --max-message-size big", exitUsage},
		{"domain set example.net --max-message-size 3", exitUsage},
		{"domain set example.net --map Old", exitUsage},
		{"domain set example.net --all-mail half", exitUsage},
		{"domain set example.net --map Old=", exitUsage},
		{"domain set example.net --map Old=A --map old=B", exitUsage},
		{"domain set example.net --outgoing here", exitUsage},
		{"domain set example.net --mail maybe", exitUsage},
		{"domain set example.net --pin sha256:no", exitUsage},
		{"domain set example.net --no-tls", exitUsage},
		{"domain set example.net --source imap://h.example --no-tls", exitRefused},
		{"domain check nowhere.example", exitNotFound},
		{"domain set nowhere.example --accounts any", exitNotFound},
		{"account set bob@example.org", exitUsage},
		{"account set nobody@example.org --map Old=New", exitNotFound},
		{"account show dora@example.org --folders", exitRefused},
		{"account list --state moved", exitUsage},
		{"account list --domain nodot", exitUsage},
		{"log anna@example.org --limit 0", exitUsage},
		{"domain add new.example", exitUsage},
		{"domain add new.example --source http://x --mx mx.new.example --outgoing 192.0.2.1", exitUsage},
		{"domain add new.example --source imaps://x.example --mx mx.new.example --outgoing here", exitUsage},
		{"domain add new.example --source imaps://user@x.example --mx mx.new.example --outgoing 192.0.2.1", exitUsage},
		{"dns check nodot", exitUsage},
		{"dns check example.org --outgoing 192.0.2.1", exitUsage},
		{"dns check example.org --mx mx.new.example --parent nowhere", exitUsage},
		{"account show nobody@example.org", exitNotFound},
		{"domain show nowhere.example", exitNotFound},
		{"domain add example.org --source imaps://x.example --mx mx.new.example --outgoing 192.0.2.1", exitRefused},
		{"domain report example.net", exitRefused},
		{"account import /nonexistent", exitRefused},
		{"dns check example.org", exitDNS},
		{"account verify bob@example.org", exitOK},
		{"account verify anna@example.org", exitUnsound},
		{"account verify anna@example.org --json", exitUnsound},
		{"account verify dora@example.org", exitRefused},
		{"account verify nobody@example.org", exitNotFound},
	}
	for _, c := range cases {
		if got := s.run(strings.Fields(c.args)...); got.code != c.want {
			t.Errorf("mailstork %s: exit code %d, want %d\n%s", c.args, got.code, c.want, got.stderr)
		} else if c.want != exitOK && c.want != exitDNS && !strings.Contains(got.stderr, "next:") {
			t.Errorf("mailstork %s: no next command in %q", c.args, got.stderr)
		}
	}
	s.operator.Failure = errors.New("writing row: disk full")
	if got := s.run("status"); got.code != exitFailed || !strings.Contains(got.stderr, "disk full") {
		t.Errorf("failed: %+v", got)
	}
}

func TestNoDaemonIsSaidInOneSentenceWithTheNextCommand(t *testing.T) {
	s := &session{t: t, config: writeConfig(t, "/nonexistent/control.sock")}
	got := s.run("status")
	if got.code != exitUnreachable || !strings.HasPrefix(got.stderr, "mailstork: there is no daemon") || !strings.Contains(got.stderr, "systemctl status mailstork") {
		t.Errorf("got %+v", got)
	}
}

func TestBrokenConfigurationIsExplainedWithItsLine(t *testing.T) {
	s := &session{t: t, config: writeConfig(t, "relative.sock")}
	got := s.run("status")
	if got.code != exitRefused || !strings.Contains(got.stderr, "line 1: control.socket") {
		t.Errorf("got %+v", got)
	}
}

func TestActionsReachTheDaemonAndDryRunsDoNot(t *testing.T) {
	s := newSession(t)
	paused := func() bool {
		detail, err := s.operator.Account(t.Context(), "bob@example.org")
		if err != nil {
			t.Fatal(err)
		}
		return detail.Paused
	}
	if got := s.run("account", "pause", "bob@example.org", "--dry-run"); got.code != exitOK || paused() {
		t.Errorf("dry run: %+v, paused %v", got, paused())
	}
	if got := s.run("account", "pause", "BOB@example.org"); got.code != exitOK || !paused() {
		t.Errorf("pause: %+v, paused %v", got, paused())
	}
	if got := s.run("account", "resume", "bob@example.org"); got.code != exitOK || paused() {
		t.Errorf("resume: %+v, paused %v", got, paused())
	}
}

func TestOrdersReachTheDaemonAsTheyWereTyped(t *testing.T) {
	s := newSession(t)
	orders := func() account.Orders {
		detail, err := s.operator.Account(t.Context(), "anna@example.org")
		if err != nil {
			t.Fatal(err)
		}
		return detail.Orders
	}
	for _, c := range []struct {
		args string
		code int
		want account.Orders
	}{
		{"settle anna@example.org --copy --dry-run", exitOK, ""},
		{"settle anna@example.org --copy --leave", exitUsage, ""},
		{"settle anna@example.org --copy", exitOK, "copy-parked"},
		{"settle anna@example.org --leave", exitOK, "leave-parked"},
		{"retry anna@example.org", exitOK, "leave-parked retry"},
		{"approve anna@example.org", exitRefused, "leave-parked retry"},
	} {
		if got := s.run(strings.Fields("account " + c.args)...); got.code != c.code || orders() != c.want {
			t.Errorf("%s: %+v, orders %q, want %q", c.args, got, orders(), c.want)
		}
	}
}

func TestCopyTakesNoMoreConnectionsThanAServerBears(t *testing.T) {
	s := newSession(t)
	for _, n := range []string{"0", "9", "-1"} {
		got := s.run("copy", "--from", "imaps://a@old.example", "--to", "imaps://a@here.example", "--connections", n)
		if got.code != exitUsage || !strings.Contains(got.stderr, "--connections: "+n+" is not from 1 to 8") {
			t.Errorf("%s: %+v", n, got)
		}
	}
}

func TestAddedDomainIsTheOneThatWasTyped(t *testing.T) {
	s := newSession(t)
	got := s.run("domain", "add", "New.Example", "--source", "imap://Imap.Old.Example:1143", "--no-tls", "--ca-file", "/ca.pem", "--server-name", "other.example",
		"--mx", "mx.new.example", "--outgoing", "192.0.2.25", "--accounts", "any")
	if got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	d, err := s.operator.Domain(t.Context(), "new.example")
	if err != nil {
		t.Fatal(err)
	}
	want := account.Source{Host: "imap.old.example", Port: 1143, TLS: account.TLSNone, CAFile: "/ca.pem", ServerName: "other.example"}
	if d.Source != want || d.Policy != account.AccountsAny || d.MXHosts[0] != "mx.new.example" || d.OutgoingAddresses[0].String() != "192.0.2.25" {
		t.Errorf("got %+v", d)
	}
}

func TestFollowedLogShowsWhatHappensLater(t *testing.T) {
	s := newSession(t)
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan result, 1)
	go func() { ended <- s.runUntil(ctx, writer, "log", "anna@example.org", "--follow", "-n", "1") }()
	lines := make(chan string)
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := reader.Read(buffer)
			if err != nil {
				close(lines)
				return
			}
			lines <- string(buffer[:n])
		}
	}()
	if first := <-lines; !strings.Contains(first, "connection reset") {
		t.Errorf("first line is %q", first)
	}
	s.operator.Happen(control.Event{At: fakeoperator.Now, Name: "pass", Account: "anna@example.org", Detail: "2 new messages"})
	if second := <-lines; !strings.Contains(second, "2 new messages") {
		t.Errorf("second line is %q", second)
	}
	stop()
	if got := <-ended; got.code != exitOK {
		t.Errorf("interrupted: %+v", got)
	}
	_ = writer.Close()
}

func TestWatchedStatusEndsWithAnInterrupt(t *testing.T) {
	s := newSession(t)
	ctx, stop := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan result, 1)
	go func() { ended <- s.runUntil(ctx, writer, "status", "--watch") }()
	if _, err := io.ReadFull(reader, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	stop()
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	if got := <-ended; got.code != exitOK {
		t.Errorf("interrupted: %+v", got)
	}
	_ = writer.Close()
}

func TestAWatchedPageIsMarkedAsItsTerminalIs(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	for _, terminal := range []bool{true, false} {
		p := page{terminal: terminal}
		table := newTable("NAME")
		table.row("x")
		table.write(&p)
		if got := strings.Contains(p.String(), "\x1b[1m"); got != terminal {
			t.Errorf("terminal %v: %q", terminal, p.String())
		}
	}
}

func TestAnInterruptWhileTheDaemonIsAskedIsNoFailure(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	interrupted := func(ctx context.Context, _ io.Writer) error {
		stop()
		return fmt.Errorf("asking: %w", ctx.Err())
	}
	if err := repeat(ctx, io.Discard, interrupted); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestFailuresOfServersCannotSteerTheTerminal(t *testing.T) {
	s := newSession(t)
	s.operator.Failure = &control.Error{Kind: control.KindRefused, Sentence: "no \x1b[2J", Raw: "* BAD \x1b]0;owned\x07\r\nsecond \u202eline", Hint: "x\x00y"}
	got := s.run("status")
	if strings.ContainsAny(got.stderr, "\x1b\x07\x00\r\u202e") || strings.Count(got.stderr, "\n") != 4 {
		t.Errorf("got %q", got.stderr)
	}
}
