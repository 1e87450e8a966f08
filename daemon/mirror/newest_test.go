package mirror_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/mirror"
	"mailstork/test/testbed"
)

// upTo are the letters from one number to another.
func upTo(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

// stopAfterFirstBatch runs a pass that ends as soon as its first batch is stored.
func (l *lab) stopAfterFirstBatch() {
	l.t.Helper()
	enough := errors.New("enough")
	batches := 0
	l.options.Step = func(_ context.Context, point string) error {
		if point == "record batch" {
			batches++
		}
		if batches > 2 { // its intent, and its confirmation
			return enough
		}
		return nil
	}
	_, err := mirror.Pass(l.ctx(), l.options)
	l.options.Step = nil
	if !errors.Is(err, enough) {
		l.t.Fatalf("the pass ended in %v", err)
	}
}

func TestNewestOfTheInboxAndAllFoldersComeFirst(t *testing.T) {
	l := newLab(t, labOptions{source: testbed.SourceOptions{RawLog: true}})
	l.put("INBOX", upTo(1, 30)...)
	l.put("Archive", upTo(40, 60)...)
	l.put("Empty")
	l.options.Newest, l.options.Pairs = 5, 1
	own, err := l.source.Commands()
	l.do(err)
	l.stopAfterFirstBatch()
	l.wantNumbers("INBOX", upTo(26, 30)...)
	folders, err := l.here.Folders()
	l.do(err)
	for _, name := range []string{"Archive", "Empty"} {
		if i := slices.IndexFunc(folders, func(f testbed.FolderInfo) bool { return f.Name == name }); i < 0 || !folders[i].Subscribed {
			t.Errorf("folder %q is not here yet, or not subscribed", name)
		}
	}
	l.wantNumbers("Archive")
	result := l.pass()
	l.wantSame()
	if result.Total.Present != 51 {
		t.Errorf("%+v, want 51 messages", result.Total)
	}
	commands, err := l.source.Commands()
	l.do(err)
	listed := func(c string) bool { return strings.Contains(c, "SEARCH") || strings.Contains(c, "FETCH 1:*") }
	first := slices.IndexFunc(commands[len(own):], listed)
	bodies := slices.IndexFunc(commands[len(own):], func(c string) bool { return strings.Contains(c, "BODY.PEEK[]") })
	if bodies < 0 || first >= 0 && first < bodies {
		t.Errorf("something was listed before the newest were asked for: %q", commands[len(own):])
	}
}

func TestNewMailDuringTheFirstPassComesFirstWhenItGoesOn(t *testing.T) {
	l := newLab(t, labOptions{})
	l.put("INBOX", upTo(1, 30)...)
	l.options.Newest = 5
	l.stopAfterFirstBatch()
	l.put("INBOX", 31, 32)
	l.stopAfterFirstBatch()
	l.wantNumbers("INBOX", upTo(26, 32)...)
	result := l.pass()
	l.wantSame()
	if result.New != 25 {
		t.Errorf("%d new messages, want the 25 that were left", result.New)
	}
}

// What is here already is found whichever comes first.
func TestNewestFirstDoublesNothingThatIsHere(t *testing.T) { // L2, L3
	l := newLab(t, labOptions{})
	l.put("INBOX", upTo(1, 20)...)
	_, err := l.there.Append("INBOX", nil, sent, []byte("no header at all\r\n"))
	l.do(err)
	for _, n := range []int{3, 19} {
		l.do(l.dest.Deliver("x@example.net", letterN(n), owner))
	}
	l.do(l.dest.Deliver("x@example.net", letterN(18), owner))
	l.deliveries.add(1, letterN(18))
	l.do(l.here.Delete(l.find(l.here, "INBOX", 18)))
	l.options.Newest = 5
	l.pass()
	got := l.numbers(l.here, "INBOX")
	if diff := cmp.Diff(slices.Concat(upTo(1, 17), upTo(19, 20)), got); diff != "" {
		t.Errorf("letters here (-want +got):\n%s", diff)
	}
	l.wantRows(map[string]int{"copied": 18, "delivered": 3})
}

func TestNewestFirstBringsNothingBackAfterTheLedgerWasLost(t *testing.T) { // L3
	l := newLab(t, labOptions{})
	l.put("INBOX", upTo(1, 20)...)
	l.options.Newest = 5
	l.pass()
	l.do(l.here.Create("Friends"))
	l.do(l.here.Move("Friends", l.find(l.here, "INBOX", 20)))
	before := l.content(l.here)
	l.openStore(t.TempDir() + "/another.db")
	l.pass()
	if diff := cmp.Diff(before, l.content(l.here)); diff != "" {
		t.Errorf("the pass with a new ledger changed the destination:\n%s", diff)
	}
}

// dates are the dates of a folder here in the order of its UIDs.
func (l *lab) dates(folder string) (dates []time.Time) {
	l.t.Helper()
	_, err := l.here.Examine(folder)
	l.do(err)
	lines, err := l.here.Command("UID FETCH 1:* (INTERNALDATE)")
	l.do(err)
	for _, line := range lines {
		if text := between(line.String(), `INTERNALDATE "`, `"`); text != "" {
			date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", text)
			l.do(err)
			dates = append(dates, date)
		}
	}
	return dates
}

func (l *lab) wantDateOrder(folder string, messages int) {
	l.t.Helper()
	dates := l.dates(folder)
	if len(dates) != messages || !slices.IsSortedFunc(dates, time.Time.Compare) {
		l.t.Errorf("%d messages of %q in the order %v, want %d in the order of their dates", len(dates), folder, dates, messages)
	}
}

// The source answers with holes in its UIDs, and slowly read: several chunks, several FETCHes.
func TestInboxHasTheOrderOfTheSourceOverSeveralConnections(t *testing.T) {
	l := newLab(t, labOptions{})
	var messages []testbed.Message
	for n := range 1300 {
		messages = append(messages, testbed.Message{Date: sent.Add(time.Duration(n) * time.Minute), Content: letterN(n + 1)})
	}
	uids, err := l.there.AppendAll("INBOX", messages)
	l.do(err)
	var holes []uint32
	for i := 0; i < len(uids); i += 2 {
		holes = append(holes, uids[i])
	}
	_, err = l.there.Select("INBOX")
	l.do(err)
	for part := range slices.Chunk(holes, 100) {
		l.do(l.there.Delete(part...))
	}
	l.put("Archive", upTo(2001, 2150)...)
	l.options.Pairs = 2
	l.pass()
	l.wantDateOrder("INBOX", 650)
	l.wantSame()
}
