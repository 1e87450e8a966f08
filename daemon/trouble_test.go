package daemon

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

var errFull = errors.New("claiming an account: committing transaction: database or disk is full (13)")

// full makes every write of the database fail as on a full disk.
func (d *Daemon) full(t *testing.T) {
	t.Helper()
	_, err := d.store.Reader().ExecContext(t.Context(),
		`CREATE TRIGGER full BEFORE UPDATE ON account BEGIN SELECT RAISE(ABORT, 'database or disk is full (13)'); END`)
	must(t, err)
}

func TestFullDiskIsToldAlthoughNothingCanBeStored(t *testing.T) {
	d, _ := newDaemon(t, "")
	a := d.addAccount(t, d.addDomain(t, account.Source{}, account.Open), anna, account.Following)
	d.full(t)
	d.failed(t.Context(), a, errFull)
	if got := d.read(t, anna); got.Stuck != "" {
		t.Fatalf("the database could be written: %q", got.Stuck)
	}
	d.troubles.fullAt = time.Time{} // it was long ago
	shown, err := d.Account(t.Context(), anna)
	if err != nil || !strings.HasPrefix(shown.Stuck, "A disk of this server is full") || !strings.HasPrefix(shown.Hint, "df -h ") {
		t.Errorf("account show: %q, next %q, %v", shown.Stuck, shown.Hint, err)
	}
	for _, action := range []control.Action{control.Sync, control.Pause, control.Resume} {
		var told *control.Error
		if _, err := d.Act(t.Context(), anna, action); !errors.As(err, &told) || told.Sentence != "a disk of this server is full; nothing was changed" ||
			told.Raw == "" || told.Hint != "df -h "+d.config.StateDir {
			t.Errorf("account %s: %+v", action, err)
		}
	}
	_, err = d.store.Reader().ExecContext(t.Context(), `DROP TRIGGER full`)
	must(t, err)
	d.troubles.fullAt = d.troubles.fullAt.Add(-fullFor)
	if _, err := d.Act(t.Context(), anna, control.Sync); err != nil {
		t.Fatal(err)
	}
	if shown, err := d.Account(t.Context(), anna); err != nil || shown.Stuck != "" {
		t.Errorf("after somebody asked for a pass it is still told: %q, %v", shown.Stuck, err)
	}
}

func TestFullDiskThatKeepsPassesFromStartingIsTold(t *testing.T) {
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{}, account.Open)
	d.addAccount(t, of, anna, account.Following)
	d.addAccount(t, of, bob, account.Listed)
	d.report(errFull)
	for address, told := range map[account.Address]bool{anna: true, bob: false} {
		if shown, err := d.Account(t.Context(), address); err != nil || (shown.Stuck != "") != told {
			t.Errorf("%s: %q, %v; want told: %t", address, shown.Stuck, err, told)
		}
	}
	d.troubles.fullAt = d.troubles.fullAt.Add(-fullFor)
	if shown, err := d.Account(t.Context(), anna); err != nil || shown.Stuck != "" {
		t.Errorf("the disk has room again, still told: %q, %v", shown.Stuck, err)
	}
}

func TestSameTroubleIsLoggedOnceAMinute(t *testing.T) {
	d, log := newDaemon(t, "")
	for range 100 {
		d.report(errFull)
	}
	d.report(errors.New("another one"))
	d.troubles.saidAt = d.troubles.saidAt.Add(-sayAgain - time.Second)
	d.report(errors.New("another one"))
	if got := strings.Count(log.String(), "event=trouble"); got != 3 {
		t.Errorf("%d lines, want 3:\n%s", got, log)
	}
}
