package checkpassword

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/secret"
)

const awkward = "pass & = % + \" \\ ü"

// hook answers as the auth hook does, and keeps what it was asked.
type hook struct {
	asked  url.Values
	header http.Header
	path   string
	status int
	answer string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.asked, h.header, h.path = r.PostForm, r.Header, r.URL.Path
	w.WriteHeader(h.status)
	_, _ = io.WriteString(w, h.answer)
}

// serve starts h at a socket of the network.
func serve(t *testing.T, network string, h http.Handler) Client {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "hook.sock")
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return Client{Address: listener.Addr().String(), Secret: secret.FromString("client secret")}
}

const yes = `{"access_token":"t","username":"anna@example.org","active":"true","uid":"5000","gid":"5001","home":"/var/vmail/example.org/anna"}`

func run(t *testing.T, c Client, environment ...string) (reply []string, code int) {
	t.Helper()
	reply, code, err := Run(t.Context(), c, strings.NewReader("anna@example.org\x00"+awkward+"\x00"), environment)
	if (err != nil) != (code == ExitTemporary) {
		t.Errorf("code %d with error %v", code, err)
	}
	return reply, code
}

func TestYesGivesDovecotTheEnvironmentThatItWants(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		h := &hook{status: 200, answer: yes}
		reply, code := run(t, serve(t, network, h), "ORIG_UID=113", "SERVICE=IMAP", "TCPREMOTEIP=2001:db8::1", "USER=dovecot")
		want := []string{"ORIG_UID=113", "SERVICE=IMAP", "TCPREMOTEIP=2001:db8::1", "USER=anna@example.org", "HOME=/var/vmail/example.org/anna",
			"userdb_uid=5000", "userdb_gid=5001", "EXTRA=userdb_uid userdb_gid"}
		if code != 0 || !slices.Equal(reply, want) {
			t.Errorf("%s: got %d %q", network, code, reply)
		}
		if h.asked.Get("password") != awkward || h.asked.Get("client_secret") != "client secret" || h.asked.Get("grant_type") != "password" {
			t.Errorf("%s: the hook was asked %v", network, h.asked)
		}
		if h.header.Get("X-Dovecot-Auth-Remote") != "[2001:db8::1]:0" || h.header.Get("X-Dovecot-Auth-Service") != "imap" {
			t.Errorf("%s: the hook was told %v", network, h.header)
		}
	}
}

func TestOnlyAClearNoIsARefusal(t *testing.T) {
	for _, c := range []struct {
		what   string
		status int
		answer string
		code   int
	}{
		{"wrong", 200, `{"username":"anna@example.org","active":"false"}`, ExitRefused},
		{"not ours", 200, `{"username":"-","active":"true","uid":"65534"}`, ExitRefused},
		{"source down", 503, "Service Unavailable\n", ExitTemporary},
		{"no hook of ours", 404, "", ExitTemporary},
		{"nonsense", 200, "<html>", ExitTemporary},
		{"nothing", 200, "", ExitTemporary},
		{"without end", 200, `{"username":"` + strings.Repeat("a", maxAnswerOctets), ExitTemporary},
	} {
		if _, code := run(t, serve(t, "tcp", &hook{status: c.status, answer: c.answer})); code != c.code {
			t.Errorf("%s: got %d, want %d", c.what, code, c.code)
		}
	}
	if _, code := run(t, Client{Address: filepath.Join(t.TempDir(), "nobody")}); code != ExitTemporary {
		t.Errorf("nobody listens: got %d", code)
	}
}

func TestLookupWithoutAPasswordAsksTheUserdb(t *testing.T) {
	h := &hook{status: 200, answer: `{"uid":"5000","gid":"5001","home":"/h"}`}
	reply, code := run(t, serve(t, "tcp", h), "AUTHORIZED=1", "ORIG_UID=113")
	want := []string{"ORIG_UID=113", "USER=anna@example.org", "HOME=/h", "userdb_uid=5000", "userdb_gid=5001", "EXTRA=userdb_uid userdb_gid", "AUTHORIZED=2"}
	if code != 0 || !slices.Equal(reply, want) || h.path != "/userdb" || h.asked.Has("password") {
		t.Errorf("got %d %q, asked %s %v", code, reply, h.path, h.asked)
	}
	for status, code := range map[int]int{404: ExitUnknown, 503: ExitTemporary} {
		if _, got := run(t, serve(t, "tcp", &hook{status: status}), "AUTHORIZED=1"); got != code {
			t.Errorf("HTTP %d: got %d, want %d", status, got, code)
		}
	}
}

// The other side of the pipe stays open: other logins inherited it.
func TestReadingEndsAtTheSecondNUL(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := w.WriteString("anna\x00se"); err != nil {
		t.Fatal(err)
	}
	read := make(chan Request, 1)
	go func() {
		if request, err := Read(r); err == nil {
			read <- request
		}
	}()
	if _, err := w.WriteString("cret\x00\x00"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-read:
		if got.User != "anna" || string(got.Password.Reveal()) != "secret" {
			t.Errorf("got %q, %q", got.User, got.Password.Reveal())
		}
	case <-time.After(10 * time.Second):
		t.Error("waits for the end of the file")
	}
}

func TestBrokenInputIsATemporaryFailure(t *testing.T) {
	for _, input := range []string{"", "anna", "anna\x00secret", strings.Repeat("a", 5000), "a\x00" + strings.Repeat("b", 5000)} {
		if _, code, err := Run(t.Context(), Client{}, strings.NewReader(input), nil); code != ExitTemporary || err == nil {
			t.Errorf("%.10q: got %d, %v", input, code, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("anna@example.org\x00secret\x00\x00"))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, input []byte) {
		got, err := Read(bytes.NewReader(input))
		parts := bytes.SplitN(input, []byte{0}, 3)
		if err == nil && (len(parts) < 3 || got.User != string(parts[0]) || !bytes.Equal(got.Password.Reveal(), parts[1])) {
			t.Errorf("got %q, %q", got.User, got.Password.Reveal())
		}
		if err != nil && len(parts) == 3 && len(parts[0])+len(parts[1]) < maxOctets-2 {
			t.Errorf("refused: %v", err)
		}
	})
}

func TestArgumentsAreHookSecretFileAndProgram(t *testing.T) {
	o, err := Parse([]string{"127.0.0.1:7911", "/etc/dovecot/secret", "/usr/lib/dovecot/checkpassword-reply"})
	if err != nil || o.Hook != "127.0.0.1:7911" || o.SecretFile != "/etc/dovecot/secret" || len(o.Reply) != 1 {
		t.Errorf("got %+v, %v", o, err)
	}
	if _, err := Parse([]string{"127.0.0.1:7911", "/etc/dovecot/secret"}); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("got %v", err)
	}
}
