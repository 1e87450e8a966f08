package destination_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/letter"
	"mailstork/daemon/mirror/destination"
	"mailstork/test/testbed"
)

func TestABatchIsStoredWithItsUIDsInOrder(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	c := l.dial(t)
	b := c.BeginAppend("INBOX")
	date := time.Date(2001, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))
	for i := range 5 {
		add(t, b, destination.Item{Flags: []string{`\Seen`}, Keywords: []string{"$Forwarded"}, InternalDate: date}, mail(i))
	}
	got, err := b.Commit(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.UIDs) != 5 || got.UIDs[0] != 1 || got.UIDs[4] != 5 || got.UIDValidity == 0 {
		t.Errorf("got %+v, want the UIDs 1 to 5", got)
	}
	o := l.owner(t)
	if _, err = o.Examine("INBOX"); err != nil {
		t.Fatal(err)
	}
	for i, uid := range got.UIDs {
		body, err := o.Content(uid)
		if err != nil || !bytes.Equal(body, mail(i)) {
			t.Errorf("UID %d holds %q (%v), want letter %d", uid, body, err, i)
		}
	}
	if _, err = c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	err = c.List(ctx(t), destination.UIDRange{From: 1}, func(e destination.Entry) error {
		if strings.Join(e.Flags, " ") != `$Forwarded \Seen` || !e.InternalDate.Equal(date) {
			t.Errorf("UID %d has %v and %v", e.UID, e.Flags, e.InternalDate)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// The next batch is streamed while Dovecot still syncs the one before.
func TestABatchMayBeginBeforeTheLastIsAnswered(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	c := l.dial(t)
	var sent *destination.Batch
	var uids []uint32
	settle := func() {
		if sent == nil {
			return
		}
		a, err := sent.Wait(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		uids = append(uids, a.UIDs...)
	}
	for n := range 4 {
		b := c.BeginAppend("INBOX")
		add(t, b, destination.Item{}, mail(n))
		add(t, b, destination.Item{}, bytes.Repeat([]byte("x: y\r\n"), 300_000)) // synchronising
		settle()
		if err := b.Send(ctx(t)); err != nil {
			t.Fatal(err)
		}
		sent = b
	}
	settle()
	if len(uids) != 8 || uids[7] != 8 {
		t.Errorf("got UIDs %v, want 1 to 8", uids)
	}
}

// L2: the final line end is the point of no return. A client that dies before it has
// stored nothing; one that dies behind it has stored all, and only the fence tells
// when. (An append without its line end: RFC 9051 §6.3.12 says nothing about it.)
func TestACutBeforeTheFinalLineEndNeverLandsAndOneBehindItDoes(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	o := l.owner(t)
	for tail, landing := range map[string]int{"": 0, "\r": 0, " ": 0, "\r\n": 3} {
		for range 5 {
			before := count(t, o, "INBOX")
			nc := l.rawLogin(t)
			line := "b APPEND INBOX"
			for i := range 3 {
				line += fmt.Sprintf(" {%d+}\r\n%s", len(mail(i)), mail(i))
			}
			if _, err := io.WriteString(nc, line+tail); err != nil {
				t.Fatal(err)
			}
			_ = nc.Close()
			l.fence(t)
			if n := count(t, o, "INBOX") - before; n != landing {
				t.Fatalf("cut behind %q: %d of 3 messages landed, want %d", tail, n, landing)
			}
		}
	}
}

func TestAnAbortedBatchNeverLands(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	for _, size := range []int{1, 200_000} {
		c := l.dial(t)
		b := c.BeginAppend("INBOX")
		for range 3 {
			add(t, b, destination.Item{}, bytes.Repeat([]byte("x: y\r\n"), size))
		}
		b.Abort()
		if c.Err() == nil {
			t.Fatal("an aborted batch left its connection usable")
		}
		l.fence(t)
	}
	if n := count(t, l.owner(t), "INBOX"); n != 0 {
		t.Errorf("%d messages landed of batches that were never sent", n)
	}
}

func TestAnAbortedBatchThatSentNothingKeepsTheConnection(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{}).dial(t)
	c.BeginAppend("INBOX").Abort()
	if _, err := c.Folders(ctx(t)); err != nil {
		t.Error(err)
	}
}

func TestAFullAccountIsToldBeforeABigBodyIsRead(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{Quota: "1M"}).dial(t)
	b := c.BeginAppend("INBOX")
	add(t, b, destination.Item{}, mail(1))
	body := &counted{r: strings.NewReader(strings.Repeat("x: y\r\n", 1_000_000))}
	_, err := b.Add(ctx(t), destination.Item{Size: 6_000_000}, body)
	var r *destination.Refusal
	if !errors.As(err, &r) || r.Reason != destination.RefusedQuota || r.Sent || r.Index != 1 || body.n != 0 {
		t.Fatalf("got %+v (%v) after reading %d octets, want a full account before the body", r, err, body.n)
	}
	b.Abort()
	usable(t, c)
}

func TestARefusedBatchLeavesTheConnectionInStep(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{Quota: "1M"})
	c := l.dial(t)
	// Each body holds commands: were Dovecot out of step, it would run them.
	evil := []byte(strings.Repeat("x CREATE Injected\r\n", 20_000))
	for folder, reason := range map[string]destination.Reason{"INBOX": destination.RefusedQuota, "Missing": destination.RefusedFolder} {
		b := c.BeginAppend(folder)
		for range 5 {
			add(t, b, destination.Item{}, evil)
		}
		_, err := b.Commit(ctx(t))
		var r *destination.Refusal
		if !errors.As(err, &r) || r.Reason != reason || !r.Sent {
			t.Errorf("%s: got %+v (%v), want reason %v", folder, r, err, reason)
		}
		usable(t, c)
	}
	if _, err := l.owner(t).Examine("Injected"); err == nil {
		t.Error("a message body was run as commands")
	}
	if n := count(t, l.owner(t), "INBOX"); n != 0 {
		t.Errorf("%d messages of a refused batch landed", n)
	}
}

func TestAMessageWithoutOctetsIsRefusedAndTheBatchGoesOn(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{}).dial(t)
	b := c.BeginAppend("INBOX")
	add(t, b, destination.Item{}, mail(1))
	_, err := b.Add(ctx(t), destination.Item{}, strings.NewReader(""))
	var r *destination.Refusal
	if !errors.As(err, &r) || r.Reason != destination.RefusedMessage || r.Index != -1 {
		t.Fatalf("got %v, want a refused message", err)
	}
	add(t, b, destination.Item{}, mail(2))
	if got, err := b.Commit(ctx(t)); err != nil || len(got.UIDs) != 2 {
		t.Errorf("got %v, %v, want two messages", got, err)
	}
}

