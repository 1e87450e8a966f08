package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailstork/test/compare"
	"mailstork/test/corpus"
	"mailstork/test/testbed"
)

const newPass = `new "p\assw0rd" é`

// pair is two servers that know nothing of mailstork: no hook, no master user, no daemon.
type pair struct {
	t                 *testing.T
	program           string
	source, dest      *testbed.Dovecot
	fromFile, toFile  string
	state             string
	from, to, doveadm string
}

func startPair(t *testing.T) *pair {
	t.Helper()
	testbed.Need(t, "dovecot")
	program, err := binary()
	must(t, err)
	lab := testbed.NewForTest(t)
	p := &pair{t: t, program: program, fromFile: filepath.Join(lab.Dir, "from"), toFile: filepath.Join(lab.Dir, "to"), state: filepath.Join(lab.Dir, "ledger")}
	p.source, err = lab.StartSource(testbed.SourceOptions{Accounts: map[string]string{anna: oldPass, bob: "bob's old one"}})
	must(t, err)
	p.dest, err = lab.StartSource(testbed.SourceOptions{Name: "destination", Separator: "/", Accounts: map[string]string{anna: newPass, bob: newPass}})
	must(t, err)
	must(t, os.WriteFile(p.fromFile, []byte(oldPass+"\n"), 0o600), os.WriteFile(p.toFile, []byte(newPass+"\n"), 0o600))
	p.from = "imaps://anna%40example.org@" + at(p.source)
	p.to = "imap://anna%40example.org@localhost:" + port(p.dest.IMAPAddress)
	p.doveadm = strings.Join(p.dest.DoveadmCommand(), ",")
	return p
}

// command is a copy with passwords from files; more flags replace earlier ones.
func (p *pair) command(more ...string) *exec.Cmd {
	return exec.Command(p.program, append([]string{"copy", "--from", p.from, "--to", p.to, "--from-password-file", p.fromFile,
		"--to-password-file", p.toFile, "--from-ca-file", p.source.CAFile, "--to-ca-file", p.source.CAFile, "--doveadm", p.doveadm}, more...)...)
}

// run returns what a command wrote and its exit code.
func run(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), problems.String(), cmd.ProcessState.ExitCode()
}

// sync runs a copy that must end in sync, and returns how many messages it copied.
func (p *pair) sync(more ...string) (copied string) {
	p.t.Helper()
	stdout, stderr, code := run(p.t, p.command(more...))
	if code != 0 || !strings.HasPrefix(stdout, "in sync: ") {
		p.t.Fatalf("exit code %d, want 0 and in sync: %s%s", code, stdout, stderr)
	}
	_, rest, _ := strings.Cut(stdout, "at the source, ")
	copied, _, _ = strings.Cut(rest, " ")
	return copied
}

func (p *pair) wantEqual() {
	p.t.Helper()
	source, err := p.source.Login(anna, oldPass)
	must(p.t, err)
	defer source.Cut()
	dest, err := p.dest.Login(anna, newPass)
	must(p.t, err)
	defer dest.Cut()
	differences, err := compare.Accounts(source, dest, compare.Options{Subscriptions: true})
	must(p.t, err)
	if len(differences) > 0 {
		p.t.Errorf("%d differences:\n%s", len(differences), compare.Report(differences, 20))
	}
}

func TestCopyNeedsNoDaemonAndASecondRunCopiesNothing(t *testing.T) {
	p := startPair(t)
	must(t, corpus.Seed(p.source, anna, oldPass, corpus.Small()))
	if copied := p.sync("--state", p.state); copied != "40" {
		t.Errorf("%s messages were copied, want 40", copied)
	}
	p.wantEqual()
	if copied := p.sync("--state", p.state); copied != "0" {
		t.Errorf("the second run copied %s messages", copied)
	}
	must(t, p.source.Deliver("carl@elsewhere.example", letterTo(anna, "later"), anna))
	if copied := p.sync("--state", p.state); copied != "1" {
		t.Errorf("the third run copied %s messages, want 1", copied)
	}
	p.wantEqual()

	owner, err := p.dest.Login(anna, newPass) // what she deletes here stays deleted (L3)
	must(t, err)
	defer owner.Cut()
	before, err := owner.Select("INBOX")
	must(t, err)
	uids, err := owner.Search("ALL")
	must(t, err, owner.Delete(uids[0], uids[1]))
	stdout, stderr, code := run(t, p.command("--state", p.state))
	if code != 0 || !strings.Contains(stdout, " 0 copied by this run") || !strings.Contains(stdout, "\n  2 deleted\n") {
		t.Errorf("after two deletions: exit code %d, %s%s", code, stdout, stderr)
	}
	if after, err := owner.Examine("INBOX"); err != nil || after.Messages != before.Messages-2 {
		t.Errorf("INBOX has %d messages, want %d, %v", after.Messages, before.Messages-2, err)
	}
}

