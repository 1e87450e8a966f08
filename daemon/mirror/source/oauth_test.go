package source_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

// endpoint is a token endpoint over HTTPS that numbers its tokens.
type endpoint struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // one line per request
	reply func(n int) (status int, body string)
}

func newEndpoint(t testing.TB, reply func(n int) (int, string)) *endpoint {
	e := &endpoint{reply: reply}
	e.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		user, pw, _ := r.BasicAuth()
		_ = r.ParseForm()
		e.asked = append(e.asked, fmt.Sprintf("%s %s %s:%s %s", r.Method, r.Header.Get("Content-Type"), user, pw, r.PostForm.Encode()))
		status, body := e.reply(len(e.asked))
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.asked...)
}

func (e *endpoint) source(o source.OAuthOptions) *source.OAuth {
	o.URL, o.Transport = e.URL+"/token", e.Client().Transport
	return source.NewOAuth(o)
}

func TestATokenIsKeptUntilShortlyBeforeItEndsAndReplacedWhenRefused(t *testing.T) {
	now := time.Unix(1e9, 0)
	e := newEndpoint(t, func(n int) (int, string) {
		return 200, fmt.Sprintf(`{"access_token":"t%d","token_type":"Bearer","expires_in":3600,"more":[1]}`, n)
	})
	s := e.source(source.OAuthOptions{ClientID: "me:too", ClientSecret: secret.FromString("canary &"), Scope: "imap", Now: func() time.Time { return now }})
	want := func(token string) {
		t.Helper()
		got, expiry, err := s.Token(ctx(t))
		if err != nil || string(got.Reveal()) != token || !expiry.After(now) {
			t.Errorf("got %q until %v, %v; want %q", got.Reveal(), expiry, err, token)
		}
	}
	want("t1")
	now = now.Add(57 * time.Minute)
	want("t1")
	now = now.Add(2 * time.Minute)
	want("t2")
	s.Refused(secret.FromString("t1")) // an old one: another connection was slow
	want("t2")
	s.Refused(secret.FromString("t2"))
	want("t3")
	if got := e.requests()[0]; got != "POST application/x-www-form-urlencoded me%3Atoo:canary+%26 grant_type=client_credentials&scope=imap" {
		t.Errorf("RFC 6749 §4.4, §2.3.1: asked %q", got)
	}
}

func TestARotatedRefreshTokenIsKeptBeforeItIsNeeded(t *testing.T) {
	e := newEndpoint(t, func(n int) (int, string) {
		return 200, fmt.Sprintf(`{"access_token":"t%d","token_type":"bearer","refresh_token":"r%d"}`, n, n+1)
	})
	var kept []string
	var trouble error
	s := e.source(source.OAuthOptions{ClientID: "public", RefreshToken: secret.FromString("r1"),
		Rotated: func(_ context.Context, r secret.Secret) error {
			kept = append(kept, string(r.Reveal()))
			return trouble
		}})
	for range 2 {
		token, _, err := s.Token(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		s.Refused(token)
	}
	want := []string{"POST application/x-www-form-urlencoded : client_id=public&grant_type=refresh_token&refresh_token=r1",
		"POST application/x-www-form-urlencoded : client_id=public&grant_type=refresh_token&refresh_token=r2"}
	if got := e.requests(); strings.Join(got, "\n") != strings.Join(want, "\n") || strings.Join(kept, " ") != "r2 r3" {
		t.Errorf("asked %q, kept %q", got, kept)
	}
	trouble = errors.New("disk full")
	if _, _, err := s.Token(ctx(t)); !errors.Is(err, trouble) {
		t.Errorf("a refresh token that could not be kept: %v", err)
	}
}

// Everything that an endpoint may say is bounded, and told with our secrets hidden (S1).
func TestATokenEndpointInTroubleIsToldFromACredentialRefused(t *testing.T) {
	for body, c := range map[string]struct {
		status  int
		refused bool
		says    string
	}{
		`{"error":"invalid_grant","error_description":"canary-r was revoked"}`: {400, true, `"invalid_grant" ("*** was revoked")`},
		`{"error":"invalid_client"}`:                      {401, true, "invalid_client"},
		`{"error":"temporarily_unavailable"}`:             {503, false, "for now"},
		`<html>502</html>`:                                {502, false, "no JSON"},
		`{"access_token":"x","token_type":"mac"}`:         {200, false, "no bearer token"},
		`{"token_type":"bearer"}`:                         {200, false, "no bearer token"},
		`{"access_token":"` + strings.Repeat("x", 70_000): {200, false, "more than 65536"},
		"": {302, false, "does not redirect"},
	} {
		e := newEndpoint(t, func(int) (int, string) { return c.status, body })
		if c.status == 302 {
			e.Config.Handler = http.RedirectHandler("https://elsewhere.invalid/", http.StatusFound)
		}
		_, _, err := e.source(source.OAuthOptions{ClientID: "c", ClientSecret: secret.FromString("canary-s"), RefreshToken: secret.FromString("canary-r")}).Token(ctx(t))
		var te *wire.TokenError
		if refused := errors.As(err, &te) && te.Refused; err == nil || refused != c.refused || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%.60s: got %v", body, err)
		}
	}
	if _, _, err := source.NewOAuth(source.OAuthOptions{URL: "http://127.0.0.1:1/", ClientID: "c"}).Token(ctx(t)); err == nil || !strings.Contains(err.Error(), "HTTPS") {
		t.Errorf("over HTTP: %v", err)
	}
	e := newEndpoint(t, func(int) (int, string) { return 200, "{}" })
	_, _, err := source.NewOAuth(source.OAuthOptions{URL: e.URL, ClientID: "c", PublicOnly: true}).Token(ctx(t))
	var private *account.PrivateAddressError
	if !errors.As(err, &private) {
		t.Errorf("an endpoint in our own network: %v", err)
	}
}

