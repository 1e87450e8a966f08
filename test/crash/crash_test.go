package crash

import (
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

var (
	full    = flag.Bool("full", false, "look at every history, not at a sample")
	atLeast = flag.Int64("runs", 0, "fail when there were fewer histories")
	thin    = flag.Int("thin", 26, "of each choice, one in so many is looked at")
	seed    = flag.Uint64("seed", 0, "of the sample; 0: a new one")
	history = flag.String("history", "", "one history, as a failure names it")
	only    = flag.String("only", "", "one scenario")
	until   = flag.String("until", "", "end with the first failure that begins with this word")
)

// memory is where a ledger costs no disk.
func memory(t *testing.T) string {
	if err := os.MkdirAll("/dev/shm", 0o755); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "mailstork-crash-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestNothingIsLostTwiceOrBackWhateverFailsWhere(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	m := &Matrix{Dir: memory(t), Workers: max(2, runtime.GOMAXPROCS(0)), Thin: *thin, Seed: *seed, Context: t.Context()}
	if m.Seed == 0 {
		m.Seed = uint64(time.Now().UnixNano())
	}
	if *only != "" {
		m.Only = []string{*only}
	}
	if *full {
		m.Thin, m.ThinSeconds = 1, *thin
	}
	broken := 0
	m.Failed = func(h History, err error) bool {
		wanted := *until == "" || strings.HasPrefix(err.Error(), *until)
		if broken++; wanted && broken <= 20 {
			t.Errorf("%v\n\tseed %d; again: go test ./test/crash -count=1 -run TestHistory -history '%s'", err, m.Seed, h)
		}
		return *until == "" || !wanted
	}
	began := time.Now()
	if err := m.Run(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d histories with %d different ends, %d passes of the engine, %d broken, seed %d, %v", m.Runs(), m.Tails(), m.Passes(), broken, m.Seed, time.Since(began).Round(time.Millisecond))
	if m.Runs() < *atLeast || m.Runs() == 0 {
		t.Errorf("only %d histories; want %d", m.Runs(), *atLeast)
	}
}

// once holds histories that the matrix found broken, each with what was wrong.
var once = []struct{ claim, history string }{
	{"what was deleted at the source goes here too when the removal was cut short", "source-is-right/unanswered:1/nothing/before/unanswered:4"},
	{"what was deleted at the source goes here too when the removal was refused once", "source-is-right/refused:4/nothing/before/lost:1"},
}

func TestHistory(t *testing.T) {
	histories := once
	if *history != "" {
		histories = histories[:0]
		histories = append(histories, struct{ claim, history string }{"it holds", *history})
	}
	b, err := NewBench(t.Context(), memory(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for _, o := range histories {
		h, err := ParseHistory(o.history)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Run(t.Context(), h); err != nil {
			t.Errorf("%s: %s: %v", o.claim, h, err)
		}
	}
}
