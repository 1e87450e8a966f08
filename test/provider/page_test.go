package provider

import (
	"flag"
	"os"
	"regexp"
	"testing"
)

var update = flag.Bool("update", false, "write the generated page instead of comparing it")

func TestThePageIsGeneratedFromTheProfiles(t *testing.T) {
	const path = "../../docs/quirks.md"
	if *update {
		if err := os.WriteFile(path, []byte(Page()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != Page() {
		t.Errorf("docs/quirks.md is not what the profiles say (%v); run: go generate ./test/provider", err)
	}
}

func TestEveryProfileIsNamedOnceAndSaysEverything(t *testing.T) {
	names := map[string]bool{}
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, p := range All() {
		if names[p.Name] || !name.MatchString(p.Name) {
			t.Errorf("%q is no name, or was given before", p.Name)
		}
		names[p.Name] = true
		if p.Server == "" || p.Seen == "" || p.Does == "" {
			t.Errorf("%s does not say what the server does, where it was seen, or what mailstork does", p.Name)
		}
	}
	if len(names) < 100 {
		t.Errorf("%d profiles; some are gone", len(names))
	}
}
