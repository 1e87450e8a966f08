package daemon

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/finalize"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
)

func TestReportAccountsForEveryMessageInWords(t *testing.T) { // L1
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{Host: "imap.old.example"}, account.Draining)
	a := d.addAccount(t, of, anna, account.Closing)
	d.addAccount(t, of, bob, account.Listed)
	verified := mirror.VerifyReport{At: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		Folders: []mirror.VerifiedFolder{
			{Name: "INBOX", DestinationName: "INBOX", Messages: 7, Octets: 1500,
				Classes: map[mirror.Class]int{mirror.Here: 1, mirror.Elsewhere: 1, mirror.Delivered: 1, mirror.Deleted: 2, mirror.Refused: 1, mirror.Parked: 1}},
			{Name: "Été", DestinationName: "&AMk-t&AOk-", Messages: 1, Octets: 500, Classes: map[mirror.Class]int{mirror.Here: 1}},
		},
		Exceptions: []ledger.Exception{
			{SourceName: "INBOX", Message: ledger.Message{Key: ledger.Key{UID: 8}, Fate: ledger.Refused, Reason: "too big", KeptFile: "/kept/8"}},
			{SourceName: "&AMk-t&AOk-", Message: ledger.Message{Key: ledger.Key{UID: 9}, Stage: ledger.Parked, Fate: ledger.Copied, Reason: "it landed and vanished"}},
		},
	}
	report := accountReport(a, verified)
	if report.Folders[1].Source != "Été" || report.Folders[1].Destination != "Été" || !report.VerifiedAt.Equal(verified.At) {
		t.Errorf("folder names: %+v", report.Folders)
	}
	must(t, finalize.Account(t.Context(), d.store, a, report))
	d.decide(t, account.Closed, 1000*time.Hour)
	shown, err := d.Report(t.Context(), domain)
	must(t, err)
	// The columns are finalize's; here it matters that nothing is lost between the ledger and the page.
	for _, want := range []string{
		"example.org has moved here from imap.old.example; closed at ",
		"1 account with 8 messages (2.0 kB): every message is accounted for.\n1 account never logged in here; nothing of theirs was copied.\n",
		"anna@example.org              8       3          1             2        0        1       1",
		`anna@example.org: message 8 in "INBOX": refused: too big, kept as /kept/8`,
		`anna@example.org: message 9 in "Été": parked: it landed and vanished`,
	} {
		if !strings.Contains(shown.Text, want) {
			t.Errorf("not in the report: %q", want)
		}
	}
	if t.Failed() {
		t.Logf("report:\n%s", shown.Text)
	}
	var asJSON finalize.DomainReport
	must(t, json.Unmarshal(shown.JSON, &asJSON))
	if asJSON.SourceMessages != 8 || asJSON.Fates.Total() != 8 || asJSON.NeverLoggedIn != 1 {
		t.Errorf("JSON: %s", shown.JSON)
	}
}

func TestReportOfADomainThatIsStillMovingClaimsNothing(t *testing.T) {
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{Host: "imap.old.example"}, account.Open)
	d.addAccount(t, of, anna, account.Following)
	d.addAccount(t, of, bob, account.Listed)
	shown, err := d.Report(t.Context(), domain)
	must(t, err)
	if !strings.HasPrefix(shown.Text, "example.org is moving here from imap.old.example.\nDone so far: 0 of 2 accounts;") || strings.Contains(shown.Text, "every message is accounted for") {
		t.Errorf("report:\n%s", shown.Text)
	}
	for _, want := range []string{`"its last pass has not been verified yet"`, `"never_logged_in":1`} {
		if !strings.Contains(string(shown.JSON), want) {
			t.Errorf("not in the JSON: %s: %s", want, shown.JSON)
		}
	}
}