func TestWhatDovecotCannotKeepIsNamed(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{}).dial(t)
	long := strings.Repeat("k", 51)
	b := c.BeginAppend("INBOX")
	unkept := add(t, b, destination.Item{
		Flags:        []string{`\SEEN`, `\Recent`, `\Foo`, `\*`},
		Keywords:     []string{"work", "WORK", "a b", "x)", "ü", `ev"il`, "{9+}\r\nx CREATE y", long, "", long[:50]},
		InternalDate: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC),
	}, mail(1))
	want := []string{`\Foo`, `\*`, "a b", "x)", "ü", `ev"il`, "{9+}\r\nx CREATE y", long, "", "INTERNALDATE 1969-01-01T00:00:00Z"}
	if strings.Join(unkept, "|") != strings.Join(want, "|") {
		t.Errorf("unkept is %q, want %q", unkept, want)
	}
	if unkept = add(t, b, destination.Item{InternalDate: time.Now().Add(time.Hour)}, mail(2)); len(unkept) != 1 {
		t.Errorf("a date in the future is kept: %q", unkept)
	}
	if unkept = add(t, b, destination.Item{InternalDate: time.Unix(0, 0)}, mail(3)); len(unkept) != 0 {
		t.Errorf("unkept is %q, want nothing", unkept)
	}
	if _, err := b.Commit(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	got := map[uint32]destination.Entry{}
	if err := c.List(ctx(t), destination.UIDRange{From: 1}, func(e destination.Entry) error { got[e.UID] = e; return nil }); err != nil {
		t.Fatal(err)
	}
	if f := strings.Join(got[1].Flags, " "); f != `\Seen `+long[:50]+" work" {
		t.Errorf("message 1 has %q", f)
	}
	if d := got[1].InternalDate; d.Unix() != 0 {
		t.Errorf("the date before 1970 became %v", d)
	}
	if d := time.Since(got[2].InternalDate); d < 0 || d > time.Minute {
		t.Errorf("the date in the future became %v", got[2].InternalDate)
	}
}

