package testbed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Dovecot is one private instance. Its addresses stay the same over Stop and
// Start; its files are there to be read, and to be broken, by tests.
type Dovecot struct {
	Name        string
	IMAPAddress string // plain text and STARTTLS
	IMAPSAddress,
	LMTPAddress string
	POP3Address string // plain text; only of a destination that was asked for it
	LMTPSocket  string
	AuthSocket  string // where Postfix asks about logins; of a destination only
	CAFile      string

	Dir      string
	BaseDir  string
	ConfFile string
	LogFile  string
	HomeDir  string // the mail of a@b is in HomeDir/b/a/Maildir
	// RawLogDir holds every byte of every IMAP session, when the option asked
	// for it: see Commands.
	RawLogDir string

	PassdbFile  string
	UserdbFile  string
	MasterFile  string
	ProxiedFile string // of a destination

	// BinDir has dovecot and doveadm of the instance's version; see DoveadmCommand.
	BinDir string

	edition edition
	mu      sync.Mutex
	proc    *process
}

// dovecotConfig is what the files in config/ are filled with.
type dovecotConfig struct {
	*Dovecot
	StateDir, CertFile, KeyFile   string
	ConfigVersion                 string // the first setting of every configuration of 2.4
	IMAPPort, IMAPSPort, LMTPPort int
	POP3                          bool
	POP3Port                      int
	MailUID                       int
	Separator, Prefix, Quota      string
	SpecialUse                    map[string]string
	ExtraConfig                   string
	DropInFile, HookFile          string
	ProxyCAFile                   string
	HookAddress, HookSecret       string
	Checkpassword                 string
}

// defaultSpecialUse is what Debian's Dovecot declares.
var defaultSpecialUse = map[string]string{
	"Drafts": `\Drafts`, "Junk": `\Junk`, "Trash": `\Trash`, "Sent": `\Sent`,
}

// newDovecot fills in what source and destination have in common.
func (l *Lab) newDovecot(e edition, name, homeDir string, certHosts []string, expired bool) (*dovecotConfig, error) {
	version, err := e.configVersion()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	dir, err := l.makeServerDir(name)
	if err != nil {
		return nil, err
	}
	if homeDir == "" {
		homeDir = filepath.Join(dir, "home")
	}
	d := &Dovecot{
		Name: name, CAFile: l.CAFile,
		Dir: dir, HomeDir: homeDir,
		BaseDir:    filepath.Join(dir, "run"),
		ConfFile:   filepath.Join(dir, "dovecot.conf"),
		LogFile:    filepath.Join(dir, "log"),
		LMTPSocket: filepath.Join(dir, "run", "lmtp"),

		BinDir:  filepath.Join(dir, "bin"),
		edition: e,
	}
	c := &dovecotConfig{Dovecot: d, StateDir: filepath.Join(dir, "state"), MailUID: MailUID, ConfigVersion: version}
	for _, path := range []string{d.BaseDir, d.BinDir, c.StateDir} {
		if err := makeDir(path, 0o755, 0, 0); err != nil {
			return nil, err
		}
	}
	if err := e.scripts(d.BinDir); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	if err := makeDir(d.HomeDir, 0o750, MailUID, MailGID); err != nil {
		return nil, err
	}
	if len(certHosts) == 0 {
		certHosts = []string{"localhost", "127.0.0.1"}
	}
	c.CertFile, c.KeyFile, err = l.authority.issue(dir, certHosts, expired)
	return c, err
}

// withRawLog makes Dovecot write down its IMAP sessions.
func (c *dovecotConfig) withRawLog() error {
	c.RawLogDir = filepath.Join(c.Dir, "rawlog")
	return makeDir(c.RawLogDir, 0o750, MailUID, MailGID)
}

// startFirst chooses ports, writes the configuration with write, and starts.
// Another program may take a chosen port first: then others are chosen.
func (l *Lab) startFirst(c *dovecotConfig, write func(*dovecotConfig) error) (*Dovecot, error) {
	for attempt := 1; ; attempt++ {
		if err := c.choosePorts(); err != nil {
			return nil, err
		}
		if err := write(c); err != nil {
			return nil, fmt.Errorf("configuring %s: %w", c.Name, err)
		}
		err := c.Start()
		if err == nil {
			l.add(c.Dovecot)
			return c.Dovecot, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return nil, err
		}
	}
}

func (c *dovecotConfig) choosePorts() error {
	for _, choice := range []struct {
		port    *int
		address *string
	}{
		{&c.IMAPPort, &c.IMAPAddress}, {&c.IMAPSPort, &c.IMAPSAddress}, {&c.LMTPPort, &c.LMTPAddress}, {&c.POP3Port, &c.POP3Address},
	} {
		port, err := FreePort()
		for err == nil && (port == c.IMAPPort || port == c.IMAPSPort || port == c.LMTPPort) { // nobody holds them yet
			port, err = FreePort()
		}
		if err != nil {
			return err
		}
		*choice.port = port
		*choice.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return nil
}

// Start starts a stopped instance and returns when it answers on IMAP and LMTP.
func (d *Dovecot) Start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proc != nil && !d.proc.exited() {
		return fmt.Errorf("starting %s: it is running", d.Name)
	}
	command, err := d.edition.command("dovecot", "-F", "-c", d.ConfFile)
	if err != nil {
		return fmt.Errorf("starting %s: %w", d.Name, err)
	}
	// A socket left by a killed instance makes a new one wait 5 s for an answer.
	if err := removeContents(d.BaseDir); err != nil {
		return fmt.Errorf("starting %s: %w", d.Name, err)
	}
	proc, err := startProcess(d.Name, d.LogFile, command...)
	if err != nil {
		return err
	}
	// The master passes the signal on at once and then sleeps for a second.
	proc.patience = 300 * time.Millisecond
	err = proc.waitReady(func() error {
		if err := expectGreeting(d.IMAPAddress, "* OK"); err != nil {
			return err
		}
		return expectGreeting(d.LMTPAddress, "220 ")
	})
	if err != nil {
		return errors.Join(err, proc.stop())
	}
	d.proc = proc
	return nil
}

