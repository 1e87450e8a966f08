package checkpassword

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"mailstork/daemon/secret"
)

// Client asks the auth hook.
type Client struct {
	Address string // "127.0.0.1:7911", or the path of a Unix socket
	Secret  secret.Secret
}

// Login is what Dovecot tells of a login beside user and password.
type Login struct {
	Client  string // address of the mail program, with or without a port; empty when unknown
	Service string // imap, pop3, smtp …
}

// Place is where an account's mail is.
type Place struct {
	UID  string `json:"uid"`
	GID  string `json:"gid"`
	Home string `json:"home"`
}

// The clear answers of the hook; every other error is a temporary failure.
var (
	ErrRefused = errors.New("the password is refused")
	ErrUnknown = errors.New("no such account")
)

const (
	answerWithin    = 29 * time.Second // the hook answers within 27
	maxAnswerOctets = 64 << 10
)

// Verify asks whether somebody may log in.
func (c Client) Verify(ctx context.Context, r Request, l Login) (Place, error) {
	body := encode(field{"grant_type", []byte("password")}, field{"username", []byte(r.User)}, field{"password", r.Password.Reveal()},
		field{"client_secret", c.Secret.Reveal()})
	var answer struct {
		Place
		Username string `json:"username"`
		Active   string `json:"active"`
	}
	header := http.Header{"X-Dovecot-Auth-Service": {l.Service}}
	if l.Client != "" {
		header.Set("X-Dovecot-Auth-Remote", remote(l.Client))
	}
	switch status, err := c.post(ctx, "/grant", header, body, &answer); {
	case err != nil:
		return Place{}, err
	case status != http.StatusOK:
		return Place{}, fmt.Errorf("the auth hook has no answer for now (HTTP %d)", status)
	case answer.Username != r.User || answer.Active != "true":
		return Place{}, ErrRefused
	}
	return answer.Place, nil
}

// Find asks where the mail of an account is, without a password.
func (c Client) Find(ctx context.Context, user string) (place Place, err error) {
	status, err := c.post(ctx, "/userdb", http.Header{}, encode(field{"username", []byte(user)}, field{"client_secret", c.Secret.Reveal()}), &place)
	switch {
	case err != nil:
		return Place{}, err
	case status == http.StatusNotFound:
		return Place{}, ErrUnknown
	case status != http.StatusOK:
		return Place{}, fmt.Errorf("the auth hook has no answer for now (HTTP %d)", status)
	}
	return place, nil
}

func (c Client) post(ctx context.Context, path string, header http.Header, body []byte, answer any) (status int, err error) {
	defer clear(body)
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	network := "tcp"
	if strings.HasPrefix(c.Address, "/") {
		network = "unix"
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, c.Address)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://hook"+path, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("asking the auth hook: %w", err)
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := transport.RoundTrip(request)
	if err != nil {
		return 0, fmt.Errorf("asking the auth hook at %s: %w", c.Address, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswerOctets)).Decode(answer); err != nil {
		return 0, fmt.Errorf("reading the auth hook's answer: %w", err)
	}
	return response.StatusCode, nil
}

type field struct {
	name  string
	value []byte
}

// encode makes a form. Values never become strings, so that it can be wiped; it never grows, so that no copy is left.
func encode(fields ...field) []byte {
	octets := 0
	for _, f := range fields {
		octets += len(f.name) + 3*len(f.value) + 2
	}
	form := make([]byte, 0, octets)
	for i, f := range fields {
		if i > 0 {
			form = append(form, '&')
		}
		form = escape(append(append(form, f.name...), '='), f.value)
	}
	return form
}

func escape(form, value []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, octet := range value {
		form = append(form, '%', digits[octet>>4], digits[octet&15])
	}
	return form
}

// remote puts a port behind an address, as Dovecot's own requests have it.
func remote(client string) string {
	if address, err := netip.ParseAddr(client); err == nil {
		return netip.AddrPortFrom(address, 0).String()
	}
	return client
}