func TestCopyWithoutStateRecognisesWhatIsThere(t *testing.T) { // L2
	p := startPair(t)
	must(t, corpus.Seed(p.source, anna, oldPass, corpus.Small()))
	for i, want := range []string{"40", "0", "0"} {
		if copied := p.sync(); copied != want {
			t.Errorf("run %d copied %s messages, want %s", i+1, copied, want)
		}
	}
	p.wantEqual()
}

// The command is killed without warning again and again, then repeated until it says that all is in sync.
func TestKilledCopyLosesNothingAndDoublesNothing(t *testing.T) { // L1, L2
	for name, c := range map[string]struct {
		mail    corpus.Account
		kills   int
		copying bool // the moments are counted from the first message on, not from the start
		within  time.Duration
		flags   func(*pair) []string
	}{
		"with a ledger":             {corpus.Standard(), 15, false, 450 * time.Millisecond, func(p *pair) []string { return []string{"--state", p.state} }},
		"without one, with a fence": {many(), 5, true, 60 * time.Millisecond, func(*pair) []string { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPair(t)
			must(t, corpus.Seed(p.source, anna, oldPass, c.mail))
			flags := c.flags(p)
			p.kill(c.kills, c.copying, c.within, flags)
			t.Logf("the last run copied %s messages", p.sync(flags...))
			p.wantEqual()
			if copied := p.sync(flags...); copied != "0" {
				t.Errorf("one run more copied %s messages", copied)
			}
		})
	}
}

func (p *pair) kill(times int, copying bool, within time.Duration, flags []string) {
	p.t.Helper()
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	working := 0
	for range times {
		cmd := p.command(flags...)
		cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Dir(p.state)) // a killed run leaves its ledger there
		progress, err := cmd.StderrPipe()
		must(p.t, err, cmd.Start())
		for lines := bufio.NewScanner(progress); copying && lines.Scan() && !strings.HasPrefix(lines.Text(), "copying"); {
		}
		time.Sleep(time.Duration(random.Int64N(int64(within))))
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			p.t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil && strings.Contains(err.Error(), "killed") {
			working++
		}
	}
	p.t.Logf("seed %d: %d of %d kills hit a running copy", seed, working, times)
	if working == 0 {
		p.t.Error("no kill hit a running copy: this test shows nothing")
	}
}

func TestCopyTakesPasswordsFromTheEnvironmentAndLeaksThemNowhere(t *testing.T) { // S1
	p := startPair(t)
	must(t, corpus.Seed(p.source, anna, oldPass, corpus.Small()))
	// A doveadm that writes down what it was given.
	seen, spy := filepath.Join(filepath.Dir(p.state), "seen"), filepath.Join(filepath.Dir(p.state), "doveadm")
	must(t, os.WriteFile(spy, fmt.Appendf(nil, "#!/bin/sh\n{ env; echo \"$@\"; } >> %s\nexec %s \"$@\"\n", seen, p.dest.BinDir+"/doveadm"), 0o755))
	p.doveadm = spy + ",-c," + p.dest.ConfFile
	cmd := p.command("--from-password-file", "", "--to-password-file", "", "--state", p.state)
	cmd.Env = append(os.Environ(), "MAILSTORK_FROM_PASSWORD="+oldPass, "MAILSTORK_TO_PASSWORD="+newPass)
	stdout, stderr, code := run(t, cmd)
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	p.wantEqual()
	for _, path := range []string{p.state, seen} {
		content, err := os.ReadFile(path)
		must(t, err)
		for _, password := range []string{oldPass, newPass} {
			if bytes.Contains(content, []byte(password)) || strings.Contains(stdout+stderr, password) {
				t.Errorf("a password is in %s or in the output", path)
			}
		}
	}
}

