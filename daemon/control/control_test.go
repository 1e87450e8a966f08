package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
	"mailstork/test/fakeoperator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, o *fakeoperator.Operator) *control.Client {
	t.Helper()
	client := control.NewClient(o.Serve(t))
	t.Cleanup(client.Close)
	return client
}

var sameLists = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}

func TestEveryAnswerReachesTheClientAsTheOperatorGaveIt(t *testing.T) {
	operator := fakeoperator.New()
	operator.DNS = json.RawMessage(`{"domain":"example.org","mx":"here"}`)
	client := connect(t, operator)
	ctx := t.Context()
	type asked struct {
		name string
		ask  func(control.Operator) (any, error)
	}
	for _, a := range []asked{
		{"status", func(o control.Operator) (any, error) { return o.Status(ctx) }},
		{"doctor", func(o control.Operator) (any, error) { return o.Doctor(ctx) }},
		{"domains", func(o control.Operator) (any, error) { return o.Domains(ctx) }},
		{"domain", func(o control.Operator) (any, error) { return o.Domain(ctx, "example.org") }},
		{"report", func(o control.Operator) (any, error) { return o.Report(ctx, "example.org") }},
		{"dns", func(o control.Operator) (any, error) { return o.CheckDNS(ctx, "example.org") }},
		{"all accounts", func(o control.Operator) (any, error) { return o.Accounts(ctx, control.AccountFilter{}) }},
		{"accounts of a state", func(o control.Operator) (any, error) {
			return o.Accounts(ctx, control.AccountFilter{Domain: "example.org", State: account.Following})
		}},
		{"stuck and paused accounts", func(o control.Operator) (any, error) {
			return o.Accounts(ctx, control.AccountFilter{Stuck: true, Paused: true})
		}},
		{"account", func(o control.Operator) (any, error) { return o.Account(ctx, "anna@example.org") }},
		{"account with odd characters", func(o control.Operator) (any, error) { return o.Account(ctx, "carla.o'neill@example.org") }},
		{"events", func(o control.Operator) (any, error) { return o.Events(ctx, "anna@example.org", 1, 2) }},
		{"verification", func(o control.Operator) (any, error) { return o.Verify(ctx, "anna@example.org", func(control.Pass) {}) }},
		{"pause", func(o control.Operator) (any, error) { return o.Act(ctx, "bob@example.org", control.Pause) }},
		{"resume", func(o control.Operator) (any, error) { return o.Act(ctx, "bob@example.org", control.Resume) }},
		{"approve", func(o control.Operator) (any, error) { return o.Act(ctx, "carla.o'neill@example.org", control.Approve) }},
		{"retry", func(o control.Operator) (any, error) { return o.Act(ctx, "bob@example.org", control.Retry) }},
		{"settle", func(o control.Operator) (any, error) { return o.Act(ctx, "bob@example.org", control.CopyParked) }},
		{"abandon", func(o control.Operator) (any, error) { return o.Act(ctx, "bob@example.org", control.Abandon) }},
		{"sync", func(o control.Operator) (any, error) { return o.Act(ctx, "bob@example.org", control.Sync) }},
	} {
		t.Run(a.name, func(t *testing.T) {
			want, err := a.ask(operator)
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.ask(client)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, sameLists); diff != "" {
				t.Errorf("(-operator +client):\n%s", diff)
			}
		})
	}
}

func TestAddedDomainArrivesCanonical(t *testing.T) {
	operator := fakeoperator.New()
	client := connect(t, operator)
	d := account.Domain{
		Name: "New.Example.", Source: account.Source{Host: "imap.old.example", Port: 993, TLS: account.TLSImplicit},
		Accounts: account.AccountsAny, MXHosts: []string{"MX.new.example."},
		OutgoingAddresses: []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
	}
	dry, err := client.AddDomain(t.Context(), d, true)
	if err != nil {
		t.Fatal(err)
	}
	if dry.Name != "new.example" || dry.MXHosts[0] != "mx.new.example" || dry.OutgoingAddresses[0].String() != "192.0.2.1" {
		t.Errorf("got %+v", dry)
	}
	if _, err := client.Domain(t.Context(), "new.example"); kindOf(err) != control.KindNotFound {
		t.Errorf("dry run added the domain (%v)", err)
	}
	if _, err := client.AddDomain(t.Context(), d, false); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AddDomain(t.Context(), d, false); kindOf(err) != control.KindRefused {
		t.Errorf("adding twice: got %v, want refused", err)
	}
}

