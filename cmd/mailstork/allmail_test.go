package main

import (
	"strings"
	"testing"

	"mailstork/daemon/account"
)

func TestDomainOfGmailShowsWhatIsCopiedOfAllMailAndOthersOnlyWhatWasSaid(t *testing.T) {
	for _, c := range []struct {
		name       string
		capability string
		policy     account.AllMail
		want       string // in the line; empty: none
	}{
		{"Gmail, nothing said", "X-GM-EXT-1", "", "rest: "},
		{"Gmail, whole", "X-GM-EXT-1", account.AllMailWhole, "whole: "},
		{"another source, nothing said", "CONDSTORE", "", ""},
		{"another source, skip", "CONDSTORE", account.AllMailSkip, "skip: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSession(t)
			s.operator.Known[0].Check.Capabilities = []string{c.capability}
			s.operator.Known[0].Rules.AllMail = c.policy
			line := ""
			for l := range strings.Lines(s.run("domain", "show", string(s.operator.Known[0].Name)).stdout) {
				if rest, found := strings.CutPrefix(l, "all mail"); found {
					line = strings.TrimSpace(rest)
				}
			}
			if !strings.HasPrefix(line, c.want) || (line == "") != (c.want == "") {
				t.Errorf("the line says %q, want %q", line, c.want)
			}
		})
	}
}

func TestHelpSaysWhatGoesFromWholeToRestAndWhatIsNeverTouched(t *testing.T) {
	for _, verb := range []string{"domain set", "account set"} {
		help := strings.Join(strings.Fields(newSession(t).run(append(strings.Fields(verb), "--help")...).stdout), " ")
		for _, want := range []string{"From whole to rest, the second copies", "what an owner copied, moved or flagged here is never touched"} {
			if !strings.Contains(help, want) {
				t.Errorf("%s --help does not say %q", verb, want)
			}
		}
	}
}
