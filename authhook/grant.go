package authhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"mailstork/daemon/secret"
)

// GrantPath is the path of Dovecot's grant_url.
const GrantPath = "/grant"

const (
	maxBodyOctets = 64 << 10
	answerWithin  = 27 * time.Second // Dovecot's timeout_msecs is 30000
)

// Server returns an HTTP server for one or several listeners: loopback TCP for Dovecot 2.3, a Unix socket for 2.4.
// The caller serves and shuts it down.
func (h *Hook) Server() *http.Server {
	return &http.Server{
		Handler:           h.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      answerWithin + 5*time.Second,
		IdleTimeout:       2 * time.Minute, // Dovecot keeps connections for one
		MaxHeaderBytes:    16 << 10,
	}
}

// Handler answers POST /grant (RFC 6749 §4.3 in form only) and POST /userdb. Everything else is 404 or 405.
func (h *Hook) Handler() http.Handler {
	mux := http.NewServeMux() // takes the absolute-form request target of Dovecot 2.4 as well
	mux.HandleFunc("POST "+GrantPath, h.serveGrant)
	mux.HandleFunc("POST "+UserdbPath, h.serveUserdb)
	return mux
}

// errStranger is for requests without the client secret. They learn nothing: the answer is that of any trouble, and
// nothing is looked up. A Dovecot with an old secret then says UNAVAILABLE and not that every password is wrong.
var errStranger = errors.New("a request without the right client_secret came to the auth hook; " +
	"if it was Dovecot, its client_secret is not that of hook.client_secret_file")

func (h *Hook) serveGrant(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			h.turnAway(ctx, w, panicked(v))
		}
	}()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyOctets))
	defer clear(body)
	if err != nil {
		h.turnAway(ctx, w, fmt.Errorf("reading a request to the auth hook: %w", err))
		return
	}
	request, err := decodeGrant(body)
	if err != nil {
		h.turnAway(ctx, w, fmt.Errorf("reading a request to the auth hook: %w", err))
		return
	}
	defer request.password.Wipe()
	if !h.isClient(request.clientSecret) {
		h.turnAway(ctx, w, errStranger)
		return
	}
	decision := h.Decide(ctx, Attempt{
		User:     request.username,
		Password: request.password,
		Client:   clientAddress(r.Header.Get("X-Dovecot-Auth-Remote")),
		// 2.3 says Service, 2.4 Protocol
		Service: serviceName(r.Header.Get("X-Dovecot-Auth-Service") + r.Header.Get("X-Dovecot-Auth-Protocol")),
	})
	answer(w, request.username, decision)
}

func (h *Hook) isClient(shown []byte) bool { return h.clientSecret.Equal(secret.New(shown)) }

func (h *Hook) turnAway(ctx context.Context, w http.ResponseWriter, err error) {
	h.journal.Decided(ctx, Decision{Result: TryLater, Why: "request", Err: err})
	unavailable(w)
}

func unavailable(w http.ResponseWriter) {
	http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
}

// grantReply is what Dovecot 2.3 and 2.4 understand alike. There is no error member: 2.4.1 makes a failure of it. Every
// field that pass_attrs may name is always there: 2.4.1 aborts its auth process when one is missing.
type grantReply struct {
	AccessToken string `json:"access_token"`
	Username    string `json:"username"`
	Active      string `json:"active"`
	UID         string `json:"uid"`
	GID         string `json:"gid"`
	Home        string `json:"home"`
}

func answer(w http.ResponseWriter, username string, d Decision) {
	// What no other passdb may ever inherit if Dovecot should forget that this one said no.
	body := grantReply{AccessToken: "-", Username: "-", Active: "true", UID: nobody, GID: nobody, Home: "/nonexistent"}
	switch d.Result {
	case Yes:
		body = grantReply{AccessToken: "t", Username: username, Active: "true",
			UID: strconv.Itoa(d.UID), GID: strconv.Itoa(d.GID), Home: d.Home}
	case No:
		body.Username, body.Active = username, "false"
	case NotOurs, Onward: // another user name than the asked one: Dovecot goes on to the next passdb
	default:
		unavailable(w)
		return
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // the user name goes back octet by octet
	if err := encoder.Encode(body); err != nil {
		unavailable(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(text.Bytes()) // Dovecot went away: nobody to tell
}

const nobody = "65534"

// clientAddress reads "192.0.2.1:52672" and "[2001:db8::1]:52672"; anything else is no address.
func clientAddress(text string) netip.Addr {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap()
	}
	address, _ := netip.ParseAddr(text)
	return address.Unmap()
}

// serviceName takes a short word only, since it goes to the log.
func serviceName(text string) string {
	for _, c := range text {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return ""
		}
	}
	return text[:min(len(text), 16)]
}

// grant is a request of Dovecot's oauth2 passdb.
type grant struct {
	username     string
	password     secret.Secret
	clientSecret []byte
}

var (
	errGrantForm  = errors.New("it is no form of Dovecot's password grant")
	errGrantField = errors.New("a field is missing or there twice")
)

// decodeForm reads application/x-www-form-urlencoded with at least the named fields, each once. Values never become
// strings on the way, so that they can be wiped.
func decodeForm(body []byte, names ...string) (map[string][]byte, error) {
	values := map[string][]byte{}
	for field := range bytes.SplitSeq(body, []byte{'&'}) {
		name, value, found := bytes.Cut(field, []byte{'='})
		key, nameErr := unescape(name)
		decoded, valueErr := unescape(value)
		if !found || nameErr != nil || valueErr != nil {
			return nil, errGrantForm
		}
		if _, twice := values[string(key)]; twice {
			return nil, errGrantField
		}
		values[string(key)] = decoded
	}
	for _, name := range names {
		if _, there := values[name]; !there {
			return nil, errGrantField
		}
	}
	return values, nil
}

func decodeGrant(body []byte) (grant, error) {
	values, err := decodeForm(body, "username", "password", "client_secret")
	if err != nil {
		return grant{}, err
	}
	if string(values["grant_type"]) != "password" {
		return grant{}, errGrantForm
	}
	defer clear(values["password"])
	return grant{
		username:     string(values["username"]),
		password:     secret.New(values["password"]),
		clientSecret: values["client_secret"],
	}, nil
}

// unescape undoes percent-encoding; "+" is a space.
func unescape(text []byte) ([]byte, error) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(text) {
				return nil, errGrantForm
			}
			octet, err := strconv.ParseUint(string(text[i+1:i+3]), 16, 8)
			if err != nil {
				return nil, errGrantForm
			}
			out = append(out, byte(octet))
			i += 2
		default:
			out = append(out, text[i])
		}
	}
	return out, nil
}
