package account

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the generated page instead of comparing it")

func TestStatesPageIsGenerated(t *testing.T) {
	const path = "../../docs/states.md"
	if *update {
		if err := os.WriteFile(path, []byte(StatesPage()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != StatesPage() {
		t.Errorf("docs/states.md is not what the transition tables say (%v); run: go generate ./daemon/account", err)
	}
}

func TestEveryStateIsReachedAndEveryNonFinalStateIsLeft(t *testing.T) {
	reached, left := map[State]bool{Listed: true}, map[State]bool{}
	for _, tr := range Transitions {
		reached[tr.To], left[tr.From] = true, true
	}
	for _, s := range []State{Listed, Joined, Copying, Following, Closing, Done} {
		if !reached[s] {
			t.Errorf("state %q is never reached", s)
		}
		if left[s] == (s == Done) {
			t.Errorf("state %q: left=%v", s, left[s])
		}
	}
}

func TestNextRefusesWhatIsNotInTheTable(t *testing.T) {
	for _, pair := range [][2]State{{Listed, Following}, {Done, Listed}, {Done, Following}, {Following, Joined}, {Copying, Closing}} {
		if _, err := Next(pair[0], pair[1]); err == nil {
			t.Errorf("Next(%q, %q) succeeded", pair[0], pair[1])
		}
	}
	if _, err := NextDomain(Open, Draining); err == nil {
		t.Error("NextDomain(open, draining) succeeded: C1 wants cutover between them")
	}
}
