package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
)

const (
	tokenTimeout   = 30 * time.Second
	maxTokenAnswer = 64 << 10
	maxToken       = 16 << 10
	// tokenMargin is how long before its end a token is replaced: longer than a login takes.
	tokenMargin     = 2 * time.Minute
	defaultLifetime = 5 * time.Minute // of a token whose endpoint does not say (RFC 6749 §4.2.2)
)

// OAuthOptions say how access tokens are got from a token endpoint.
type OAuthOptions struct {
	URL, ClientID, Scope string
	ClientSecret         secret.Secret // none for a public client
	// RefreshToken chooses the grant: RFC 6749 §6 with one, §4.4 (client_credentials) without.
	RefreshToken secret.Secret
	// Rotated is told of a new refresh token before the first use of what came with it. It may be nil.
	Rotated func(ctx context.Context, refreshToken secret.Secret) error
	// PublicOnly refuses an endpoint inside our own network.
	PublicOnly bool
	// Transport replaces the one of the system, in tests.
	Transport http.RoundTripper
	Now       func() time.Time // nil: time.Now
}

// OAuth is a wire.TokenSource that keeps a token until shortly before it ends. It may be used by many goroutines; one
// of them asks the endpoint, the others wait for its answer.
type OAuth struct {
	o       OAuthOptions
	client  http.Client
	turn    chan struct{} // holds one token: whoever has it may touch what follows
	current secret.Secret
	expiry  time.Time
}

var _ wire.TokenSource = (*OAuth)(nil)

// NewOAuth asks nobody yet.
func NewOAuth(o OAuthOptions) *OAuth {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &OAuth{o: o, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	s.client = http.Client{Timeout: tokenTimeout, Transport: o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a token endpoint does not redirect") }}
	if o.Transport == nil {
		dialer := net.Dialer{Timeout: tokenTimeout}
		if o.PublicOnly {
			dialer.Control = account.RefusePrivate
		}
		s.client.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,
			TLSHandshakeTimeout: tokenTimeout, ResponseHeaderTimeout: tokenTimeout, MaxResponseHeaderBytes: maxTokenAnswer, IdleConnTimeout: time.Minute}
	}
	return s
}

// Token implements wire.TokenSource.
func (s *OAuth) Token(ctx context.Context) (secret.Secret, time.Time, error) {
	select {
	case <-ctx.Done():
		return secret.Secret{}, time.Time{}, context.Cause(ctx)
	case <-s.turn:
	}
	defer func() { s.turn <- struct{}{} }()
	if !s.current.IsZero() && s.o.Now().Before(s.expiry.Add(-tokenMargin)) {
		return s.current, s.expiry, nil
	}
	if err := s.fetch(ctx); err != nil {
		return secret.Secret{}, time.Time{}, err
	}
	return s.current, s.expiry, nil
}

// Refused implements wire.TokenSource.
func (s *OAuth) Refused(token secret.Secret) {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if s.current.Equal(token) {
		s.current = secret.Secret{}
	}
}

// tokenAnswer is RFC 6749 §5.1 and §5.2 in one.
type tokenAnswer struct {
	AccessToken  string  `json:"access_token"`
	TokenType    string  `json:"token_type"`
	ExpiresIn    float64 `json:"expires_in"`
	RefreshToken string  `json:"refresh_token"`
	Error        string  `json:"error"`
	Description  string  `json:"error_description"`
}

func (s *OAuth) fetch(ctx context.Context) error {
	began := s.o.Now()
	status, body, err := s.post(ctx)
	if err != nil {
		return fmt.Errorf("asking the token endpoint: %w", err)
	}
	defer clear(body)
	var a tokenAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("asking the token endpoint: it answers with status %d and no JSON", status)
	}
	if status != http.StatusOK || a.Error != "" {
		return s.refusal(status, a)
	}
	if a.AccessToken == "" || len(a.AccessToken) > maxToken || !strings.EqualFold(a.TokenType, "bearer") {
		return fmt.Errorf("asking the token endpoint: its answer holds no bearer token")
	}
	lifetime := defaultLifetime
	if a.ExpiresIn > 0 {
		lifetime = time.Duration(min(a.ExpiresIn, 30*24*3600)) * time.Second
	}
	if a.RefreshToken != "" && a.RefreshToken != string(s.o.RefreshToken.Reveal()) && !s.o.RefreshToken.IsZero() {
		rotated := secret.FromString(a.RefreshToken)
		if s.o.Rotated != nil {
			if err := s.o.Rotated(ctx, rotated); err != nil {
				return fmt.Errorf("keeping the new refresh token: %w", err)
			}
		}
		s.o.RefreshToken = rotated
	}
	s.current, s.expiry = secret.FromString(a.AccessToken), began.Add(max(lifetime, tokenMargin+time.Second))
	return nil
}

func (s *OAuth) post(ctx context.Context) (status int, body []byte, err error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if !s.o.RefreshToken.IsZero() {
		form = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(s.o.RefreshToken.Reveal())}}
	}
	if s.o.Scope != "" {
		form.Set("scope", s.o.Scope)
	}
	if s.o.ClientSecret.IsZero() {
		form.Set("client_id", s.o.ClientID)
	}
	encoded := []byte(form.Encode())
	defer clear(encoded)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.o.URL, bytes.NewReader(encoded))
	if err != nil {
		return 0, nil, errors.New("its address cannot be used")
	}
	if request.URL.Scheme != "https" {
		return 0, nil, errors.New("it is not reached over HTTPS, and no secret is sent in clear")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if !s.o.ClientSecret.IsZero() { // RFC 6749 §2.3.1: both are form-encoded first
		request.SetBasicAuth(url.QueryEscape(s.o.ClientID), url.QueryEscape(string(s.o.ClientSecret.Reveal())))
	}
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, maxTokenAnswer+1))
	if err == nil && len(body) > maxTokenAnswer {
		err = fmt.Errorf("it answers with more than %d octets", maxTokenAnswer)
	}
	return response.StatusCode, body, err
}

// refusal tells a credential that was judged (RFC 6749 §5.2) from an endpoint in trouble.
func (s *OAuth) refusal(status int, a tokenAnswer) error {
	host := s.o.URL
	if u, err := url.Parse(s.o.URL); err == nil {
		host = u.Host
	}
	said := fmt.Sprintf("status %d, %q", status, s.clean(a.Error))
	if a.Description != "" {
		said += fmt.Sprintf(" (%q)", s.clean(a.Description))
	}
	switch a.Error {
	case "invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type", "access_denied":
		return &wire.TokenError{Refused: true, Sentence: fmt.Sprintf("the token endpoint %s refuses the credential: %s", host, said)}
	}
	return &wire.TokenError{Sentence: fmt.Sprintf("the token endpoint %s gives no token for now: %s", host, said)}
}

// clean shortens what an endpoint said, and hides our secrets in it (S1).
func (s *OAuth) clean(text string) string {
	for _, hidden := range []secret.Secret{s.o.ClientSecret, s.o.RefreshToken} {
		if !hidden.IsZero() {
			text = strings.ReplaceAll(text, string(hidden.Reveal()), "***")
		}
	}
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
