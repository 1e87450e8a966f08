package main

import (
	"fmt"
	"io"
	"slices"
)

// A phase is what all runs of one tool did under the same conditions.
type phase struct {
	corpus string
	rtt    int
	name   string
	tool   string
}

func (p phase) of(results []Result) (same []Result) {
	for _, r := range results {
		if (phase{r.Corpus, r.RTT, r.Phase, r.Tool}) == p {
			same = append(same, r)
		}
	}
	return same
}

// median is that of a figure of the phase; ok is false where there is no run.
func (p phase) median(results []Result, figure func(Result) float64) (median float64, ok bool) {
	var values []float64
	for _, r := range p.of(results) {
		values = append(values, figure(r))
	}
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2, true
	}
	return values[middle], true
}

func wall(r Result) float64     { return r.Wall }
func cpu(r Result) float64      { return r.CPU }
func resident(r Result) float64 { return r.Resident }
func flights(r Result) float64 {
	if r.Flights == nil {
		return 0
	}
	return float64(*r.Flights)
}

func writeMedians(w io.Writer, results []Result) {
	fmt.Fprintln(w, "| corpus | round trip | phase | tool | runs | wall, median (all) | CPU | resident | flights |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|")
	var told []phase
	for _, r := range results {
		p := phase{r.Corpus, r.RTT, r.Phase, r.Tool}
		if slices.Contains(told, p) || (r.Tool == yardstick && r.Phase == "delta") { // the yardstick keeps nothing to follow with
			continue
		}
		told = append(told, p)
		all := ""
		for _, one := range p.of(results) {
			all += fmt.Sprintf(" %.2f", one.Wall)
		}
		value := func(figure func(Result) float64) float64 { v, _ := p.median(results, figure); return v }
		counted := ""
		if r.Flights != nil {
			counted = fmt.Sprintf("%.0f", value(flights))
		}
		fmt.Fprintf(w, "| %s | %d ms | %s | %s | %d | %.2f s (%s) | %.2f s | %.0f MiB | %s |\n", p.corpus, p.rtt, p.name, p.tool,
			len(p.of(results)), value(wall), all[1:], value(cpu), value(resident), counted)
	}
}