func TestDomainsThatMakeNoSenseNeverReachTheOperator(t *testing.T) {
	client := connect(t, fakeoperator.New())
	good := account.Domain{
		Name: "new.example", Source: account.Source{Host: "imap.old.example", Port: 993, TLS: account.TLSImplicit},
		Accounts: account.AccountsAny, MXHosts: []string{"mx.new.example"}, OutgoingAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	}
	cases := []struct {
		name  string
		spoil func(*account.Domain)
		want  string
	}{
		{"name without dot", func(d *account.Domain) { d.Name = "example" }, "has no dot"},
		{"no source host", func(d *account.Domain) { d.Source.Host = "" }, "no host given"},
		{"port 0", func(d *account.Domain) { d.Source.Port = 0 }, "port 0"},
		{"unknown tls", func(d *account.Domain) { d.Source.TLS = "maybe" }, `tls "maybe"`},
		{"unknown policy", func(d *account.Domain) { d.Accounts = "some" }, "neither listed nor any"},
		{"no MX host", func(d *account.Domain) { d.MXHosts = nil }, "0 MX hosts"},
		{"MX host that is none", func(d *account.Domain) { d.MXHosts = []string{"mx_1"} }, "MX host"},
		{"no outgoing address", func(d *account.Domain) { d.OutgoingAddresses = nil }, "0 outgoing addresses"},
		{"outgoing address with zone", func(d *account.Domain) { d.OutgoingAddresses = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} }, "is not an IP address"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := good
			c.spoil(&d)
			_, err := client.AddDomain(t.Context(), d, false)
			if kindOf(err) != control.KindInvalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want invalid with %q", err, c.want)
			}
		})
	}
}

func TestImportedPasswordsArriveOctetByOctet(t *testing.T) {
	operator := fakeoperator.New()
	client := connect(t, operator)
	octets := make([]byte, 0, 255)
	for b := 1; b < 256; b++ {
		if b != '\r' && b != '\n' {
			octets = append(octets, byte(b))
		}
	}
	rows := []control.ImportRow{{Line: 2, Address: "eve@example.org", SourceUser: "eve", Password: secret.New(octets)}}
	result, err := client.Import(t.Context(), rows, false)
	if err != nil {
		t.Fatal(err)
	}
	if result.Added != 1 || result.Passwords != 1 || result.Rows[0].Line != 2 {
		t.Errorf("got %+v", result)
	}
	if len(operator.Imported) != 1 || !operator.Imported[0].Password.Equal(secret.New(octets)) {
		t.Error("the password changed on its way")
	}
}

