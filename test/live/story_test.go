package live

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailstork/test/site"
)

const (
	anna     = "anna@example.org"
	annaPass = `right "p\ass" %&=+ é`
)

// The owner works during the first pass, which can't end before enough was done, and the switch, and afterwards.
func TestAnOwnerWhoNeverStopsSeesEveryMessageOnceOnBothSidesOfTheSwitch(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass}, nil)
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 600, 4000)
		b.way.Grant(aPart)

		o.enter()
		if a := b.show(anna); a.Route != "source" || !a.SwitchedAt.IsZero() {
			t.Errorf("after the first login the account is %+v", a)
		}
		if entries, err := os.ReadDir(b.Dest.Home(anna)); err == nil && len(entries) > 0 && b.show(anna).State == "joined" {
			t.Errorf("the first login made mail here: %v", entries)
		}
		changes := func() int { return o.did["append"] + o.did["move"] + o.did["delete"] }
		o.work(func() bool { return changes() >= 50 })
		if a := b.show(anna); a.Route != "source" {
			t.Errorf("before the owner had worked the account was %+v", a)
		}
		b.way.Hurry()
		var here atomic.Bool
		over := b.watch(anna, &here)
		o.work(here.Load)
		<-over
		before := changes()
		after := time.Now().Add(2 * time.Second)
		o.work(func() bool { return time.Now().After(after) })
		t.Logf("the owner did %v; %d of them before the switch; without a connection for %s at most, %d logins refused, %d connections broken",
			o.did, before, o.without.Round(time.Millisecond), o.refused, o.breaks)
		if o.breaks == 0 || o.refused > 0 {
			t.Errorf("want an owner who was interrupted by the switch, and never turned away")
		}
		o.checkFresh("after the switch")
		b.passes(anna, 3)
		o.checkFresh("three passes later")
		b.wantInside(o)
	})
}

// watch sets here when the account was switched, while the owner works in the test's own goroutine.
func (b *bench) watch(address string, here *atomic.Bool) (over chan struct{}) {
	over = make(chan struct{})
	go func() {
		defer close(over)
		defer here.Store(true)
		err := site.Eventually(func() error {
			var a shown
			if err := b.JSON(&a, "account", "show", address); err != nil || isHere(a) {
				return err
			}
			return fmt.Errorf("%s is not switched: %+v", address, a)
		})
		if err != nil {
			b.t.Error(err)
		}
	}()
	return over
}

// wantInside asks Dovecot itself, not a session, for what is on this server's disk.
func (b *bench) wantInside(o *owner) {
	b.t.Helper()
	want, loose := map[string]int{}, 0
	for _, l := range o.letters {
		if l.loose {
			loose++
		} else if l.folder != "" {
			want[l.folder]++
		}
	}
	for _, folder := range ownersFolders {
		out, err := b.Dest.Doveadm("-f", "tab", "mailbox", "status", "-u", o.address, "messages", folder)
		must(b.t, err)
		var n int
		if _, err := fmt.Sscanf(strings.Split(out, "\n")[1], folder+"\t%d", &n); err != nil {
			b.t.Fatalf("%q: %v", out, err)
		}
		if n < want[folder] || n > want[folder]+loose {
			b.t.Errorf("%d messages are on this server's disk in %s, want %d and at most %d more", n, folder, want[folder], loose)
		}
	}
}
