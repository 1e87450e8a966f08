package provider

import (
	"fmt"
	"strings"
)

// Page renders docs/quirks.md from the profiles.
func Page() string {
	var page strings.Builder
	page.WriteString("# Quirks of old servers\n\n" +
		"Generated from `test/provider` (`go generate ./test/provider`). Each row is a server that was seen, a profile of the fake\n" +
		"provider that does the same, and a test: production passes against it bring every message once, with its bytes, flags and\n" +
		"date, or the operator reads why not. Nothing in the last column: there is nothing to do and nothing is said.\n\n" +
		fmt.Sprintf("%d quirks. A new one: add a row to a `profiles_*.go`, see its test red, mend the mirror.\n", len(All())))
	for _, g := range Groups() {
		fmt.Fprintf(&page, "\n## %s\n\n| profile | the server | seen | mailstork | the operator reads |\n|---|---|---|---|---|\n", g.Title)
		for _, p := range g.Profiles {
			reads := p.Reads
			if len(reads) > 140 {
				reads = reads[:140] + "…"
			}
			if reads != "" {
				reads = "`` " + strings.ToValidUTF8(reads, "?") + " ``"
			}
			fmt.Fprintf(&page, "| %s | %s | %s | %s | %s |\n", p.Name, cell(p.Server), cell(p.Seen), cell(p.Does), cell(reads))
		}
	}
	return page.String()
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
