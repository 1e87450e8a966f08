package faults

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"mailstork/test/faultproxy"
	"mailstork/test/testbed"
)

var (
	repeats = flag.Int("repeats", 1, "how often each boundary is broken; from the second time on, half of the recoveries are broken too")
	thin    = flag.Int("thin", 3, "look at one boundary in so many; 1 is all")
	workers = flag.Int("workers", 4, "trials at the same time")
	seed    = flag.Uint64("seed", 0, "of the faults in recoveries; 0 takes a new one")
)

// moments are the ways to break a connection to each side.
var moments = map[bool][]faultproxy.At{
	false: {faultproxy.BeforeRequest, faultproxy.AfterRequest, faultproxy.Late, faultproxy.ReplyLost, faultproxy.MidLiteral},
	true:  {faultproxy.BeforeRequest, faultproxy.ReplyLost, faultproxy.MidReply},
}

// gaps lie between a fault and the restart.
var gaps = []time.Duration{0, 300 * time.Millisecond}

func TestFaultsLoseNothingDoubleNothingAndBringNothingBack(t *testing.T) { // L1, L2, L3
	testbed.Need(t, "dovecot 2.3", "dovecot 2.4")
	program := build(t, "")
	for _, version := range []string{testbed.Dovecot23, testbed.Dovecot24} {
		t.Run("Dovecot "+version, func(t *testing.T) {
			began := time.Now()
			all := newTable()
			for range *repeats {
				measure(t, program, version).add(all, *thin)
				t.Logf("%d faults in %s\n%s", all.faults(), time.Since(began).Round(time.Second), all)
			}
			if all.faults() < 100 {
				t.Errorf("only %d faults happened", all.faults())
			}
		})
	}
}

// Without a part of the protocol the same trials must go wrong, or they show nothing.
func TestTrialsNoticeWhenAPartOfTheProtocolIsMissing(t *testing.T) {
	testbed.Need(t, "dovecot 2.3", "dovecot 2.4")
	for _, missing := range []struct {
		claim string
		file  string
		edit  [2]string
		only  fault
		shown func(row) int
	}{
		{"without the fence messages are stored twice", "destination/fence.go",
			[2]string{"case err == nil && len(sessions) == 0:", "case err == nil:"},
			fault{at: faultproxy.Late}, func(r row) int { return r.twice }},
		{"without the vanished check deleted messages come back", "settle.go",
			[2]string{"case gaps == 0, whole", "case gaps >= 0, whole"},
			fault{at: faultproxy.ReplyLost, gap: gaps[1]}, func(r row) int { return r.back }},
	} {
		t.Run(missing.claim, func(t *testing.T) {
			program := build(t, "../../daemon/mirror/"+missing.file, missing.edit)
			for _, version := range []string{testbed.Dovecot23, testbed.Dovecot24} {
				m := measure(t, program, version)
				m.only = &missing.only
				all := newTable()
				m.add(all, 1)
				t.Logf("Dovecot %s\n%s", version, all)
				if missing.shown(all.total()) == 0 {
					t.Errorf("Dovecot %s: nobody noticed", version)
				}
			}
		})
	}
}

// matrix is one bench and the boundaries that a copy without faults passes there.
type matrix struct {
	t                *testing.T
	program, version string
	boundaries       map[bool]map[faultproxy.At]int64 // at the source?
	random           *rand.Rand
	only             *fault // this kind and gap, cut and killed; the program is a mutant, so what goes wrong is no failure
}

