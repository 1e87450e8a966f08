package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is a running Debian with systemd as its first process.
type machine struct {
	root   string // its file system, as seen from outside
	dir    string
	init   int // process id of its systemd
	nspawn *exec.Cmd
	ended  chan struct{}
	Boot   time.Duration // until systemd said "running"
}

const bootWithin = 60 * time.Second

// boot starts a machine on a throw-away copy of the Debian root at base.
func boot(base, dir string) (m *machine, err error) {
	m = &machine{dir: dir, root: filepath.Join(dir, "root"), ended: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.unmount())
		}
	}()
	if err := m.mount(base); err != nil {
		return nil, err
	}
	if err := m.start(); err != nil {
		return nil, err
	}
	return m, nil
}

// mount lays memory over the base, so that nothing done in the machine stays.
func (m *machine) mount(base string) error {
	memory := filepath.Join(m.dir, "memory")
	for _, dir := range []string{m.root, memory} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount("tmpfs", memory, "tmpfs", 0, "size=2g,mode=0755"); err != nil {
		return fmt.Errorf("mounting memory: %w", err)
	}
	upper, work := filepath.Join(memory, "upper"), filepath.Join(memory, "work")
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", base, upper, work)
	if err := syscall.Mount("overlay", m.root, "overlay", 0, options); err != nil {
		return fmt.Errorf("mounting the overlay: %w", err)
	}
	return nil
}

// start runs systemd-nspawn. No machined is asked, so that it works inside containers, too. Without the BPF options
// IPAddressDeny= and the like would silently not be enforced.
func (m *machine) start() error {
	log, err := os.Create(m.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	m.nspawn = exec.Command("systemd-nspawn", "--quiet", "--directory="+m.root, "--boot", "--register=no", "--keep-unit",
		"--private-network", "--machine=mailstork-"+strconv.Itoa(os.Getpid()), "--resolv-conf=off", "--timezone=off",
		"--system-call-filter=bpf", "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_SYS_ADMIN")
	m.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	m.nspawn.Stdout, m.nspawn.Stderr = log, log
	m.nspawn.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := m.nspawn.Start(); err != nil {
		return fmt.Errorf("starting the machine: %w", err)
	}
	go func() { _ = m.nspawn.Wait(); close(m.ended) }()
	if err := m.waitRunning(); err != nil {
		return errors.Join(err, m.stop())
	}
	m.Boot = time.Since(began)
	return nil
}

func (m *machine) logFile() string { return filepath.Join(m.dir, "console") }

func (m *machine) waitRunning() error {
	deadline := time.Now().Add(bootWithin)
	state := "no systemd yet"
	for time.Now().Before(deadline) {
		select {
		case <-m.ended:
			console, _ := os.ReadFile(m.logFile())
			return fmt.Errorf("starting the machine: it ended:\n%s", console)
		case <-time.After(50 * time.Millisecond):
		}
		if m.init = systemdBelow(m.nspawn.Process.Pid); m.init == 0 {
			continue
		}
		out, _ := m.try(10*time.Second, "systemctl is-system-running")
		if state = strings.TrimSpace(out); state == "running" {
			return nil
		}
	}
	failed, _ := m.try(10*time.Second, "systemctl --failed --no-pager --no-legend")
	return fmt.Errorf("starting the machine: after %v systemd says %q\n%s", bootWithin, state, failed)
}

// systemdBelow finds the machine's first process among nspawn's children; 0 while there is none.
func systemdBelow(parent int) int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		name, rest, _ := strings.Cut(string(content), ") ")
		fields := strings.Fields(rest)
		if strings.HasSuffix(name, "(systemd") && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

// try runs a shell script inside the machine and returns what it wrote.
func (m *machine) try(limit time.Duration, script string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "--target", strconv.Itoa(m.init), "--all", "env", "-i",
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "bash", "-ec", script)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // what it left in the background keeps the pipe open
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("not within %v", limit)
	}
	if err != nil {
		return out.String(), fmt.Errorf("running in the machine: %s: %w\n%s", script, err, out.Bytes())
	}
	return out.String(), nil
}

// stop powers the machine off and frees what it took.
func (m *machine) stop() error {
	if m.init != 0 {
		_, _ = m.try(10*time.Second, "systemctl poweroff")
	}
	select {
	case <-m.ended:
	case <-time.After(20 * time.Second):
		_ = m.nspawn.Process.Kill()
		<-m.ended
	}
	return nil
}

// unmount waits for the last process of the machine to let go.
func (m *machine) unmount() error {
	var errs []error
	for _, path := range []string{m.root, filepath.Join(m.dir, "memory")} {
		deadline := time.Now().Add(10 * time.Second)
		err := syscall.Unmount(path, 0)
		for errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
			time.Sleep(50 * time.Millisecond)
			err = syscall.Unmount(path, 0)
		}
		if err != nil && !errors.Is(err, syscall.EINVAL) { // EINVAL: was never mounted
			errs = append(errs, fmt.Errorf("unmounting %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}
