package wire_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
)

// shelf is a server whose every folder has messages of its own, so that an answer
// given to the wrong folder shows.
type shelf struct {
	mu       sync.Mutex
	open     string
	uids     map[string][]uint32
	validity map[string]int
	answer   func(open, line string) (reply string, ok bool) // asked first
}

func (s *shelf) reply(line string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != nil {
		if reply, ok := s.answer(s.open, line); ok {
			return reply, true
		}
	}
	if name, ok := strings.CutPrefix(line, "EXAMINE "); ok {
		s.open = strings.Trim(name, `"`)
		return fmt.Sprintf("* %d EXISTS\r\n* OK [UIDVALIDITY %d] ok\r\nTAG OK [READ-ONLY] done\r\n", len(s.uids[s.open]), 7+s.validity[s.open]), true
	}
	if !strings.HasPrefix(line, "UID ") {
		return "", false
	}
	if s.open == "" {
		return "TAG BAD no folder is open\r\n", true
	}
	var b strings.Builder
	if strings.HasPrefix(line, "UID SEARCH") {
		b.WriteString("* SEARCH")
		for _, uid := range s.uids[s.open] {
			fmt.Fprintf(&b, " %d", uid)
		}
		return b.String() + "\r\nTAG OK done\r\n", true
	}
	for i, uid := range s.uids[s.open] {
		fmt.Fprintf(&b, "* %d FETCH (UID %d FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" ", i+1, uid)
		if strings.Contains(line, "BODY.PEEK") {
			fmt.Fprintf(&b, "BODY[] {%d}\r\n%s)\r\n", len(s.open), s.open)
		} else {
			b.WriteString("RFC822.SIZE 5)\r\n")
		}
	}
	return b.String() + "TAG OK done\r\n", true
}

func newShelf(t *testing.T, answer func(open, line string) (string, bool)) (*wire.Conn, *wiretest.Server, *shelf) {
	t.Helper()
	s := &shelf{answer: answer, uids: map[string][]uint32{"A": {1, 2}, "B": {11, 12}, "C": {21, 22}}, validity: map[string]int{}}
	srv := wiretest.Start(t, wiretest.Script{Answer: s.reply})
	c, err := wire.Dial(ctx(t), wire.Options{Address: srv.Address, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, srv, s
}

func visits(all ...wire.Visit) wire.Foresight {
	return func() (v wire.Visit, ok bool) {
		if len(all) == 0 {
			return v, false
		}
		v, all = all[0], all[1:]
		return v, true
	}
}

func lookAt(raw string) wire.Visit {
	return wire.Visit{Raw: raw, UIDs: true, List: wire.UIDRange{From: 1}}
}

func ahead(t *testing.T, c *wire.Conn, all ...wire.Visit) {
	t.Helper()
	if err := c.Ahead(ctx(t), visits(all...)); err != nil {
		t.Fatal(err)
	}
}

func openShelf(t *testing.T, c *wire.Conn, raw string) {
	t.Helper()
	if s, err := c.Open(ctx(t), raw, true); err != nil || s.Raw != raw || s.Exists != 2 || s.UIDValidity != 7 {
		t.Fatalf("opening %s: got %+v, %v", raw, s, err)
	}
}

// wantListing checks that both questions give the messages of the open folder.
func wantListing(t *testing.T, c *wire.Conn, want ...uint32) {
	t.Helper()
	uids, err := c.UIDs(ctx(t))
	if err != nil || !slices.Equal(uids, want) {
		t.Errorf("the search of %s gives %v, %v; want %v", c.Selected().Raw, uids, err, want)
	}
	var listed []uint32
	err = c.List(ctx(t), wire.UIDRange{From: 1}, func(e wire.Entry) error {
		listed = append(listed, e.UID)
		return nil
	})
	if err != nil || !slices.Equal(listed, want) {
		t.Errorf("the listing of %s gives %v, %v; want %v", c.Selected().Raw, listed, err, want)
	}
}

func wantLines(t *testing.T, srv *wiretest.Server, want int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(srv.Lines()) < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %q came", srv.Lines())
		}
	}
}

func TestFoldersAreListedInOneFlight(t *testing.T) {
	c, srv, _ := newShelf(t, nil)
	ahead(t, c, lookAt("A"), lookAt("B"), lookAt("C"))
	openShelf(t, c, "A")
	wantLines(t, srv, 9) // before anybody asked for more than the first
	wantListing(t, c, 1, 2)
	openShelf(t, c, "B")
	wantListing(t, c, 11, 12)
	openShelf(t, c, "C")
	wantListing(t, c, 21, 22)
	if lines := srv.Lines(); len(lines) != 9 {
		t.Errorf("asked %q", lines)
	}
}

func TestARefusedExamineAheadCostsItsFolderOnly(t *testing.T) {
	var c *wire.Conn
	var s *shelf
	c, _, s = newShelf(t, func(_, line string) (string, bool) {
		if line == `EXAMINE "B"` {
			s.open = ""
			return "TAG NO you may not\r\n", true
		}
		return "", false
	})
	ahead(t, c, lookAt("A"), lookAt("B"), lookAt("C"))
	openShelf(t, c, "A")
	wantListing(t, c, 1, 2)
	if _, err := c.Open(ctx(t), "B", true); wire.Refused(err) == nil {
		t.Errorf("got %v", err)
	}
	openShelf(t, c, "C")
	wantListing(t, c, 21, 22)
}

func TestByeBetweenFoldersLeavesTheFirstOneWhole(t *testing.T) {
	c, _, _ := newShelf(t, func(_, line string) (string, bool) {
		return "* BYE enough\r\nCLOSE", line == `EXAMINE "B"`
	})
	ahead(t, c, lookAt("A"), lookAt("B"))
	openShelf(t, c, "A")
	wantListing(t, c, 1, 2)
	if _, err := c.Open(ctx(t), "B", true); err == nil || wire.Refused(err) != nil || c.Err() == nil {
		t.Errorf("got %v, connection %v", err, c.Err())
	}
}

// Dovecot 2.3 searches beside the FETCH that follows and completes both at the end.
func TestLinesThatComeDuringTheSearchAreKept(t *testing.T) {
	c, _, _ := newShelf(t, func(open, line string) (string, bool) {
		switch {
		case strings.HasPrefix(line, "UID SEARCH"):
			return "* SEARCH 1 2\r\n* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE 5)\r\nTAG OK done\r\n", true
		case strings.HasPrefix(line, "UID FETCH"):
			return "* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 5)\r\nTAG OK done\r\n", true
		}
		return "", false
	})
	ahead(t, c, lookAt("A"))
	openShelf(t, c, "A")
	wantListing(t, c, 1, 2)
}

// The answers to CHANGEDSINCE and to the listing of new messages may be mixed, too.
func TestLinesOfTwoListingsAreToldApart(t *testing.T) {
	c, _, _ := newShelf(t, func(open, line string) (string, bool) {
		switch {
		case strings.Contains(line, "CHANGEDSINCE"):
			return "* 2 FETCH (UID 3 FLAGS () RFC822.SIZE 5)\r\n* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ (9) RFC822.SIZE 4)\r\nTAG OK done\r\n", true
		case strings.HasPrefix(line, "UID FETCH"):
			return "* 3 FETCH (UID 4 FLAGS () RFC822.SIZE 5)\r\nTAG OK done\r\n", true
		case strings.HasPrefix(line, "UID SEARCH"):
			return "* SEARCH 1 3 4\r\n* 1 FETCH (UID 2 FLAGS () MODSEQ (9))\r\nTAG OK done\r\n", true
		}
		return "", false
	})
	ahead(t, c, wire.Visit{Raw: "A", UIDs: true, Changes: 5, List: wire.UIDRange{From: 3}})
	openShelf(t, c, "A")
	if _, err := c.UIDs(ctx(t)); err != nil {
		t.Fatal(err)
	}
	var changed, listed []uint32
	_, err := c.Changes(ctx(t), 5, false, func(e wire.Entry) error { changed = append(changed, e.UID); return nil })
	if err != nil || !slices.Equal(changed, []uint32{2, 1}) {
		t.Errorf("changed are %v, %v", changed, err)
	}
	err = c.List(ctx(t), wire.UIDRange{From: 3}, func(e wire.Entry) error { listed = append(listed, e.UID); return nil })
	if err != nil || !slices.Equal(listed, []uint32{3, 4}) {
		t.Errorf("listed are %v, %v", listed, err)
	}
}

func fetchAll(t *testing.T, c *wire.Conn, next wire.Foresight, body string, uids ...uint32) {
	t.Helper()
	var got []uint32
	missing, err := c.FetchAhead(ctx(t), uids, next, func(m wire.Message) error {
		b, err := io.ReadAll(m.Body)
		if string(b) != body {
			t.Errorf("UID %d came with %q, the body of another folder's message", m.UID, b)
		}
		got = append(got, m.UID)
		return err
	})
	if err != nil || len(missing) > 0 || !slices.Equal(got, uids) {
		t.Errorf("fetched %v, missing %v, %v; want %v", got, missing, err, uids)
	}
}

func TestTheNextFolderIsFetchedBehindTheOneBefore(t *testing.T) {
	c, srv, _ := newShelf(t, nil)
	openShelf(t, c, "A")
	fetchAll(t, c, visits(wire.Visit{Raw: "B", Fetch: []uint32{11, 12}}, wire.Visit{Raw: "B", Fetch: []uint32{12}}), "A", 1, 2)
	wantLines(t, srv, 6)
	openShelf(t, c, "B")
	fetchAll(t, c, nil, "B", 11, 12)
	openShelf(t, c, "B")
	if lines := srv.Lines(); len(lines) != 6 {
		t.Errorf("asked %q", lines)
	}
}

func TestAnotherQuestionThanTheForeseenGetsItsOwnAnswer(t *testing.T) {
	c, srv, _ := newShelf(t, nil)
	openShelf(t, c, "A")
	fetchAll(t, c, visits(wire.Visit{Raw: "B", Fetch: []uint32{11, 12}}), "A", 1, 2)
	wantListing(t, c, 1, 2) // of A, though B is open at the server by now
	if lines := srv.Lines(); lines[4] != `EXAMINE "A"` {
		t.Errorf("asked %q", lines)
	}
	openShelf(t, c, "B")
	fetchAll(t, c, nil, "B", 11, 12)
}

func TestAFolderThatWasRenumberedMeanwhileEndsTheConnection(t *testing.T) {
	c, _, s := newShelf(t, nil)
	openShelf(t, c, "A")
	fetchAll(t, c, visits(lookAt("B")), "A", 1, 2)
	s.mu.Lock()
	s.validity["A"]++
	s.mu.Unlock()
	if uids, err := c.UIDs(ctx(t)); err == nil || wire.Refused(err) != nil || c.Err() == nil {
		t.Errorf("got %v, %v, connection %v", uids, err, c.Err())
	}
}

func TestWhatIsRefusedAheadIsAskedAgainAlone(t *testing.T) {
	for _, kind := range []string{`EXAMINE "B"`, "UID FETCH"} {
		refused := map[string]bool{}
		c, _, _ := newShelf(t, func(open, line string) (string, bool) {
			if open == "A" && !refused[line] && strings.HasPrefix(line, kind) {
				refused[line] = true
				return "TAG NO one thing at a time\r\n", true
			}
			return "", false
		})
		ahead(t, c, lookAt("A"), lookAt("B"))
		openShelf(t, c, "A")
		wantListing(t, c, 1, 2)
		openShelf(t, c, "B")
		wantListing(t, c, 11, 12)
		ahead(t, c, wire.Visit{Raw: "A", Fetch: []uint32{1, 2}})
		openShelf(t, c, "A")
		fetchAll(t, c, nil, "A", 1, 2)
		if len(refused) == 0 {
			t.Errorf("no %s was refused", kind)
		}
	}
}

func TestAnswersOutOfOrderEndTheConnection(t *testing.T) {
	for name, early := range map[string]string{
		"the next folder's completion": "TAG OK [READ-ONLY] done\r\n",
		"the next folder's state":      "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n",
	} {
		c, _, _ := newShelf(t, func(open, line string) (string, bool) {
			switch {
			case strings.HasPrefix(line, "UID FETCH"):
				return "* 1 FETCH (UID 1 FLAGS ())\r\n", true
			case line == `EXAMINE "B"`:
				return early, true
			}
			return "", false
		})
		ahead(t, c, lookAt("A"), wire.Visit{Raw: "B"})
		openShelf(t, c, "A")
		if _, err := c.UIDs(ctx(t)); err != nil {
			t.Fatal(err)
		}
		err := c.List(ctx(t), wire.UIDRange{From: 1}, func(wire.Entry) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "out of order") || c.Err() == nil {
			t.Errorf("%s: got %v, connection %v", name, err, c.Err())
		}
	}
}
