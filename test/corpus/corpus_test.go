package corpus

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/test/compare"
	"mailstork/test/testbed"
)

// standardSum changes only when Standard is changed on purpose: ledgers and
// timings of earlier runs can then no longer be compared.
const standardSum = "9a429b9ea6e595c5"

func sum(account Account) string {
	all := sha256.New()
	for _, folder := range account.Folders {
		fmt.Fprintf(all, "%q %t\n", folder.Path, folder.Subscribed)
		for _, m := range folder.Messages {
			fmt.Fprintf(all, "%q %s %d\n", m.Flags, m.Date.Format(time.RFC3339), len(m.Content))
			all.Write(m.Content)
		}
	}
	return fmt.Sprintf("%x", all.Sum(nil)[:8])
}

func TestStandardIsTheSameEveryTime(t *testing.T) {
	if got := sum(Standard()); got != standardSum {
		t.Errorf("got sum %s, want %s", got, standardSum)
	}
}

func TestStandardHasWhatACopyMustSurvive(t *testing.T) {
	account := Standard()
	if len(account.Folders) != 12 || account.Messages() != 1000 {
		t.Errorf("got %d folders and %d messages, want 12 and 1000", len(account.Folders), account.Messages())
	}
	var all []testbed.Message
	for _, folder := range account.Folders {
		all = append(all, folder.Messages...)
	}
	for claim, holds := range map[string]func(testbed.Message) bool{
		"a 30 MB message":    func(m testbed.Message) bool { return len(m.Content) >= BigSize && len(m.Content) < BigSize*11/10 },
		"no header":          func(m testbed.Message) bool { return bytes.HasPrefix(m.Content, []byte("\r\n")) },
		"an 8-bit header":    func(m testbed.Message) bool { return bytes.Contains(m.Content, []byte("Subject: Gr\xf6\xdfe")) },
		"a NUL":              func(m testbed.Message) bool { return bytes.IndexByte(m.Content, 0) >= 0 },
		"only bare LF":       func(m testbed.Message) bool { return !bytes.Contains(m.Content, []byte("\r\n")) },
		"CR CR LF":           func(m testbed.Message) bool { return bytes.Contains(m.Content, []byte("\r\r\n")) },
		"a line of 200,000":  func(m testbed.Message) bool { return longestLine(m.Content) >= 200_000 },
		"a keyword":          func(m testbed.Message) bool { return slices.Contains(m.Flags, "$Forwarded") },
		"a one-digit day":    func(m testbed.Message) bool { return m.Date.Day() < 10 },
		"a zone of 14 hours": func(m testbed.Message) bool { return strings.HasSuffix(m.Date.Format(time.RFC3339), "+14:00") },
		"a date of 1970":     func(m testbed.Message) bool { return m.Date.Year() == 1970 },
		"no Message-ID": func(m testbed.Message) bool {
			return bytes.HasPrefix(m.Content, []byte("From: a@example.net\r\nSubject: No M"))
		},
		"the shared Message-ID": func(m testbed.Message) bool { return bytes.HasPrefix(m.Content, []byte("Message-ID: <shared@")) },
	} {
		if !slices.ContainsFunc(all, holds) {
			t.Errorf("no message with %s", claim)
		}
	}
	for _, m := range all {
		if m.Date.Unix() < 0 || m.Date.After(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("dated %s: Dovecot would change it", m.Date)
		}
	}
}

func longestLine(content []byte) int {
	longest := 0
	for line := range bytes.Lines(content) {
		longest = max(longest, len(line))
	}
	return longest
}

func TestSmallIsReadyForADemo(t *testing.T) {
	account := Small()
	if len(account.Folders) != 3 || account.Messages() != 40 || account.Bytes() > 100<<10 {
		t.Errorf("got %d folders, %d messages, %d bytes", len(account.Folders), account.Messages(), account.Bytes())
	}
}

// asRead is what a server should hold after Seed.
func asRead(account Account, namespace testbed.Namespace) compare.Account {
	read := compare.Account{Namespace: namespace, Folders: map[string]compare.Folder{}}
	for _, folder := range account.Folders {
		f := compare.Folder{Subscribed: folder.Subscribed}
		for i, m := range folder.Messages {
			flags := strings.Fields(strings.ToLower(strings.Join(m.Flags, " ")))
			slices.Sort(flags)
			f.Messages = append(f.Messages, compare.Message{
				Digest: compare.DigestOf(m.Content), Date: m.Date.Unix(),
				Flags: strings.Join(slices.Compact(flags), " "),
				UID:   uint32(i + 1), Label: folder.Name(),
			})
		}
		read.Folders[namespace.Name(folder.Path...)] = f
	}
	return read
}

// seedAndRead puts an account on a real server and reads it back.
func seedAndRead(t *testing.T, account Account, o testbed.SourceOptions) compare.Account {
	t.Helper()
	testbed.Need(t, "dovecot")
	o.Accounts = map[string]string{"anna@example.org": "pw"}
	source, err := testbed.NewForTest(t).StartSource(o)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := Seed(source, "anna@example.org", "pw", account); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d messages, %d bytes seeded in %s", account.Messages(), account.Bytes(), time.Since(began))
	client, err := source.Login("anna@example.org", "pw")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	read, err := compare.Read(client)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestSeedPutsStandardOnAServerWithoutLoss(t *testing.T) {
	for name, o := range map[string]testbed.SourceOptions{
		"separator slash":       {Separator: "/"},
		"prefix INBOX and dots": {Prefix: "INBOX."},
	} {
		t.Run(name, func(t *testing.T) {
			account := Standard()
			read := seedAndRead(t, account, o)
			differences := compare.Differences(asRead(account, read.Namespace), read, compare.Options{Subscriptions: true})
			if len(differences) > 0 {
				t.Error(compare.Report(differences, 20))
			}
		})
	}
}

// Dovecot 2.3.19 gives a date before 1970 back; 2.4.1 makes it 1970.
func TestDovecotItselfChangesOnlyTheImpossibleDatesOfAwkward(t *testing.T) {
	account := Awkward()
	account.Folders = append(account.Folders, Folder{Path: []string{"INBOX"}})
	read := seedAndRead(t, account, testbed.SourceOptions{Separator: "/"})
	differences := compare.Differences(asRead(account, read.Namespace), read, compare.Options{})
	differences = slices.DeleteFunc(differences, func(text string) bool {
		return strings.Contains(text, "dated 1969-07-20T20:17:40Z at the source, 1970-01-01T00:00:00Z at the destination")
	})
	if len(differences) != 1 || !strings.Contains(differences[0], "2099-01-01T00:00:00Z at the source") {
		t.Errorf("got:\n%s\nwant the future date changed", compare.Report(differences, 20))
	}
	names := slices.Sorted(maps.Keys(read.Folders))
	if len(names) != 5 {
		t.Errorf("got folders %q, want INBOX and four", names)
	}
}
