// Package site starts the whole product on one machine, for the demo and the end-to-end tests: a source, this server's
// Dovecot and Postfix, authoritative DNS servers, and the mailstork daemon between them, all on loopback.
//
// Owns: wiring and the daemon's process. Never does: looking inside the daemon; it is driven through its command line.
package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"gopkg.in/yaml.v3"

	"mailstork/test/testbed"
)

// Options choose what a site has.
type Options struct {
	Binary  string            // the mailstork program
	Domain  string            // the mail domain that moves
	People  map[string]string // address → password at the source
	Source  testbed.SourceOptions
	Dest    testbed.DestinationOptions
	Postfix bool                      // with Postfix and the milter
	Config  map[string]map[string]any // overrides of the daemon's configuration, by group and key
	Env     []string                  // more environment for the daemon
	// Via opens a way to the source's address and returns the loopback address where that way begins.
	Via func(address string) (string, error)
	// Prepare runs before the servers start; it may change the options.
	Prepare func(lab *testbed.Lab, o *Options) error
}

// Site is a running site.
type Site struct {
	Options
	*testbed.Lab
	Source     *testbed.Dovecot
	Dest       *testbed.Dovecot
	Postfix    *testbed.Postfix
	ConfigFile string
	StateDir   string
	DaemonLog  string
	mu         sync.Mutex
	daemon     *exec.Cmd
	done       chan struct{}
}

// Start builds a site in lab and starts its servers, not yet the daemon.
func Start(lab *testbed.Lab, o Options) (*Site, error) {
	if o.Prepare != nil {
		if err := o.Prepare(lab, &o); err != nil {
			return nil, err
		}
	}
	s := &Site{Options: o, Lab: lab, StateDir: filepath.Join(lab.Dir, "state"), DaemonLog: filepath.Join(lab.Dir, "mailstork.log"),
		ConfigFile: filepath.Join(lab.Dir, "mailstork.yaml")}
	hookPort, err := testbed.FreePort()
	if err != nil {
		return nil, err
	}
	milterPort, err := testbed.FreePort()
	for err == nil && milterPort == hookPort { // nobody holds it yet
		milterPort, err = testbed.FreePort()
	}
	if err != nil {
		return nil, err
	}
	hook, milter := fmt.Sprint("127.0.0.1:", hookPort), fmt.Sprint("127.0.0.1:", milterPort)
	if err := s.startServers(hook, milter); err != nil {
		return nil, err
	}
	return s, s.writeConfig(hook, milter)
}

func (s *Site) startServers(hook, milter string) (err error) {
	source, dest := s.Options.Source, s.Options.Dest
	source.Accounts = s.People
	if s.Source, err = s.StartSource(source); err != nil {
		return err
	}
	files := filepath.Join(s.Dir, "accounts")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return err
	}
	dest.PassdbFile, dest.UserdbFile = filepath.Join(files, "passdb"), filepath.Join(files, "userdb")
	dest.MasterFile, dest.ProxiedFile = filepath.Join(files, "master"), filepath.Join(files, "proxied")
	dest.HookAddress, dest.HookSecret = hook, hookSecret
	if s.Dest, err = s.StartDestination(dest); err != nil {
		return err
	}
	if s.Options.Postfix {
		s.Postfix, err = s.StartPostfix(testbed.PostfixOptions{Domains: []string{s.Domain}, LMTPAddress: s.Dest.LMTPAddress, MilterAddress: milter})
	}
	return err
}

const hookSecret = "laboratory-hook-secret"

