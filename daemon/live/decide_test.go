package live

import (
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
)

func TestDecide(t *testing.T) {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	policy := Policy{SmallChanges: 20, Quick: time.Second, Patience: 15 * time.Minute}
	quiet := Facts{Now: now, Route: account.RouteSource, State: account.Following, FirstLogin: account.FirstLoginProxy, DomainState: account.Open,
		Changes: 20, Took: time.Second, Switching: account.Switching{ReadyAt: now.Add(-time.Minute)}}
	for _, c := range []struct {
		name   string
		change func(*Facts)
		now    bool
		why    string
	}{
		{"a small difference that was quickly copied is switched", func(f *Facts) {}, true, "small"},
		{"one change too many waits", func(f *Facts) { f.Changes++ }, false, "21 changes"},
		{"a slow pass waits", func(f *Facts) { f.Took += time.Millisecond }, false, "not small yet"},
		{"a source that is never quiet is switched all the same", func(f *Facts) { f.Changes, f.Switching.ReadyAt = 1000, now.Add(-15*time.Minute) }, true, "never quiet"},
		{"patience does not begin before the first complete pass", func(f *Facts) { f.Changes, f.Switching.ReadyAt = 1000, time.Time{} }, false, "1000 changes"},
		{"letters that come here make it urgent", func(f *Facts) { f.Changes, f.Deliveries = 1000, 1 }, true, "letters come here"},
		{"an MX that names this server makes it urgent", func(f *Facts) { f.Changes, f.DomainState = 1000, account.Cutover }, true, "domain's mail"},
		{"so does a domain that is draining", func(f *Facts) { f.Changes, f.DomainState = 1000, account.Draining }, true, "domain's mail"},
		{"so does an account that is closing", func(f *Facts) { f.Changes, f.State = 1000, account.Closing }, true, "domain's mail"},
		{"so does an owner who uses POP3", func(f *Facts) { f.Changes, f.Switching.Urgent = 1000, "its owner uses POP3" }, true, "POP3"},
		{"so does a domain that passes nobody on any more", func(f *Facts) { f.Changes, f.FirstLogin = 1000, account.FirstLoginLocal }, true, "passes nobody on"},
		{"so does a source that Dovecot can't reach any more", func(f *Facts) { f.Changes, f.Unpassable = 1000, "its key is pinned" }, true, "pinned"},
		{"nothing is urgent before the first pass is complete", func(f *Facts) { f.State, f.Deliveries = account.Copying, 1 }, false, "first pass"},
		{"a failed try is not repeated before its time, however urgent", func(f *Facts) {
			f.Deliveries, f.Switching.Problem, f.Switching.NotBefore = 1, "the source died", now.Add(time.Second)
		}, false, "the source died"},
		{"a failed try is repeated in time", func(f *Facts) { f.Switching.Problem, f.Switching.NotBefore = "the source died", now }, true, "small"},
		{"an account that is here is not switched", func(f *Facts) { f.Route = account.RouteHere }, false, ""},
		{"nor one whose switch is under way", func(f *Facts) { f.Route = account.RouteHeld }, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := quiet
			c.change(&f)
			if got := Decide(f, policy); got.Switch != c.now || !strings.Contains(got.Why, c.why) || c.why == "" && got.Why != "" {
				t.Errorf("got %+v, want %t because of %q", got, c.now, c.why)
			}
		})
	}
}
