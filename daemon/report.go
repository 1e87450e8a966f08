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
			SourceMessages: int64(f.Messages), Fates: fates(f.Classes), Limits: f.Limits})
	}
	report.Notes = notes(v.Exceptions)
	for _, f := range v.Folders {
		if f.Limits != "" {
			report.Notes = append(report.Notes, fmt.Sprintf("folder %q: %s", f.Name, f.Limits))
		}
	}
	return report
}

// fates: a copy that its owner moved is a copy.
func fates(counts map[mirror.Class]int) finalize.Fates {
	return finalize.Fates{Copied: int64(counts[mirror.Here] + counts[mirror.Elsewhere]), Delivered: int64(counts[mirror.Delivered]),
		Deleted: int64(counts[mirror.Deleted]), Skipped: int64(counts[mirror.Skipped]), Refused: int64(counts[mirror.Refused]),
		Parked: int64(counts[mirror.Parked])}
}

// notes are one line for each message with something to say about it; messages of a folder with the same fate for the
// same reason share one.
func notes(exceptions []ledger.Exception) (lines []string) {
	type kind struct {
		folder, reason string
		stage          ledger.Stage
		fate           ledger.Fate
	}
	of := func(e ledger.Exception) kind { return kind{e.SourceName, e.Reason, e.Stage, e.Fate} }
	count := map[kind]int{}
	for _, e := range exceptions {
		count[of(e)]++
	}
	for _, e := range exceptions {
		switch n := count[of(e)]; {
		case n == 1 || e.KeptFile != "":
			lines = append(lines, note(e))
		case n > 1:
			lines = append(lines, fmt.Sprintf("%d messages in %q: %s: %s", n, readable(e.SourceName), fateInWords(e), e.Reason))
			count[of(e)] = 0
		}
	}
	return lines
}

func fateInWords(e ledger.Exception) string {
	if e.Stage == ledger.Parked {
		return string(ledger.Parked)
	}
	return string(e.Fate)
}

// note says in one line what is special about a message: which one, what became of it, why, and where its bytes are.
func note(e ledger.Exception) string {
	text := fmt.Sprintf("message %d in %q: %s: %s", e.UID, readable(e.SourceName), fateInWords(e), e.Reason)
	if e.KeptFile != "" {
		text += ", kept as " + e.KeptFile
	}
	return text
}