// A body that ends early must not be filled up with the next command.
func TestAShortBodyStoresNothingAndCostsTheConnection(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	var be *destination.BodyError
	c := l.dial(t)
	b := c.BeginAppend("INBOX")
	_, err := b.Add(ctx(t), destination.Item{Size: 100}, strings.NewReader("short"))
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &be) {
		t.Errorf("got %v, want an unexpected end of the body", err)
	}
	if err := c.Create(ctx(t), strings.Repeat("Filled up ", 20)); err == nil || !strings.Contains(err.Error(), "cut short") || c.Err() == nil { // more than what is missing
		t.Errorf("another command: %v, %v", err, c.Err())
	}
	c = l.dial(t)
	b = c.BeginAppend("INBOX")
	_, err = b.Add(ctx(t), destination.Item{Size: 100}, io.MultiReader(strings.NewReader("x"), failing{}))
	if !errors.As(err, &be) {
		t.Errorf("got %v, want the error of the body", err)
	}
	if b.Abort(); c.Err() == nil {
		t.Error("the connection outlives a message that was cut short")
	}
	l.fence(t)
	if n := count(t, l.owner(t), "INBOX"); n != 0 {
		t.Errorf("%d messages landed", n)
	}
}

// What was sent has its answer, whatever becomes of the message behind it.
func TestABodyThatFailsLeavesTheBatchBeforeItsAnswer(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	c := l.dial(t)
	first, second := c.BeginAppend("INBOX"), c.BeginAppend("INBOX")
	if _, err := first.Add(ctx(t), destination.Item{Size: 5}, strings.NewReader("A: b\n")); err != nil {
		t.Fatal(err)
	}
	if err := first.Send(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Add(ctx(t), destination.Item{Size: 1 << 19}, io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<18)), failing{})); err == nil {
		t.Error("a body that failed was taken")
	}
	if appended, err := first.Wait(ctx(t)); err != nil || len(appended.UIDs) != 1 {
		t.Errorf("the batch before: %v, %v", appended, err)
	}
	second.Abort()
	l.fence(t)
	if n := count(t, l.owner(t), "INBOX"); n != 1 {
		t.Errorf("%d messages landed", n)
	}
}

// letter.Digest must be the identity of what Dovecot stores: measured, not believed.
func TestDigestOfWhatIsReadBackIsTheDigestOfWhatWasSent(t *testing.T) {
	c := newLab(t, testbed.DestinationOptions{}).dial(t)
	bodies := [][]byte{
		[]byte("a: b\r\n\r\nx\r\n"), []byte("a: b\n\nx\n"), []byte("a: b\r\n\r\nx\r\r\ny"), []byte("a: b\r\n\r\nx\r\r\r\ny"),
		[]byte("a: b\r\n\r\nx\ry\r\n"), []byte("x\r"), []byte("x\r\r"), []byte("x\r\r\r\r"), []byte("\r\ry"), []byte("\n"), []byte("x\x00y\r\x00\r\n"),
		[]byte("no header"), []byte("\xff\xfe: 8-bit\r\n\r\n\x80\x00"), []byte(strings.Repeat("long", 100_000)),
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		body := make([]byte, 1+rnd.IntN(150_000))
		for i := range body {
			body[i] = "\r\r\r\n\n\x00ab"[rnd.IntN(8)]
		}
		bodies = append(bodies, body)
	}
	for i, body := range bodies {
		b := c.BeginAppend("INBOX")
		add(t, b, destination.Item{}, body)
		if _, err := b.Commit(ctx(t)); err != nil {
			t.Fatalf("body %d: %v", i, err)
		}
	}
	if _, err := c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	uids, err := c.UIDs(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	missing, err := c.Digests(ctx(t), uids, func(uid uint32, _ int64, digest [32]byte) error {
		d := letter.NewDigest()
		_, _ = d.Write(bodies[uid-1])
		if d.Sum() != digest {
			t.Errorf("body %d (%.40q…) has another digest when read back", uid-1, bodies[uid-1])
		}
		return nil
	})
	if err != nil || len(missing) > 0 || len(uids) != len(bodies) {
		t.Errorf("read %d back, missing %v: %v", len(uids), missing, err)
	}
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrPermission }
