// Package daemon builds and stops everything. pipeline.go lists the stages in order; the other files here are the
// seams between them: what one stage needs of another and neither may import.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"mailstork/authhook"
	"mailstork/daemon/config"
	"mailstork/daemon/cutover"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/ledger"
	"mailstork/daemon/metrics"
	"mailstork/daemon/milter"
	"mailstork/daemon/provision"
	"mailstork/daemon/schedule"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
	"mailstork/dnscheck"
)

// Daemon is everything that runs. New builds it, Run works until its context ends, Close frees what New took.
type Daemon struct {
	config      config.Config
	version     string
	startedAt   time.Time
	logger      *slog.Logger
	lock        *os.File
	listeners   *listeners
	store       *store.Store
	sealer      *secret.Sealer
	events      *eventlog.Log
	oddities    oddities
	provisioner *provision.Provisioner
	hook        *authhook.Hook
	leases      *schedule.Leases
	workers     *schedule.Workers
	ledger      *ledger.Ledger
	deliveries  *milter.Deliveries
	milter      *milter.Server
	dns         *dnscheck.Checker
	stragglers  stragglers
	notices     *notices
	// anvilKnowsProxies: this is Dovecot 2.4, which tells sessions that it passes on beside all others.
	anvilKnowsProxies bool
	filesBehind       atomic.Bool // Dovecot's files could not be written after a switch
	master            secret.Secret
	masterSeen        time.Time // when Dovecot knows the new master password
	progress          *progress
	counters          *metrics.Counters
	troubles          troubles
	logins            sourceLogins
	cutoverWake       chan struct{}
	stopwatch         *cutover.Stopwatch
}

// New opens the state and builds every part, in the order of the pipeline. Nothing runs yet.
func New(ctx context.Context, c config.Config, version string, logger *slog.Logger) (d *Daemon, err error) {
	d = &Daemon{config: c, version: version, startedAt: time.Now().UTC(), stopwatch: cutover.NewStopwatch(), logger: logger, progress: newProgress(), counters: metrics.NewCounters(),
		cutoverWake: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
			d = nil
		}
	}()
	if err := d.openState(ctx); err != nil {
		return nil, err
	}
	if d.listeners, err = inheritListeners(); err != nil {
		return nil, err
	}
	return d, d.buildStages(ctx)
}

// openState takes the state folder, the key and the database.
func (d *Daemon) openState(ctx context.Context) (err error) {
	c := d.config
	for _, dir := range []string{c.StateDir, c.RuntimeDir} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return fmt.Errorf("preparing folders: %w", err)
		}
	}
	if d.lock, err = lockState(c.StateDir); err != nil {
		return err
	}
	if d.sealer, err = secret.OpenKeyFile(c.KeyFile); err != nil {
		return err
	}
	if d.store, err = store.Open(ctx, filepath.Join(c.StateDir, "mailstork.db")); err != nil {
		return err
	}
	d.events = eventlog.New(d.store, d.logger)
	return nil
}

// Close frees what New took. It is called after Run has returned.
func (d *Daemon) Close() error {
	var errs []error
	if d.hook != nil {
		d.hook.Close()
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}