func TestCopyTellsProgressInPlainLinesWhenThereIsNoTerminal(t *testing.T) {
	p := startPair(t)
	must(t, corpus.Seed(p.source, anna, oldPass, corpus.Small()))
	stdout, stderr, code := run(t, p.command())
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if strings.ContainsAny(stderr, "\r\x1b") || len(lines) < 2 || !strings.HasPrefix(lines[0], "connecting") ||
		!strings.Contains(lines[len(lines)-1], "40 of 40 (100 %) messages") {
		t.Errorf("progress is not plain lines up to 40 of 40:\n%q", stderr)
	}
	if strings.Count(stdout, "\n") != 1 {
		t.Errorf("standard output has more than the result: %q", stdout)
	}
}

func TestCopySaysInOneSentenceWhyItCantGoOn(t *testing.T) {
	p := startPair(t)
	must(t, corpus.Seed(p.source, anna, oldPass, corpus.Small()))
	p.sync("--state", p.state)
	wrong := filepath.Join(t.TempDir(), "wrong")
	must(t, os.WriteFile(wrong, []byte("n0t-the-passw0rd"), 0o600))
	closed, err := testbed.FreePort()
	must(t, err)
	bobs := strings.ReplaceAll(p.from, "anna", "bob")
	for name, c := range map[string]struct {
		flags []string
		code  int
		told
	}{
		"a wrong password at the source": {[]string{"--from-password-file", wrong}, 3, told{"the source " + at(p.source) + " refuses the password of " + anna,
			"NO [AUTHENTICATIONFAILED]", "give the password that this server accepts"}},
		"a wrong password at the destination": {[]string{"--to-password-file", wrong}, 3, told{"the destination 127.0.0.1:" + port(p.dest.IMAPAddress) + " refuses the password of " + anna,
			"NO [AUTHENTICATIONFAILED]", "give the password that this server accepts"}},
		"a source that is down": {[]string{"--from", fmt.Sprintf("imaps://anna@localhost:%d", closed)}, 3, told{"is down: nobody listens there", "connection refused",
			fmt.Sprintf("nc -vz localhost %d   # then run the same command again", closed)}},
		"a destination that is down": {[]string{"--to", fmt.Sprintf("imaps://anna@localhost:%d", closed)}, 3, told{"the destination ", "connection refused",
			fmt.Sprintf("%d   # then run the same command again", closed)}},
		"a source with a certificate of nobody": {[]string{"--from-ca-file", ""}, 3, told{"is signed by nobody whom this server trusts", "unknown authority",
			"openssl s_client -connect " + at(p.source)}},
		"a state file of other accounts": {[]string{"--from", bobs, "--state", p.state}, 6, told{"the state file " + p.state + " belongs to the copy of " + anna + " at localhost",
			"this one is of " + bob, "the same command with another --state FILE"}},
		"a state file in a folder that is not there": {[]string{"--state", "/nowhere/ledger"}, 6, told{"the state file can't be opened", "no such file", "mailstork copy --help"}},
		"no password": {[]string{"--from-password-file", ""}, 2, told{"there is no password: give a file, or set MAILSTORK_FROM_PASSWORD", "", "mailstork copy --help"}},
		"a password in the URL": {[]string{"--from", strings.Replace(p.from, "@localhost", ":n0t-the-passw0rd@localhost", 1)}, 2,
			told{"the source holds a password", "", "mailstork copy --help"}},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := run(t, p.command(c.flags...))
			if code != c.code || stdout != "" {
				t.Errorf("exit code %d, output %q, want %d and none", code, stdout, c.code)
			}
			must(t, c.in(stderr))
			if sentences := strings.Count(stderr, "\nmailstork: ") + strings.Count("\n"+stderr[:min(11, len(stderr))], "\nmailstork: "); sentences != 1 {
				t.Errorf("%d sentences:\n%s", sentences, stderr)
			}
			if strings.Contains(stderr, "n0t-the-passw0rd") {
				t.Errorf("the password is shown:\n%s", stderr)
			}
		})
	}
	if copied := p.sync("--state", p.state); copied != "0" { // no refused run has touched the ledger or the copy
		t.Errorf("%s messages were copied after refusals", copied)
	}
	p.wantEqual()
}

func at(d *testbed.Dovecot) string { return "localhost:" + port(d.IMAPSAddress) }
