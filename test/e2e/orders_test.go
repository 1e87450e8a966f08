package e2e

import (
	"fmt"
	"strings"
	"testing"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

type shown struct {
	State, Stuck, Hint string
	Orders             string
	Credential         bool
	Exceptions         []struct{ Class, Why, File string }
}

func show(t *testing.T, s *site.Site, address string) (a shown) {
	t.Helper()
	must(t, s.JSON(&a, "account", "show", address))
	return a
}

func waitShown(t *testing.T, s *site.Site, address, what string, ok func(shown) bool) {
	t.Helper()
	must(t, site.Eventually(func() error {
		if a := show(t, s, address); !ok(a) {
			return fmt.Errorf("%s: waiting for %s: %+v", address, what, a)
		}
		return nil
	}))
}

func hereOf(t *testing.T, s *site.Site, address string) int {
	t.Helper()
	out, err := s.Dest.Doveadm("mailbox", "status", "-u", address, "messages", "INBOX")
	must(t, err)
	var n int
	_, err = fmt.Sscanf(strings.TrimSpace(out), "INBOX messages=%d", &n)
	must(t, err)
	return n
}

// An operator who reads what the guard holds back approves it with the command that stuck names, once.
func TestApprovedDeletionsAreFollowedOnceByTheCommandThatStuckNames(t *testing.T) {
	s := start(t, func(o *site.Options) { o.Config = map[string]map[string]any{"mirror": {"pass_interval_seconds": 3600}} })
	owner := sourceOwner(t, s, bob)
	fill := func(from, to int) {
		var messages []testbed.Message
		for n := from; n <= to; n++ {
			messages = append(messages, testbed.Message{Content: letterTo(bob, fmt.Sprintf("number %d", n))})
		}
		_, err := owner.AppendAll("INBOX", messages)
		must(t, err)
	}
	empty := func() {
		_, err := owner.Select("INBOX")
		must(t, err)
		uids, err := owner.Search("ALL")
		must(t, err)
		must(t, owner.Delete(uids...))
		_, err = s.CLI("account", "sync", bob)
		must(t, err)
	}
	fill(1, 30)
	_, err := s.CLIWithInput(strings.NewReader("address,password\n"+bob+","+s.People[bob]+"\n"), "account", "import", "-")
	must(t, err)
	waitState(t, s, bob, "following")
	if _, err := s.CLI("account", "approve", bob); err == nil {
		t.Error("an accident that has not happened was approved")
	}

	empty()
	command := "account approve " + bob
	held := func(a shown) bool { return strings.HasPrefix(a.Hint, "mailstork "+command) }
	waitShown(t, s, bob, "the guard", held)
	if n := hereOf(t, s, bob); n != 30 {
		t.Errorf("%d messages are here while the guard holds back, want 30", n)
	}
	_, err = s.CLI(strings.Fields(command)...)
	must(t, err)
	waitShown(t, s, bob, "the pass that follows", func(a shown) bool { return a.Stuck == "" && a.Orders == "" && hereOf(t, s, bob) == 0 })

	fill(31, 55) // the word counted once
	passes(t, s, bob, 1)
	empty()
	waitShown(t, s, bob, "the guard again", held)
	if n := hereOf(t, s, bob); n != 25 {
		t.Errorf("%d messages are here while the guard holds back, want 25", n)
	}
}

// A password that nobody has any more ends in a word of the operator: nothing here goes, and the report says so.
func TestAbandonedAccountKeepsItsMailAndIsNamedInTheReport(t *testing.T) {
	s := start(t, nil)
	owner := sourceOwner(t, s, anna)
	_, err := owner.AppendAll("INBOX", []testbed.Message{{Content: letterTo(anna, "one")}, {Content: letterTo(anna, "two")}})
	must(t, err)
	here := login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	must(t, s.Source.SetPassword(anna, "nobody knows"))
	_, err = s.CLI("account", "sync", anna)
	must(t, err)
	waitShown(t, s, anna, "the refusal", func(a shown) bool { return strings.Contains(a.Hint, "mailstork account abandon "+anna) })

	if out, err := s.CLI("account", "abandon", anna, "--dry-run"); err != nil || show(t, s, anna).State != "following" {
		t.Errorf("dry run: %q %v, state %s", out, err, show(t, s, anna).State)
	}
	_, err = s.CLI("account", "abandon", anna)
	must(t, err)
	if a := show(t, s, anna); a.State != "done" || a.Credential || a.Stuck != "" {
		t.Errorf("abandoned: %+v", a)
	}
	if one, two := countSubject(t, here, "INBOX", "one"), countSubject(t, here, "INBOX", "two"); one != 1 || two != 1 {
		t.Errorf("here are %d and %d of the two messages", one, two)
	}
	login(t, s, anna, annaPass)
	report, err := s.CLI("domain", "report", domain)
	if err != nil || !strings.Contains(report, anna+": given up by an operator: 2 of 2 messages") {
		t.Errorf("report: %v\n%s", err, report)
	}
}
