package model

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestFilingAnew(t *testing.T) {
	all := FilingFaults{Crashes: 2, Deletions: 2, Foreign: 1}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		claim    string
		protocol FilingProtocol
		faults   FilingFaults
		want     string
	}{
		{"filing anew holds", 0, all, ""},
		{"without an intent the owner is blamed", FilingWithoutIntent, all, filingBlamed},
		{"without the fence a message stays twice", FilingWithoutFence, all, filingTwice},
		{"without a look for second copies the owner is blamed", FilingWithoutLook, all, filingBlamed},
		{"a removal sent before the copy is answered loses messages", FilingUnconfirmed, all, filingMissing},
		{"Dovecot's MOVE loses messages", FilingByMove, all, filingMissing},
	} {
		t.Run(c.claim, func(t *testing.T) {
			r := SearchFiling(c.protocol, c.faults)
			t.Logf("%d states\n%s", r.States, strings.Join(r.Trace, "\n"))
			if r.Broken != c.want {
				t.Errorf("got %q, want %q", r.Broken, c.want)
			}
			result, _, _ := strings.Cut(r.Broken, ":")
			if result == "" {
				result = fmt.Sprintf("holds; %d ends", r.Ends)
			} else {
				result += fmt.Sprintf(" after %d steps", len(r.Trace)-1)
			}
			if line := fmt.Sprintf("| %s | %s | %d | %s |", c.claim, c.faults, r.States, result); !strings.Contains(string(page), line+"\n") {
				t.Errorf("README.md has other figures: want\n%s", line)
			}
		})
	}
}
