package daemon

import (
	"fmt"

	"mailstork/daemon/account"
	"mailstork/daemon/finalize"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
)

// accountReport makes the report of an account from what the verification found.
func accountReport(a account.Account, v mirror.VerifyReport) finalize.AccountReport {
	report := finalize.AccountReport{Address: a.Address, Unexplained: v.Unexplained(), VerifiedAt: v.At.UTC()}
	for _, f := range v.Folders {
		report.Octets += f.Octets
		report.Folders = append(report.Folders, finalize.FolderReport{Source: f.Name, Destination: readable(f.DestinationName),
			SourceMessages: int64(f.Messages), Fates: fates(f.Classes)})
	}
	for _, e := range v.Exceptions {
		report.Notes = append(report.Notes, note(e))
	}
	return report
}

// fates: a copy that its owner moved is a copy.
func fates(counts map[mirror.Class]int) finalize.Fates {
	return finalize.Fates{Copied: int64(counts[mirror.Here] + counts[mirror.Elsewhere]), Delivered: int64(counts[mirror.Delivered]),
		Deleted: int64(counts[mirror.Deleted]), Skipped: int64(counts[mirror.Skipped]), Refused: int64(counts[mirror.Refused]),
		Parked: int64(counts[mirror.Parked])}
}

// note says in one line what is special about a message: which one, what became of it, why, and where its bytes are.
func note(e ledger.Exception) string {
	what := string(e.Fate)
	if e.Stage == ledger.Parked {
		what = string(ledger.Parked)
	}
	text := fmt.Sprintf("message %d in %q: %s: %s", e.UID, readable(e.SourceName), what, e.Reason)
	if e.KeptFile != "" {
		text += ", kept as " + e.KeptFile
	}
	return text
}