func TestTheSecretOfADomainArrivesOctetByOctetOrIsRefused(t *testing.T) { // S1
	operator := fakeoperator.New()
	client := connect(t, operator)
	login := account.SourceLogin{Kind: account.LoginMaster, User: "admin", Spelling: "dovecot"}
	value := secret.New([]byte("c4nary \xff\"\\ü"))
	d, err := client.SetDomainLogin(t.Context(), "example.org", login, value, false)
	if err != nil || d.Login == nil || *d.Login != login || !operator.DomainSecret.Equal(value) {
		t.Errorf("got %+v, %v", d.Login, err)
	}
	for name, c := range map[string]struct {
		login account.SourceLogin
		value string
		want  string
	}{
		"no secret":    {login, "", "no secret"},
		"two lines":    {login, "c4nary\r\n", "line break"},
		"too long":     {login, strings.Repeat("c4nary", 1000), "longer than 4096"},
		"unknown kind": {account.SourceLogin{Kind: "magic", User: "x"}, "c4nary", "not known"},
		"no spelling":  {account.SourceLogin{Kind: account.LoginMaster, User: "x"}, "c4nary", "no known spelling"},
	} {
		_, err := client.SetDomainLogin(t.Context(), "example.org", c.login, secret.FromString(c.value), false)
		if kindOf(err) != control.KindInvalid || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if !operator.DomainSecret.Equal(value) {
		t.Error("a refused login was kept")
	}
}

func TestANewPasswordArrivesOctetByOctetOrIsRefused(t *testing.T) { // S1
	operator := fakeoperator.New()
	client := connect(t, operator)
	value := secret.New([]byte("c4nary \xff\"\\ü"))
	if _, err := client.SetPassword(t.Context(), "anna@example.org", value, false, false); err != nil || !operator.NewPassword.Equal(value) {
		t.Errorf("it changed on its way, or %v", err)
	}
	for _, bad := range []string{"", "c4nary\r\n", "c4nary\x00", strings.Repeat("c4nary", 1000)} {
		_, err := client.SetPassword(t.Context(), "anna@example.org", secret.FromString(bad), false, false)
		if kindOf(err) != control.KindInvalid || strings.Contains(err.Error(), "c4nary") {
			t.Errorf("%d octets: got %v", len(bad), err)
		}
	}
	if !operator.NewPassword.Equal(value) {
		t.Error("a refused password was kept")
	}
}

func TestImportIsRefusedWithTheLinesThatAreWrong(t *testing.T) {
	operator := fakeoperator.New()
	client := connect(t, operator)
	long := secret.New(bytes.Repeat([]byte("x"), control.MaxPasswordOctets+1))
	rows := []control.ImportRow{
		{Line: 2, Address: "ok@example.org"},
		{Line: 3, Address: "no address"},
		{Line: 4, Address: "ok@example.org"},
		{Line: 7, Address: "a@example.org", SourceUser: "two\nlines"},
		{Line: 8, Address: "b@example.org", Password: secret.FromString("nul\x00")},
		{Line: 9, Address: "c@example.org", Password: long},
	}
	_, err := client.Import(t.Context(), rows, false)
	var refused *control.Error
	if !errors.As(err, &refused) || refused.Kind != control.KindInvalid {
		t.Fatalf("got %v", err)
	}
	want := []control.LineError{
		{Line: 3, Problem: "no usable mail address"},
		{Line: 4, Problem: "the same address stands in line 2"},
		{Line: 7, Problem: "the source user holds a line break or NUL, which IMAP can't carry"},
		{Line: 8, Problem: "the password holds a line break or NUL, which IMAP can't carry"},
		{Line: 9, Problem: "the password is longer than 1024 octets"},
	}
	if diff := cmp.Diff(want, refused.Lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(operator.Imported) > 0 {
		t.Error("something was imported")
	}
	if _, err := client.Import(t.Context(), nil, false); kindOf(err) != control.KindInvalid {
		t.Errorf("empty import: got %v", err)
	}
}

func TestFailuresReachTheClientWithKindAnswerAndNextCommand(t *testing.T) {
	operator := fakeoperator.New()
	operator.Failure = &control.Error{Kind: control.KindRefused, Sentence: "the source is down", Raw: "connection refused", Hint: "mailstork doctor"}
	client := connect(t, operator)
	_, err := client.Status(t.Context())
	if diff := cmp.Diff(operator.Failure, err); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	operator.Failure = errors.New("writing row: disk full")
	_, err = client.Status(t.Context())
	if kindOf(err) != control.KindFailed || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("got %v", err)
	}
	if _, err = client.Account(t.Context(), "nobody@example.org"); kindOf(err) != control.KindNotFound {
		t.Errorf("got %v", err)
	}
	if _, err = client.Account(t.Context(), "no-address"); kindOf(err) != control.KindInvalid {
		t.Errorf("got %v", err)
	}
	if _, err = client.Act(t.Context(), "bob@example.org", "explode"); kindOf(err) != control.KindInvalid {
		t.Errorf("got %v", err)
	}
	_, err = control.NewClient(t.TempDir() + "/nobody.sock").Status(t.Context())
	var unreachable *control.Unreachable
	if !errors.As(err, &unreachable) {
		t.Errorf("got %v, want Unreachable", err)
	}
}

func TestAnswersHoldEmptyListsNotNull(t *testing.T) {
	path := (&fakeoperator.Operator{}).Serve(t)
	for _, request := range []string{"/v1/accounts", "/v1/domains", "/v1/doctor"} {
		if _, body := raw(t, path, "GET", request, ""); strings.TrimSpace(body) != "[]" {
			t.Errorf("%s: got %q, want []", request, body)
		}
	}
	if _, body := raw(t, path, "GET", "/v1/status", ""); strings.Contains(body, "null") {
		t.Errorf("status holds null: %s", body)
	}
}

func TestOddRequestsGetAnErrorThatShowsNothingOfTheirBody(t *testing.T) {
	const canary = "canary-7hx"
	var logged bytes.Buffer
	path := fakeoperator.Serve(t, &control.Server{Operator: fakeoperator.New(), Logger: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	cases := []struct {
		name, method, request, body string
		status                      int
	}{
		{"no JSON", "POST", "/v1/accounts/import", canary, 400},
		{"unknown key", "POST", "/v1/accounts/import", `{"` + canary + `":1}`, 400},
		{"text for rows", "POST", "/v1/accounts/import", `{"rows":"` + canary + `"}`, 400},
		{"two values", "POST", "/v1/domains", `{} "` + canary + `"`, 400},
		{"password that is no base64", "POST", "/v1/accounts/import", `{"rows":[{"line":1,"address":"a@example.org","password":"` + canary + `!"}]}`, 400},
		{"password where the address belongs", "POST", "/v1/accounts/import", `{"rows":[{"line":1,"address":"` + canary + `"}]}`, 400},
		{"too large", "POST", "/v1/domains", `{"name":"` + strings.Repeat(canary, 10_000) + `"}`, 400},
		{"unknown path", "GET", "/v2/status", "", 404},
		{"wrong method", "DELETE", "/v1/domains/example.org", "", 404},
		{"bad event bounds", "GET", "/v1/accounts/anna@example.org/events?since=x&limit=5", "", 400},
		{"events of nobody", "GET", "/v1/accounts/nobody@example.org/events?since=0&limit=5", "", 404},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			status, body := raw(t, path, c.method, c.request, c.body)
			var failure control.Error
			if err := json.Unmarshal([]byte(body), &failure); err != nil || failure.Sentence == "" || status != c.status {
				t.Errorf("got %d %s, want %d and an error", status, body, c.status)
			}
			if strings.Contains(body+logged.String(), canary) {
				t.Errorf("S1: body shown in answer %s or log %s", body, logged.String())
			}
		})
	}
}

func raw(t *testing.T, socket, method, path, body string) (int, string) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func kindOf(err error) control.Kind {
	var failure *control.Error
	if errors.As(err, &failure) {
		return failure.Kind
	}
	return ""
}
