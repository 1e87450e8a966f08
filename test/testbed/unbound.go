package testbed

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
)

// Unbound is a resolver with a cache: it shows what the world still believes
// after a zone has changed.
type Unbound struct {
	Name          string
	Address       string // 127.0.0.1:port
	Port          int
	Dir           string
	ConfFile      string
	LogFile       string
	ControlSocket string
	Zones         map[string][]string // zone → servers, as "127.0.0.2@5300"

	proc *process
}

// StartUnbound starts a resolver that knows the zones of these servers.
func (l *Lab) StartUnbound(servers ...*Knot) (*Unbound, error) {
	dir, err := l.makeServerDir("unbound")
	if err != nil {
		return nil, err
	}
	u := &Unbound{
		Name: "unbound", Dir: dir,
		ConfFile: filepath.Join(dir, "unbound.conf"), LogFile: filepath.Join(dir, "log"),
		ControlSocket: filepath.Join(dir, "ctl"), Zones: map[string][]string{},
	}
	for _, server := range servers {
		for _, zone := range server.ZoneNames {
			u.Zones[zone] = append(u.Zones[zone], fmt.Sprintf("%s@%d", server.Host, server.Port))
		}
	}
	for attempt := 1; ; attempt++ {
		err := u.startOnFreePort()
		if err == nil {
			l.add(u)
			return u, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return nil, err
		}
	}
}

func (u *Unbound) startOnFreePort() error {
	port, err := FreePort()
	if err != nil {
		return err
	}
	u.Port, u.Address = port, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := renderTo(u.ConfFile, 0o644, 0, "unbound.conf", u); err != nil {
		return err
	}
	return u.Start()
}

// Start starts a stopped resolver, with an empty cache.
func (u *Unbound) Start() error {
	binary, err := findBinary("unbound")
	if err != nil {
		return fmt.Errorf("starting %s: %w", u.Name, err)
	}
	proc, err := startProcess(u.Name, u.LogFile, binary, "-d", "-c", u.ConfFile)
	if err != nil {
		return err
	}
	if err := proc.waitReady(func() error { return u.control("status") }); err != nil {
		return errors.Join(err, proc.stop())
	}
	u.proc = proc
	return nil
}

// Stop ends the resolver; it may be called twice.
func (u *Unbound) Stop() error {
	if u.proc == nil {
		return nil
	}
	err := u.proc.stop()
	u.proc = nil
	return err
}

func (u *Unbound) logFile() string { return u.LogFile }

// Flush forgets everything at and below a name.
func (u *Unbound) Flush(name string) error { return u.control("flush_zone", name) }

func (u *Unbound) control(args ...string) error {
	return runControl("unbound-control", append([]string{"-c", u.ConfFile}, args...)...)
}
