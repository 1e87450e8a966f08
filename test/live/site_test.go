package live

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mailstork/test/line"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

const domain = "example.org"

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stork-bin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mailstork")
	if out, err := exec.Command("go", "build", "-o", path, "mailstork/cmd/mailstork").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building mailstork: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path)) // a left-over program in the temp folder harms nobody
	}
	os.Exit(code)
}

// onBoth runs a test with either Dovecot as this server's.
func onBoth(t *testing.T, test func(t *testing.T, version string)) {
	for _, version := range []string{testbed.Dovecot23, testbed.Dovecot24} {
		t.Run("Dovecot "+version, func(t *testing.T) { test(t, version) })
	}
}

// bench is a site whose domain passes first logins on, with a way to the source that a test can hold up, and a gate before
// everything that a switch asks of Dovecot.
type bench struct {
	*site.Site
	t    *testing.T
	way  *line.Line
	gate gate
}

func start(t *testing.T, version string, people map[string]string, change func(*site.Options)) *bench {
	t.Helper()
	return startWith(t, version, people, "proxy", change)
}

func startWith(t *testing.T, version string, people map[string]string, firstLogin string, change func(*site.Options)) *bench {
	t.Helper()
	testbed.Need(t, "dovecot "+testbed.Dovecot23, "dovecot "+version)
	program, err := binary()
	must(t, err)
	b := &bench{t: t, way: line.New(0)}
	t.Cleanup(b.way.Close)
	o := site.Options{Binary: program, Domain: domain, People: people, Dest: testbed.DestinationOptions{Version: version},
		Source: testbed.SourceOptions{Version: testbed.Dovecot23},
		Config: map[string]map[string]any{"live": {"pass_interval_seconds": 1, "small_changes": 500, "quick_milliseconds": 60_000}},
		Via:    b.way.Open,
		Prepare: func(lab *testbed.Lab, o *site.Options) error {
			b.gate, err = newGate(filepath.Join(lab.Dir, "gate"), filepath.Join(lab.Dir, "destination", "bin", "doveadm"))
			o.Config["dovecot"] = map[string]any{"doveadm_path": b.gate.program()}
			return err
		}}
	if change != nil {
		change(&o)
	}
	b.Site, err = site.Start(testbed.NewForTest(t), o)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("daemon log:\n%s", b.LogTail(120))
		}
		b.gate.openAll()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	must(t, b.StartDaemon(), b.AddDomain("--accounts", "any", "--first-login", firstLogin))
	return b
}

// shown is what `account show --json` says of a live migration.
type shown struct {
	State      string    `json:"state"`
	Route      string    `json:"route"`
	Stuck      string    `json:"stuck"`
	SwitchedAt time.Time `json:"switched_at"`
	LastPassAt time.Time `json:"last_pass_at"`
	Switching  struct {
		Problem  string `json:"problem"`
		Fallback string `json:"fallback"`
		Urgent   string `json:"urgent"`
	} `json:"switching"`
}

func (b *bench) show(address string) (a shown) {
	b.t.Helper()
	must(b.t, b.JSON(&a, "account", "show", address))
	return a
}

// waitFor polls an account until it is as wanted.
func (b *bench) waitFor(address, what string, reached func(shown) bool) (a shown) {
	b.t.Helper()
	must(b.t, site.Eventually(func() error {
		a = shown{}
		if err := b.JSON(&a, "account", "show", address); err != nil {
			return err
		}
		if !reached(a) {
			return fmt.Errorf("waiting until %s is %s: it is %+v", address, what, a)
		}
		return nil
	}))
	return a
}

func isHere(a shown) bool { return a.Route == "here" && !a.SwitchedAt.IsZero() }

// passes waits until n further passes have ended.
func (b *bench) passes(address string, n int) {
	b.t.Helper()
	for range n {
		before := b.show(address).LastPassAt
		_, err := b.CLI("account", "sync", address)
		must(b.t, err)
		b.waitFor(address, "passed over again", func(a shown) bool { return a.LastPassAt.After(before) })
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
