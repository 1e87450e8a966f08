package authhook

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"mailstork/daemon/account"
)

func TestARightPasswordLeadsToWhereTheAccountIs(t *testing.T) {
	for _, c := range []struct {
		route  account.Route
		err    error
		result Result
		status int
		body   string // a part of the reply
	}{
		{account.RouteHere, nil, Yes, http.StatusOK, `"username":"anna@example.org","active":"true","uid":"5000"`},
		// The next passdb answers: nothing of ours may look like a yes or a no.
		{account.RouteSource, nil, Onward, http.StatusOK, `"username":"-","active":"true","uid":"65534"`},
		{account.RouteNotice, nil, Onward, http.StatusOK, `"username":"-","active":"true","uid":"65534"`},
		{account.RouteHeld, nil, TryLater, http.StatusServiceUnavailable, ""},
		{account.RouteHere, errors.New("the disk is full"), TryLater, http.StatusServiceUnavailable, ""},
	} {
		b := newBench(t, nil)
		b.provisioner.lead = func(string) (account.Route, error) { return c.route, c.err }
		for _, password := range []string{"right", "wrong"} { // proven, then by the hash
			for range 2 {
				answer := post(t, b.Handler(), form("anna@example.org", password, "client secret").Encode())
				d := b.journal.decisions[len(b.journal.decisions)-1]
				if password == "wrong" && (d.Result != No || strings.Contains(answer.Body.String(), `"active":"true"`)) {
					t.Errorf("%s: a wrong password: %+v, %s", c.route, d, answer.Body)
				}
				if password == "right" && (d.Result != c.result || answer.Code != c.status || !strings.Contains(answer.Body.String(), c.body)) {
					t.Errorf("%s: got %+v, %d %s; want %s", c.route, d, answer.Code, answer.Body, c.result)
				}
			}
		}
	}
}
