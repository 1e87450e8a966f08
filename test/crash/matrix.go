package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
)

// Matrix is all histories: a fault at every place of a first pass, everything that its ghosts and the owner may do
// then, and a fault at every place of the pass that recovers.
type Matrix struct {
	Dir     string
	Workers int
	// Of each choice, one in so many is looked at, by Seed; 0 and 1: every one.
	Thin int
	// ThinSeconds thins second faults after the owner acted; pairs of faults without him are all looked at.
	ThinSeconds int
	Seed        uint64
	Only        []string // scenarios; empty: all
	Context     context.Context
	// Failed is called with each history that broke something, never twice at once. When it returns false, all end.
	Failed func(History, error) bool

	runs, passes, tails atomic.Int64
	enough              atomic.Bool
	reporting           sync.Mutex
	rested              sync.Map // moments from which everything came to a good end
}

// Runs is the number of histories, Passes how often the engine ran for them, Tails how many of them had an end of
// their own: the others came to a moment from which another one had been judged.
func (m *Matrix) Runs() int64   { return m.runs.Load() }
func (m *Matrix) Passes() int64 { return m.passes.Load() }
func (m *Matrix) Tails() int64  { return m.tails.Load() }

// task is one fault of a first pass.
type task struct {
	scenario *Scenario
	first    Fault
	seed     uint64
}

// Run looks at all of them.
func (m *Matrix) Run() error {
	var scenarios []*Scenario
	for _, s := range Scenarios {
		if len(m.Only) == 0 || slices.Contains(m.Only, s.name) {
			scenarios = append(scenarios, s)
		}
	}
	tasks := make(chan task)
	errs := make(chan error, m.Workers+1)
	var group sync.WaitGroup
	for range m.Workers {
		group.Go(func() {
			w := worker{Matrix: m, begun: map[string]snapshot{}}
			if err := w.run(tasks); err != nil {
				errs <- err
			}
			for range tasks { // after an error, let the others finish
			}
		})
	}
	if err := m.plan(scenarios, tasks); err != nil {
		errs <- err
	}
	close(tasks)
	group.Wait()
	close(errs)
	return <-errs
}

// plan finds the places where the first pass of each scenario can fail.
func (m *Matrix) plan(scenarios []*Scenario, tasks chan<- task) error {
	b, done, err := m.bench()
	if err != nil {
		return err
	}
	defer done()
	rng := rand.New(rand.NewPCG(m.Seed, 1))
	for _, s := range scenarios {
		if _, err := b.begin(m.Context, s); err != nil {
			return fmt.Errorf("scenario %s: %w", s.name, err)
		}
		if _, err := b.pass(m.Context, happening{fault: Fault{Kind: NoFault}}); err != nil {
			return fmt.Errorf("scenario %s without faults: %w", s.name, err)
		}
		for _, f := range b.places() {
			if seed := rng.Uint64(); m.keeps(rng, m.Thin) {
				tasks <- task{s, f, seed}
			}
		}
	}
	return nil
}

func (m *Matrix) keeps(rng *rand.Rand, oneIn int) bool {
	return !m.enough.Load() && (oneIn <= 1 || rng.IntN(oneIn) == 0)
}

func (m *Matrix) bench() (b *Bench, done func(), err error) {
	dir, err := os.MkdirTemp(m.Dir, "crash-")
	if err != nil {
		return nil, nil, err
	}
	if b, err = NewBench(m.Context, dir); err != nil {
		return nil, nil, err
	}
	b.passes = &m.passes
	return b, func() { _ = b.Close(); _ = os.RemoveAll(dir) }, nil
}

// places are all faults that can hit a pass like the last one.
func (b *Bench) places() (faults []Fault) {
	for i := range b.steps {
		faults = append(faults, Fault{Kind: Stop, Index: i})
	}
	for i := range b.changes {
		for _, kind := range []string{Lost, Unanswered, Ghost, Refused, Silent} {
			faults = append(faults, Fault{Kind: kind, Index: i})
		}
	}
	for i := range b.literals {
		faults = append(faults, Fault{Kind: MidLiteral, Index: i})
	}
	for i := range b.fetched {
		faults = append(faults, Fault{Kind: SourceCut, Index: i})
	}
	return faults
}

// lates are the ways in which the ghosts of the last pass may take effect.
func (b *Bench) lates() []string {
	switch {
	case len(b.ghosts) == 0:
		return []string{""}
	case b.fault.Kind == Ghost:
		return []string{AtOnce, AfterLook, AtEnd}
	}
	return []string{Dropped, AtOnce, AfterLook, AtEnd}
}

type worker struct {
	*Matrix
	*Bench
	begun map[string]snapshot
	rng   *rand.Rand
}

