package compare_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailstork/test/compare"
	"mailstork/test/corpus"
	"mailstork/test/testbed"
)

const (
	anna     = "anna@example.org"
	password = "pw"
)

// pair is one account on two servers that write names differently.
type pair struct{ source, destination *testbed.Client }

func startPair(t *testing.T, account corpus.Account) pair {
	t.Helper()
	testbed.Need(t, "dovecot")
	lab := testbed.NewForTest(t)
	accounts := map[string]string{anna: password}
	source, err := lab.StartSource(testbed.SourceOptions{Accounts: accounts, Prefix: "INBOX."})
	if err != nil {
		t.Fatal(err)
	}
	destination, err := lab.StartDestination(testbed.DestinationOptions{Accounts: accounts})
	if err != nil {
		t.Fatal(err)
	}
	var clients []*testbed.Client
	for _, server := range []*testbed.Dovecot{source, destination} {
		if err := corpus.Seed(server, anna, password, account); err != nil {
			t.Fatal(err)
		}
		client, err := server.Login(anna, password)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Cut)
		clients = append(clients, client)
	}
	return pair{clients[0], clients[1]}
}

func (p pair) differences(t *testing.T) []string {
	t.Helper()
	differences, err := compare.Accounts(p.source, p.destination, compare.Options{Subscriptions: true})
	if err != nil {
		t.Fatal(err)
	}
	return differences
}

func TestEqualAccountsOnDifferentServersHaveNoDifference(t *testing.T) {
	p := startPair(t, corpus.Standard())
	if differences := p.differences(t); len(differences) > 0 {
		t.Error(compare.Report(differences, 20))
	}
}

// TestOneChangeIsOneDifference proves that the comparer can fail: each row is
// done by the owner at the destination, and undone before the next.
func TestOneChangeIsOneDifference(t *testing.T) {
	p := startPair(t, corpus.Small())
	status, err := p.destination.Select("INBOX")
	if err != nil {
		t.Fatal(err)
	}
	first := uint32(1)
	original, err := p.destination.Content(first)
	if err != nil {
		t.Fatal(err)
	}
	var added uint32
	add := func(content []byte, flags string, date time.Time) (err error) {
		added, err = p.destination.Append("INBOX", strings.Fields(flags), date, content)
		return err
	}
	remove := func() error {
		if _, err := p.destination.Select("INBOX"); err != nil {
			return err
		}
		return p.destination.Delete(added)
	}
	account := corpus.Small()
	inbox := account.Folders[0].Messages
	flags := strings.Join(inbox[0].Flags, " ")
	if status.Messages != len(inbox) {
		t.Fatalf("got %d messages, want %d", status.Messages, len(inbox))
	}
	changed := bytes.Clone(original)
	changed[len(changed)-3] ^= 1

	for _, row := range []struct {
		name     string
		do, undo func() error
		want     string
	}{
		{"one flag more", func() error { return p.destination.Flag([]uint32{first}, "+", "Extra") },
			func() error { return p.destination.Flag([]uint32{first}, "-", "Extra") }, "has flags"},
		{"one message twice", func() error { return add(original, flags, inbox[0].Date) }, remove, "is at the destination only"},
		{"one folder more", func() error { return p.destination.Create("Extra") },
			func() error { _, err := p.destination.Command("DELETE Extra"); return err }, `folder "Extra" (0 messages) is at the destination only`},
		{"one subscription less", func() error { _, err := p.destination.Command("UNSUBSCRIBE Sent"); return err },
			func() error { _, err := p.destination.Command("SUBSCRIBE Sent"); return err }, "subscribed is true at the source, false"},
	} {
		t.Run(row.name, func(t *testing.T) { p.wantOne(t, row.do, row.undo, row.want) })
	}

	// From here on the first message is away at the destination.
	if _, err := p.destination.Select("INBOX"); err != nil {
		t.Fatal(err)
	}
	if err := p.destination.Delete(first); err != nil {
		t.Fatal(err)
	}
	t.Run("one message missing", func(t *testing.T) {
		if got := p.differences(t); len(got) != 1 || !strings.Contains(got[0], "is missing at the destination") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("one second later", func(t *testing.T) {
		p.wantOne(t, func() error { return add(original, flags, inbox[0].Date.Add(time.Second)) }, remove, "is dated")
	})
	t.Run("one byte changed", func(t *testing.T) {
		if err := add(changed, flags, inbox[0].Date); err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(p.differences(t))
		if !strings.Contains(got, "is missing at the destination") || !strings.Contains(got, "is at the destination only") {
			t.Errorf("got %s", got)
		}
	})
}

// wantOne wants exactly one difference between do and undo, and after undo those
// that were there before.
func (p pair) wantOne(t *testing.T, do, undo func() error, want string) {
	t.Helper()
	before := p.differences(t)
	for _, step := range []struct {
		action func() error
		check  func(got []string)
	}{
		{do, func(got []string) {
			if len(got) != 1 || !strings.Contains(got[0], want) {
				t.Errorf("got %q, want one with %q", got, want)
			}
		}},
		{undo, func(got []string) {
			if fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("after undoing: got %q, want %q", got, before)
			}
		}},
	} {
		if _, err := p.destination.Select("INBOX"); err != nil {
			t.Fatal(err)
		}
		if err := step.action(); err != nil {
			t.Fatal(err)
		}
		step.check(p.differences(t))
	}
}

func TestTwoFoldersThatBecomeOneAreADifference(t *testing.T) {
	account := compare.Account{Folders: map[string]compare.Folder{"A": {}, "B": {}}}
	got := compare.Differences(account, compare.Account{Folders: map[string]compare.Folder{"C": {}}},
		compare.Options{FolderName: func(string) string { return "C" }})
	if len(got) != 1 || !strings.Contains(got[0], `folder "A" and folder "B" both become "C"`) {
		t.Errorf("got %q", got)
	}
}

func TestDigestIsThatOfWhatDovecotStores(t *testing.T) {
	for name, row := range map[string]struct {
		a, b string
		same bool
	}{
		"CRLF is LF":             {"a\r\nb\r\n", "a\nb\n", true},
		"CR CR LF is LF":         {"a\r\r\nb", "a\nb", true},
		"CR alone is kept":       {"a\rb", "a\nb", false},
		"NUL is 0x80":            {"a\x00b", "a\x80b", true},
		"CRs at the end are not": {"a\r\r", "a", true},
		"LF at the end counts":   {"a\n", "a", false},
	} {
		if same := compare.DigestOf([]byte(row.a)) == compare.DigestOf([]byte(row.b)); same != row.same {
			t.Errorf("%s: got %t", name, same)
		}
	}
}
