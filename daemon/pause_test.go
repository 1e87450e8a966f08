package daemon

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailstork/authhook"
	"mailstork/daemon/account"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

// The passes of ten accounts have the password "old"; whoever logs in for the first time has another one.
func TestOneThrottledAccountKeepsAllOfItsSourceFromAsking(t *testing.T) {
	d, _ := newDaemon(t, privateAllowed+"mirror: {workers: 1}\n")
	srv, source := scripted(t, wiretest.Script{Answer: func(line string) (string, bool) {
		return "TAG NO Request is throttled. Suggested Backoff Time: 60000 milliseconds\r\n", strings.HasPrefix(line, "LOGIN") && strings.HasSuffix(line, "old")
	}})
	of := d.addDomain(t, source, account.Open)
	for i := range 10 {
		d.addAccount(t, of, account.Address(fmt.Sprintf("u%d@%s", i, domain)), account.Following)
	}
	d.addAccount(t, of, anna, account.Listed)
	asked := func() (n int) {
		for _, line := range srv.Lines() {
			if strings.HasPrefix(line, "LOGIN") && strings.HasSuffix(line, "old") {
				n++
			}
		}
		return n
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.workers.Work(ctx) }()
	soon(t, func() error {
		if pauses, err := d.leases.PausedSources(ctx); err != nil || len(pauses) == 0 {
			return fmt.Errorf("no source is left alone: %v", err)
		}
		return nil
	})
	if due, _, err := d.leases.Queue(ctx); due != 0 || err != nil {
		t.Errorf("%d accounts are due, %v", due, err)
	}
	if got := d.hook.Decide(ctx, authhook.Attempt{User: string(anna), Password: secret.FromString("right")}); got.Result != authhook.Yes {
		t.Errorf("a first login is told %s: %s, %v", got.Result, got.Why, got.Err)
	}
	status, err := d.Status(ctx)
	must(t, err)
	if len(status.Sources) != 1 || time.Until(status.Sources[0].PassesUntil) < 30*time.Second {
		t.Errorf("status tells %+v", status.Sources)
	}
	stop()
	must(t, <-ended)
	if n := asked(); n != 1 {
		t.Errorf("the source was asked %d times, want once", n)
	}
	if _, a, ok, err := d.leases.Claim(t.Context()); ok || err != nil {
		t.Errorf("%s is lent, %v", a.Address, err)
	}
	d.leases.Now = func() time.Time { return time.Now().Add(61 * time.Second) }
	if due, _, err := d.leases.Queue(t.Context()); due != 11 || err != nil {
		t.Errorf("%d accounts are due after the deadline, want all (%v)", due, err)
	}
}
