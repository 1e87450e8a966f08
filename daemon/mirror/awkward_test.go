package mirror_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/test/compare"
	"mailstork/test/corpus"
)

// plant puts messages into a folder of the source as files, as a server that kept them for twenty years has them. What
// a file name can't say is said by the owner's mail program afterwards.
func (l *lab) plant(folder string, kinds []corpus.Kind) {
	l.t.Helper()
	dir := filepath.Join(l.source.Home(owner), "Maildir", "."+folder, "cur")
	info, err := os.Stat(dir)
	l.do(err)
	letters := map[string]string{`\Draft`: "D", `\Flagged`: "F", `\Answered`: "R", `\Seen`: "S", `\Deleted`: "T"}
	n := 0
	keywords := map[uint32][]string{}
	for _, k := range kinds {
		var mark string
		var more []string
		for _, flag := range []string{`\Draft`, `\Flagged`, `\Answered`, `\Seen`, `\Deleted`} { // in the order of the alphabet
			if strings.Contains(strings.Join(k.Flags, " "), flag) {
				mark += letters[flag]
			}
		}
		for _, flag := range k.Flags {
			if !strings.HasPrefix(flag, `\`) {
				more = append(more, flag)
			}
		}
		for range max(k.Copies, 1) {
			n++
			path := filepath.Join(dir, fmt.Sprintf("1500000000.M%06d.old:2,%s", n, mark))
			l.do(os.WriteFile(path, k.Content, 0o600))
			l.do(chownLike(path, info))
			l.do(os.Chtimes(path, k.Date, k.Date))
			if len(more) > 0 {
				keywords[uint32(n)] = more
			}
		}
	}
	status, err := l.there.Select(folder)
	l.do(err)
	if status.Messages != n {
		l.t.Fatalf("the source shows %d of %d messages", status.Messages, n)
	}
	for uid, more := range keywords {
		l.do(l.there.Flag([]uint32{uid}, "+", more...))
	}
}

// Every kind arrives as it is: the same bytes in the form in which Dovecot keeps messages, the same flags and the same
// date. What does not, stands in the ledger with a reason, and what is not stored at all is kept as a file.
func TestAwkwardMessagesArriveAsTheyAreOrAreListedWithAReason(t *testing.T) { // L1, L6
	l := newLab(t, labOptions{})
	kinds := corpus.Kinds()
	l.put("Awkward")
	l.plant("Awkward", kinds)
	l.pass()

	source, err := compare.Read(l.there)
	l.do(err)
	destination, err := compare.Read(l.here)
	l.do(err)
	here := map[string]int{}
	for _, m := range destination.Folders["Awkward"].Messages {
		here[sameness(m)]++
	}
	listed := l.exceptions()
	names := map[string]bool{}
	identical, explained, refused := 0, 0, 0
	uid := uint32(0)
	there := map[uint32]compare.Message{}
	for _, m := range source.Folders["Awkward"].Messages {
		there[m.UID] = m
	}
	for _, k := range kinds {
		for range max(k.Copies, 1) {
			uid++
			m := there[uid]
			if m.Digest != compare.DigestOf(k.Content) {
				t.Errorf("%s: the source itself gives other bytes; the test proves nothing of it", k.Name)
			}
			names[k.Name] = true
			e, excepted := listed[uid]
			switch {
			case here[sameness(m)] > 0:
				here[sameness(m)]--
				identical++
				if excepted {
					t.Errorf("%s: it is here as it was, and yet listed: %s", k.Name, e.Reason)
				}
			case excepted:
				explained++
				if e.Fate == ledger.Refused {
					refused++
				}
				t.Logf("%s: %s: %s", k.Name, e.Fate, e.Reason)
				l.checkException(k, m, e, destination.Folders["Awkward"].Messages)
			default:
				t.Errorf("%s: message %d is not here as it was, and nobody says why", k.Name, uid)
			}
		}
	}
	altered := 0
	for _, n := range here {
		altered += n
	}
	if altered != explained-refused {
		t.Errorf("%d messages are here that are not the same at the source, %d are listed so", altered, explained-refused)
	}
	t.Logf("%d kinds, %d messages: %d the same in bytes, flags and date, %d listed with a reason", len(names), uid, identical, explained)
	if len(names) < 60 {
		t.Errorf("only %d kinds", len(names))
	}

	report, err := mirror.Verify(l.ctx(), l.options, mirror.VerifyOptions{Reread: true})
	l.do(err)
	if gaps := report.Unexplained(); len(gaps) > 0 || report.Twice > 0 {
		t.Errorf("verification: %q, %d twice", gaps, report.Twice)
	}
	result := l.pass()
	if result.New != 0 || result.Appended != 0 {
		t.Errorf("the next pass: %+v, want nothing to do", result)
	}
}

func sameness(m compare.Message) string { return fmt.Sprintf("%x %s %d", m.Digest, m.Flags, m.Date) }

func (l *lab) exceptions() map[uint32]ledger.Exception {
	l.t.Helper()
	all, err := l.ledger.Exceptions(l.ctx(), l.account.ID)
	l.do(err)
	byUID := map[uint32]ledger.Exception{}
	for _, e := range all {
		byUID[e.UID] = e
	}
	return byUID
}

// checkException: a message that was stored has its bytes; one that was refused has them in its file.
func (l *lab) checkException(k corpus.Kind, there compare.Message, e ledger.Exception, here []compare.Message) {
	l.t.Helper()
	if e.Fate == ledger.Refused {
		content, err := os.ReadFile(e.KeptFile)
		l.do(err)
		if compare.DigestOf(content) != there.Digest {
			l.t.Errorf("%s: the kept file has other bytes", k.Name)
		}
		return
	}
	for _, m := range here {
		if m.UID == e.Place.UID && m.Digest == there.Digest {
			return
		}
	}
	l.t.Errorf("%s: listed as %s, and its bytes are not here", k.Name, e.Fate)
}
