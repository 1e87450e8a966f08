package live

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"mailstork/test/site"
)

// Each account's daemon is killed as soon as it has said something else. Between "open" and the end of the letter lies the
// time that Dovecot takes to see its files.
func TestDaemonKilledAtAnyStepOfANoticeLeavesTheOwnerOnAWholeSide(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		said := []string{"event=join ", "event=notice ", "state=copying", "onward: proven", "state=following", "event=open "}
		people := map[string]string{}
		for n := range said {
			people[fmt.Sprintf("w%d@%s", n, domain)] = annaPass
		}
		b := startWaiting(t, version, people)
		for n, text := range said {
			b.killWhenSaid(fmt.Sprintf("w%d@%s", n, domain), text)
		}
		must(t, b.noFolders())
	})
}

func (b *bench) killWhenSaid(address, text string) {
	t := b.t
	t.Helper()
	o := newOwner(t, b.Dest, address, annaPass)
	o.seed(b.Source, 90, 2000)
	entered := make(chan error, 1)
	go func() {
		c, err := b.Dest.Login(address, annaPass)
		if err == nil { // the session stays: no fence waits for it
			t.Cleanup(c.Cut)
		}
		entered <- err
	}()
	must(t, site.Eventually(func() error {
		log, err := os.ReadFile(b.DaemonLog)
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, address) && strings.Contains(line, text) {
				return nil
			}
		}
		return fmt.Errorf("the daemon has not said %q of %s (%v)", text, address, err)
	}))
	must(t, b.Kill(syscall.SIGKILL))
	if err := <-entered; err != nil && strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
		t.Errorf("%q: the login that met the death of the daemon was called wrong: %v", text, err)
	}
	t.Logf("killed after %q; meanwhile its owner is %s", text, b.side(o, text))
	must(t, b.StartDaemon())
	t.Logf("with the next daemon its owner is %s", b.side(o, text))
	b.waitFor(address, "open", isHere)
	b.wantNothingLeft(o)
	if side := b.side(o, text); side != "here" {
		t.Errorf("%q: at the end its owner is %s", text, side)
	}
}

// side tells where a login leads. Either is whole: one letter alone, or everything.
func (b *bench) side(o *owner, when string) string {
	t := b.t
	t.Helper()
	c, err := b.Dest.Login(o.address, o.password)
	if err != nil {
		if strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
			t.Errorf("%q: the right password is called wrong: %v", when, err)
		}
		return "told to come back"
	}
	status, err := c.Select("INBOX")
	must(t, err)
	if status.UIDValidity > 2 { // 2 is that of a notice that ends
		o.client = c
		o.check("after " + when)
		o.leave()
		return "here"
	}
	if _, err := readOpen(c); errors.Is(err, io.EOF) && b.show(o.address).Route == "here" { // ended in this very moment
		return b.side(o, when)
	} else if err != nil {
		t.Errorf("%q: the folder of the notice: %v", when, err)
	}
	c.Cut()
	return "reading the notice"
}
