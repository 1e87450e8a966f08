package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"mailstork/daemon/config/annotate"
)

const manDir = "../../docs/man"

// manPages are the pages of all commands and of the configuration, by file name.
func manPages(t *testing.T) map[string][]byte {
	t.Helper()
	pages := map[string][]byte{}
	eachCommand(newRoot(app{now: time.Now, zone: time.UTC}), func(c *cobra.Command) {
		if c.Name() == "help" || c.Name() == "completion" || c.HasParent() && c.Parent().Name() == "completion" {
			return
		}
		c.DisableAutoGenTag = true
		var page bytes.Buffer
		header := &doc.GenManHeader{Section: "1", Source: "mailstork", Manual: "mailstork manual", Date: &time.Time{}}
		if err := doc.GenMan(c, header, &page); err != nil {
			t.Fatal(err)
		}
		pages[strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"] = withoutDate(page.Bytes())
	})
	keys, err := annotate.Keys("../../daemon/config")
	if err != nil {
		t.Fatal(err)
	}
	pages["mailstork.yaml.5"] = annotate.ManPage(keys)
	return pages
}

// withoutDate keeps pages equal from build to build.
func withoutDate(page []byte) []byte {
	return bytes.Replace(page, []byte(`"Jan 0001"`), []byte(`""`), 1)
}

func TestManPagesAreGeneratedFromTheCommands(t *testing.T) {
	pages := manPages(t)
	if *update {
		writePages(t, pages)
	}
	entries, err := os.ReadDir(manDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if pages[entry.Name()] == nil {
			t.Errorf("docs/man/%s is of no command; run: go generate ./cmd/mailstork", entry.Name())
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(manDir, name))
		if err != nil {
			t.Errorf("%v; run: go generate ./cmd/mailstork", err)
			continue
		}
		if diff := cmp.Diff(string(got), string(want)); diff != "" {
			t.Errorf("docs/man/%s is old (-file +program); run: go generate ./cmd/mailstork\n%s", name, diff)
		}
	}
}

func writePages(t *testing.T, pages map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(manDir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(manDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(manDir, name), page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExitCodesAreInTheManPageOnceEach(t *testing.T) {
	page := string(manPages(t)["mailstork.1"])
	var codes []int
	for _, e := range exitMeanings {
		if slices.Contains(codes, e.code) {
			t.Errorf("exit code %d has two meanings", e.code)
		}
		codes = append(codes, e.code)
		if words := strings.ReplaceAll(e.meaning, "-", `\-`); !strings.Contains(page, words) {
			t.Errorf("exit code %d (%s) is not in mailstork(1)", e.code, e.meaning)
		}
	}
}
