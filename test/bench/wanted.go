package main

import (
	"fmt"
	"io"
)

const (
	ours      = "mailstork"
	yardstick = "pump"       // FETCH streamed into MULTIAPPEND, no bookkeeping at all
	doveadm   = "doveadm-pf" // with the best prefetch setting
	mbsync    = "mbsync"
)

// A wish is one figure and its limit: our figure as a share of another tool's, or plain where there is no other tool.
type wish struct {
	corpus string
	rtt    int
	phase  string
	figure func(Result) float64
	name   string
	than   string  // another tool
	times  bool    // theirs ÷ ours, at least; otherwise ours (÷ theirs), at most
	limit  float64 // a ratio, or the figure's unit
}

var wishes = []wish{
	{corpus: "m10k", phase: "initial", figure: wall, than: yardstick, limit: 1.25},
	{corpus: "m10k", phase: "initial", figure: wall, than: doveadm, times: true, limit: 1.15},
	{corpus: "m10k", phase: "initial", figure: wall, than: mbsync, times: true, limit: 1.9},
	{corpus: "m10k", phase: "initial", figure: cpu, name: "CPU s", limit: 2},
	{corpus: "m10k", rtt: 40, phase: "initial", figure: wall, than: yardstick, limit: 1.25},
	{corpus: "m10k", rtt: 40, phase: "initial", figure: wall, than: doveadm, times: true, limit: 1.4},
	{corpus: "m10k", rtt: 40, phase: "initial", figure: wall, than: mbsync, times: true, limit: 2.2},
	{corpus: "m10k", rtt: 40, phase: "noop", figure: flights, name: "flights", limit: 5},
	{corpus: "m10k", rtt: 40, phase: "noop", figure: wall, name: "wall s", limit: 0.3},
	{corpus: "many100k", phase: "initial", figure: wall, than: yardstick, limit: 1.25},
	{corpus: "many100k", phase: "initial", figure: wall, than: doveadm, times: true, limit: 1.5},
	{corpus: "many100k", phase: "initial", figure: resident, name: "resident MiB", limit: 64},
	{corpus: "many100k", phase: "delta", figure: wall, than: doveadm, limit: 0.35},
	{corpus: "many100k", phase: "delta", figure: wall, than: mbsync, limit: 0.25},
	{corpus: "many100k", phase: "delta", figure: resident, name: "resident MiB", limit: 64},
	{corpus: "many100k", rtt: 40, phase: "noop", figure: flights, name: "flights", limit: 5},
	{corpus: "many100k", rtt: 40, phase: "noop", figure: wall, name: "wall s", limit: 0.3},
}

// measure is the figure that is wished for; ok is false where a run of either tool is missing.
func (s wish) measure(results []Result) (value float64, ok bool) {
	value, ok = phase{s.corpus, s.rtt, s.phase, ours}.median(results, s.figure)
	if !ok || s.than == "" {
		return value, ok
	}
	theirs, ok := phase{s.corpus, s.rtt, s.phase, s.than}.median(results, s.figure)
	if s.times {
		return theirs / value, ok
	}
	return value / theirs, ok
}

func (s wish) met(value float64) bool {
	if s.times {
		return value >= s.limit
	}
	return value <= s.limit
}

func (s wish) String() string {
	what, relation := s.name, "≤"
	switch {
	case s.times:
		what, relation = s.than+" ÷ ours", "≥"
	case s.than != "":
		what = "ours ÷ " + s.than
	}
	return fmt.Sprintf("%s | %d ms | %s | %s | %s %v", s.corpus, s.rtt, s.phase, what, relation, s.limit)
}

func writeWanted(w io.Writer, results []Result) {
	fmt.Fprintln(w, "| corpus | round trip | phase | figure | wanted | measured | |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|")
	for _, s := range wishes {
		value, ok := s.measure(results)
		switch {
		case !ok:
			fmt.Fprintf(w, "| %s | | not run |\n", s)
		case s.met(value):
			fmt.Fprintf(w, "| %s | %.2f | met |\n", s, value)
		default:
			fmt.Fprintf(w, "| %s | %.2f | SHORT |\n", s, value)
		}
	}
}
