package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"mailstork/daemon/account"
)

// Server answers the control API from an Operator.
type Server struct {
	Operator Operator
	Metrics  http.Handler // answers GET /metrics; nil for none
	Logger   *slog.Logger

	timeout time.Duration // tests shorten it; 0 means answerTimeout
}

const (
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 30 * time.Second
	answerTimeout  = 2 * time.Minute // the DNS check and a large import are the slow ones
	idleTimeout    = time.Minute
	closeTimeout   = 5 * time.Second
	maxHeader      = 16 << 10
	followInterval = 500 * time.Millisecond
)

type peerKey struct{}

// Serve answers until ctx ends, then closes the listener and waits for the requests under way.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	group, err := socketGroup(listener)
	if err != nil {
		return fmt.Errorf("serving the control API: %w", err)
	}
	if err := serveHTTP(ctx, listener, s.allowed(group, s.routes()), cmp.Or(s.timeout, answerTimeout), s.Logger); err != nil {
		return fmt.Errorf("serving the control API: %w", err)
	}
	return nil
}

// serveHTTP answers on a listener until ctx ends. Handlers find in the request's context who asks.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, timeout time.Duration, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: timeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnContext:    withPeer,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		_ = server.Close() // whoever still reads an answer is cut off
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// withPeer notes who is connected. Without an answer of the kernel the peer stays unknown and is let in nowhere.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	peer, err := peerOf(conn)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, peer)
}

