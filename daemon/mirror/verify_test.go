package mirror_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

// told is a report in words: a line for each folder with its classes, then one for each finding.
func told(r mirror.VerifyReport) string {
	var out strings.Builder
	for _, f := range r.Folders {
		fmt.Fprintf(&out, "%s %d:", f.Name, f.Messages)
		sum := 0
		for _, class := range mirror.Classes {
			if n := f.Classes[class]; n > 0 {
				fmt.Fprintf(&out, " %d %s", n, class)
				sum += n
			}
		}
		if sum != f.Messages {
			fmt.Fprintf(&out, " (NOT ALL OF %d)", f.Messages)
		}
		out.WriteString("\n")
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&out, "%s in %s: %s of %s: %s\n", f.Class, f.Folder, f.MessageID, f.Date.Format("2006-01-02 15:04"), f.Why)
	}
	return out.String()
}

func (l *lab) wantVerified(want string) {
	l.t.Helper()
	report, err := mirror.Verify(l.ctx(), l.options, mirror.VerifyOptions{Reread: true})
	l.do(err)
	if diff := cmp.Diff(strings.TrimSpace(strings.ReplaceAll(want, "\t", "")), strings.TrimSpace(told(report))); diff != "" {
		l.t.Errorf("verification (-want +got):\n%s", diff)
	}
}

// copyFile is the file of letter n in the destination's Maildir.
func (l *lab) copyFile(n int) string {
	l.t.Helper()
	var found []string
	l.do(filepath.Walk(l.dest.Home(owner), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		if content, err := os.ReadFile(path); err == nil && bytes.Contains(content, fmt.Appendf(nil, "Message-ID: <%d@example.net>", n)) && !strings.HasPrefix(info.Name(), "dovecot") {
			found = append(found, path)
		}
		return nil
	}))
	if len(found) != 1 {
		l.t.Fatalf("letter %d is in %q", n, found)
	}
	return found[0]
}

func TestVerifyPutsEveryMessageInOneClass(t *testing.T) { // L1
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3, 4, 5)
	l.put("Été", 6)
	l.deliveries.add(1, letterN(5))
	l.pass()
	l.do(l.here.Delete(l.find(l.here, "INBOX", 2)))
	l.do(l.here.Create("Friends"))
	l.find(l.here, "INBOX", 3)
	l.do(l.here.Move("Friends", l.find(l.here, "INBOX", 3)))
	l.flag(l.here, "INBOX", 4, "+", `\Flagged`)
	l.pass()
	l.put("INBOX", 7)
	l.put("New", 8)
	l.wantVerified(`
		INBOX 6: 2 here 1 elsewhere 1 delivered 1 deleted 1 pending
		New 1: 1 pending
		Été 1: 1 here
		pending in INBOX: <7@example.net> of 2019-07-08 14:10: newer than the last pass
		pending in New: <8@example.net> of 2019-07-08 15:10: no pass has finished the folder yet`)
}

// Two folders of the source in one place here, and one that a rule leaves out.
func TestVerifyKnowsTheRulesOfAnAdmin(t *testing.T) { // L1
	l := newLab(t, labOptions{})
	l.options.Rules.Domain = account.Rules{ExcludeFolders: []string{"Junk"}, Map: map[string]string{"Old": "Work"}}
	l.put("Work", 1, 2)
	l.put("Old", 2, 3)
	l.put("Junk", 4)
	l.pass()
	l.wantNumbers("Work", 1, 2, 2, 3)
	l.wantVerified(`
		INBOX 0:
		Junk 1: 1 skipped
		Old 2: 2 here
		Work 2: 2 here
		skipped in Junk: <4@example.net> of 2019-07-08 11:10: excluded by the domain: folder "Junk"`)
}

