package destination

import (
	"context"
	"net/netip"
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
func Fence(ctx context.Context, o FenceOptions) error { panic("body follows") }