func (s *Server) allowed(group uint32, next http.Handler) http.Handler {
	own := uint32(os.Geteuid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isAllowed(r, own, group) {
			s.answerError(w, r, &Error{Kind: KindNotAllowed, Sentence: "this user may not use the control socket", Hint: "sudo mailstork status"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isAllowed asks the kernel's word about who is connected.
func isAllowed(r *http.Request, own, group uint32) bool {
	peer, known := r.Context().Value(peerKey{}).(Peer)
	return known && peer.mayControl(own, group)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, handle func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, handle) })
	}
	route("GET /v1/status", func(r *http.Request) (any, error) { return s.Operator.Status(r.Context()) })
	route("GET /v1/doctor", func(r *http.Request) (any, error) { return s.Operator.Doctor(r.Context()) })
	route("GET /v1/domains", func(r *http.Request) (any, error) { return s.Operator.Domains(r.Context()) })
	route("POST /v1/domains", s.addDomain)
	route("POST /v1/domains/{name}/options", s.setDomain)
	route("GET /v1/domains/{name}", named(s.Operator.Domain))
	route("POST /v1/domains/{name}/login", s.setDomainLogin)
	route("POST /v1/domains/{name}/check", named(s.Operator.CheckSource))
	route("GET /v1/domains/{name}/report", named(s.Operator.Report))
	route("GET /v1/domains/{name}/dns", named(s.Operator.CheckDNS))
	route("GET /v1/accounts", s.listAccounts)
	route("POST /v1/accounts/import", s.importAccounts)
	route("GET /v1/accounts/{address}", addressed(s.Operator.Account))
	route("GET /v1/accounts/{address}/folders", addressed(s.Operator.FolderMap))
	route("POST /v1/accounts/{address}/options", s.setAccount)
	route("POST /v1/accounts/{address}/password", s.setPassword)
	route("POST /v1/accounts/{address}/{action}", s.act)
	mux.HandleFunc("GET /v1/accounts/{address}/events", s.events)
	mux.HandleFunc("GET /v1/accounts/{address}/verification", s.verify)
	if s.Metrics != nil {
		mux.Handle("GET "+MetricsPath, s.Metrics)
	}
	route("/", func(r *http.Request) (any, error) {
		return nil, NotFound("no such request: "+r.Method+" "+r.URL.Path, "mailstork version")
	})
	return mux
}

// named reads the domain's name from the path.
func named[T any](ask func(context.Context, string) (T, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		name, err := account.ParseDomainName(r.PathValue("name"))
		if err != nil {
			return nil, Invalid(err.Error(), "mailstork domain list")
		}
		return ask(r.Context(), name)
	}
}

// addressed reads the account's address from the path.
func addressed[T any](ask func(context.Context, account.Address) (T, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		address, err := account.ParseAddress(r.PathValue("address"))
		if err != nil {
			return nil, Invalid(err.Error(), "mailstork account list")
		}
		return ask(r.Context(), address)
	}
}

func (s *Server) addDomain(r *http.Request) (any, error) {
	d, dryRun, err := decodeDomain(http.MaxBytesReader(nil, r.Body, maxBodyOctets))
	if err != nil {
		return nil, err
	}
	return s.Operator.AddDomain(r.Context(), d, dryRun)
}

func (s *Server) setDomain(r *http.Request) (any, error) {
	var in domainSetRequest
	if err := decodeStrict(http.MaxBytesReader(nil, r.Body, maxBodyOctets), &in); err != nil {
		return nil, err
	}
	return named(func(ctx context.Context, name string) (DomainChanged, error) {
		return s.Operator.SetDomain(ctx, name, in.Options, in.DryRun)
	})(r)
}

func (s *Server) setAccount(r *http.Request) (any, error) {
	var in accountSetRequest
	if err := decodeStrict(http.MaxBytesReader(nil, r.Body, maxBodyOctets), &in); err != nil {
		return nil, err
	}
	return addressed(func(ctx context.Context, address account.Address) (AccountChanged, error) {
		return s.Operator.SetAccount(ctx, address, in.Options, in.DryRun)
	})(r)
}

func (s *Server) setDomainLogin(r *http.Request) (any, error) {
	login, value, dryRun, err := decodeLogin(http.MaxBytesReader(nil, r.Body, maxBodyOctets))
	if err != nil {
		return nil, err
	}
	return named(func(ctx context.Context, name string) (Domain, error) {
		return s.Operator.SetDomainLogin(ctx, name, login, value, dryRun)
	})(r)
}

func (s *Server) importAccounts(r *http.Request) (any, error) {
	rows, dryRun, err := decodeImport(http.MaxBytesReader(nil, r.Body, maxImportOctets))
	if err != nil {
		return nil, err
	}
	return s.Operator.Import(r.Context(), rows, dryRun)
}

func (s *Server) listAccounts(r *http.Request) (any, error) {
	query := r.URL.Query()
	return s.Operator.Accounts(r.Context(), AccountFilter{
		Domain: query.Get("domain"), State: account.State(query.Get("state")),
		Stuck: query.Has("stuck"), Paused: query.Has("paused"),
	})
}

func (s *Server) act(r *http.Request) (any, error) {
	action, err := ParseAction(r.PathValue("action"))
	if err != nil {
		return nil, err
	}
	return addressed(func(ctx context.Context, address account.Address) (Account, error) {
		return s.Operator.Act(ctx, address, action)
	})(r)
}

// answer writes what handle returns. Changes are logged with who asked for them; bodies never are (S1).
func (s *Server) answer(w http.ResponseWriter, r *http.Request, handle func(*http.Request) (any, error)) {
	result, err := handle(r)
	if err != nil {
		s.answerError(w, r, err)
		return
	}
	if r.Method != http.MethodGet {
		s.log(r, slog.LevelInfo)
	}
	s.write(w, r, http.StatusOK, result)
}

func (s *Server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	known := asError(err)
	level := slog.LevelInfo
	if known.Kind == KindFailed {
		level = slog.LevelWarn
	}
	s.log(r, level, slog.String("err", known.Sentence))
	s.write(w, r, statusOf[known.Kind], known)
}

func (s *Server) log(r *http.Request, level slog.Level, more ...slog.Attr) {
	attributes := []slog.Attr{slog.String("event", "control"), slog.String("request", r.Method+" "+r.URL.Path)}
	if peer, known := r.Context().Value(peerKey{}).(Peer); known {
		attributes = append(attributes, slog.Uint64("uid", uint64(peer.UID)))
	}
	s.Logger.LogAttrs(r.Context(), level, "control", append(attributes, more...)...)
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, value any) {
	text, err := json.Marshal(withoutNulls(value))
	if err != nil {
		s.log(r, slog.LevelError, slog.String("err", err.Error()))
		status, text = http.StatusInternalServerError, []byte(`{"kind":"failed","error":"the answer can't be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // the client has gone: nobody is left to tell
}
