package authhook

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"mailstork/daemon/account"
)

func TestUserdbKnowsAccountsOnlyAndAnswersOurClientsOnly(t *testing.T) {
	b := newBench(t, nil)
	b.provisioner.accounts["anna@example.org"] = account.Account{ID: 3, Address: "anna@example.org", State: account.Listed}
	for _, c := range []struct {
		user, secret string
		status       int
	}{
		{"Anna@Example.org", "client secret", http.StatusOK},
		{"bob@example.org", "client secret", http.StatusNotFound},
		{"root", "client secret", http.StatusNotFound},
		{"anna@example.org", "another", http.StatusServiceUnavailable},
	} {
		body := url.Values{"username": {c.user}, "client_secret": {c.secret}}.Encode()
		answer := httptest.NewRecorder()
		b.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, UserdbPath, strings.NewReader(body)))
		if answer.Code != c.status {
			t.Errorf("%s with %q: got %d, want %d", c.user, c.secret, answer.Code, c.status)
		}
		if want := `{"gid":"5001","home":"/var/vmail/anna@example.org","uid":"5000"}`; answer.Code == 200 && strings.TrimSpace(answer.Body.String()) != want {
			t.Errorf("got %s", answer.Body)
		}
	}
	if b.verifier.count() != 0 {
		t.Error("a source was asked")
	}
}
