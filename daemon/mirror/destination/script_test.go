package destination_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

// scripted dials a scripted destination.
func scripted(t *testing.T, s wiretest.Script) (*destination.Conn, *wiretest.Server) {
	t.Helper()
	srv := wiretest.Start(t, s)
	c, err := destination.Dial(ctx(t), destination.Options{Address: srv.Address, User: "anna", Password: secret.FromString("x"), IdleTimeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, srv
}

func TestNobodyConnectsBeforeTheServerKnowsTheAccount(t *testing.T) {
	srv := wiretest.Start(t, wiretest.Script{})
	ready := time.Now().Add(300 * time.Millisecond)
	o := destination.Options{Address: srv.Address, User: "anna", Password: secret.FromString("x"), NotBefore: ready}
	gone, stop := context.WithCancel(ctx(t))
	stop()
	if _, err := destination.Dial(gone, o); !errors.Is(err, context.Canceled) || len(srv.Lines()) > 0 {
		t.Errorf("got %v, and the server heard %q", err, srv.Lines())
	}
	c, err := destination.Dial(ctx(t), o)
	if err != nil || time.Now().Before(ready) {
		t.Fatalf("connected %s too early, %v", time.Until(ready), err)
	}
	_ = c.Close()
}

const multi = "MULTIAPPEND LITERAL+ UIDPLUS"

func TestRFC4315EveryFormOfAppendUIDIsReadAndNoneIsBelievedHalf(t *testing.T) {
	for _, c := range []struct {
		reply string
		want  []uint32
		doubt bool
	}{
		{"TAG OK [APPENDUID 7 5:6,9] done\r\n", []uint32{5, 6, 9}, false},
		{"* 3 EXISTS\r\nTAG OK [appenduid 7 9,5:6]\r\n", []uint32{9, 5, 6}, false},
		{"TAG OK done\r\n", nil, true},
		{"TAG OK [APPENDUID 7 5:6] one too few\r\n", nil, true},
		{"TAG OK [APPENDUID 7 5:8] one too many\r\n", nil, true},
		{"TAG OK [APPENDUID 7 1:4294967295] all\r\n", nil, true},
		{"TAG OK [APPENDUID 0 5:7] no validity\r\n", nil, true},
		{"TAG OK [APPENDUID 7] nothing\r\n", nil, true},
		{"TAG OK [APPENDUID 7 0:2] zero\r\n", nil, true},
		// BYE behind the OK: the batch is stored, the connection is not usable.
		{"* BYE restarting\r\nTAG OK [APPENDUID 7 1:3] done\r\nCLOSE", []uint32{1, 2, 3}, false},
	} {
		conn, _ := scripted(t, wiretest.Script{Capabilities: multi, Replies: map[string]string{"APPEND": c.reply}})
		b := conn.BeginAppend("INBOX")
		for i := range 3 {
			add(t, b, destination.Item{}, mail(i))
		}
		got, err := b.Commit(ctx(t))
		if errors.Is(err, destination.ErrNoAppendUID) != c.doubt || !slices.Equal(got.UIDs, c.want) || !c.doubt && got.UIDValidity != 7 {
			t.Errorf("%q: got %+v, %v", c.reply, got, err)
		}
	}
}

func TestWithoutMultiAppendABatchIsOneMessage(t *testing.T) {
	conn, srv := scripted(t, wiretest.Script{Capabilities: "UIDPLUS", Replies: map[string]string{"APPEND": "TAG OK [APPENDUID 7 5] done\r\n"}})
	b := conn.BeginAppend("Entw&APw-rfe")
	if b.Full() {
		t.Error("an empty batch is full")
	}
	add(t, b, destination.Item{Flags: []string{`\Seen`}, InternalDate: time.Unix(1e9, 0)}, []byte("hello"))
	if _, err := b.Add(ctx(t), destination.Item{Size: 1}, strings.NewReader("x")); !b.Full() || err == nil {
		t.Errorf("a second message was taken: %v", err)
	}
	if got, err := b.Commit(ctx(t)); err != nil || !slices.Equal(got.UIDs, []uint32{5}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got := srv.Lines()[len(srv.Lines())-1]; got != "APPEND \"Entw&APw-rfe\" (\\Seen) \" 9-Sep-2001 01:46:40 +0000\" {5}\r\nhello" {
		t.Errorf("sent %q", got)
	}
}

// dovecot-postfix.md §5: behind a BAD, Dovecot may run the message body as commands.
func TestABadAnswerToAnAppendDropsTheConnectionAtOnce(t *testing.T) {
	conn, _ := scripted(t, wiretest.Script{Capabilities: multi, Replies: map[string]string{"APPEND": "TAG BAD what\r\n"}})
	b := conn.BeginAppend("INBOX")
	add(t, b, destination.Item{}, mail(1))
	_, err := b.Commit(ctx(t))
	if s := wire.Refused(err); s == nil || s.Status != "BAD" || conn.Err() == nil {
		t.Errorf("got %v and %v", err, conn.Err())
	}
}

// L2: whatever ends the wait, the caller learns that the outcome is in doubt.
func TestABatchWithoutAnAnswerIsInDoubt(t *testing.T) {
	for _, reply := range []string{"CLOSE", "* BYE sorry\r\nCLOSE", ""} {
		conn, _ := scripted(t, wiretest.Script{Capabilities: multi, Replies: map[string]string{"APPEND": reply}})
		b := conn.BeginAppend("INBOX")
		add(t, b, destination.Item{}, mail(1))
		if _, err := b.Commit(ctx(t)); err == nil || conn.Err() == nil {
			t.Errorf("%q: got %v and %v", reply, err, conn.Err())
		}
		if _, err := b.Wait(ctx(t)); err == nil {
			t.Errorf("%q: the second wait found an answer", reply)
		}
	}
}

// A batch of which nothing was added would be a syntax error on the wire.
func TestABatchIsUsedInItsOrderOnly(t *testing.T) {
	conn, srv := scripted(t, wiretest.Script{Capabilities: multi, Replies: map[string]string{"APPEND": "TAG OK [APPENDUID 7 1] done\r\n"}})
	before := len(srv.Lines())
	b := conn.BeginAppend("INBOX")
	if err := b.Send(ctx(t)); err == nil {
		t.Error("an empty batch was sent")
	}
	if _, err := b.Wait(ctx(t)); err == nil {
		t.Error("an answer to nothing")
	}
	if len(srv.Lines()) != before || conn.Err() != nil {
		t.Errorf("sent %q, %v", srv.Lines()[before:], conn.Err())
	}
	add(t, b, destination.Item{}, mail(1))
	if _, err := b.Commit(ctx(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(ctx(t), destination.Item{Size: 1}, strings.NewReader("x")); err == nil {
		t.Error("a message was added to a sent batch")
	}
	if err := b.Send(ctx(t)); err == nil {
		t.Error("a batch was sent twice")
	}
}

func TestExpungeWithoutUIDPLUSIsRefusedByUs(t *testing.T) {
	conn, srv := scripted(t, wiretest.Script{Replies: map[string]string{"SELECT": "TAG OK [READ-WRITE] done\r\n"}})
	if _, err := conn.Select(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Expunge(ctx(t), []uint32{1}); err == nil {
		t.Error("expunged")
	}
	for _, line := range srv.Lines() {
		if strings.Contains(line, "STORE") || strings.Contains(line, "EXPUNGE") {
			t.Errorf("sent %q", line)
		}
	}
}
