package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"mailstork/daemon/account"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/secret"
)

// Event is one thing that happened to an account.
type Event = eventlog.Event

// maxAnswerOctets bounds what a client reads: 50,000 accounts with all their fields are some 20 MiB.
const maxAnswerOctets = 256 << 20

// Client speaks to the daemon behind a socket. It may be used from several goroutines.
// Its errors are *Error (the daemon's answer) or *Unreachable.
type Client struct {
	socket string
	http   http.Client
}

var _ Operator = (*Client)(nil)

// NewClient returns a client for the daemon behind the Unix socket at path. It connects when it is asked something.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{socket: path, http: http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status implements Observer.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// Metrics returns all metrics as Prometheus reads them.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	body, err := c.ask(ctx, http.MethodGet, MetricsPath, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxAnswerOctets))
	if err != nil {
		return nil, fmt.Errorf("reading the daemon's answer: %w", err)
	}
	return text, nil
}

// Doctor implements Observer.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	return get[[]Finding](ctx, c, "/v1/doctor")
}

// Domains implements DomainOperator.
func (c *Client) Domains(ctx context.Context) ([]Domain, error) {
	return get[[]Domain](ctx, c, "/v1/domains")
}

// Domain implements DomainOperator.
func (c *Client) Domain(ctx context.Context, name string) (Domain, error) {
	return get[Domain](ctx, c, "/v1/domains/"+url.PathEscape(name))
}

// AddDomain implements DomainOperator.
func (c *Client) AddDomain(ctx context.Context, d account.Domain, dryRun bool) (Domain, error) {
	return post[Domain](ctx, c, "/v1/domains", domainRequest{Name: d.Name, Source: d.Source, Options: OptionsOf(d), DryRun: dryRun})
}

// SetDomain implements DomainOperator.
func (c *Client) SetDomain(ctx context.Context, name string, options DomainOptions, dryRun bool) (DomainChanged, error) {
	return post[DomainChanged](ctx, c, "/v1/domains/"+url.PathEscape(name)+"/options", domainSetRequest{options, dryRun})
}

// SetDomainLogin implements DomainOperator.
func (c *Client) SetDomainLogin(ctx context.Context, name string, login account.SourceLogin, value secret.Secret, dryRun bool) (Domain, error) {
	return post[Domain](ctx, c, "/v1/domains/"+url.PathEscape(name)+"/login", loginRequest{login, value.Reveal(), dryRun})
}

// CheckSource implements DomainOperator.
func (c *Client) CheckSource(ctx context.Context, name string) (account.SourceCheck, error) {
	return post[account.SourceCheck](ctx, c, "/v1/domains/"+url.PathEscape(name)+"/check", struct{}{})
}

// Report implements DomainOperator.
func (c *Client) Report(ctx context.Context, name string) (Report, error) {
	return get[Report](ctx, c, "/v1/domains/"+url.PathEscape(name)+"/report")
}

// CheckDNS implements DomainOperator.
func (c *Client) CheckDNS(ctx context.Context, name string) (json.RawMessage, error) {
	return get[json.RawMessage](ctx, c, "/v1/domains/"+url.PathEscape(name)+"/dns")
}

// Accounts implements AccountOperator.
func (c *Client) Accounts(ctx context.Context, filter AccountFilter) ([]Account, error) {
	query := url.Values{"domain": {filter.Domain}, "state": {string(filter.State)}}
	if filter.Stuck {
		query.Set("stuck", "1")
	}
	if filter.Paused {
		query.Set("paused", "1")
	}
	return get[[]Account](ctx, c, "/v1/accounts?"+query.Encode())
}

// Account implements AccountOperator.
func (c *Client) Account(ctx context.Context, address account.Address) (AccountDetail, error) {
	return get[AccountDetail](ctx, c, accountPath(address))
}

// SetAccount implements AccountOperator.
func (c *Client) SetAccount(ctx context.Context, address account.Address, options AccountOptions, dryRun bool) (AccountChanged, error) {
	return post[AccountChanged](ctx, c, accountPath(address)+"/options", accountSetRequest{options, dryRun})
}

// FolderMap implements AccountOperator.
func (c *Client) FolderMap(ctx context.Context, address account.Address) (FolderMap, error) {
	return get[FolderMap](ctx, c, accountPath(address)+"/folders")
}

// Import implements AccountOperator.
func (c *Client) Import(ctx context.Context, rows []ImportRow, dryRun bool) (ImportResult, error) {
	request := importRequest{DryRun: dryRun, Rows: make([]importRow, len(rows))}
	for i, row := range rows {
		request.Rows[i] = importRow{row.Line, string(row.Address), row.SourceUser, row.Password.Reveal()}
	}
	return post[ImportResult](ctx, c, "/v1/accounts/import", request)
}

// Act implements AccountOperator.
func (c *Client) Act(ctx context.Context, address account.Address, action Action) (Account, error) {
	return post[Account](ctx, c, accountPath(address)+"/"+string(action), struct{}{})
}

// Events implements Observer.
func (c *Client) Events(ctx context.Context, address account.Address, since int64, limit int) ([]Event, error) {
	var all []Event
	err := c.readEvents(ctx, eventsPath(address, since, limit), func(e Event) error {
		all = append(all, e)
		return nil
	})
	return all, err
}

// Follow passes the newest events and then every new one to each, in order, until ctx ends (no error), each fails, or
// the daemon goes away.
func (c *Client) Follow(ctx context.Context, address account.Address, since int64, limit int, each func(Event) error) error {
	err := c.readEvents(ctx, eventsPath(address, since, limit)+"&follow", each)
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return &Unreachable{c.socket, errors.New("the daemon ended the answer")}
	}
	return err
}

func eventsPath(address account.Address, since int64, limit int) string {
	query := url.Values{"since": {strconv.FormatInt(since, 10)}, "limit": {strconv.Itoa(limit)}}
	return accountPath(address) + "/events?" + query.Encode()
}

func (c *Client) readEvents(ctx context.Context, path string, each func(Event) error) error {
	body, err := c.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	decoder := json.NewDecoder(bufio.NewReader(body))
	for {
		var e Event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return &Unreachable{c.socket, err}
		}
		if err := each(e); err != nil {
			return err
		}
	}
}

func accountPath(address account.Address) string {
	return "/v1/accounts/" + url.PathEscape(string(address))
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return read[T](c.ask(ctx, http.MethodGet, path, nil))
}

func post[T any](ctx context.Context, c *Client, path string, request any) (T, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return *new(T), fmt.Errorf("writing the request: %w", err)
	}
	defer clear(text) // it may hold passwords (S1)
	return read[T](c.ask(ctx, http.MethodPost, path, bytes.NewReader(text)))
}

func read[T any](body io.ReadCloser, err error) (T, error) {
	var value T
	if err != nil {
		return value, err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, maxAnswerOctets)).Decode(&value); err != nil {
		return value, fmt.Errorf("reading the daemon's answer: %w", err)
	}
	return value, nil
}

// ask sends one request and returns the body of a good answer; the caller closes it.
func (c *Client) ask(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://mailstork"+path, body)
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		var withURL *url.Error
		if errors.As(err, &withURL) {
			err = withURL.Err
		}
		return nil, &Unreachable{c.socket, err}
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	failure := &Error{}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxImportOctets)).Decode(failure); err != nil || failure.Sentence == "" {
		return nil, &Error{Kind: KindFailed, Sentence: "the daemon gave an answer that is not understood", Raw: answer.Status}
	}
	return nil, failure
}
