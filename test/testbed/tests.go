package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Need skips the test when a server binary is not installed. With REQUIRE=1 in
// the environment a missing one is a failure, so that CI cannot pass by skipping.
// "dovecot" is the version that the environment asks for, "dovecot 2.4" that one.
func Need(t testing.TB, binaries ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "real servers need root")
	}
	for _, name := range binaries {
		if err := lookFor(name); err != nil {
			missing(t, err.Error())
		}
	}
}

func lookFor(name string) error {
	name, version, named := strings.Cut(name, " ")
	if name != "dovecot" {
		if _, err := findBinary(name); err != nil {
			return fmt.Errorf("real server binary not installed: %s", name)
		}
		return nil
	}
	versions := wanted()
	if named {
		versions = []string{version}
	}
	for _, version := range versions {
		if err := available(version); err != nil {
			return fmt.Errorf("looking for Dovecot %s: %w", version, err)
		}
	}
	return nil
}

func missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("REQUIRE") == "1" {
		t.Fatalf("%s, and REQUIRE=1 forbids skipping", reason)
	}
	t.Skip(reason)
}

// findBinary looks in PATH and where Debian keeps daemons; PATH of a user that
// became root often lacks the sbin folders.
func findBinary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// NewForTest makes a lab that ends with the test. A failed test prints what the
// servers logged.
func NewForTest(t testing.TB) *Lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lab, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	t.Cleanup(func() { lab.DumpLogs(t) })
	return lab
}

// DumpLogs prints the end of every server's log if the test has failed.
func (l *Lab) DumpLogs(t testing.TB) {
	t.Helper()
	if !t.Failed() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.servers {
		t.Logf("%s:\n%s", s.logFile(), tail(s.logFile(), 60))
	}
}
