package control_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/daemon/control"
	"mailstork/daemon/secret"
	"mailstork/test/fakeoperator"
)

var someMetrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "mailstork_up 1\n") })

// serveMetrics runs a server for Prometheus until the test ends.
func serveMetrics(t *testing.T, network, address string, token secret.Secret) net.Addr {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server := &control.MetricsServer{Metrics: someMetrics, Token: token, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr()
}

func TestMetricsOnTCPAreForWhoeverShowsTheToken(t *testing.T) {
	address := serveMetrics(t, "tcp", "127.0.0.1:0", secret.FromString("the token")).String()
	nobodys := serveMetrics(t, "tcp", "127.0.0.1:0", secret.Secret{}).String()
	cases := []struct {
		name, address, path, authorization string
		status                             int
	}{
		{"the token", address, "/metrics", "Bearer the token", 200},
		{"the scheme in other letters", address, "/metrics", "bearer the token", 200},
		{"nothing", address, "/metrics", "", 401},
		{"another token", address, "/metrics", "Bearer the tokem", 401},
		{"a token that goes on", address, "/metrics", "Bearer the token2", 401},
		{"another scheme", address, "/metrics", "Basic the token", 401},
		{"the control API", address, "/v1/status", "Bearer the token", 404},
		{"a server without token, and none shown", nobodys, "/metrics", "Bearer ", 401},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+c.address+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.authorization != "" {
				request.Header["Authorization"] = []string{c.authorization}
			}
			transport := &http.Transport{DisableKeepAlives: true}
			answer, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != c.status || strings.Contains(string(body), "mailstork_") != (c.status == 200) {
				t.Errorf("got %d %q %v, want %d", answer.StatusCode, body, err, c.status)
			}
		})
	}
}

func TestMetricsAreOnTheControlSocketAndOnOneOfTheirOwn(t *testing.T) {
	operated := fakeoperator.Serve(t, &control.Server{Operator: fakeoperator.New(), Metrics: someMetrics, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	own := serveMetrics(t, "unix", filepath.Join(t.TempDir(), "metrics.sock"), secret.Secret{}).String()
	for _, socket := range []string{operated, own} {
		client := control.NewClient(socket)
		text, err := client.Metrics(t.Context())
		client.Close()
		if err != nil || string(text) != "mailstork_up 1\n" {
			t.Errorf("got %q, %v", text, err)
		}
	}
	if status, _ := raw(t, own, "GET", "/v1/status", ""); status != 404 {
		t.Errorf("the socket for metrics answers questions about everything: %d", status)
	}
}