// Stop ends the instance with all its sessions; it may be called twice.
func (d *Dovecot) Stop() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.proc == nil {
		return nil
	}
	err := d.proc.stop()
	d.proc = nil
	return err
}

// Restart stops and starts.
func (d *Dovecot) Restart() error {
	if err := d.Stop(); err != nil {
		return err
	}
	return d.Start()
}

func (d *Dovecot) running() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.proc != nil && !d.proc.exited()
}

func (d *Dovecot) logFile() string { return d.LogFile }

// Doveadm runs doveadm against this instance and returns what it printed.
func (d *Dovecot) Doveadm(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	command := append(d.DoveadmCommand(), args...)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("running doveadm %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// AddAccount gives address a password and a home here, and returns when Dovecot
// knows it (it looks at the file once a second). Extra userdb fields may follow,
// see QuotaField.
func (d *Dovecot) AddAccount(address, password string, fields ...string) error {
	if err := d.addToUserdb(address, fields...); err != nil {
		return err
	}
	if err := d.addToPassdb(address, password); err != nil {
		return err
	}
	return d.waitKnown(address)
}

// ListAccount makes address known for delivery only, as an account whose owner
// has not logged in yet.
func (d *Dovecot) ListAccount(address string, fields ...string) error {
	if err := d.addToUserdb(address, fields...); err != nil {
		return err
	}
	return d.waitUser(address)
}

func (d *Dovecot) addToUserdb(address string, fields ...string) error {
	return d.setLine(d.UserdbFile, address, fmt.Sprintf("%s::%d:%d::%s::%s",
		address, MailUID, MailGID, d.Home(address), strings.Join(fields, " ")))
}

func (d *Dovecot) addToPassdb(address, password string) error {
	return d.setLine(d.PassdbFile, address, address+":"+hashPassword(password))
}

// Home is where the mail of address is kept.
func (d *Dovecot) Home(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	return filepath.Join(d.HomeDir, domain, local)
}

// setLine replaces or adds the line of one account in a passwd-file.
func (d *Dovecot) setLine(path, account, line string) error {
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("adding account %s: %w", account, err)
	}
	lines := []string{line}
	for old := range strings.Lines(string(content)) {
		if !strings.HasPrefix(old, account+":") {
			lines = append(lines, strings.TrimSuffix(old, "\n"))
		}
	}
	sort.Strings(lines)
	if err := replaceAccounts(path, []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		return fmt.Errorf("adding account %s: %w", account, err)
	}
	return nil
}

// replaceAccounts rewrites a passwd-file so that Dovecot 2.3 notices: it looks at
// size and whole seconds of the time only, and would never see a hash that was
// replaced by one of the same length within a second.
func replaceAccounts(path string, content []byte) error {
	before, statErr := os.Stat(path)
	if err := replaceFile(path, 0o640, dovecotGID(), content); err != nil {
		return err
	}
	now := time.Now()
	if statErr != nil || now.Unix() > before.ModTime().Unix() {
		return nil
	}
	next := before.ModTime().Add(time.Second)
	return os.Chtimes(path, next, next)
}

// waitKnown returns when a running instance finds address in both files.
func (d *Dovecot) waitKnown(address string) error {
	if err := d.waitUser(address); err != nil {
		return err
	}
	return d.waitFor("passdb entry of "+address, "auth", "lookup", address)
}

func (d *Dovecot) waitUser(address string) error {
	return d.waitFor("userdb entry of "+address, "user", "-u", address)
}

func (d *Dovecot) waitFor(what string, args ...string) error {
	if !d.running() {
		return nil
	}
	deadline := time.Now().Add(readyWithin)
	for {
		_, err := d.Doveadm(args...)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s in %s: %w", what, d.Name, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// SetPassword changes the password of an account and returns when it is valid.
func (d *Dovecot) SetPassword(address, password string) error {
	if err := d.addToPassdb(address, password); err != nil {
		return err
	}
	deadline := time.Now().Add(readyWithin)
	for d.running() {
		client, err := d.Login(address, password)
		if err == nil {
			return client.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for the new password of %s: %w", address, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

// hashPassword never writes the password itself: tests search the whole lab
// folder for a canary. The hash is quick because labs check nothing but tests.
func hashPassword(password string) string {
	return fmt.Sprintf("{SHA256.HEX}%x", sha256.Sum256([]byte(password)))
}

// dovecotGID is the group of Dovecot's auth process, which must be able to read
// the files, and nobody else.
func dovecotGID() int {
	group, err := user.LookupGroup("dovecot")
	if err != nil {
		return 0
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return 0
	}
	return gid
}

func removeContents(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
