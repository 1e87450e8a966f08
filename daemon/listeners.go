package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
)

// The names of the sockets in systemd's units (FileDescriptorName=).
const (
	hookSocket    = "hook"
	controlSocket = "control"
	milterSocket  = "milter"
)

// listeners hands out the sockets that systemd opened for us, and opens those that it did not.
type listeners struct{ inherited map[string][]net.Listener }

func inheritListeners() (*listeners, error) {
	byName, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("taking sockets from systemd: %w", err)
	}
	return &listeners{inherited: byName}, nil
}

// has tells whether systemd opened the socket of that name.
func (l *listeners) has(name string) bool {
	given := l.inherited[name]
	return len(given) > 0 && given[0] != nil
}

// open returns the inherited socket of that name, or listens on address: a path (Unix socket) or host:port.
func (l *listeners) open(name, address string, mode os.FileMode) (net.Listener, error) {
	if l.has(name) {
		return l.inherited[name][0], nil
	}
	if !strings.HasPrefix(address, "/") {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listening for %s: %w", name, err)
		}
		return listener, nil
	}
	return listenUnix(name, address, mode)
}

// listenUnix replaces a socket that a killed predecessor left behind; lockState makes sure that it is dead.
func listenUnix(name, path string, mode os.FileMode) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listening for %s: %w", name, err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening for %s: %w", name, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("listening for %s: %w", name, err), listener.Close())
	}
	return listener, nil
}