func measure(t *testing.T, program, version string) *matrix {
	t.Helper()
	b := newBench(t, program, version, 1)
	clean, err := b.newTrial(0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = clean.close() }()
	if end, err := clean.run(); err != nil || !end.settled {
		t.Fatalf("a copy without faults: %v %s", err, end.words)
	}
	m := &matrix{t: t, program: program, version: version, boundaries: map[bool]map[faultproxy.At]int64{}}
	for atSource, p := range map[bool]*faultproxy.Proxy{false: clean.here, true: clean.there} {
		m.boundaries[atSource] = map[faultproxy.At]int64{}
		for _, at := range moments[atSource] {
			switch at {
			case faultproxy.MidLiteral:
				m.boundaries[atSource][at] = p.Literals.Load()
			case faultproxy.MidReply:
				for _, n := range b.content { // each message comes as one literal
					m.boundaries[atSource][at] += int64(n)
				}
			case faultproxy.ReplyLost: // nobody waits for the answer to the last, LOGOUT
				m.boundaries[atSource][at] = p.Commands.Load() - 1
			default:
				m.boundaries[atSource][at] = p.Commands.Load()
			}
		}
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	m.random = rand.New(rand.NewPCG(*seed, 1))
	return m
}

// faults lists every step-th boundary in every way.
func (m *matrix) faults(step int) (all [][]fault) {
	for _, gap := range gaps {
		for _, atSource := range []bool{false, true} {
			for _, at := range moments[atSource] {
				if m.only != nil && (m.only.atSource != atSource || m.only.at != at || m.only.gap != gap) {
					continue
				}
				for _, kill := range []bool{false, true} {
					first := 1 + len(all)%step // not always the same boundaries
					for n := int64(first); n <= m.boundaries[atSource][at]; n += int64(step) {
						all = append(all, []fault{{atSource, at, n, kill, gap}})
					}
				}
			}
		}
	}
	return all
}

// add runs the matrix once on new servers.
func (m *matrix) add(to *table, step int) {
	all := m.faults(step)
	if to.repeats++; to.repeats > 1 {
		for i, one := range all {
			if m.random.IntN(2) == 0 {
				again := m.faults(1)
				all[i] = append(one, again[m.random.IntN(len(again))]...)
			}
		}
	}
	b := newBench(m.t, m.program, m.version, len(all))
	b.mutant = m.only != nil
	next := make(chan []fault, len(all))
	for _, faults := range all {
		next <- faults
	}
	close(next)
	var group sync.WaitGroup
	for range *workers {
		group.Go(func() {
			for faults := range next {
				v, reached, err := b.try(faults...)
				if err != nil {
					m.t.Errorf("%v: %v", faults, err)
				} else {
					to.count(faults[0], v, reached)
				}
				if v.bad() && m.only == nil {
					m.t.Errorf("seed %d, %v: %s", *seed, faults, strings.Join(v.words, "\n"))
				}
			}
		})
	}
	group.Wait()
}

// table adds up verdicts by kind of fault and gap.
type table struct {
	mu      sync.Mutex
	rows    map[string]map[time.Duration]*row
	order   []string
	repeats int
}

type row struct {
	verdict
	runs, missed int
}

func newTable() *table { return &table{rows: map[string]map[time.Duration]*row{}} }

func (t *table) count(f fault, v verdict, reached bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows[f.String()] == nil {
		t.rows[f.String()] = map[time.Duration]*row{}
		t.order = append(t.order, f.String())
	}
	if t.rows[f.String()][f.gap] == nil {
		t.rows[f.String()][f.gap] = &row{}
	}
	t.rows[f.String()][f.gap].add(v, reached)
}

func (r *row) add(v verdict, reached bool) {
	if reached {
		r.runs++
	} else {
		r.missed++
	}
	r.lost, r.twice, r.back, r.unsettled = r.lost+v.lost, r.twice+v.twice, r.back+v.back, r.unsettled+v.unsettled
}

func (t *table) total() (sum row) {
	for _, gaps := range t.rows {
		for _, r := range gaps {
			sum.runs, sum.missed = sum.runs+r.runs, sum.missed+r.missed
			sum.lost, sum.twice, sum.back, sum.unsettled = sum.lost+r.lost, sum.twice+r.twice, sum.back+r.back, sum.unsettled+r.unsettled
		}
	}
	return sum
}

func (t *table) faults() int { return t.total().runs }

func (t *table) String() string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 1, 2, ' ', 0)
	fmt.Fprintln(w, "\nfault\tgap\tfaults\tlost\ttwice\tback\tunsettled")
	for _, kind := range t.order {
		for _, gap := range gaps {
			if r := t.rows[kind][gap]; r != nil {
				fmt.Fprintf(w, "%s\t%v\t%d\t%d\t%d\t%d\t%d\n", kind, gap, r.runs, r.lost, r.twice, r.back, r.unsettled)
			}
		}
	}
	sum := t.total()
	fmt.Fprintf(w, "all\t\t%d\t%d\t%d\t%d\t%d\n", sum.runs, sum.lost, sum.twice, sum.back, sum.unsettled)
	if err := errors.Join(w.Flush()); err != nil {
		return err.Error()
	}
	return out.String()
}
