package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	sddaemon "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"mailstork/authhook"
	"mailstork/authhook/guard"
	"mailstork/daemon/config"
	"mailstork/daemon/control"
	"mailstork/daemon/ledger"
	"mailstork/daemon/milter"
	"mailstork/daemon/provision"
	"mailstork/daemon/schedule"
	"mailstork/daemon/secret"
	"mailstork/dnscheck"
)

// buildStages builds the seven stages and the side door in the order in which an account meets them.
func (d *Daemon) buildStages(ctx context.Context) error {
	for _, build := range []func(context.Context) error{
		d.buildProvision, // 2: the hook needs it
		d.buildHook,      // 1
		d.buildSchedule,  // 3
		d.buildMirror,    // 4 and 5
		d.buildMilter,    // side door
		d.buildCutover,   // 6; finalize (7) has no parts of its own
	} {
		if err := build(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *Daemon) buildProvision(ctx context.Context) (err error) {
	c := d.config.Dovecot
	d.notices = newNotices(d.config)
	d.provisioner, err = provision.New(provision.Options{Store: d.store, Sealer: d.sealer, Journal: joinJournal{d}, Notices: d.notices,
		PassdbFile: c.PassdbFile, UserdbFile: c.UserdbFile, ProxiedFile: c.ProxiedFile, Authorities: c.ProxyCAFile, FileGroup: c.FileGroup, MailUID: c.MailUID, MailGID: c.MailGID,
		HomeTemplate: c.HomeTemplate})
	if err != nil {
		return err
	}
	if err := d.rollBackHeld(ctx); err != nil {
		return err
	}
	// Heals a crash between the database and the files.
	if err := d.provisioner.Refresh(ctx); err != nil {
		return err
	}
	return d.clearNotices(ctx)
}

func (d *Daemon) buildHook(ctx context.Context) error {
	clientSecret, err := openToken("hook secret", d.config.Hook.ClientSecretFile)
	if err != nil {
		return err
	}
	c := d.config.Hook
	trusted, err := config.Prefixes(c.TrustedNetworks)
	if err != nil {
		return err
	}
	window := c.FailureWindow.Duration()
	d.hook, err = authhook.New(ctx, authhook.Options{
		Provisioner: d.provisioner, Journal: loginJournal{d}, Notebook: notebook{d.store, window}, ClientSecret: clientSecret,
		Verifier: timed{authhook.IMAPVerifier{ConnectTimeout: d.config.Source.ConnectTimeout.Duration(), IdleTimeout: c.VerifyTimeout.Duration(),
			AllowPrivateAddresses: d.config.Source.AllowPrivateAddresses}, d.counters},
		Guard: guard.Limits{
			Account:            guard.Budget{Failures: c.FailuresPerAccount, Window: window},
			Network:            guard.Budget{Failures: c.FailuresPerNetwork, Window: window},
			Source:             guard.Budget{Failures: c.FailuresPerSource, Window: window},
			CreationsPerMinute: c.CreationsPerMinute,
		},
		TrustedNetworks: trusted, ParallelVerifications: c.ParallelVerifications, VerifyTimeout: c.VerifyTimeout.Duration(),
		RememberWrong: c.WrongPasswordMemory.Duration(), LeastRefusal: c.LeastRefusal.Duration(),
	})
	if err != nil {
		return err
	}
	return d.followDomains(ctx)
}

// followDomains tells the guard what admins have said of domains and their sources.
func (d *Daemon) followDomains(ctx context.Context) error {
	domains, err := d.store.Domains(ctx)
	if err == nil {
		d.hook.Follow(guard.RulesOf(domains, d.config.Hook.FailuresPerSource))
	}
	return err
}

func (d *Daemon) buildSchedule(ctx context.Context) error {
	c := d.config.Mirror
	d.leases = &schedule.Leases{Database: d.store, Owner: "mailstork", Term: c.Lease.Duration(), Now: time.Now}
	// The state folder's lock proves that whoever had these leases is dead.
	if err := d.leases.FreeOwn(ctx); err != nil {
		return err
	}
	d.workers = &schedule.Workers{Leases: d.leases, Count: c.Workers, Run: d.runPass, RetryMin: c.RetryMin.Duration(),
		RetryMax: c.RetryMax.Duration(), Report: d.report}
	d.workers.Start()
	return nil
}

func (d *Daemon) buildMirror(ctx context.Context) (err error) {
	d.ledger = ledger.New(d.store)
	if d.master, err = writeMaster(d.config.Dovecot); err != nil {
		return err
	}
	d.masterSeen = provision.SeenBy(time.Now())
	if err := os.MkdirAll(d.config.Mirror.RefusedDir, 0o700); err != nil {
		return fmt.Errorf("preparing folders: %w", err)
	}
	return d.writeDoveadmConfig(ctx)
}

func (d *Daemon) buildMilter(context.Context) error {
	d.deliveries = milter.NewDeliveries(d.store)
	d.milter = milter.New(milter.Config{Recorder: d.deliveries, Ours: d.ours, Logger: d.logger})
	return nil
}

func (d *Daemon) buildCutover(context.Context) (err error) {
	c := d.config.DNS
	resolvers, err1 := config.AddrPorts(c.Resolvers)
	public, err2 := config.AddrPorts(c.PublicResolvers)
	parents, err3 := config.AddrPorts(c.Parents)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	d.dns, err = dnscheck.New(dnscheck.Options{Resolvers: resolvers, PublicResolvers: public, Parents: parents,
		Port: uint16(c.Port), QueryTimeout: c.Timeout.Duration()})
	return err
}

// Run opens the doors, works until ctx ends, and returns when everything has stopped.
func (d *Daemon) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if err := d.openDoors(ctx, group); err != nil {
		return err
	}
	group.Go(func() error {
		waitUntil(ctx, d.masterSeen)
		return d.workers.Work(ctx)
	})
	group.Go(func() error { return d.watchDomains(ctx) })
	group.Go(func() error { return d.watchSources(ctx) })
	group.Go(func() error { return d.endStragglers(ctx) })
	group.Go(func() error { return d.pruneDeliveries(ctx) })
	group.Go(func() error { return d.notifyWatchdog(ctx) })
	d.logger.Info("ready", "event", "ready", "detail", "version "+d.version)
	if _, err := sddaemon.SdNotify(false, sddaemon.SdNotifyReady); err != nil {
		d.report(fmt.Errorf("telling systemd that we are ready: %w", err))
	}
	err := group.Wait()
	_, _ = sddaemon.SdNotify(false, sddaemon.SdNotifyStopping) // nobody is left to tell
	return err
}

// openDoors listens for Dovecot, for the command line, for Prometheus and for Postfix.
func (d *Daemon) openDoors(ctx context.Context, group *errgroup.Group) error {
	hook, err := d.listeners.open(hookSocket, d.config.Hook.Listen, 0o660)
	if err != nil {
		return err
	}
	server := d.hook.Server()
	group.Go(func() error { return ignoreClosed(server.Serve(hook)) })
	group.Go(func() error { return shutDown(ctx, server) })

	controlListener, err := d.listeners.open(controlSocket, d.config.Control.Socket, 0o660)
	if err != nil {
		return err
	}
	if !d.listeners.has(controlSocket) { // systemd's socket unit says who may use its own
		if err := control.ShareWithGroup(d.config.Control.Socket, d.config.Control.Group); err != nil {
			return err
		}
	}
	metricsHandler := d.metricsHandler()
	api := &control.Server{Operator: d, Metrics: metricsHandler, Logger: d.logger}
	group.Go(func() error { return api.Serve(ctx, controlListener) })

	if err := d.openMetrics(ctx, group, metricsHandler); err != nil {
		return err
	}
	if d.config.Milter.Listen == "" {
		return nil
	}
	milterListener, err := d.listeners.open(milterSocket, d.config.Milter.Listen, 0o660)
	if err != nil {
		return err
	}
	group.Go(func() error { return d.milter.Serve(ctx, milterListener) })
	return nil
}

// waitUntil returns at that time, or when ctx ends.
func waitUntil(ctx context.Context, at time.Time) {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func shutDown(ctx context.Context, server *http.Server) error {
	<-ctx.Done()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		return server.Close() // logins that still wait for a source are cut off; Dovecot says "try later"
	}
	return nil
}

// notifyWatchdog tells systemd that we live, several times within each watchdog period. To live means that the database
// answers: without it every part of the daemon hangs.
func (d *Daemon) notifyWatchdog(ctx context.Context) error {
	period, err := sddaemon.SdWatchdogEnabled(false)
	if err != nil || period == 0 {
		return nil // not under systemd, or no watchdog wanted
	}
	ticker := time.NewTicker(period / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := d.store.Reader().PingContext(ctx); err != nil {
				continue
			}
			if _, err := sddaemon.SdNotify(false, sddaemon.SdNotifyWatchdog); err != nil {
				return fmt.Errorf("telling systemd that we live: %w", err)
			}
		}
	}
}

// pruneDeliveries forgets deliveries that no pass will ask for any more.
func (d *Daemon) pruneDeliveries(ctx context.Context) error {
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		if _, err := d.deliveries.Prune(ctx, time.Now().Add(-d.config.Milter.KeepDays.Duration())); err != nil && ctx.Err() == nil {
			d.report(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// openToken reads what whoever connects must show, or makes it at the first start.
func openToken(what, path string) (secret.Secret, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		text = []byte(rand.Text())
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return secret.Secret{}, fmt.Errorf("making %s: %w", what, err)
		}
	} else if err != nil {
		return secret.Secret{}, fmt.Errorf("reading %s: %w", what, err)
	}
	trimmed := strings.TrimSpace(string(text))
	if trimmed == "" {
		return secret.Secret{}, fmt.Errorf("reading %s: %s is empty; remove it and start again", what, path)
	}
	return secret.FromString(trimmed), nil
}

// ours tells whether a mail domain is being moved, or was.
func (d *Daemon) ours(ctx context.Context, name string) (bool, error) {
	domains, err := d.store.Domains(ctx)
	if err != nil {
		return false, err
	}
	for _, domain := range domains {
		if domain.Name == name {
			return true, nil
		}
	}
	return false, nil
}
