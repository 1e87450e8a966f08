package wire_test

import (
	"errors"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
)

func TestAServerThatAsksToBeLeftAloneIsAskedNothingMore(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		after       time.Duration
	}{
		{"NO in milliseconds", "TAG NO Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n", 299961 * time.Millisecond},
		{"BAD in ms", "TAG BAD Request is throttled. Suggested Backoff Time: 1500 ms\r\n", 1500 * time.Millisecond},
		{"BYE in seconds", "* BYE suggested backoff time 7 seconds\r\nCLOSE", 7 * time.Second},
		{"a code without time", "TAG NO [THROTTLED] slow down\r\n", 5 * time.Minute},
		{"a year", "TAG NO Suggested Backoff Time: 999999999999 s\r\n", 24 * time.Hour},
	} {
		conn, srv := open(t, wiretest.Script{Replies: map[string]string{"UID SEARCH": c.reply}})
		_, err := conn.UIDs(ctx(t))
		var throttled *wire.ThrottledError
		if !errors.As(err, &throttled) || throttled.After != c.after || conn.Err() == nil {
			t.Errorf("%s: got %v, the connection %v", c.name, err, conn.Err())
		}
		asked := len(srv.Lines())
		_, _ = conn.UIDs(ctx(t))
		if more := len(srv.Lines()) - asked; more > 0 {
			t.Errorf("%s: asked %d more", c.name, more)
		}
	}
}

func TestARefusalThatAsksForNothingIsNoThrottle(t *testing.T) {
	conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": "TAG NO [LIMIT] too much\r\n"}})
	if err := conn.List(ctx(t), wire.UIDRange{From: 1}, func(wire.Entry) error { return nil }); wire.Refused(err) == nil || conn.Err() != nil {
		t.Errorf("got %v, the connection %v", err, conn.Err())
	}
}

// What stands behind a literal that was announced too short proves that a part of a message was handed on.
func TestAMessageLongerThanAnnouncedBreaksTheConnection(t *testing.T) {
	const head = "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {4}\r\n"
	for _, tail := range []string{"abcdef)\r\n", "abcd\r\nef\r\n)\r\n", "abcd \"e\r\n)\r\n"} {
		conn, _ := open(t, wiretest.Script{Replies: map[string]string{"UID FETCH": head + tail + "TAG OK done\r\n"}})
		if _, _, err := fetched(t, conn, 1); err == nil || conn.Err() == nil {
			t.Errorf("%q: got %v, the connection %v", tail, err, conn.Err())
		}
	}
}

// A message that the server can't read costs itself, not those asked for with it.
func TestARefusedWindowIsAskedForMessageByMessage(t *testing.T) {
	conn, srv := open(t, wiretest.Script{Replies: map[string]string{
		"UID FETCH":    "TAG NO no\r\n",
		"UID FETCH 3 ": "* 3 FETCH (UID 3 FLAGS () INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" BODY[] {1}\r\nc)\r\nTAG OK\r\n",
	}})
	got, missing, err := fetched(t, conn, 1, 2, 3)
	if err != nil || got != `3 [] "c"` || len(missing) != 2 {
		t.Errorf("got %q, missing %v, %v", got, missing, err)
	}
	var many []uint32
	for uid := range uint32(90) {
		many = append(many, 100+uid)
	}
	asked := len(srv.Lines())
	if _, _, err = fetched(t, conn, many...); wire.Refused(err) == nil {
		t.Errorf("a folder that is refused whole: %v", err)
	}
	if n := len(srv.Lines()) - asked; n > 25 {
		t.Errorf("asked %d times for messages of a folder that is refused whole", n)
	}
}
