package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/store"
)

func newLog(t *testing.T) (*Log, *store.Store, *bytes.Buffer) {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var out bytes.Buffer
	return New(s, slog.New(slog.NewTextHandler(&out, nil))), s, &out
}

func TestEventIsOneLineAndOneRow(t *testing.T) {
	l, _, out := newLog(t)
	l.Record(t.Context(), Event{Name: "join", Domain: "example.org", Account: "anna@example.org", State: "joined", Took: 1500 * time.Millisecond})
	if line := out.String(); strings.Count(line, "\n") != 1 ||
		!strings.Contains(line, "event=join domain=example.org account=anna@example.org state=joined took=1.5s") {
		t.Errorf("line = %q", line)
	}
	events, err := l.Of(t.Context(), "anna@example.org", 0, 10)
	if err != nil || len(events) != 1 || events[0].State != "joined" || events[0].Took != 1500*time.Millisecond {
		t.Errorf("events = %+v, %v", events, err)
	}
}

func TestTheNewestEventsComeOldestFirst(t *testing.T) {
	l, _, _ := newLog(t)
	for i := range 5 {
		l.Record(t.Context(), Event{Name: fmt.Sprint("e", i), Account: "anna@example.org"})
	}
	l.Record(t.Context(), Event{Name: "other", Account: "bob@example.org"})
	events, err := l.Of(t.Context(), "anna@example.org", 0, 3)
	if err != nil || len(events) != 3 || events[0].Name != "e2" || events[2].Name != "e4" {
		t.Errorf("events = %+v, %v", events, err)
	}
	later, err := l.Of(t.Context(), "anna@example.org", events[1].ID, 10)
	if err != nil || len(later) != 1 || later[0].Name != "e4" {
		t.Errorf("after %d: %+v, %v", events[1].ID, later, err)
	}
}

func TestEventOfACancelledPassIsKept(t *testing.T) {
	l, _, _ := newLog(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("lease lost"))
	l.Record(ctx, Event{Name: "pass", Account: "anna@example.org", Err: "lease lost"})
	if events, err := l.Of(t.Context(), "anna@example.org", 0, 1); err != nil || len(events) != 1 {
		t.Errorf("events = %+v, %v", events, err)
	}
}

func TestEventThatCannotBeStoredIsStillLogged(t *testing.T) {
	l, s, out := newLog(t)
	_ = s.Close()
	l.Record(t.Context(), Event{Name: "join", Account: "anna@example.org"})
	if !strings.Contains(out.String(), "event=join") || !strings.Contains(out.String(), "not_stored=") {
		t.Errorf("line = %q", out.String())
	}
}
