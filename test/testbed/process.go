package testbed

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	readyWithin = time.Minute
	goneWithin  = 5 * time.Second
	pollEvery   = 5 * time.Millisecond
)

// errPortTaken says that another program took the port between FreePort and the
// start of the server: the caller tries again with another port.
var errPortTaken = errors.New("port is taken")

// process is one server's master process, run in the foreground as our child.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the master has been waited for
	// patience is how long the master may take to end; then it is killed.
	patience time.Duration
}

// startProcess runs argv with its output appended to log. The child is tied to
// a thread that lives as long as the child does: Pdeathsig fires when the thread
// that started it ends, not when the program does.
func startProcess(name, log string, argv ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setsid: true}
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{}), patience: goneWithin}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the exit code says nothing that the log does not
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// waitReady polls ready until it answers nil, the process ends, or time is up.
func (p *process) waitReady(ready func() error) error {
	deadline := time.Now().Add(readyWithin)
	for {
		if p.exited() {
			text := tail(p.log, 15)
			if strings.Contains(strings.ToLower(text), "address already in use") {
				return fmt.Errorf("starting %s: %w", p.name, errPortTaken)
			}
			return fmt.Errorf("starting %s: it ended at once, its log says:\n%s", p.name, text)
		}
		err := ready()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("starting %s: not ready within %s: %w; its log says:\n%s", p.name, readyWithin, err, tail(p.log, 15))
		}
		time.Sleep(pollEvery)
	}
}

// stop ends the master and returns when it and all its descendants are gone.
// Descendants outlive the master for a moment and would hold ports and folders.
func (p *process) stop() error {
	family := descendants(p.cmd.Process.Pid)
	if !p.exited() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping %s: %w", p.name, err)
		}
	}
	select {
	case <-p.done:
	case <-time.After(p.patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	for _, member := range family {
		member.signal(syscall.SIGTERM)
	}
	deadline := time.Now().Add(goneWithin)
	for _, member := range family {
		for member.alive() {
			if time.Now().After(deadline) {
				member.signal(syscall.SIGKILL)
			}
			if time.Now().After(deadline.Add(goneWithin)) {
				return fmt.Errorf("stopping %s: process %d does not end", p.name, member.pid)
			}
			time.Sleep(pollEvery)
		}
	}
	return nil
}

// relative is a process named so that a reused pid is not mistaken for it.
type relative struct {
	pid     int
	started string
}

func (r relative) alive() bool {
	stat, ok := readStat(r.pid)
	return ok && stat.started == r.started && stat.state != "Z"
}

func (r relative) signal(number syscall.Signal) {
	if r.alive() {
		_ = syscall.Kill(r.pid, number) // it may have ended since
	}
}

// descendants lists all processes below pid.
func descendants(pid int) []relative {
	children := make(map[int][]relative)
	entries, _ := filepath.Glob("/proc/[0-9]*")
	for _, entry := range entries {
		child, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		if stat, ok := readStat(child); ok {
			children[stat.parent] = append(children[stat.parent], relative{child, stat.started})
		}
	}
	var all []relative
	queue := []int{pid}
	for len(queue) > 0 {
		next := children[queue[0]]
		queue = queue[1:]
		for _, child := range next {
			all = append(all, child)
			queue = append(queue, child.pid)
		}
	}
	return all
}

type procStat struct {
	state   string
	parent  int
	started string
}

// readStat reads /proc/pid/stat; the fields are counted from the last ")",
// because a program name may contain spaces and parentheses (proc(5)).
func readStat(pid int) (procStat, bool) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, false
	}
	fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
	if len(fields) < 20 {
		return procStat{}, false
	}
	parent, err := strconv.Atoi(fields[1])
	return procStat{state: fields[0], parent: parent, started: fields[19]}, err == nil
}
