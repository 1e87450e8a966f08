package faults

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailstork/test/compare"
	"mailstork/test/faultproxy"
)

// fault is one break of one side's connection.
type fault struct {
	atSource bool
	at       faultproxy.At
	n        int64
	kill     bool // our process is killed at that moment
	gap      time.Duration
}

func (f fault) String() string {
	side, how := "destination", "cut"
	if f.atSource {
		side = "source"
	}
	if f.kill {
		how = "kill -9"
	}
	return fmt.Sprintf("%s %s, %s", how, f.at, side)
}

const (
	mostRuns  = 8 // after that a program does not come to rest
	lateAfter = 500 * time.Millisecond
)

// trial is one account with its faults.
type trial struct {
	*bench
	user        string
	there, here *faultproxy.Proxy
	appends     atomic.Int64
	faulted     chan struct{} // closed by the first fault
	recovered   chan struct{} // closed when a run says that nothing is left to do

	mu    sync.Mutex
	kill  bool
	cmd   *exec.Cmd
	ended chan struct{} // of cmd
}

func (b *bench) newTrial(gap time.Duration) (*trial, error) {
	t := &trial{bench: b, user: b.user(), faulted: make(chan struct{}), recovered: make(chan struct{})}
	rules := faultproxy.Rules{OnFire: t.fire, Late: func() { t.late(gap) }}
	var err error
	if t.there, err = faultproxy.New(b.source.IMAPAddress, net.IPv4(127, 0, 0, 1), rules); err != nil {
		return nil, err
	}
	rules.Sees = func(command string) {
		if strings.HasPrefix(command, "APPEND ") {
			t.appends.Add(1)
		}
	}
	t.here, err = faultproxy.New(b.dest.IMAPAddress, net.IPv4(127, 77, 0, 1), rules)
	return t, err
}

// late is when a late command comes: a while behind the restart. Where nobody waits for it, it comes when it does most
// harm.
func (t *trial) late(gap time.Duration) {
	wait := gap + lateAfter
	if t.mutant {
		wait = time.Minute
	}
	select {
	case <-t.recovered:
	case <-time.After(wait):
	}
}

func (t *trial) close() error { return errors.Join(t.there.Close(), t.here.Close()) }

func (t *trial) arm(f fault) {
	t.mu.Lock()
	t.kill = f.kill
	t.mu.Unlock()
	if f.atSource {
		t.there.Arm(f.at, f.n)
		return
	}
	t.here.Arm(f.at, f.n)
}

// fire is called by a proxy at the boundary.
func (t *trial) fire() {
	t.mu.Lock()
	kill, cmd, ended := t.kill, t.cmd, t.ended
	select {
	case <-t.faulted:
	default:
		close(t.faulted)
	}
	t.mu.Unlock()
	if kill {
		_ = cmd.Process.Kill() // it may have ended by itself
		<-ended
	}
}

// ending is how a run of the program ended.
type ending struct {
	settled bool // it says that there is nothing left to do
	words   string
}

func (t *trial) run() (ending, error) {
	state := filepath.Join(t.dir, "state-"+t.user)
	cmd := exec.Command(t.program, "copy", "--state", state, "--connections", "1",
		"--from", "imap://anna%40example.org@"+t.there.Address(), "--from-no-tls", "--from-password-file", t.passwordFile,
		"--to", "imap://"+strings.Replace(t.user, "@", "%40", 1)+"@"+t.here.Address(), "--to-no-tls", "--to-password-file", t.passwordFile,
		"--doveadm", strings.Join(t.dest.DoveadmCommand(), ","))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ended := make(chan struct{})
	defer close(ended)
	t.mu.Lock()
	t.cmd, t.ended = cmd, ended
	err := cmd.Start()
	t.mu.Unlock()
	if err != nil {
		return ending{}, err
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return ending{}, err
	}
	// What its owner removed while it was in doubt is parked and told for ever.
	settled := err == nil || strings.Contains(out.String(), "landed at the destination and vanished again")
	return ending{settled, out.String()}, nil
}

// try runs the program under the faults, each in a run of its own, and judges. The verdict counts only if the first
// fault was reached.
func (b *bench) try(faults ...fault) (v verdict, reached bool, err error) {
	t, err := b.newTrial(faults[0].gap)
	if err != nil {
		return v, false, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	client, err := b.dest.Login(t.user, password)
	if err != nil {
		return v, false, err
	}
	defer client.Cut()
	if err := client.Create(kept); err != nil {
		return v, false, err
	}
	o := &owner{client: client, removed: map[place]int{}, moved: map[place]int{}}
	stop, acted := make(chan struct{}), make(chan error, 1)
	go func() { acted <- o.wait(t.faulted, stop) }()
	last, err := t.untilSettled(faults)
	close(t.recovered)
	close(stop)
	if err = errors.Join(err, <-acted); err != nil {
		return v, false, err
	}
	t.there.Idle()
	t.here.Idle() // what comes late is here
	t.there.Arm(faultproxy.Never, 0)
	t.here.Arm(faultproxy.Never, 0)
	if _, err := o.act(); err != nil {
		return v, false, err
	}
	t.appends.Store(0)
	if last.settled {
		if last, err = t.run(); err != nil {
			return v, false, err
		}
	}
	all, err := compare.Read(client)
	if err != nil {
		return v, false, err
	}
	v = o.judge(b.content, placesOf(all))
	if sent := t.appends.Load(); !last.settled || sent > 0 {
		v.unsettled++
		v.say("UNSETTLED after all runs: %d APPENDs in the last one, which said: %s", sent, last.words)
	}
	select {
	case <-t.faulted:
		return v, true, nil
	default:
		return v, false, nil
	}
}

// untilSettled starts the program again and again, the first times under a fault.
func (t *trial) untilSettled(faults []fault) (last ending, err error) {
	for i := range mostRuns {
		if i > 0 && i <= len(faults) {
			time.Sleep(faults[i-1].gap) // the gap is a part of the fault, not a wait for something
		}
		if i < len(faults) {
			t.arm(faults[i])
		}
		if last, err = t.run(); err != nil || last.settled && i >= len(faults)-1 {
			return last, err
		}
	}
	return last, nil
}

// wait acts as soon as a fault has happened and something is here, which may be never.
func (o *owner) wait(faulted, stop <-chan struct{}) error {
	select {
	case <-faulted:
	case <-stop:
		return nil
	}
	for {
		if done, err := o.act(); done || err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		case <-time.After(2 * time.Millisecond):
		}
	}
}
