package mirror_test

import (
	"strings"
	"testing"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

func (l *lab) exclude(roles ...account.Role) { l.options.Rules.Domain.ExcludeRoles = roles }

func (l *lab) mapTo(folders map[string]string) { l.options.Rules.Domain.Map = folders }

// wantReasons fails unless the messages that are listed with a reason have these reasons, each so many times.
func (l *lab) wantReasons(want map[string]int) {
	l.t.Helper()
	exceptions, err := l.ledger.Exceptions(l.ctx(), l.account.ID)
	l.do(err)
	got := map[string]int{}
	for _, e := range exceptions {
		got[e.Reason]++
	}
	for reason, n := range want {
		if got[reason] != n {
			l.t.Errorf("%d messages are listed with %q, want %d; all: %v", got[reason], reason, n, got)
		}
	}
	if len(got) != len(want) {
		l.t.Errorf("reasons %v, want %v", got, want)
	}
}

// wantExplained fails unless the verification accounts for every message (L1).
func (l *lab) wantExplained() {
	l.t.Helper()
	verified, err := mirror.Verify(l.ctx(), l.options, mirror.VerifyOptions{})
	if err != nil || len(verified.Unexplained()) > 0 {
		l.t.Errorf("verification: %v %v", err, verified.Unexplained())
	}
}

func TestExcludedMessagesAreListedAndCopiedOnceTheRuleIsLifted(t *testing.T) { // L1
	l := newLab(t, labOptions{source: testbed.SourceOptions{SpecialUse: map[string]string{"Trash": `\Trash`}}})
	l.put("INBOX", 1)
	l.put("Trash", 2, 3)
	l.put("Trash.Old", 4)
	l.exclude("trash")
	if result := l.pass(); result.Appended != 1 || result.Source != 4 {
		t.Errorf("result: %+v", result)
	}
	l.wantRows(map[string]int{"copied": 1, "skipped": 3})
	l.wantReasons(map[string]int{"excluded by the domain: role trash": 3})
	l.put("Trash", 5)
	l.pass()
	l.wantRows(map[string]int{"copied": 1, "skipped": 4})
	l.wantNumbers("Trash")
	l.wantExplained()

	l.exclude()
	l.pass()
	l.wantRows(map[string]int{"copied": 5})
	l.wantNumbers("Trash", 2, 3, 5)
	l.wantNumbers("Trash/Old", 4)
	if result := l.pass(); result.New != 0 || result.Appended != 0 {
		t.Errorf("one more pass: %+v", result)
	}
}

func TestExclusionThatComesLaterRemovesNothing(t *testing.T) { // L4
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	l.put("Old", 2, 3)
	l.pass()
	l.options.Rules.Account.ExcludeFolders = []string{"old"}
	l.put("Old", 4)
	l.pass()
	l.wantNumbers("Old", 2, 3)
	l.wantRows(map[string]int{"copied": 3, "skipped": 1})
	l.wantReasons(map[string]int{`excluded by the account: folder "old"`: 1})
}

func TestMessagesOverTheLimitAreListedAndCopiedOnceItIsRaised(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", 1)
	_, err := l.there.Append("INBOX", nil, sent, letterN(2, strings.Repeat("x", 70), strings.Repeat("y", 3000)))
	l.do(err)
	l.options.Rules.Domain.MaxMessageOctets = 2048
	l.pass()
	l.wantRows(map[string]int{"copied": 1, "skipped": 1})
	l.options.Rules.Account.MaxMessageOctets = 4096
	l.pass()
	l.wantRows(map[string]int{"copied": 2})
	l.wantSame()
}

func TestAMessageThatLeavesAnExcludedFolderIsCopied(t *testing.T) { // L1
	for name, switched := range map[string]bool{"before the switch": false, "after the switch": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, labOptions{})
			l.options.Policy.Switched = switched
			l.put("INBOX", 1)
			l.put("Trash", 2, 3)
			l.exclude("trash")
			l.pass()
			l.do(l.there.Move("INBOX", l.find(l.there, "Trash", 2)))
			l.pass()
			l.wantNumbers("INBOX", 1, 2)
			l.do(l.there.Move("Trash", l.find(l.there, "INBOX", 1)))
			l.pass()
			if switched { // nothing here is undone
				l.wantNumbers("INBOX", 1, 2)
			} else {
				l.wantNumbers("INBOX", 2)
			}
			l.wantNumbers("Trash")
		})
	}
}

