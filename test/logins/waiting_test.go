package logins

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// slowFor is how long the source lets first logins wait at least.
const slowFor = 5 * time.Second

// newcomers are people at the source, and anna, who logs in first.
func newcomers(n int) map[string]string {
	people := map[string]string{anna: "anna's"}
	for i := range n {
		people[newcomer(i)] = "right"
	}
	return people
}

func newcomer(i int) string { return fmt.Sprintf("new%d@%s", i, domain) }

// crowd is first logins that wait for a slow source.
type crowd struct {
	s    *site
	all  sync.WaitGroup
	mu   sync.Mutex
	in   int
	told int     // UNAVAILABLE: mail programs ask again by themselves
	cut  []error // anything else
}

// gather lets n people log in at once, each until he is in or was cut.
func (s *site) gather(n int) *crowd {
	c := &crowd{s: s}
	for i := range n {
		c.all.Go(func() { c.person(newcomer(i)) })
	}
	return c
}

// person logs in as a mail program does, which asks again after a while when it is told UNAVAILABLE.
func (c *crowd) person(address string) {
	for {
		err := c.s.enterIMAP(address, "right")
		c.mu.Lock()
		switch {
		case err == nil:
			c.in++
		case said(err) == "NO [UNAVAILABLE]" && c.told < 1000:
			c.told++
			c.mu.Unlock()
			continue
		default:
			c.cut = append(c.cut, err)
		}
		c.mu.Unlock()
		return
	}
}

func (c *crowd) dropped() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.cut)
}

// wantAllIn waits for the crowd.
func (c *crowd) wantAllIn(n int) {
	c.s.t.Helper()
	c.all.Wait()
	c.s.t.Logf("%d of %d are in, %d were dropped, %d answers were UNAVAILABLE", c.in, n, len(c.cut), c.told)
	if c.in != n {
		c.s.t.Errorf("%d of %d are in; dropped: %v", c.in, n, errors.Join(c.cut...))
	}
}

// median is that of some logins of somebody who is here.
func (s *site) median(address, password string) time.Duration {
	s.t.Helper()
	const samples = 15
	var took []time.Duration
	for range samples {
		began := time.Now()
		if err := s.enterIMAP(address, password); err != nil {
			s.t.Errorf("login of %s: %v", address, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[samples/2]
}

func TestFiftyFirstLoginsAtASlowSourceHoldUpNobodyElse(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		const waiting = 50
		s := newSite(t, options{way: w, accounts: newcomers(waiting)})
		if err := s.enterIMAP(anna, "anna's"); err != nil {
			t.Fatal(err)
		}
		s.knows(anna)
		alone := s.median(anna, "anna's")
		quick := s.verifier.slow()
		defer quick()
		began := time.Now()
		all := s.gather(waiting)
		s.waitFor("fifty logins at the source", func() bool { return s.verifier.waits() == waiting })
		beside := s.median(anna, "anna's")
		if n := s.verifier.waits(); n != waiting { // what was measured was measured beside them
			t.Errorf("%d logins wait, want %d", n, waiting)
		}
		t.Logf("a login of an account that is here takes %s (median), and %s beside %d that wait", alone, beside, waiting)
		if bound := 5*alone + 100*time.Millisecond; beside > bound {
			t.Errorf("others' logins take %s, more than %s", beside, bound)
		}
		time.Sleep(time.Until(began.Add(slowFor))) // the source's slowness, nothing is waited for
		quick()
		all.wantAllIn(waiting)
	})
}

const pending = 120

func TestNoneOf120PendingLoginsIsDropped(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		s := newSite(t, options{way: w, accounts: newcomers(pending)})
		quick := s.verifier.slow()
		defer quick()
		all := s.gather(pending)
		s.waitFor("all logins at the source", func() bool { return s.verifier.waits() == pending || all.dropped() > 0 })
		quick()
		all.wantAllIn(pending)
	})
}

// withoutLimits takes out of the drop-in what it says of the login processes of IMAP.
func (s *site) withoutLimits() {
	s.t.Helper()
	file := filepath.Join(s.destination.Dir, "mailstork.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "service imap-login {\n")
	_, after, closed := strings.Cut(rest, "\n}\n")
	if !found || !closed {
		s.t.Fatalf("no login processes in the drop-in:\n%s", text)
	}
	if err := errors.Join(os.WriteFile(file, []byte(before+after), 0o644), s.destination.Restart()); err != nil {
		s.t.Fatal(err)
	}
}

// The claim above is worth something only if the drop-in is what makes it true.
func TestWithoutTheLimitsOfTheDropInPendingLoginsAreDropped(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		s := newSite(t, options{way: w, accounts: newcomers(pending)})
		s.withoutLimits()
		quick := s.verifier.slow()
		defer quick()
		all := s.gather(pending)
		s.waitFor("a login to be dropped", func() bool { return all.dropped() > 0 || s.destinationDrops() })
		n := s.verifier.waits()
		quick()
		t.Logf("%d of %d logins wait for the source, then Dovecot drops some", n, pending)
		if n == pending {
			t.Error("all logins wait, none was dropped")
		}
		all.all.Wait()
	})
}

// destinationDrops tells whether Dovecot says that it has dropped connections.
func (s *site) destinationDrops() bool {
	s.t.Helper()
	log, err := os.ReadFile(s.destination.LogFile)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(string(log), "connections are being dropped") || strings.Contains(string(log), "Connection queue full")
}
