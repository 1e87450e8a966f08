package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailstork/daemon/account"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestPeerIsAllowedByRootOwnUserOrTheSocketsGroup(t *testing.T) {
	cases := []struct {
		name string
		peer Peer
		want bool
	}{
		{"root", Peer{UID: 0}, true},
		{"the daemon's own user", Peer{UID: 990}, true},
		{"a member of the socket's group", Peer{UID: 1000, Groups: []uint32{1000, 991}}, true},
		{"somebody else", Peer{UID: 1000, Groups: []uint32{1000, 990}}, false},
	}
	for _, c := range cases {
		if got := c.peer.mayControl(990, 991); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// The kernel's answer is asked of a real process of another user, whom a careless chmod let through to the socket.
func TestStrangersAreRefusedEvenWhenTheSocketIsOpenToAll(t *testing.T) {
	if os.Getenv("MAILSTORK_STRANGER") != "" {
		client := NewClient(os.Getenv("MAILSTORK_STRANGER"))
		defer client.Close()
		_, err := client.Status(t.Context())
		var failure *Error
		if !errors.As(err, &failure) || failure.Kind != KindNotAllowed {
			t.Fatalf("got %v, want not allowed", err)
		}
		metrics := NewClient(os.Getenv("MAILSTORK_STRANGER") + ".metrics")
		defer metrics.Close()
		if text, err := metrics.Metrics(t.Context()); err == nil {
			t.Fatalf("got %q, want not allowed", text)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Log("not root: only the own user is tested")
		return
	}
	dir, err := os.MkdirTemp("", "stork")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	program := filepath.Join(dir, "control.test")
	copyFile(t, os.Args[0], program)
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := net.Listen("unix", path+".metrics")
	if err != nil {
		t.Fatal(err)
	}
	for file, mode := range map[string]os.FileMode{dir: 0o755, path: 0o777, path + ".metrics": 0o777, program: 0o755} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, &Server{Operator: &numbers{}, Logger: quiet()}, listener)
	serve(t, &MetricsServer{Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Logger: quiet()}, metrics)
	stranger := exec.Command(program, "-test.run", "^TestStrangersAreRefused", "-test.v")
	stranger.Env = []string{"MAILSTORK_STRANGER=" + path}
	stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	stranger.Dir = "/"
	if out, err := stranger.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestSocketIsSharedWithTheNamedGroupOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(path, nil, 0o660); err != nil {
		t.Fatal(err)
	}
	if err := ShareWithGroup(path, ""); err != nil {
		t.Error(err)
	}
	if err := ShareWithGroup(path, "no-such-group-here"); err == nil {
		t.Error("an unknown group was accepted")
	}
	if err := ShareWithGroup(path, "root"); os.Geteuid() == 0 && err != nil {
		t.Error(err)
	}
}

func serve(t *testing.T, s interface {
	Serve(context.Context, net.Listener) error
}, listener net.Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// numbers is an Operator with one account to which an event happens every time it is asked.
type numbers struct {
	Operator
	mu   sync.Mutex
	last int64
}

func (n *numbers) Events(_ context.Context, address account.Address, since int64, limit int) ([]Event, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	return []Event{{ID: n.last, Account: address, Name: "pass", Detail: strconv.FormatInt(since, 10)}}, nil
}

func TestFollowGoesOnPastTheRequestTimeoutAndEndsWithTheDaemon(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	timeout := followInterval / 2 // every event after the first comes later than this
	stop := serve(t, &Server{Operator: &numbers{}, Logger: quiet(), timeout: timeout}, listener)
	client := NewClient(listener.Addr().String())
	defer client.Close()
	started := time.Now()
	var seen []Event
	err = client.Follow(t.Context(), "a@example.org", 0, 10, func(e Event) error {
		seen = append(seen, e)
		if len(seen) == 3 {
			go stop()
		}
		return nil
	})
	var gone *Unreachable
	if !errors.As(err, &gone) {
		t.Errorf("the daemon stopped: got %v, want Unreachable", err)
	}
	if len(seen) < 3 || time.Since(started) < timeout {
		t.Fatalf("got %d events in %s", len(seen), time.Since(started))
	}
	for i, e := range seen {
		if e.ID != int64(i+1) || e.Detail != strconv.Itoa(i) {
			t.Errorf("event %d: got number %d asked since %s", i, e.ID, e.Detail)
		}
	}
}

func TestFollowEndsWithoutErrorWhenTheReaderLeaves(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	serve(t, &Server{Operator: &numbers{}, Logger: quiet()}, listener)
	client := NewClient(listener.Addr().String())
	defer client.Close()
	ctx, leave := context.WithCancel(t.Context())
	err = client.Follow(ctx, "a@example.org", 0, 10, func(Event) error { leave(); return nil })
	if err != nil {
		t.Errorf("got %v", err)
	}
}

// Whatever is accepted is canonical and in bounds; nothing panics; no error shows the input (S1).
func FuzzDecodeImport(f *testing.F) {
	f.Add([]byte(`{"dry_run":true,"rows":[{"line":1,"address":"A@Example.org","source_user":"u","password":"c2VjcmV0"}]}`))
	f.Add([]byte(`{"rows":[{"line":1,"address":"a@b.c"},{"line":2,"address":"A@B.C"}]}`))
	f.Add([]byte(`{"rows":null}{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, _, err := decodeImport(bytes.NewReader(body))
		if err != nil {
			if len(rows) > 0 {
				t.Error("rows beside an error")
			}
			return
		}
		for _, row := range rows {
			if again, err := account.ParseAddress(string(row.Address)); err != nil || again != row.Address {
				t.Errorf("address %q is not canonical", row.Address)
			}
			if len(row.Password.Reveal()) > MaxPasswordOctets {
				t.Error("password too long")
			}
		}
	})
}

func FuzzDecodeDomain(f *testing.F) {
	f.Add([]byte(`{"name":"Example.org","source":{"host":"h","port":993,"tls":"implicit"},"accounts_policy":"any","mx_hosts":["mx.example.org"],"outgoing_addresses":["192.0.2.1"],"dry_run":true}`))
	f.Add([]byte(`{"name":""}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, _, err := decodeDomain(bytes.NewReader(body))
		if err != nil {
			return
		}
		if again, err := account.ParseDomainName(d.Name); err != nil || again != d.Name || d.Source.Check() != nil || len(d.MXHosts) == 0 {
			t.Errorf("accepted %+v", d)
		}
		if _, err := json.Marshal(d.Source); err != nil {
			t.Error(err)
		}
	})
}

// What is accepted can be stored and tried; no error shows the secret (S1).
func FuzzDecodeLogin(f *testing.F) {
	f.Add([]byte(`{"login":{"kind":"master","user":"admin","spelling":"dovecot"},"secret":"c2VjcmV0"}`))
	f.Add([]byte(`{"login":{"kind":"refresh_token","token_url":"https://x/t","client_id":"c"},"dry_run":true}`))
	f.Add([]byte(`{"login":{},"secret":"c2VjcmV0"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		login, value, _, err := decodeLogin(bytes.NewReader(body))
		if err != nil && !value.IsZero() || err == nil && login.Kind == "" && !value.IsZero() {
			t.Error("a secret beside an error, or for nothing")
		}
		if err == nil && login.Kind != "" && (login.Check() != nil || len(value.Reveal()) > MaxDomainSecretOctets) {
			t.Errorf("accepted %+v", login)
		}
	})
}

// What is accepted can be sent in IMAP; no error comes with a password (S1).
func FuzzDecodePassword(f *testing.F) {
	f.Add([]byte(`{"password":"c2VjcmV0","also_at_source":true,"dry_run":false}`))
	f.Add([]byte(`{"password":"AAo="}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, password, err := decodePassword(bytes.NewReader(body))
		octets := password.Reveal()
		if (err == nil) == password.IsZero() || len(octets) > MaxPasswordOctets || bytes.ContainsAny(octets, "\x00\r\n") {
			t.Errorf("%d octets, %v", len(octets), err)
		}
	})
}
