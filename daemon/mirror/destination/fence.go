package destination

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"
)

// FenceOptions say whose sessions to wait for and how to ask Dovecot.
type FenceOptions struct {
	User         string     // the account, as Dovecot spells it
	LocalAddress netip.Addr // where our sessions come from; must be set
	// Command runs doveadm up to its verb: ["doveadm"], or
	// ["doveadm", "-c", "/etc/dovecot/dovecot.conf"]. Empty means ["doveadm"].
	Command []string
	Every   time.Duration // between two looks; 0 means 20 ms
	Timeout time.Duration // 0 means one minute
}

// Fence waits until no session of ours for the account is left. Dovecot still runs
// the commands that a dead client sent: only after the fence is what the
// destination shows the whole truth about an append in doubt (L2).
func Fence(ctx context.Context, o FenceOptions) error {
	if !o.LocalAddress.IsValid() || o.User == "" {
		return errors.New("fencing: no account, or no address to know our sessions by")
	}
	every, timeout := o.Every, o.Timeout
	if every <= 0 {
		every = 20 * time.Millisecond
	}
	if timeout <= 0 {
		timeout = time.Minute
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last []string
	var failed error // why Dovecot could not be asked; not that time was up
	for {
		sessions, err := o.sessions(limited)
		switch {
		case err == nil && len(sessions) == 0:
			return nil
		case err == nil:
			last, failed = sessions, nil
		case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
			return err // no doveadm will come while we wait
		case limited.Err() == nil || len(last) == 0 && failed == nil:
			failed = err
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			if ctx.Err() != nil {
				return fmt.Errorf("fencing %s: %w", o.User, context.Cause(ctx))
			}
			if failed != nil {
				return failed
			}
			return fmt.Errorf("fencing %s: still there after %v: %s", o.User, timeout, strings.Join(last, "; "))
		}
	}
}

// sessions asks Dovecot for the sessions of the account that come from our address.
func (o FenceOptions) sessions(ctx context.Context) ([]string, error) {
	command := o.Command
	if len(command) == 0 {
		command = []string{"doveadm"}
	}
	args := append(append([]string(nil), command[1:]...), "-f", "tab", "who", "-1", o.User, netip.PrefixFrom(o.LocalAddress, o.LocalAddress.BitLen()).String())
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("fencing %s: asking Dovecot for its sessions: %w: %s", o.User, err, strings.TrimSpace(stderr.String()))
	}
	// No sessions is a heading alone; nothing at all is no answer.
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if !strings.HasPrefix(lines[0], "username\t") {
		return nil, fmt.Errorf("fencing %s: %q told no sessions: %q", o.User, command, out)
	}
	return lines[1:], nil
}
