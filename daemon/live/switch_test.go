package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/daemon/account"
)

// world is an account on two servers. Before each step its owner does what they can still do: on the side where a
// session leads, they write a letter.
type world struct {
	t       *testing.T
	route   account.Route // in the database
	files   account.Route // what Dovecot's files say, and it has seen
	proxied int           // sessions at the source
	late    int           // logins that Dovecot is still passing on; each arrives after a pass that found nothing
	passed  bool          // the last step was one
	ghosts  int           // letters that an ended session sent, and that the source stores only during the next pass
	source  int           // letters there
	here    int           // of these, copied
	problem error

	steps  int
	failAt int  // this step fails
	dies   bool // and the process with it: nothing that follows happens
	dead   bool
}

var errFault = errors.New("the fault of the test")

// step is before everything that a switch does.
func (w *world) step(what string) error {
	if w.dead {
		return errFault
	}
	w.work()
	w.steps++
	if w.steps == w.failAt {
		w.dead = w.dies
		return fmt.Errorf("%s: %w", what, errFault)
	}
	return nil
}

// work is the owner: a session at the source writes there; a login leads where Dovecot's files say, or the hook holds it.
func (w *world) work() {
	if w.files == account.RouteSource && w.proxied == 0 {
		w.proxied = 1
	}
	if w.proxied > 0 {
		w.source++
		if w.route == account.RouteHere {
			w.t.Errorf("step %d: the owner writes to the source, and the account is switched", w.steps)
		}
	}
	if w.files == account.RouteHere || w.files == account.RouteHeld && w.route == account.RouteHere { // through the hook
		if w.here != w.source {
			w.t.Errorf("step %d: the owner is here with %d of %d letters", w.steps, w.here, w.source)
		}
	}
}

func (w *world) Move(ctx context.Context, to account.Route, problem error) error {
	if err := errors.Join(ctx.Err(), w.step("move to "+string(to))); err != nil {
		return err
	}
	if _, err := account.NextRoute(w.route, to); err != nil {
		return err
	}
	w.route, w.problem = to, problem
	return nil
}

func (w *world) Publish(ctx context.Context) error {
	if err := errors.Join(ctx.Err(), w.step("publish")); err != nil {
		return err
	}
	w.files = w.route
	return nil
}

func (w *world) Sessions(context.Context) (int, error) {
	err := w.step("sessions")
	if w.late > 0 && w.passed {
		w.late, w.proxied = w.late-1, 1
	}
	w.passed = false
	return w.proxied, err
}

func (w *world) Kick(context.Context) error {
	if err := w.step("kick"); err != nil {
		return err
	}
	w.proxied, w.ghosts = 0, 1
	return nil
}

func (w *world) Pass(context.Context) (int, error) {
	if err := w.step("pass"); err != nil {
		return 0, err
	}
	changes := w.source - w.here
	w.here, w.passed = w.source, changes == 0
	w.source, w.ghosts = w.source+w.ghosts, 0
	return changes, nil
}

func newWorld(t *testing.T) *world {
	return &world{t: t, route: account.RouteSource, files: account.RouteSource, proxied: 1, source: 5, here: 3}
}

