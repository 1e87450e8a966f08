package container

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"mailstork/test/testbed"
)

const (
	anna, annaPassword = "anna@example.org", "anna-old-password"
	bob, bobPassword   = "bob@example.org", "bob-old-password"
	packages           = "systemd,systemd-sysv,dbus,ca-certificates,procps,dovecot-imapd,dovecot-lmtpd,postfix"
)

// deb is the package that make deb has built.
func deb(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../../dist/mailstork_*.deb")
	if err != nil || len(found) != 1 {
		t.Fatalf("found packages %v, want one; run: make deb", found)
	}
	return found[0]
}

func TestLintianFindsNothing(t *testing.T) {
	testbed.Need(t, "lintian")
	if out, err := exec.Command("lintian", "--allow-root", "--fail-on=warning", deb(t)).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

// life is one machine and what its steps need.
type life struct {
	*machine
	t *testing.T
}

func startMachine(t *testing.T) *life {
	t.Helper()
	testbed.Need(t, "debootstrap", "systemd-nspawn", "nsenter")
	var problems bytes.Buffer
	making := exec.Command("../../scripts/debian-root.sh", "bookworm", packages)
	making.Stderr = &problems
	base, err := making.Output()
	if err != nil {
		t.Fatalf("making a Debian root: %v\n%s", err, problems.Bytes())
	}
	dir, err := os.MkdirTemp("", "machine-")
	if err != nil {
		t.Fatal(err)
	}
	m, err := boot(strings.TrimSpace(string(base)), dir)
	if err != nil {
		t.Fatal(err)
	}
	l := &life{machine: m, t: t}
	t.Cleanup(func() {
		if t.Failed() {
			journal, _ := m.try(10*time.Second, "journalctl --no-pager -n 150; systemctl --failed --no-pager")
			t.Logf("journal of the machine:\n%s", journal)
		}
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		if err := m.unmount(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	t.Logf("systemd was up after %v", m.Boot.Round(10*time.Millisecond))
	return l
}

// step is one chapter; those after a failed one make no sense.
func (l *life) step(name string, do func(l *life)) {
	l.t.Helper()
	began := time.Now()
	if !l.t.Run(name, func(t *testing.T) { do(&life{machine: l.machine, t: t}) }) {
		l.t.FailNow()
	}
	l.t.Logf("%s: %v", name, time.Since(began).Round(10*time.Millisecond))
}

func (l *life) run(script string) string {
	l.t.Helper()
	out, err := l.try(patience, script)
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func (l *life) script(name string) {
	l.t.Helper()
	text, err := os.ReadFile("files/" + name)
	if err != nil {
		l.t.Fatal(err)
	}
	l.run(string(text))
}

// patience is how long the test waits for what must happen. Only what fails uses it up.
const patience = 2 * time.Minute

// eventually waits until done finds nothing wrong.
func (l *life) eventually(done func() error) {
	l.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := done()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatalf("not within %v: %v", patience, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *life) waitActive() {
	l.t.Helper()
	l.eventually(func() error {
		_, err := l.try(30*time.Second, "systemctl is-active --quiet mailstork && mailstork status --json >/dev/null")
		return err
	})
}

func (l *life) property(name string) string {
	l.t.Helper()
	return l.run("systemctl show --value --property=" + name + " mailstork")
}

// imap speaks with the machine's Dovecot and returns its answers.
func (l *life) imap(user, password string, commands ...string) string {
	l.t.Helper()
	var script strings.Builder
	fmt.Fprintf(&script, "exec 3<>/dev/tcp/127.0.0.1/143\nprintf '%%s\\r\\n' 'a LOGIN %s %s'", user, password)
	for i, command := range commands {
		fmt.Fprintf(&script, " 'c%d %s'", i, command)
	}
	script.WriteString(" 'z LOGOUT' >&3\ntimeout 40 cat <&3\n")
	return l.run(script.String())
}

func (l *life) mustLogin(user, password string) {
	l.t.Helper()
	if answer := l.imap(user, password); !strings.Contains(answer, "a OK") {
		l.t.Fatalf("%s can't log in: %s", user, answer)
	}
}

// waitMessages waits until a folder has so many messages.
func (l *life) waitMessages(user, password, folder string, want int) {
	l.t.Helper()
	l.eventually(func() error {
		answer := l.imap(user, password, "STATUS "+folder+" (MESSAGES)")
		if !strings.Contains(answer, fmt.Sprintf("(MESSAGES %d)", want)) {
			return fmt.Errorf("%s of %s: want %d messages, got %s", folder, user, want, answer)
		}
		return nil
	})
}

// letter hands a letter over by SMTP and returns how long Postfix took.
func (l *life) letter(id, to string) time.Duration {
	l.t.Helper()
	lines := []string{"EHLO client.example", "MAIL FROM:<sender@elsewhere.example>", "RCPT TO:<" + to + ">", "DATA",
		"Message-ID: <" + id + "@elsewhere.example>", "Date: Sat, 21 Nov 2026 12:00:00 +0000", "From: sender@elsewhere.example",
		"Subject: " + id, "", "Text.", ".", "QUIT"}
	began := time.Now()
	answer := l.run("exec 3<>/dev/tcp/127.0.0.1/25\nprintf '%s\\r\\n' '" + strings.Join(lines, "' '") + "' >&3\ntimeout 60 cat <&3")
	took := time.Since(began)
	if !strings.Contains(answer, "250 2.0.0 Ok: queued") {
		l.t.Fatalf("Postfix did not take the letter: %s", answer)
	}
	return took
}

// deliveries counts the letters that the milter has recorded.
func (l *life) deliveries() int {
	l.t.Helper()
	database, err := sql.Open("sqlite", "file:"+filepath.Join(l.root, "var/lib/mailstork/mailstork.db")+"?mode=ro")
	if err != nil {
		l.t.Fatal(err)
	}
	defer database.Close()
	var count int
	if err := database.QueryRow("SELECT count(*) FROM delivery").Scan(&count); err != nil {
		l.t.Fatal(err)
	}
	return count
}

// listing is every file that a package could leave behind.
func (l *life) listing() string {
	l.t.Helper()
	return l.run(`find /etc /usr /opt /srv /root /home /run /tmp /var -xdev \
		! -path '/etc/dovecot/*' ! -path '/etc/postfix*' ! -path '/var/lib/dpkg/*' ! -path '/var/lib/postfix*' ! -path '/var/lib/dovecot/*' \
		! -path '/var/spool/*' ! -path '/var/log/*' ! -path '/var/vmail*' ! -path '/srv/*' ! -path '/run/[dus]*' ! -path '/run/log/*' \
		! -path '/var/cache/*' ! -path '/var/backups/*' ! -path '/var/tmp/systemd-private-*' ! -path '/tmp/systemd-private-*' ! -name '*-' | sort`)
}

func (l *life) installFile(from, to string) {
	l.t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		l.t.Fatal(err)
	}
	to = filepath.Join(l.root, to)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o644); err != nil {
		l.t.Fatal(err)
	}
}

func TestPackageLivesAndDiesOnARealSystem(t *testing.T) {
	file := deb(t)
	l := startMachine(t)
	for _, name := range []string{"source.conf", "source.service", "site.conf"} {
		l.installFile("files/"+name, "/srv/files/"+name)
	}
	l.installFile(file, "/srv/mailstork.deb")
	l.script("prepare.sh")
	before := l.listing()

	l.step("it installs and is ready", (*life).installs)
	l.step("the daemon is confined", (*life).isConfined)
	l.step("its own doctor finds Dovecot, fence, hook and milter in order", (*life).isHealthy)
	l.step("somebody logs in with the old password and finds the mail", (*life).servesAFirstLogin)
	l.step("a letter that comes by SMTP is known", (*life).knowsALetter)
	l.step("it survives kill -9", (*life).survivesAKill)
	l.step("a hung daemon delays a letter briefly and is replaced", (*life).survivesAHang)
	l.step("an upgrade keeps the configuration and the mail flowing", (*life).survivesAnUpgrade)
	l.step("known accounts log in while it is stopped", (*life).isNotNeededByKnownAccounts)
	l.step("purged while Dovecot names its files, it locks nobody out", (*life).locksNobodyOut)
	l.step("purged after that, it leaves nothing", func(l *life) { l.leavesNothing(before) })
}

func (l *life) installs() {
	l.run("dpkg -i /srv/mailstork.deb")
	l.waitActive()
	if got := l.property("NRestarts"); got != "0" {
		l.t.Errorf("the daemon was restarted %s times", got)
	}
	for path, want := range map[string]string{
		"/etc/mailstork/mailstork.yaml": "root:mailstork 640",
		"/run/mailstork/control.sock":   "mailstork:mailstork 660",
		"/run/mailstork/dovecot/master": "mailstork:dovecot 640",
		"/var/lib/mailstork":            "mailstork:dovecot 750",
		"/var/lib/mailstork/key":        "mailstork:dovecot 600",
	} {
		if got := l.run("stat -c '%U:%G %a' " + path); got != want {
			l.t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

func (l *life) isConfined() {
	process := "/proc/" + l.property("MainPID")
	status := l.run("cat " + process + "/status")
	for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			l.t.Errorf("the daemon lacks %q:\n%s", want, status)
		}
	}
	if users := l.run("wc -l <" + process + "/uid_map"); users != "2" {
		l.t.Errorf("the daemon sees %s ranges of users, want root and itself", users)
	}
	inside := "nsenter --target " + l.property("MainPID") + " --mount "
	for _, denied := range []string{"touch /etc/x", "touch /usr/x", "touch /var/vmail/x", "/usr/bin/id"} {
		if out, err := l.try(10*time.Second, inside+denied); err == nil {
			l.t.Errorf("within the daemon's view %q works: %s", denied, out)
		}
	}
}

func (l *life) isHealthy() {
	l.script("join.sh")
	l.waitActive()
	out, _ := l.try(60*time.Second, "mailstork doctor --json") // its exit code also tells of DNS, which this machine lacks
	var findings []struct{ Check, Level, Sentence string }
	if err := json.Unmarshal([]byte(out), &findings); err != nil {
		l.t.Fatalf("doctor says %v:\n%s", err, out)
	}
	level := make(map[string]string)
	for _, finding := range findings {
		level[finding.Check] = finding.Level
	}
	for _, check := range []string{"database", "fence", "dovecot", "hook", "milter", "passdb_file", "userdb_file", "master_file"} {
		if level[check] != "ok" {
			l.t.Errorf("doctor says %q of %s:\n%s", level[check], check, out)
		}
	}
}

func (l *life) servesAFirstLogin() {
	began := time.Now()
	l.mustLogin(anna, annaPassword)
	// The source has just refused the challenge of "domain add": it lets the next login wait (auth penalty).
	if took := time.Since(began); took > 8*time.Second {
		l.t.Errorf("the first login took %v", took)
	}
	l.waitMessages(anna, annaPassword, "INBOX", 3)
	l.waitMessages(anna, annaPassword, "Work", 3)
	l.t.Logf("all mail is here after %v", time.Since(began).Round(10*time.Millisecond))
	// Last, since both Dovecots let the next login from this address wait (auth penalty).
	if answer := l.imap(bob, "wrong"); !strings.Contains(answer, "a NO [AUTHENTICATIONFAILED]") {
		l.t.Errorf("a wrong password was answered with %s", answer)
	}
}

func (l *life) knowsALetter() {
	if took := l.letter("first", anna); took > 3*time.Second {
		l.t.Errorf("Postfix took %v", took)
	}
	l.waitMessages(anna, annaPassword, "INBOX", 4)
	if got := l.deliveries(); got != 1 {
		l.t.Errorf("%d deliveries recorded, want 1", got)
	}
}

func (l *life) survivesAKill() {
	killed := l.property("MainPID")
	l.run("kill -9 " + killed)
	l.waitReplaced(killed) // by systemd alone: nobody knocks at a socket
	l.run("kill -9 " + l.property("MainPID"))
	// The sockets are still there: this first login waits for the new daemon.
	l.mustLogin(bob, bobPassword)
	l.waitActive()
	l.waitMessages(bob, bobPassword, "INBOX", 3)
}

// waitReplaced waits until another process is the daemon and says that it is ready.
func (l *life) waitReplaced(old string) {
	l.t.Helper()
	l.eventually(func() error {
		now, state := l.property("MainPID"), l.property("ActiveState")
		if now == old || now == "0" || state != "active" {
			return fmt.Errorf("process %s is %s, it was %s", now, state, old)
		}
		return nil
	})
}

func (l *life) survivesAHang() {
	// As in the unit, only sooner.
	l.run(`mkdir -p /run/systemd/system/mailstork.service.d
		printf '[Service]\nWatchdogSec=3\nTimeoutAbortSec=8\n' >/run/systemd/system/mailstork.service.d/soon.conf
		systemctl daemon-reload && systemctl restart mailstork`)
	l.waitActive()
	hung := l.property("MainPID")
	l.run("kill -STOP " + hung)
	if took := l.letter("unseen", anna); took > 8*time.Second {
		l.t.Errorf("Postfix took %v although the milter may delay it for 5 s only", took)
	}
	l.waitReplaced(hung)
	l.run("rm -r /run/systemd/system/mailstork.service.d && systemctl daemon-reload && systemctl restart mailstork")
	l.waitActive()
	l.waitMessages(anna, annaPassword, "INBOX", 5)
}

func (l *life) survivesAnUpgrade() {
	older := l.property("MainPID")
	l.run("dpkg -i /srv/mailstork.deb")
	l.waitActive()
	if newer := l.property("MainPID"); newer == older {
		l.t.Error("the old daemon still runs")
	}
	l.run("grep -q '^  allow_private_addresses: true' /etc/mailstork/mailstork.yaml")
	if got := l.run("stat -c '%U:%G %a' /etc/mailstork/mailstork.yaml"); got != "root:mailstork 640" {
		l.t.Errorf("the configuration is %s now", got)
	}
	l.letter("second", bob)
	l.waitMessages(bob, bobPassword, "INBOX", 4)
}

func (l *life) isNotNeededByKnownAccounts() {
	l.run("systemctl stop mailstork-hook.socket mailstork-control.socket mailstork-milter.socket mailstork.service")
	l.run("systemctl restart dovecot") // nothing is remembered
	l.mustLogin(anna, annaPassword)
	if took := l.letter("third", bob); took > 2*time.Second {
		l.t.Errorf("with no milter there Postfix took %v", took)
	}
	l.waitMessages(bob, bobPassword, "INBOX", 5)
	// A socket alone is enough to bring the daemon back.
	l.run("systemctl start mailstork-control.socket && mailstork status --json >/dev/null")
	l.waitActive()
}

func (l *life) locksNobodyOut() {
	if out := l.run("dpkg --purge mailstork 2>&1"); !strings.Contains(out, "/var/lib/mailstork/dovecot stays") {
		l.t.Errorf("purge says nothing about the accounts that stay: %s", out)
	}
	l.run("systemctl restart dovecot")
	l.mustLogin(anna, annaPassword)
	l.letter("fourth", bob)
	l.waitMessages(bob, bobPassword, "INBOX", 6)
	if got := l.run("ls -A /var/lib/mailstork"); got != "dovecot" {
		l.t.Errorf("left in /var/lib/mailstork: %s", got)
	}
}

func (l *life) leavesNothing(before string) {
	l.run(`rm /etc/dovecot/conf.d/05-mailstork.conf /etc/dovecot/mailstork-hook.conf.ext
		systemctl restart dovecot
		rm -r /var/lib/mailstork
		dpkg -i /srv/mailstork.deb`)
	l.waitActive()
	l.run("dpkg --purge mailstork")
	known := make(map[string]bool)
	for line := range strings.Lines(before) {
		known[strings.TrimSpace(line)] = true
	}
	for line := range strings.Lines(l.listing()) {
		if path := strings.TrimSpace(line); !known[path] {
			l.t.Errorf("left behind: %s", path)
		}
	}
	if out, err := l.try(10*time.Second, "getent passwd mailstork || getent group mailstork"); err == nil {
		l.t.Errorf("left behind: %s", out)
	}
	if units := l.run("systemctl list-units --all --no-legend 'mailstork*' | wc -l"); units != strconv.Itoa(0) {
		l.t.Errorf("systemd still knows %s units", units)
	}
	if ports, err := l.try(10*time.Second, "exec 3<>/dev/tcp/127.0.0.1/7911"); err == nil {
		l.t.Errorf("something still listens for the hook: %s", ports)
	}
}
