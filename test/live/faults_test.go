package live

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

// A switch asks Dovecot at most so often whom it passes on: list and end, list again, and list after each last pass.
const mostQuestions = 8

// Each account's switch is stopped before another question, and there the daemon is killed. Its owner works before,
// during and after.
func TestDaemonKilledAtAnyStepOfASwitchLeavesTheOwnerOnAWorkingSide(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		people := map[string]string{}
		for n := 1; n <= mostQuestions; n++ {
			people[fmt.Sprintf("p%d@%s", n, domain)] = annaPass
		}
		b := start(t, version, people, nil)
		killed := 0
		for n := 1; n <= mostQuestions; n++ {
			if b.killAt(n) {
				killed++
			}
		}
		if killed < 4 {
			t.Errorf("the daemon was killed at %d steps, want the four of every switch", killed)
		}
	})
}

// killAt tells whether the switch came so far.
func (b *bench) killAt(n int) bool {
	t, address := b.t, fmt.Sprintf("p%d@%s", n, domain)
	t.Helper()
	o := newOwner(t, b.Dest, address, annaPass)
	o.seed(b.Source, 30, 300)
	b.gate.shut(t, n)
	o.enter()
	if !b.gate.reached(t, n, func() bool { return isHere(b.show(address)) }) {
		b.gate.openAll()
		o.checkFresh("after a switch without a stop")
		return false
	}
	began, held := time.Now(), b.show(address).Route == "held"
	must(t, b.Kill(syscall.SIGKILL))
	b.gate.openAll()
	if c, err := b.Dest.Login(address, annaPass); err == nil { // either side is a working one, and both have all
		o.leave()
		o.client = c
		o.check("while the daemon is dead")
	} else if strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
		t.Errorf("while the daemon is dead the right password is called wrong: %v", err)
	}
	must(t, b.StartDaemon())
	if held && !b.wentBackFirst(address) {
		t.Errorf("question %d: the new daemon was ready while logins still waited", n)
	}
	o.leave()
	o.enter()
	after := time.Now().Add(time.Second)
	o.work(func() bool { return time.Now().After(after) })
	b.waitFor(address, "switched", isHere)
	after = time.Now().Add(500 * time.Millisecond)
	o.work(func() bool { return time.Now().After(after) })
	t.Logf("killed before question %d: %v from there to the end, %d logins refused", n, time.Since(began).Round(time.Millisecond), o.refused)
	o.checkFresh("after the switch")
	b.passes(address, 2)
	o.checkFresh("two passes later")
	b.wantInside(o)
	return true
}

// wentBackFirst tells whether the last start of the daemon ended the wait of an account's logins before it was ready.
func (b *bench) wentBackFirst(address string) bool {
	b.t.Helper()
	log, err := os.ReadFile(b.DaemonLog)
	must(b.t, err)
	starts := strings.Split(string(log), "event=ready")
	started := starts[len(starts)-2] // from the start before to this one
	return strings.Contains(started, "event=roll-back domain="+domain+" account="+address)
}

// fails stops a switch while logins are held, breaks something, and mends it after the owner was sent back.
func (b *bench) fails(o *owner, question int, broken, mended func(), said string) {
	t := b.t
	t.Helper()
	b.gate.shut(t, question)
	o.enter()
	b.gate.reached(t, question, func() bool { return false })
	broken()
	b.gate.openAll()
	a := b.waitFor(o.address, "passed on again", func(a shown) bool { return a.Route == "source" && a.Switching.Problem != "" })
	if !strings.Contains(a.Stuck, "could not be switched") || !strings.Contains(a.Switching.Problem, said) || !a.SwitchedAt.IsZero() {
		t.Errorf("after the failure the account is %+v, want a problem with %q", a, said)
	}
	status, err := b.CLI("status")
	if must(t, err); !strings.Contains(status, "could not be switched") {
		t.Errorf("status does not tell:\n%s", status)
	}
	mended()
	o.leave()
	o.enter()
	after := time.Now().Add(time.Second)
	o.work(func() bool { return time.Now().After(after) })
	if a := b.waitFor(o.address, "switched", isHere); a.Stuck != "" {
		t.Errorf("after the switch the account is %+v", a)
	}
	o.checkFresh("after the switch")
	b.passes(o.address, 2)
	o.checkFresh("two passes later")
	b.wantInside(o)
}