func TestFoldersThatShareAPlaceAreEachFollowed(t *testing.T) { // L1, L2, L3
	for name, switched := range map[string]bool{"before the switch": false, "after the switch": true} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, labOptions{dest: testbed.DestinationOptions{RawLog: true}})
			l.options.Policy.Switched = switched
			l.mapTo(map[string]string{"A": "Both", "B": "Both"})
			l.put("A", 1, 2, 9)
			l.put("B", 3, 4, 9) // the same letter in both: two messages
			l.pass()
			l.wantNumbers("Both", 1, 2, 3, 4, 9, 9)
			l.pass()
			before, err := l.dest.Commands()
			l.do(err)
			l.pass()
			after, err := l.dest.Commands()
			l.do(err)
			if sent := changing(after[len(before):]); len(sent) > 0 {
				t.Errorf("a pass with nothing to do sent %q", sent)
			}

			l.do(l.here.Delete(l.find(l.here, "Both", 1)))
			l.do(l.there.Delete(l.find(l.there, "B", 3)))
			l.do(l.there.Flag([]uint32{l.find(l.there, "A", 2)}, "+", `\Flagged`))
			l.put("A", 5)
			l.put("B", 6)
			l.pass()
			l.pass()
			want := []int{2, 3, 4, 5, 6, 9, 9}
			if !switched { // the source's deletions are followed
				want = []int{2, 4, 5, 6, 9, 9}
			}
			l.wantNumbers("Both", want...)
			if uids, err := l.here.Search("FLAGGED"); err != nil || len(uids) != 1 {
				t.Errorf("flagged here: %v %v, want the one of A", uids, err)
			}
			l.wantExplained()
		})
	}
}

func TestALostLedgerFindsWhatSharesAPlace(t *testing.T) { // L2
	l := newLab(t, labOptions{})
	l.mapTo(map[string]string{"A": "Both", "B": "Both"})
	l.put("A", 1, 2, 9)
	l.put("B", 3, 9)
	l.pass()
	l.openStore(t.TempDir() + "/new.db")
	if result := l.pass(); result.Appended != 0 {
		t.Errorf("%d messages were appended again", result.Appended)
	}
	l.wantNumbers("Both", 1, 2, 3, 9, 9)
}

func TestANewMapMovesNothingAndTakesWhatIsNew(t *testing.T) { // L3, L4
	l := newLab(t, labOptions{})
	l.options.Policy.Switched = false
	l.put("Old", 1, 2, 3)
	l.pass()
	l.mapTo(map[string]string{"Old": "Archive/Clients"})
	l.put("Old", 4)
	l.pass()
	l.wantNumbers("Old", 1, 2, 3)
	l.wantNumbers("Archive/Clients", 4)

	l.do(l.here.Delete(l.find(l.here, "Old", 1)))
	l.do(l.there.Delete(l.find(l.there, "Old", 2))) // followed where the copy is
	l.put("Old", 5)
	l.pass()
	l.wantNumbers("Old", 3)
	l.wantNumbers("Archive/Clients", 4, 5)
	l.wantRows(map[string]int{"copied": 3, "deleted": 2, "gone": 1})

	l.mapTo(nil)
	l.put("Old", 6)
	l.pass()
	l.wantNumbers("Old", 3, 6)
	l.wantNumbers("Archive/Clients", 4, 5)
	l.wantExplained()
}

func TestForeseenIsWhatThePassDoesAndNothingIsChangedByIt(t *testing.T) {
	l := newLab(t, labOptions{source: testbed.SourceOptions{RawLog: true, SpecialUse: map[string]string{"Kos": `\Trash`}}, dest: testbed.DestinationOptions{RawLog: true}})
	l.put("INBOX", 1, 2)
	l.put("Kos", 3)
	l.put("Old.Acme", 4)
	l.put("Gesendet", 5)
	l.exclude("trash")
	l.mapTo(map[string]string{"Old": "Archive"})
	there, err := l.source.Commands()
	l.do(err)
	here, err := l.dest.Commands()
	l.do(err)
	plans, err := mirror.Foresee(l.ctx(), l.options)
	l.do(err)
	thereAfter, err := l.source.Commands()
	l.do(err)
	hereAfter, err := l.dest.Commands()
	l.do(err)
	if sent := append(changing(thereAfter[len(there):]), changing(hereAfter[len(here):])...); len(sent) > 0 {
		t.Errorf("asking sent %q", sent)
	}
	if rows := l.rows(); len(rows) > 0 {
		t.Errorf("asking left rows: %v", rows)
	}
	places := map[string]mirror.FolderPlan{}
	for _, p := range plans {
		places[p.Name] = p
	}
	if p := places["INBOX"]; p.Messages != 2 || p.Octets < 300 || p.DestinationName != "INBOX" {
		t.Errorf("INBOX: %+v", p)
	}
	if p := places["Kos"]; p.Skip != "excluded by the domain: role trash" || p.Role != account.RoleTrash || p.Messages != 1 {
		t.Errorf("Kos: %+v", p)
	}
	if p := places["Gesendet"]; p.Role != account.RoleSent {
		t.Errorf("Gesendet: %+v", p)
	}
	l.pass()
	counts, err := l.ledger.Count(l.ctx(), l.account.ID)
	l.do(err)
	for _, f := range counts {
		if p := places[f.Name]; p.DestinationName != f.DestinationName || p.Skip != f.SkipRule || string(p.Role) != f.Role {
			t.Errorf("%q was foreseen as %+v and became %+v", f.Name, p, f)
		}
	}
}
