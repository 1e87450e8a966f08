package testbed

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// MailUID and MailGID own all mail. They have no passwd entry, as on a server
// whose mail users are virtual.
const (
	MailUID = 5000
	MailGID = 5000
)

// maxDirLength keeps every Unix socket path under the 108 bytes of sun_path.
const maxDirLength = 60

// Lab is one private folder and the servers started in it.
type Lab struct {
	// Dir holds one folder per server: configuration, data, log.
	Dir string
	// CAFile is the certificate authority that signed every server here.
	CAFile string

	authority *authority
	mu        sync.Mutex
	servers   []server
}

// server is what a Lab needs to know to end one.
type server interface {
	Stop() error
	logFile() string
}

// New prepares a lab in dir, which is created when missing. Other users must be
// able to reach it, because servers give up root before they touch mail.
func New(dir string) (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("starting a lab: private Dovecot and Postfix instances need root")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("starting a lab: %w", err)
	}
	if len(dir) > maxDirLength {
		return nil, fmt.Errorf("starting a lab: folder %s is longer than %d bytes, its Unix sockets could not be opened", dir, maxDirLength)
	}
	if err := makeDir(dir, 0o755, 0, 0); err != nil {
		return nil, fmt.Errorf("starting a lab: %w", err)
	}
	if err := checkReachable(dir); err != nil {
		return nil, fmt.Errorf("starting a lab: %w", err)
	}
	authority, err := newAuthority(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("starting a lab: %w", err)
	}
	return &Lab{Dir: dir, CAFile: authority.file, authority: authority}, nil
}

// Close stops all servers at once and returns when they are gone. It may be
// called twice. The folder stays: its owner removes it.
func (l *Lab) Close() error {
	l.mu.Lock()
	servers := slices.Clone(l.servers)
	l.mu.Unlock()
	errs := make([]error, len(servers))
	var stopping sync.WaitGroup
	for i, s := range servers {
		stopping.Go(func() { errs[i] = s.Stop() })
	}
	stopping.Wait()
	return errors.Join(errs...)
}

func (l *Lab) add(s server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers = append(l.servers, s)
}

// makeServerDir creates the folder of one server; a name can be used once.
func (l *Lab) makeServerDir(name string) (string, error) {
	dir := filepath.Join(l.Dir, name)
	if _, err := os.Lstat(dir); err == nil {
		return "", fmt.Errorf("starting %s: %s exists, give the server another name", name, dir)
	}
	return dir, makeDir(dir, 0o755, 0, 0)
}

// FreePort returns a port that nobody uses, neither TCP nor UDP, on any of the
// addresses (127.0.0.1 when none is given). Somebody else may still take it
// before the server does, so starting a server is tried more than once.
func FreePort(addresses ...string) (int, error) {
	if len(addresses) == 0 {
		addresses = []string{"127.0.0.1"}
	}
	var lastErr error
	for range 20 {
		port, err := freePort(addresses)
		if err == nil {
			return port, nil
		}
		lastErr = err
	}
	return 0, fmt.Errorf("finding a free port: %w", lastErr)
}

// Below the ports that the kernel gives to connections (ip_local_port_range), so that none of them takes the port of
// a server that is down for a moment.
const (
	lowestPort  = 10_000
	highestPort = 32_000
)

func freePort(addresses []string) (int, error) {
	port := lowestPort + rand.IntN(highestPort-lowestPort)
	for _, address := range addresses {
		hostPort := net.JoinHostPort(address, fmt.Sprint(port))
		stream, err := net.Listen("tcp", hostPort)
		if err != nil {
			return 0, err
		}
		defer stream.Close()
		packet, err := net.ListenPacket("udp", hostPort)
		if err != nil {
			return 0, err
		}
		defer packet.Close()
	}
	return port, nil
}
