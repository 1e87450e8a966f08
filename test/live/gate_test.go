package live

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/test/site"
)

// gate stands in the place of doveadm, and can hold the daemon before any of its questions about passed on sessions.
type gate struct{ dir string }

const gateScript = `#!/bin/sh
# Counts what is asked about passed on sessions, and waits before the one that a file names.
dir='%s'
case " $* " in
*" proxy "*|*" who -1 "*|*" kick "*)
	n=$(($(cat "$dir/asked" 2>/dev/null || echo 0) + 1))
	echo $n > "$dir/asked"
	if [ -e "$dir/shut.$n" ]; then
		: > "$dir/reached.$n"
		while [ -e "$dir/shut.$n" ]; do sleep 0.02; done
	fi
esac
exec '%s' "$@"
`

func newGate(dir, doveadm string) (gate, error) {
	g := gate{dir}
	return g, errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(g.program(), fmt.Appendf(nil, gateScript, dir, doveadm), 0o755))
}

func (g gate) program() string { return filepath.Join(g.dir, "doveadm") }

// shut lets the n-th question from now wait.
func (g gate) shut(t *testing.T, n int) {
	t.Helper()
	g.openAll()
	must(t, os.WriteFile(filepath.Join(g.dir, fmt.Sprint("shut.", n)), nil, 0o644))
}

// reached returns when the n-th question waits, or tells that there was none before done.
func (g gate) reached(t *testing.T, n int, done func() bool) (waits bool) {
	t.Helper()
	must(t, site.Eventually(func() error {
		_, err := os.Stat(filepath.Join(g.dir, fmt.Sprint("reached.", n)))
		if waits = err == nil; waits || done() {
			return nil
		}
		return fmt.Errorf("waiting for question %d: %w", n, err)
	}))
	return waits
}

// openAll lets everything pass and counts from one again.
func (g gate) openAll() {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "doveadm") {
			_ = os.Remove(filepath.Join(g.dir, e.Name())) // what is gone is open
		}
	}
}
