package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockState makes sure that one daemon works on a state folder. The kernel frees the lock when the process dies, so
// whoever holds it knows that its predecessor's leases belong to nobody.
func lockState(stateDir string) (*os.File, error) {
	path := filepath.Join(stateDir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking state folder: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("another mailstork works on %s; see: systemctl status mailstork", stateDir)
		}
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