// restart is what the daemon does first.
func (w *world) restart(t *testing.T) {
	t.Helper()
	w.dead, w.failAt = false, 0
	if w.route == account.RouteHeld {
		w.route = account.RouteSource
	}
	if err := w.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSwitchBringsEverythingOver(t *testing.T) {
	w := newWorld(t)
	w.late = 2
	if err := Switch(t.Context(), w); err != nil || w.route != account.RouteHere || w.files != account.RouteHere || w.proxied > 0 || w.here != w.source {
		t.Errorf("got %v, %+v", err, w)
	}
}

func TestAStepThatFailsOrDiesLeavesTheOwnerOnAWorkingSide(t *testing.T) {
	clean := newWorld(t)
	if err := Switch(t.Context(), clean); err != nil {
		t.Fatal(err)
	}
	for _, dies := range []bool{false, true} {
		for n := 1; n <= clean.steps; n++ {
			t.Run(fmt.Sprintf("step %d, dies %t", n, dies), func(t *testing.T) {
				w := newWorld(t)
				w.failAt, w.dies = n, dies
				err := Switch(t.Context(), w)
				var late *Late
				if !errors.Is(err, errFault) || errors.As(err, &late) != (w.route == account.RouteHere) {
					t.Errorf("got %v on the route %s", err, w.route)
				}
				if !dies && n > 1 && w.route == account.RouteSource && (w.files != account.RouteSource || !errors.Is(w.problem, errFault)) {
					t.Errorf("rolled back without publishing or saying why: %+v", w)
				}
				if !dies && w.route == account.RouteHeld {
					t.Errorf("logins wait, and nobody works on it: %+v", w)
				}
				w.restart(t)
				if w.route == account.RouteHere {
					return
				}
				if err := Switch(t.Context(), w); err != nil || w.route != account.RouteHere || w.here != w.source {
					t.Errorf("the second try: %v, %+v", err, w)
				}
			})
		}
	}
}

func TestSessionsThatNeverEndSendTheOwnerBack(t *testing.T) {
	w := newWorld(t)
	w.late = 1000
	err := Switch(t.Context(), w)
	if !errors.Is(err, errRestless) || w.route != account.RouteSource || w.files != account.RouteSource {
		t.Errorf("got %v, %+v", err, w)
	}
}

func TestADaemonThatIsStoppedDuringASwitchSendsTheOwnerBack(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := Switch(ctx, stopped{w, cancel})
	if !errors.Is(err, context.Canceled) || w.route != account.RouteSource || w.files != account.RouteSource {
		t.Errorf("got %v, %+v", err, w)
	}
}

// stopped is a world whose daemon is told to stop during the last pass.
type stopped struct {
	*world
	stop context.CancelFunc
}

func (s stopped) Pass(ctx context.Context) (int, error) { s.stop(); return 0, ctx.Err() }

func TestSessionsAreReadFromTheTablesOfBothVersions(t *testing.T) {
	const user = "anna@example.org"
	for table, want := range map[string]string{
		"username\tproto\tsrc ip\tdest ip\tport\nbob@example.org\timap\t192.0.2.1\t192.0.2.9\t993\n":                                         "",
		"username\tproto\tsrc ip\tdest ip\tport\nanna@example.org\timap\t192.0.2.1\t192.0.2.9\t993\nAnna@example.org\timap\t::1\t::9\t993\n": "192.0.2.9 ::9",
		"username\tservice\tpid\tip\tdest_ip\nanna@example.org\timap\t17\t127.77.0.1\t\nanna@example.org\timap\t18\t192.0.2.1\t192.0.2.9\n":  "192.0.2.9",
		"username\tservice\tpid\tip\tdest_ip\n": "",
	} {
		all, err := sessionsIn(table)
		if got := all[user]; err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, %v; want %q", table, got, err, want)
		}
	}
	for _, table := range []string{"", "username\tproto\n", "username\tdest_ip\nanna\n"} {
		if got, err := sessionsIn(table); err == nil {
			t.Errorf("%q told %q", table, got)
		}
	}
}

// A program in the place of doveadm prints what Dovecot's printed in a laboratory.
func TestAnEmptyTableIsNobodyOnlyWhenDovecotDoesNotComplain(t *testing.T) {
	const refused = "Error: connect(/run/dovecot/ipc) failed: Permission denied\nError: LIST-FULL failed: ipc connect failed"
	heading := "username\tproto\tsrc ip\tdest ip\tport\n"
	for _, c := range []struct {
		name, out, complaints string
		anvil, fails          bool
		sessions              int
	}{
		{name: "nobody was passed on since the start", out: "\n"},
		{name: "nobody is passed on", out: heading},
		{name: "a complaint about something else", out: heading, complaints: "Error: net_connect_unix(stats-writer) failed"},
		{name: "somebody is passed on", out: heading + "anna@example.org\timap\t::1\t::9\t993\n", sessions: 1},
		{name: "nobody could be asked", out: "\n", complaints: refused, fails: true},
		{name: "nobody could be asked, in other words", out: "\n", complaints: "Error: no", fails: true},
		{name: "not everybody could be asked", out: heading, complaints: refused, fails: true},
		{name: "2.4 always has a heading", out: "\n", anvil: true, fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "doveadm")
			script := fmt.Sprintf("#!/bin/sh\nprintf '%%s' '%s'\nprintf '%%s' '%s' >&2\n", c.out, c.complaints)
			if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			got, err := Dovecot{Command: []string{program}, Anvil: c.anvil}.Sessions(t.Context(), "anna@example.org")
			if len(got) != c.sessions || (err != nil) != c.fails {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
