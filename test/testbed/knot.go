package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// KnotOptions describe one authoritative DNS server.
type KnotOptions struct {
	Name string // folder in the lab; default "knot-" and the address
	// Host is a loopback address, default 127.0.0.1. Several servers of a domain
	// differ in it and share a port: see FreePort.
	Host  string
	Port  int               // default: the kernel chooses
	Zones map[string]string // name → zone file
}

// Knot is one authoritative server, UDP and TCP.
type Knot struct {
	Name          string
	Address       string // host:port
	Host          string
	Port          int
	Dir           string
	ConfFile      string
	LogFile       string
	ControlSocket string
	ZoneNames     []string

	proc *process
}

// StartKnot starts an authoritative server.
func (l *Lab) StartKnot(o KnotOptions) (*Knot, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Name == "" {
		o.Name = "knot-" + o.Host
	}
	dir, err := l.makeServerDir(o.Name)
	if err != nil {
		return nil, err
	}
	k := &Knot{
		Name: o.Name, Host: o.Host, Port: o.Port, Dir: dir,
		ConfFile: filepath.Join(dir, "knot.conf"), LogFile: filepath.Join(dir, "log"),
		ControlSocket: filepath.Join(dir, "ctl"),
	}
	if err := makeDir(filepath.Join(dir, "db"), 0o700, 0, 0); err != nil {
		return nil, err
	}
	for name, text := range o.Zones {
		if err := k.writeZone(name, text); err != nil {
			return nil, err
		}
	}
	for attempt := 1; ; attempt++ {
		err := k.startOn(o.Port)
		if err == nil {
			l.add(k)
			return k, nil
		}
		if o.Port != 0 || !errors.Is(err, errPortTaken) || attempt == 5 {
			return nil, err
		}
	}
}

func (k *Knot) startOn(port int) error {
	if port == 0 {
		var err error
		if port, err = FreePort(k.Host); err != nil {
			return err
		}
	}
	k.Port, k.Address = port, net.JoinHostPort(k.Host, strconv.Itoa(port))
	if err := renderTo(k.ConfFile, 0o644, 0, "knot.conf", k); err != nil {
		return err
	}
	return k.Start()
}

// Start starts a stopped server and returns when it has loaded its zones.
func (k *Knot) Start() error {
	binary, err := findBinary("knotd")
	if err != nil {
		return fmt.Errorf("starting %s: %w", k.Name, err)
	}
	proc, err := startProcess(k.Name, k.LogFile, binary, "-c", k.ConfFile)
	if err != nil {
		return err
	}
	if err := proc.waitReady(func() error { return k.control("status") }); err != nil {
		return errors.Join(err, proc.stop())
	}
	k.proc = proc
	return nil
}

// Stop ends the server; it may be called twice.
func (k *Knot) Stop() error {
	if k.proc == nil {
		return nil
	}
	err := k.proc.stop()
	k.proc = nil
	return err
}

func (k *Knot) logFile() string { return k.LogFile }

// SetZone adds or replaces a zone and returns when it is served.
func (k *Knot) SetZone(name, text string) error {
	known := slices.Contains(k.ZoneNames, zoneName(name))
	if err := k.writeZone(name, text); err != nil {
		return err
	}
	if known {
		return k.control("zone-reload", zoneName(name))
	}
	if err := renderTo(k.ConfFile, 0o644, 0, "knot.conf", k); err != nil {
		return err
	}
	if err := k.control("reload"); err != nil {
		return err
	}
	return k.control("zone-reload", zoneName(name))
}

func (k *Knot) writeZone(name, text string) error {
	name = zoneName(name)
	if !slices.Contains(k.ZoneNames, name) {
		k.ZoneNames = append(k.ZoneNames, name)
		sort.Strings(k.ZoneNames)
	}
	return replaceFile(filepath.Join(k.Dir, name+".zone"), 0o644, 0, []byte(text))
}

// zoneName is a domain as it stands in file names: "example.org".
func zoneName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// control runs knotc and waits until the server has obeyed.
func (k *Knot) control(args ...string) error {
	return runControl("knotc", append([]string{"-b", "-s", k.ControlSocket}, args...)...)
}

func runControl(name string, args ...string) error {
	binary, err := findBinary(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
