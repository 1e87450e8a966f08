package control

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"mailstork/daemon/secret"
)

// MetricsPath is what Prometheus asks for.
const MetricsPath = "/metrics"

// metricsTimeout is for one answer; Prometheus waits for ten seconds.
const metricsTimeout = 15 * time.Second

// MetricsServer shows the metrics, and nothing else, to programs that may not control anything.
type MetricsServer struct {
	Metrics http.Handler
	// Token is what a client on TCP must show. On a Unix socket the kernel tells who asks, and root, our own user and the
	// socket's group are let in.
	Token  secret.Secret
	Logger *slog.Logger
}

// Serve answers until ctx ends, then closes the listener.
func (s *MetricsServer) Serve(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET "+MetricsPath, s.Metrics)
	handler, err := s.guarded(listener, mux)
	if err == nil {
		err = serveHTTP(ctx, listener, handler, metricsTimeout, s.Logger)
	}
	if err != nil {
		return fmt.Errorf("serving the metrics: %w", err)
	}
	return nil
}

func (s *MetricsServer) guarded(listener net.Listener, next http.Handler) (http.Handler, error) {
	if listener.Addr().Network() != "unix" {
		return s.withToken(next), nil
	}
	group, err := socketGroup(listener)
	if err != nil {
		return nil, err
	}
	own := uint32(os.Geteuid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAllowed(r, own, group) {
			http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}

// withToken is RFC 6750 §2.1. Without a token nobody is let in.
func (s *MetricsServer) withToken(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if s.Token.IsZero() || !strings.EqualFold(scheme, "Bearer") || !s.Token.Equal(secret.FromString(shown)) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, http.StatusText(http.StatusUnauthorized), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
