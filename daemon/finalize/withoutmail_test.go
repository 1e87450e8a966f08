package finalize

import (
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
)

func TestAReportClaimsNoProofOfMailThatWasNotToBeCopied(t *testing.T) { // L1
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	r := DomainReport{Domain: "example.org", Source: "old.example", ClosedAt: at, Accounts: []AccountReport{
		{Address: "anna@example.org", State: account.Done, WithoutMail: true, VerifiedAt: at},
		{Address: "bob@example.org", State: account.Done},
	}}
	r.Total()
	if r.WithoutMail != 1 || r.AccountsMoved != 0 || r.NeverLoggedIn != 1 {
		t.Errorf("counts: %+v", r)
	}
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); strings.Contains(got, "accounted for") || !strings.Contains(got, "1 account only with the password") {
		t.Errorf("the report says:\n%s", got)
	}
}