// oauthSource is a Dovecot 2.3 that asks an introspection endpoint about every token: those in valid are good.
func oauthSource(t testing.TB, valid func(token string) bool) *testbed.Dovecot {
	t.Helper()
	introspect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		token := r.PostForm.Get("token")
		if token == "" {
			token = strings.TrimPrefix(r.URL.Path, "/introspect/")
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"active":%v,"email":%q}`, valid(token), owner)
	}))
	t.Cleanup(introspect.Close)
	lab := testbed.NewForTest(t)
	conf := lab.Dir + "/oauth2.conf.ext"
	if err := os.WriteFile(conf, []byte("introspection_url = "+introspect.URL+"/introspect\nintrospection_mode = post\nusername_attribute = email\nactive_attribute = active\nactive_value = true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := lab.StartSource(testbed.SourceOptions{Version: testbed.Dovecot23, Accounts: map[string]string{owner: password},
		ExtraConfig: "auth_mechanisms = plain login xoauth2 oauthbearer\npassdb {\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = " + conf + "\n}\n"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDovecotsOAuth2IsLoggedInToAndARefusedTokenRefreshedOnce(t *testing.T) {
	good := "t2"
	d := oauthSource(t, func(token string) bool { return token == good })
	e := newEndpoint(t, func(n int) (int, string) {
		return 200, fmt.Sprintf(`{"access_token":"t%d","token_type":"Bearer","expires_in":3600}`, n)
	})
	tokens := e.source(source.OAuthOptions{ClientID: "c", ClientSecret: secret.FromString("s")})
	o := source.Options{Server: serverAt(t, d.IMAPSAddress, account.TLSImplicit, d.CAFile), User: owner, Tokens: tokens}
	for _, what := range []string{"t1 is refused, t2 taken", "t2 is still good"} {
		c, err := source.Dial(ctx(t), o)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, err = c.Examine(ctx(t), "INBOX"); err != nil || len(e.requests()) != 2 {
			t.Errorf("%s: %v, %d tokens were asked for", what, err, len(e.requests()))
		}
		_ = c.Close()
	}
	good = "none"
	_, err := source.Dial(ctx(t), o)
	var le *wire.LoginError
	if !errors.As(err, &le) || !le.Refused || len(e.requests()) > 4 {
		t.Errorf("a credential that is worth nothing: %v after %d tokens", err, len(e.requests()))
	}
}

// said answers every request with the same octets.
type said struct {
	status int
	body   []byte
}

func (s said) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: s.status, Body: io.NopCloser(bytes.NewReader(s.body))}, nil
}

// FuzzTokenAnswer lets an endpoint say anything: either a token comes that can be shown, or an error without our secrets.
func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"t","token_type":"bearer","expires_in":1e300,"refresh_token":"r2"}`))
	f.Add(400, []byte(`{"error":"invalid_grant","error_description":"canary-secret"}`))
	f.Add(200, []byte(`{"access_token":["t"]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		now := time.Unix(1e9, 0)
		s := source.NewOAuth(source.OAuthOptions{URL: "https://x.example/", ClientID: "c", ClientSecret: secret.FromString("canary-secret"),
			RefreshToken: secret.FromString("canary-refresh"), Transport: said{status, body}, Now: func() time.Time { return now }})
		token, expiry, err := s.Token(t.Context())
		switch {
		case err != nil && (strings.Contains(err.Error(), "canary-secret") || strings.Contains(err.Error(), "canary-refresh")):
			t.Errorf("a secret in %v", err)
		case err == nil && (token.IsZero() || len(token.Reveal()) > 16<<10 || !expiry.After(now) || expiry.After(now.Add(31*24*time.Hour))):
			t.Errorf("a token of %d octets until %v", len(token.Reveal()), expiry)
		}
	})
}