func TestSourceThatDiesDuringASwitchGetsItsOwnersBack(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass}, nil)
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 60, 300)
		b.fails(o, 1, func() { must(t, b.Source.Stop()) }, func() {
			_, err := b.Dest.Login(anna, annaPass) // Dovecot tells that the source is away, not that the password is wrong
			if err == nil || strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
				t.Errorf("while the source is away the owner is told %v", err)
			}
			must(t, b.Source.Start())
		}, "copying the last difference")
	})
}

func TestDestinationThatFailsInTheLastPassKeepsItsOwnersAtTheSource(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass}, nil)
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 60, 300)
		master, err := os.ReadFile(b.Dest.MasterFile)
		must(t, err)
		b.fails(o, 1, func() { b.setMaster([]byte("# nobody\n")) }, func() { b.setMaster(master) }, "copying the last difference")
	})
}

// setMaster changes the daemon's own login at this server's Dovecot, and returns when Dovecot has seen it.
func (b *bench) setMaster(content []byte) {
	b.t.Helper()
	must(b.t, os.WriteFile(b.Dest.MasterFile, content, 0o640))
	next := time.Now().Add(2 * time.Second) // another second than any before: Dovecot 2.3 looks at these alone
	must(b.t, os.Chtimes(b.Dest.MasterFile, next, next), site.Eventually(func() error {
		info, err := os.Stat(b.Dest.MasterFile)
		if err == nil && time.Since(info.ModTime()) < 0 {
			return fmt.Errorf("waiting for the next look")
		}
		return err
	}))
}

// Dovecot has let a login go to the source, which answers it only after the switch. What its owner does there comes along,
// and the session is ended.
func TestALoginThatReachesTheSourceAfterTheSwitchIsEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := start(t, version, map[string]string{anna: annaPass}, whilePassedOn)
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 30, 300)
		o.enter()
		o.leave()
		b.waitFor(anna, "followed", func(a shown) bool { return a.State == "following" })
		_, err := b.CLI("account", "pause", anna)
		must(t, err, site.Eventually(func() error { // no pass is on its way that could be kept in its place
			var status struct{ Passes []any }
			if err := b.JSON(&status, "status"); err != nil || len(status.Passes) == 0 {
				return err
			}
			return fmt.Errorf("a pass goes on: %v", status.Passes)
		}))
		// Login processes of 2.3 that have passed somebody on before tell logins that are on their way, too, and would end
		// this one in time; new ones don't.
		must(t, b.Dest.Restart())
		late := b.way.KeepNext()
		type login struct {
			client *testbed.Client
			err    error
		}
		arrived := make(chan login, 1)
		go func() {
			c, err := b.Dest.Login(anna, annaPass)
			arrived <- login{c, err}
		}()
		<-late.There
		_, err1 := b.CLI("domain", "set", domain, "--first-login", "local")
		_, err2 := b.CLI("account", "resume", anna)
		must(t, err1, err2)
		b.waitFor(anna, "switched", isHere)
		close(late.Over)
		l := <-arrived
		must(t, l.err)
		id := o.newID()
		o.letters[id] = &letter{loose: true}
		if _, err := l.client.Append("INBOX", nil, time.Unix(1_700_000_000, 0), o.text(id, 300)); err == nil {
			o.letters[id].loose, o.letters[id].folder = false, "INBOX"
		}
		must(t, site.Eventually(func() error {
			if _, err := l.client.Command("NOOP"); err == nil {
				return fmt.Errorf("the late session at the source goes on")
			}
			return nil
		}))
		b.passes(anna, 2)
		o.checkFresh("after the late session")
		b.wantInside(o)
	})
}
