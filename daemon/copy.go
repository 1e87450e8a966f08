package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

// Endpoint is one side of a copy.
type Endpoint struct {
	Server   account.Source
	User     string
	Password secret.Secret
}

// String names the account, not the road to it: a tunnel may have another port every day.
func (e Endpoint) String() string { return e.User + " at " + e.Server.Host }

// CopyJob is one account copied to another one without a daemon.
type CopyJob struct {
	From, To Endpoint
	State    string        // file of the ledger; it belongs to this pair of accounts. Empty: forgotten at the end
	Doveadm  []string      // asks the destination's Dovecot for its sessions; empty: Settle is waited instead
	Settle   time.Duration // how long commands of a dead session may still take effect
	Pairs    int
	Switched bool // the destination is the truth: nothing there is undone
	Verify   bool // afterwards read both sides again and account for every message
	Progress func(control.Pass)
}

// CopyResult is how the accounts stand after a copy.
type CopyResult struct {
	mirror.Result
	Verified *control.Verification // nil when nobody asked for it
}

// Copy makes one pass and returns how the accounts stand. Its errors are for people (*control.Error).
func Copy(ctx context.Context, job CopyJob) (result CopyResult, err error) {
	if job.State == "" {
		dir, err := os.MkdirTemp("", "mailstork-copy-")
		if err != nil {
			return result, fmt.Errorf("preparing a ledger: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		job.State = filepath.Join(dir, "ledger")
	}
	s, lock, err := job.open(ctx)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.Close(), lock.Close()) }()
	a, err := job.account(ctx, s)
	if err != nil {
		return result, err
	}
	options := job.options(a, ledger.New(s))
	if len(job.Doveadm) > 0 {
		// A ledger that was forgotten can't tell that a killed run left something in doubt (L2).
		if err := options.Fence(ctx); err != nil {
			return result, job.explain(ctx, err)
		}
	}
	if result.Result, err = mirror.Pass(ctx, options); err != nil || !job.Verify {
		return result, job.explain(ctx, err)
	}
	report, err := mirror.Verify(ctx, options, mirror.VerifyOptions{Reread: true})
	if err == nil {
		shown := showVerification("", report)
		result.Verified = &shown
	}
	return result, job.explain(ctx, err)
}

// open takes the ledger's file for this process alone.
func (job CopyJob) open(ctx context.Context) (*store.Store, *os.File, error) {
	lock, err := os.OpenFile(job.State+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, &control.Error{Kind: control.KindInvalid, Sentence: "the state file can't be opened", Raw: err.Error(), Hint: "mailstork copy --help"}
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, nil, errors.Join(control.Refused("another mailstork copy works with the state file "+job.State, "fuser -v "+job.State+".lock"), lock.Close())
	}
	s, err := store.Open(ctx, job.State)
	if err != nil {
		return nil, nil, errors.Join(&control.Error{Kind: control.KindInvalid, Sentence: "the state file can't be used", Raw: err.Error(),
			Hint: "ls -l " + job.State}, lock.Close())
	}
	return s, lock, nil
}

const copyDomain = "copy.invalid"

// account finds the row of this copy, or makes it. A ledger of other accounts would make the mirror believe that
// everything was deleted here, so it is refused.
func (job CopyJob) account(ctx context.Context, s *store.Store) (account.Account, error) {
	pair := job.From.String() + " to " + job.To.String()
	address := account.Address("copy@" + copyDomain)
	domain, err := s.Domain(ctx, copyDomain)
	if errors.Is(err, store.ErrNotFound) {
		domain, err = s.AddDomain(ctx, account.Domain{Name: copyDomain, Source: job.From.Server, Accounts: account.AccountsListed})
	}
	if err != nil {
		return account.Account{}, err
	}
	var a account.Account
	err = s.Write(ctx, func(tx *sql.Tx) error {
		a, err = s.EnsureAccount(ctx, tx, domain.ID, address, pair)
		return err
	})
	if err == nil && a.SourceUser != pair {
		err = &control.Error{Kind: control.KindRefused, Sentence: fmt.Sprintf("the state file %s belongs to the copy of %s", job.State, a.SourceUser),
			Raw: "this one is of " + pair, Hint: "the same command with another --state FILE"}
	}
	if job.Switched {
		a.SwitchedAt = a.CreatedAt
	}
	return a, err
}

func (job CopyJob) options(a account.Account, l *ledger.Ledger) mirror.Options {
	to := destination.Options{Address: job.To.Server.HostPort(), User: job.To.User, Password: job.To.Password,
		TLS: job.To.Server.TLS, CAFile: job.To.Server.CAFile, ServerName: job.To.Server.ServerName}
	if addr, err := netip.ParseAddr(job.To.Server.Host); job.To.Server.Host == "localhost" || err == nil && addr.Is4() && addr.IsLoopback() {
		to.LocalAddress = sessionAddress
		to.Address = net.JoinHostPort("127.0.0.1", fmt.Sprint(job.To.Server.Port))
		if to.ServerName == "" {
			to.ServerName = job.To.Server.Host
		}
	}
	o := mirror.Options{Account: a, Ledger: l, Destination: to,
		Source:  source.Options{Server: job.From.Server, User: job.From.User, Password: job.From.Password},
		Policy:  mirror.Policy{Switched: job.Switched},
		KeepDir: filepath.Join(filepath.Dir(job.State), filepath.Base(job.State)+".refused"), Pairs: job.Pairs,
		Fence: job.settle}
	if len(job.Doveadm) > 0 && to.LocalAddress.IsValid() {
		o.Fence = func(ctx context.Context) error {
			return destination.Fence(ctx, destination.FenceOptions{User: job.To.User, LocalAddress: to.LocalAddress, Command: job.Doveadm})
		}
	}
	if job.Progress != nil {
		o.Progress = func(p mirror.Progress) { job.Progress(showProgress(a.Address, p)) }
	}
	return o
}

// settle is the fence of a server that we can't ask for its sessions.
func (job CopyJob) settle(ctx context.Context) error {
	timer := time.NewTimer(job.Settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// explain gives the error of a pass the form of a command's, with hints that need no daemon.
func (job CopyJob) explain(ctx context.Context, err error) error {
	var known *mirror.Error
	const again = "run the same command again; it goes on where it stopped"
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &control.Error{Kind: control.KindFailed, Sentence: "interrupted; nothing is lost", Hint: again}
	case !errors.As(err, &known):
		return &control.Error{Kind: control.KindFailed, Sentence: "the pass stopped", Raw: err.Error(), Hint: again}
	}
	told := forCommand(known, control.KindFailed)
	if command, _, _ := strings.Cut(told.Hint, "   #"); strings.HasPrefix(command, "mailstork") {
		told.Hint = again
	} else {
		told.Hint = command + "   # then run the same command again"
	}
	var login *wire.LoginError
	if errors.As(err, &login) && login.Refused {
		told.Hint = "give the password that this server accepts (mailstork copy --help)"
	}
	return told
}
