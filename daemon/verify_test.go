package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

func TestVerifyRefusesInOneSentenceWhatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		state account.State
		want  string
	}{
		{account.Done, "is done: it was verified at its last pass"},
		{account.Listed, "nothing of anna@example.org was copied yet"},
		{account.Joined, "nothing of anna@example.org was copied yet"},
	} {
		d, _ := newDaemon(t, privateAllowed)
		d.addAccount(t, d.addDomain(t, account.Source{Host: "imap.old.example"}, account.Open), anna, c.state)
		_, err := d.Verify(t.Context(), anna, func(control.Pass) {})
		var known *control.Error
		if !errors.As(err, &known) || known.Kind != control.KindRefused || !strings.Contains(known.Sentence, c.want) || !strings.HasPrefix(known.Hint, "mailstork ") {
			t.Errorf("%s: %+v, want %q", c.state, err, c.want)
		}
	}
}

// A pass is waited for, and the person is told so; then the pass's end lets the verification begin.
func TestVerifyWaitsForARunningPassAndSaysSo(t *testing.T) {
	d, log := newDaemon(t, privateAllowed)
	source, taken := silent(t)
	d.addAccount(t, d.addDomain(t, source, account.Open), anna, account.Following)
	d.work(t)
	pass := <-taken
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told := make(chan control.Pass, 100)
	ended := make(chan error, 1)
	go func() {
		_, err := d.Verify(ctx, anna, func(p control.Pass) { told <- p })
		ended <- err
	}()
	if p := <-told; !strings.Contains(p.Phase, "waiting") || len(taken) > 0 {
		t.Errorf("told %+v, with %d more connections to the source", p, len(taken))
	}
	must(t, pass.Close())
	second := <-taken // the verification, or the pass that is tried again: the verification connects in any case
	must(t, second.Close())
	soon(t, func() error {
		select {
		case conn := <-taken:
			_ = conn.Close()
		default:
		}
		select {
		case err := <-ended:
			if err == nil {
				t.Error("verified a source that says nothing")
			}
			return nil
		default:
			return errors.New("the verification has not ended")
		}
	})
	if !strings.Contains(log.String(), "event=verify") {
		t.Errorf("no event:\n%s", log)
	}
}
