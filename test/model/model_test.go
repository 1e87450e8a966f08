package model

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var (
	deep   = flag.Bool("deep", false, "search the large combinations too: a minute, 2 GB")
	update = flag.Bool("update", false, "write the figures into README.md (with -deep)")
)

var (
	everything = Faults{Crashes: 2, Cuts: 1, Deletions: 1, Moves: 1, Foreign: 1}
	oursOnly   = Faults{Crashes: 3, Cuts: 1}
	refused    = Faults{Crashes: 1, Cuts: 1, Refusals: 1, Deletions: 1}
	andRefused = Faults{Crashes: 2, Cuts: 1, Refusals: 1, Deletions: 1, Moves: 1, Foreign: 1}
	movedBack  = Faults{Crashes: 1, Moves: 1, Returns: 1}
)

var claims = []struct {
	claim    string
	protocol Protocol
	faults   Faults
	want     Broken
	deep     bool
}{
	{claim: "the whole protocol holds", faults: everything},
	{claim: "the whole protocol holds with three crashes", faults: oursOnly},
	{claim: "the whole protocol holds when the server says No", faults: refused},
	{claim: "the whole protocol holds with all of this at once", faults: andRefused, deep: true},
	{claim: "without intents a message is stored twice", protocol: NoIntents, faults: everything, want: Duplicate},
	{claim: "without the fence a message is stored twice", protocol: NoFence, faults: everything, want: Duplicate},
	{claim: "without the vanished check a deleted message comes back", protocol: NoVanishedCheck, faults: everything, want: Resurrect},
	{claim: "without the search more is parked, nothing is broken", protocol: NoSearch, faults: everything, deep: true},
	{claim: "without counting the room of a batch more is parked, nothing is broken", protocol: NoRoomCheck, faults: everything, deep: true},
	{claim: "a lower bound that is never raised does no harm", protocol: BoundAtOpening, faults: everything, deep: true},
	{claim: "a deleted message comes back if the lower bound counts on another batch", protocol: BoundGuessed, faults: refused, want: Resurrect},
	{claim: "a deleted message comes back if the early one of twins chooses first", protocol: EarlyFirst, faults: refused, want: Resurrect},
	{claim: "a deleted message comes back if a twin hides the room of its batch", protocol: TwinsInRoom, faults: refused, want: Resurrect},
	{claim: "a message is lost if its twin was moved and is taken for it", protocol: TwinsMoved, faults: everything, want: Lost},
	{claim: "a message is stored twice if a dead connection counts as answered", protocol: DeadIsAnswered, faults: refused, want: Duplicate},
	{claim: "known limit: a twin that was moved away and back is taken too", faults: movedBack, want: Lost},
}

func TestClaims(t *testing.T) {
	var figures []string
	for _, c := range claims {
		if c.deep && !*deep {
			continue
		}
		t.Run(c.claim, func(t *testing.T) {
			r := Search(c.protocol, c.faults)
			t.Logf("%d states, %d transitions\n%s", r.States, r.Transitions, strings.Join(r.Trace, "\n"))
			if r.Broken != c.want {
				t.Errorf("got %v, want %v", r.Broken, c.want)
			}
			figures = append(figures, figure(c.claim, c.faults, r))
		})
	}
	if *update {
		write(t, figures)
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range figures {
		if !strings.Contains(string(page), line+"\n") {
			t.Errorf("README.md has other figures (go test ./test/model -deep -update): want\n%s", line)
		}
	}
}

func figure(claim string, f Faults, r Result) string {
	result, _, _ := strings.Cut(r.Broken.String(), ":")
	if r.Broken == Sound {
		result = fmt.Sprintf("holds; %d of %d ends with something parked", r.EndsParked, r.Ends)
	} else {
		result += fmt.Sprintf(" after %d steps", len(r.Trace)-1)
	}
	return fmt.Sprintf("| %s | %s | %d | %d | %s |", claim, f, r.States, r.Transitions, result)
}

func (f Faults) String() string {
	var in []string
	for _, some := range []struct {
		n    uint8
		what string
	}{{f.Crashes, "crashes"}, {f.Cuts, "cuts"}, {f.Refusals, "Nos"}, {f.Deletions, "deletions"}, {f.Moves, "moves"}, {f.Returns, "moves back"}, {f.Foreign, "foreign"}} {
		if some.n > 0 {
			in = append(in, fmt.Sprintf("%s %d", some.what, some.n))
		}
	}
	return strings.Join(in, ", ")
}

const heading = "|---|---|---|---|---|\n"

// write replaces the table of the page.
func write(t *testing.T, figures []string) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(page), heading)
	if _, after, ok := strings.Cut(rest, "\n\n"); found && ok {
		text := before + heading + strings.Join(figures, "\n") + "\n\n" + after
		err = os.WriteFile("README.md", []byte(text), 0o644)
	}
	if err != nil || !found {
		t.Fatalf("README.md has no table to update: %v", err)
	}
}
