package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/finalize"
	"mailstork/daemon/mirror"
	"mailstork/daemon/schedule"
)

// trouble is why an account does not get on, and the next command.
type trouble struct{ reason, hint string }

// troubleOf puts the error of a pass into words.
func (d *Daemon) troubleOf(a account.Account, err error) trouble {
	var known *mirror.Error
	var gap *finalize.Gap
	switch {
	case mirror.DiskFull(err):
		return d.diskFull(a, err)
	case errors.As(err, &known):
		return trouble{known.Error(), known.Hint}
	case errors.As(err, &gap):
		return trouble{gap.Error(), "mailstork account show " + string(a.Address)}
	}
	return trouble{err.Error(), "mailstork log " + string(a.Address)}
}

func (d *Daemon) diskFull(a account.Account, err error) trouble {
	raw := err.Error()
	if known := (*mirror.Error)(nil); errors.As(err, &known) {
		raw = known.Answer
	}
	return trouble{"A disk of this server is full; nothing is lost, the pass goes on when there is room. Answer: " + raw,
		"df -h " + d.config.StateDir + "   # when there is room: mailstork account sync " + string(a.Address)}
}

// stick keeps with an account why its pass failed, until a pass reaches its end. An empty trouble is none.
func (d *Daemon) stick(ctx context.Context, a account.Account, t trouble) {
	err := d.store.SetStuck(ctx, a.Address, t.reason, t.hint)
	if err != nil && ctx.Err() != nil {
		return
	}
	d.troubles.note(a.Address, t, err != nil)
	if err != nil {
		d.report(err)
	}
}

// troubles remembers what a database on a full disk can't: commands must tell about it all the same.
type troubles struct {
	mu      sync.Mutex
	unsaved map[account.Address]trouble
	full    error     // the last failure because of a full disk
	fullAt  time.Time // and when
	said    string
	saidAt  time.Time
}

const (
	// fullFor is how long a full disk is believed in. Idle workers try to claim an account twice a second.
	fullFor = 2 * time.Second
	// sayAgain is when the same trouble is logged again: what fails twice a second must not fill a disk with its log.
	sayAgain = time.Minute
)

func (t *troubles) note(address account.Address, what trouble, unsaved bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.unsaved, address)
	if unsaved && what.reason != "" {
		if t.unsaved == nil {
			t.unsaved = map[account.Address]trouble{}
		}
		t.unsaved[address] = what
	}
}

// loud tells whether an error is to be logged, and notes a full disk.
func (t *troubles) loud(now time.Time, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mirror.DiskFull(err) {
		t.full, t.fullAt = err, now
	}
	if err.Error() == t.said && now.Sub(t.saidAt) < sayAgain {
		return false
	}
	t.said, t.saidAt = err.Error(), now
	return true
}

// report logs what no pass, login or domain can be blamed for.
func (d *Daemon) report(err error) {
	if d.troubles.loud(time.Now(), err) {
		d.logger.Error("trouble", "event", "trouble", "err", err.Error())
	}
}

// withTrouble adds to an account what the database could not keep.
func (d *Daemon) withTrouble(a account.Account) account.Account {
	d.troubles.mu.Lock()
	defer d.troubles.mu.Unlock()
	now := time.Now()
	if a.Stuck == "" && a.Switching.Problem != "" {
		a.Stuck, a.Hint = switchTrouble(a)
	}
	if unsaved, is := d.troubles.unsaved[a.Address]; is {
		a.Stuck, a.Hint = unsaved.reason, unsaved.hint
	} else if a.Stuck == "" && now.Sub(d.troubles.fullAt) < fullFor && waitsForPass(a, now) {
		full := d.diskFull(a, d.troubles.full)
		a.Stuck, a.Hint = full.reason, full.hint
	}
	return a
}

func waitsForPass(a account.Account, now time.Time) bool {
	return !a.Paused && a.State != account.Listed && a.State != account.Done && !schedule.Never(a.NextPassAt) && !a.NextPassAt.After(now)
}

// changed dresses the error of a command that changes something.
func (d *Daemon) changed(err error) error {
	if !mirror.DiskFull(err) {
		return err
	}
	return &control.Error{Kind: control.KindFailed, Sentence: "a disk of this server is full; nothing was changed", Raw: err.Error(),
		Hint: "df -h " + d.config.StateDir}
}