// Each step does one thing behind the back of Dovecot, of the ledger or of the owner, and the verification says that.
func TestVerifySaysExactlyWhatIsWrong(t *testing.T) { // L1, L2
	l := newLab(t, labOptions{})
	l.put("INBOX", 1, 2, 3, 4)
	l.put("Twins", 9, 9)
	l.pass()
	l.wantVerified("INBOX 4: 4 here\nTwins 2: 2 here")

	l.do(os.Remove(l.copyFile(2)))
	const lost = "missing in INBOX: <2@example.net> of 2019-07-08 09:10: message 2 of \"INBOX\" here was its copy and has gone since the last pass: its owner deleted it meanwhile, or it was lost\n"
	l.wantVerified("INBOX 4: 3 here 1 missing\nTwins 2: 2 here\n" + lost)

	file := l.copyFile(3)
	content, err := os.ReadFile(file)
	l.do(err)
	l.do(os.WriteFile(file, bytes.Replace(content, []byte("Hello"), []byte("Hallo"), 1), 0o600))
	const altered = "missing in INBOX: <3@example.net> of 2019-07-08 10:10: message 3 of \"INBOX\" here should be its copy and has other bytes\n"
	l.wantVerified("INBOX 4: 2 here 2 missing\nTwins 2: 2 here\n" + lost + altered)
	l.do(os.WriteFile(file, content, 0o600))

	l.do(l.here.Delete(l.find(l.here, "INBOX", 4)))
	l.wantVerified("INBOX 4: 2 here 2 missing\nTwins 2: 2 here\n" + lost +
		"missing in INBOX: <4@example.net> of 2019-07-08 11:10: message 4 of \"INBOX\" here was its copy and has gone since the last pass: its owner deleted it meanwhile, or it was lost\n")
	l.pass()
	l.wantVerified("INBOX 4: 2 here 2 deleted\nTwins 2: 2 here")

	master, err := testbed.Dial(l.dest.IMAPAddress)
	l.do(err)
	t.Cleanup(master.Cut)
	l.do(master.Login(owner+"*mailstork", "master pw"))
	_, err = master.Append("INBOX", nil, sent, letterN(1))
	l.do(err)
	const twice = "twice in INBOX: <1@example.net> of 2019-07-08 08:10: there is one more of it here than at the source: it was appended twice, or its owner copied it\n"
	l.wantVerified("INBOX 4: 2 here 2 deleted\nTwins 2: 2 here\n" + twice)

	_, err = l.here.Select("Twins") // one of two equal messages: the ledger knows which, and nobody can tell them apart
	l.do(err)
	l.do(l.here.Delete(1))
	l.pass()
	l.wantVerified("INBOX 4: 2 here 2 deleted\nTwins 2: 1 here 1 deleted\n" + twice)

	l.tamper(`DELETE FROM message`) // the ledger claims nothing, so it takes nothing away
	l.wantVerified("INBOX 4: 2 here 2 missing\nTwins 2: 1 here 1 missing\n" +
		strings.ReplaceAll("missing in INBOX: <2@example.net> of 2019-07-08 09:10: WHY\nmissing in INBOX: <4@example.net> of 2019-07-08 11:10: WHY\nmissing in Twins: <9@example.net> of 2019-07-08 16:10: WHY\n",
			"WHY", "it has no row in the ledger, though it is older than the last pass"))
	l.tamper(`DELETE FROM folder`)
}

func TestVerifyBelievesInAKeptFileOnlyWhenItHasTheBytes(t *testing.T) { // L1
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.pass()
	file := filepath.Join(t.TempDir(), "1.eml")
	l.tamper(`UPDATE message SET fate = 'refused', appended = 0, destination_uid = 0, reason = 'refused here: no', kept_file = '` + file + `'`)
	l.do(l.here.Delete(l.find(l.here, "INBOX", 1)))
	const finding = "missing in INBOX: <1@example.net> of 2019-07-08 08:10: it was refused here, and the file that kept it "
	l.wantVerified("INBOX 1: 1 missing\n" + finding + "can't be read: open " + file + ": no such file or directory")
	l.do(os.WriteFile(file, letterN(2), 0o600))
	l.wantVerified("INBOX 1: 1 missing\n" + finding + "has other bytes: " + file)
	l.do(os.WriteFile(file, letterN(1), 0o600))
	l.wantVerified("INBOX 1: 1 refused\nrefused in INBOX: <1@example.net> of 2019-07-08 08:10: refused here: no, kept as " + file)
}