func (s *Site) writeConfig(hook, milter string) error {
	for _, dir := range []string{s.StateDir, filepath.Join(s.Dir, "run")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	secretFile := filepath.Join(s.StateDir, "hook-secret")
	if err := os.WriteFile(secretFile, []byte(hookSecret), 0o600); err != nil {
		return err
	}
	files := filepath.Join(s.Dir, "accounts")
	config := map[string]any{"state_dir": s.StateDir, "runtime_dir": filepath.Join(s.Dir, "run")}
	groups := map[string]map[string]any{
		// Private sources ban nobody, and tests type wrong passwords on purpose.
		"hook": {"listen": hook, "client_secret_file": secretFile, "failures_per_account": 50, "failures_per_source": 50},
		"dovecot": {"imap_address": s.Dest.IMAPAddress, "base_dir": s.Dest.BaseDir, "doveadm_path": filepath.Join(s.Dest.BinDir, "doveadm"),
			"passdb_file": filepath.Join(files, "passdb"), "userdb_file": filepath.Join(files, "userdb"),
			"proxied_file": filepath.Join(files, "proxied"), "proxy_ca_file": s.CAFile,
			"master_file": filepath.Join(files, "master"), "mail_uid": testbed.MailUID, "mail_gid": testbed.MailGID,
			"home_template": s.Dest.HomeDir + "/{domain}/{local}"},
		"milter": {"listen": milter},
		"live":   {"pass_interval_seconds": 1},
		"mirror": {"pass_interval_seconds": 1, "retry_min_seconds": 1, "lease_seconds": 10},
		"source": {"allow_private_addresses": true},
	}
	for group, keys := range s.Options.Config {
		if groups[group] == nil {
			groups[group] = map[string]any{}
		}
		for key, value := range keys {
			groups[group][key] = value
		}
	}
	for group, keys := range groups {
		config[group] = keys
	}
	text, err := yaml.Marshal(config)
	if err != nil {
		return err
	}
	return os.WriteFile(s.ConfigFile, text, 0o644)
}

// StartDaemon starts `mailstork serve` and returns when its control socket answers.
func (s *Site) StartDaemon() error {
	log, err := os.OpenFile(s.DaemonLog, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.Binary, "serve", "--config", s.ConfigFile)
	cmd.Stdout, cmd.Stderr = log, log
	// It asks the Dovecot that it finds for its version.
	cmd.Env = append(os.Environ(), append([]string{"PATH=" + s.Dest.BinDir + ":" + os.Getenv("PATH")}, s.Env...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the daemon: %w", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() // its end is seen through done; its words are in the log
	s.mu.Lock()
	s.daemon, s.done = cmd, done
	s.mu.Unlock()
	return s.waitReady(done)
}

func (s *Site) waitReady(done chan struct{}) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		select {
		case <-done:
			return fmt.Errorf("starting the daemon: it ended at once:\n%s", s.LogTail(15))
		default:
		}
		_, err := s.CLI("status", "--json")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("starting the daemon: not ready: %w\n%s", err, s.LogTail(15))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// PID is the daemon's process id.
func (s *Site) PID() int { s.mu.Lock(); defer s.mu.Unlock(); return s.daemon.Process.Pid }

// Kill ends the daemon with a signal and returns when it is gone.
func (s *Site) Kill(signal syscall.Signal) error {
	s.mu.Lock()
	daemon, done := s.daemon, s.done
	s.mu.Unlock()
	if daemon == nil {
		return nil
	}
	if err := daemon.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(20 * time.Second):
		return errors.Join(errors.New("the daemon did not stop within 20 s"), daemon.Process.Kill())
	}
}

// Close stops the daemon and all servers.
func (s *Site) Close() error { return errors.Join(s.Kill(syscall.SIGTERM), s.Lab.Close()) }

// CLI runs a mailstork command against this site's daemon and returns its standard output.
func (s *Site) CLI(args ...string) (string, error) { return s.CLIWithInput(nil, args...) }

// CLIWithInput is CLI with standard input.
func (s *Site) CLIWithInput(input io.Reader, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Binary, append([]string{"--config", s.ConfigFile}, args...)...)
	cmd.Stdin = input
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("mailstork %s: %w: %s%s", strings.Join(args, " "), err, problems.String(), out.String())
	}
	return out.String(), err
}

// JSON runs a reading command with --json and decodes its answer.
func (s *Site) JSON(into any, args ...string) error {
	out, err := s.CLI(append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("mailstork %s: %w in %q", strings.Join(args, " "), err, out)
	}
	return nil
}

// LogTail is the end of the daemon's log.
func (s *Site) LogTail(lines int) string {
	content, err := os.ReadFile(s.DaemonLog)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Account is what `mailstork account show --json` says, as far as tests look.
type Account struct {
	Address string `json:"address"`
	State   string `json:"state"`
	Stuck   string `json:"stuck"`
	Hint    string `json:"hint"`
}

// WaitState waits until an account is in one of the states.
func (s *Site) WaitState(address string, states ...string) (Account, error) {
	var a Account
	err := Eventually(func() error {
		if err := s.JSON(&a, "account", "show", address); err != nil {
			return err
		}
		for _, state := range states {
			if a.State == state {
				return nil
			}
		}
		return fmt.Errorf("account %s is %s (stuck: %q), not yet %s", address, a.State, a.Stuck, strings.Join(states, " or "))
	})
	return a, err
}

// patience is how long a test waits for what must happen. Only what fails uses it up, so that it is generous.
const patience = 3 * time.Minute

// Eventually polls check until it answers nil or patience is at its end; then its last error is returned.
func Eventually(check func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// AddDomain adds the site's domain with its source.
func (s *Site) AddDomain(more ...string) error {
	address := s.Source.IMAPSAddress
	if s.Via != nil {
		via, err := s.Via(address)
		if err != nil {
			return err
		}
		address = via
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	_, err = s.CLI(append([]string{"domain", "add", s.Domain, "--source", "imaps://localhost:" + port, "--ca-file", s.CAFile,
		"--mx", MXHost, "--outgoing", OutgoingAddress}, more...)...)
	return err
}

// How the world sees this server after the cutover.
const (
	MXHost          = "mx.here.example"
	OutgoingAddress = "192.0.2.25"
)