func (w *worker) run(tasks <-chan task) error {
	b, done, err := w.bench()
	if err != nil {
		return err
	}
	defer done()
	w.Bench = b
	for t := range tasks {
		w.rng = rand.New(rand.NewPCG(t.seed, 2))
		if err := w.first(t); err != nil {
			return fmt.Errorf("scenario %s, %s: %w", t.scenario.name, t.first, err)
		}
	}
	return nil
}

// moment names everything on which the rest of a history depends. Batches are named at random; what counts is which
// rows share one.
func (s snapshot) moment(h History) [sha256.Size]byte {
	var text bytes.Buffer
	fmt.Fprintln(&text, h.Scenario, h.Action == Nothing, h.Second.Late, s.clock, s.ghosts)
	for _, w := range []*world{s.source, s.here} {
		for _, name := range slices.Sorted(maps.Keys(w.folders)) {
			fmt.Fprintf(&text, "%q %+v\n", name, *w.folders[name])
		}
		fmt.Fprintln(&text, w.appended, w.removed, w.settled, w.last, w.wrong)
	}
	batches := map[string]int{}
	for _, table := range tables {
		for _, row := range s.tables[table] {
			for _, value := range row {
				if name, isText := value.(string); isText && batchName.MatchString(name) {
					if _, known := batches[name]; !known {
						batches[name] = len(batches)
					}
					value = batches[name]
				}
				fmt.Fprintf(&text, "%v,", value)
			}
		}
	}
	return sha256.Sum256(text.Bytes())
}

var batchName = regexp.MustCompile(`^[a-z2-7]{8}\.[0-9]+$`)

// first runs the first pass once for all that may follow.
func (w *worker) first(t task) error {
	begun, known := w.begun[t.scenario.name]
	if !known {
		var err error
		if begun, err = w.begin(w.Context, t.scenario); err != nil {
			return err
		}
		w.begun[t.scenario.name] = begun
	}
	w.scenario = t.scenario
	if err := w.load(w.Context, begun); err != nil {
		return err
	}
	_, _ = w.pass(w.Context, happening{fault: t.first}) // it fails as it must
	lates := w.lates()
	after, err := w.save(w.Context)
	if err != nil {
		return err
	}
	h := History{Scenario: t.scenario.name, First: t.first}
	for _, late := range lates {
		h.First.Late = late
		for _, h.Action = range Actions {
			for _, h.When = range []string{Before, InFence, InPass} {
				if h.Action == Nothing && h.When != Before || !w.keeps(w.rng, w.Thin) {
					continue
				}
				if err := w.second(h, after); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// second runs the pass that recovers: once as it is, and once with each fault that can hit it.
func (w *worker) second(h History, after snapshot) error {
	next := happening{fault: Fault{Kind: NoFault}, late: h.First.Late, action: h.Action, when: h.When}
	h.Second = next.fault
	if err := w.load(w.Context, after); err != nil {
		return err
	}
	err := w.end(w.Context, h, next)
	if !w.happened { // the owner found nothing to do: another history is the same
		return nil
	}
	places := w.probed
	w.report(h, err)
	thin := max(w.Thin, w.scenario.pairsThin())
	if h.Action != Nothing {
		thin = max(thin, w.ThinSeconds)
	}
	for _, f := range places {
		if !w.keeps(w.rng, thin) {
			continue
		}
		h.Second, next.fault = f, f
		if err := w.load(w.Context, after); err != nil {
			return err
		}
		_, _ = w.pass(w.Context, next)
		if err := w.rest(h); err != nil {
			return err
		}
	}
	return nil
}

// rest ends a history in every way in which the ghosts of its second fault allow.
func (w *worker) rest(h History) error {
	lates := w.lates()
	after, err := w.save(w.Context)
	if err != nil {
		return err
	}
	for i, late := range lates {
		h.Second.Late = late
		moment := after.moment(h)
		if _, known := w.rested.Load(moment); known {
			w.runs.Add(1)
			continue
		}
		if i > 0 {
			if err := w.load(w.Context, after); err != nil {
				return err
			}
		}
		if err := w.end(w.Context, h, happening{late: late}); w.report(h, err) {
			w.rested.Store(moment, true)
		}
	}
	return nil
}

// verifyEvery is how many histories share one run of the mirror's own proof.
const verifyEvery = 20

// report tells whether all was well.
func (w *worker) report(h History, err error) bool {
	w.runs.Add(1)
	if n := w.tails.Add(1); err == nil && n%verifyEvery == 0 {
		err = w.verify(w.Context)
	}
	if err == nil {
		return true
	}
	w.reporting.Lock()
	defer w.reporting.Unlock()
	if !w.enough.Load() {
		w.enough.Store(!w.Failed(h, err))
	}
	return false
}
