package daemon

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/config"
	"mailstork/daemon/cutover"
	"mailstork/daemon/ledger"
	"mailstork/daemon/metrics"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

const (
	domain = "example.org"
	anna   = account.Address("anna@example.org")
	bob    = account.Address("bob@example.org")
	carla  = account.Address("carla@example.org")
)

// logbook is a log that a test may read while the daemon writes it.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}
func (l *logbook) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// newDaemon is a daemon with state and stages, but without doors, and with a destination that never says a word. more
// is added to its configuration.
func newDaemon(t *testing.T, more string) (*Daemon, *logbook) {
	t.Helper()
	dir := t.TempDir()
	destination, _ := silent(t)
	c, err := config.Parse(fmt.Appendf(nil, "state_dir: %s/state\nruntime_dir: %s/run\ndovecot: {file_group: '', imap_address: '%s'}\n%s",
		dir, dir, destination.HostPort(), more))
	must(t, err)
	log := &logbook{}
	d := &Daemon{config: c, logger: slog.New(slog.NewTextHandler(log, nil)), progress: newProgress(), counters: metrics.NewCounters(), stopwatch: cutover.NewStopwatch(),
		cutoverWake: make(chan struct{}, 1), master: secret.FromString("master")}
	t.Cleanup(func() { must(t, d.Close()) })
	must(t, d.openState(t.Context()))
	d.ledger = ledger.New(d.store)
	must(t, d.buildProvision(t.Context()), d.buildHook(t.Context()), d.buildSchedule(t.Context()))
	return d, log
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// addDomain adds example.org in a state.
func (d *Daemon) addDomain(t *testing.T, source account.Source, state account.DomainState) account.Domain {
	t.Helper()
	added, err := d.store.AddDomain(t.Context(), account.Domain{Name: domain, Source: source, Accounts: account.AccountsListed})
	must(t, err)
	for _, next := range []account.DomainState{account.Cutover, account.Draining, account.Closed} {
		if added.State == state {
			break
		}
		must(t, d.store.MoveDomain(t.Context(), added, next, []byte("{}")))
		added, err = d.store.Domain(t.Context(), domain)
		must(t, err)
	}
	return added
}

// addAccount adds an account in a state; every state but listed and done has a credential.
func (d *Daemon) addAccount(t *testing.T, of account.Domain, address account.Address, state account.State) account.Account {
	t.Helper()
	ctx := t.Context()
	must(t, d.store.Write(ctx, func(tx *sql.Tx) error {
		a, err := d.store.EnsureAccount(ctx, tx, of.ID, address, "")
		if err != nil {
			return err
		}
		for _, next := range []account.State{account.Joined, account.Copying, account.Following, account.Closing, account.Done} {
			if a.State == state {
				break
			}
			if err := d.store.MoveAccount(ctx, tx, a, next); err != nil {
				return err
			}
			a.State = next
		}
		if state == account.Listed || state == account.Done {
			return nil
		}
		return d.giveCredential(ctx, tx, a)
	}))
	return d.read(t, address)
}

func (d *Daemon) giveCredential(ctx context.Context, tx *sql.Tx, a account.Account) error {
	sealed, err := d.sealer.Seal(secret.FromString("old"), a.ID, store.KindPassword)
	if err != nil {
		return err
	}
	return d.store.SaveCredential(ctx, tx, a.ID, store.KindPassword, sealed)
}

func (d *Daemon) read(t *testing.T, address account.Address) account.Account {
	t.Helper()
	a, err := d.store.Account(t.Context(), address)
	must(t, err)
	return a
}

// silent is a server that takes connections and never says a word. The first ones are sent on the channel.
func silent(t *testing.T) (account.Source, <-chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	taken := make(chan net.Conn, 10)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case taken <- conn:
			default:
				_ = conn.Close()
			}
		}
	})
	t.Cleanup(func() { _ = listener.Close(); accepting.Wait() })
	return account.Source{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: account.TLSNone}, taken
}

// soon polls until check answers nil.
func soon(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for err := check(); err != nil; err = check() {
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestASecondDaemonIsRefusedTheStateFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := lockState(dir)
	must(t, err)
	second, err := lockState(dir)
	if want := "another mailstork works on " + dir + "; see: systemctl status mailstork"; err == nil || err.Error() != want || second != nil {
		t.Errorf("got %v, want %q", err, want)
	}
	must(t, first.Close())
	third, err := lockState(dir) // the first is gone
	must(t, err)
	must(t, third.Close())
	if _, err := lockState(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a folder that does not exist was locked")
	}
}

func (d *Daemon) giveWrongPassword(t *testing.T, a account.Account) error {
	t.Helper()
	return d.store.Write(t.Context(), func(tx *sql.Tx) error { return d.giveCredential(t.Context(), tx, a) })
}
