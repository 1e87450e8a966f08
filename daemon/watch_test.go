package daemon

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/cutover"
	"mailstork/daemon/store"
)

func (d *Daemon) domainNow(t *testing.T) account.Domain {
	t.Helper()
	now, err := d.store.Domain(t.Context(), domain)
	must(t, err)
	return now
}

// decide carries a decision out as a look at the domain would.
func (d *Daemon) decide(t *testing.T, to account.DomainState, watched time.Duration) cutover.Memory {
	t.Helper()
	of := d.domainNow(t)
	accounts, err := d.store.Accounts(t.Context(), domain)
	must(t, err)
	memory := cutover.Memory{State: of.State, Watched: watched}
	must(t, d.follow(t.Context(), of, accounts, memory, cutover.Decision{From: of.State, To: to}))
	if of = d.domainNow(t); of.State == account.Closed {
		return cutover.Memory{}
	}
	memory, err = d.cutoverMemory(t.Context(), of)
	must(t, err)
	return memory
}

func (d *Daemon) wantStates(t *testing.T, want map[account.Address]account.State) {
	t.Helper()
	for address, state := range want {
		if got := d.read(t, address).State; got != state {
			t.Errorf("%s is %s, want %s", address, got, state)
		}
	}
}

func TestListedAccountsHoldADomainOpenUntilTheDeadlineThenExpire(t *testing.T) {
	d, _ := newDaemon(t, "cutover: {deadline_hours: 10}\n")
	of := d.addDomain(t, account.Source{}, account.Draining)
	d.addAccount(t, of, anna, account.Done)
	d.addAccount(t, of, bob, account.Listed)
	imported := d.addAccount(t, of, carla, account.Listed)
	must(t, d.giveWrongPassword(t, imported))

	memory := d.decide(t, account.Closed, 9*time.Hour)
	want := "waiting: 2 accounts never logged in here; the domain closes without them at the deadline"
	if got := d.domainNow(t).State; got != account.Draining || memory.Waiting != want {
		t.Fatalf("before the deadline the domain is %s, %q; want %q", got, memory.Waiting, want)
	}
	d.wantStates(t, map[account.Address]account.State{anna: account.Done, bob: account.Listed, carla: account.Listed})

	d.decide(t, account.Closed, 10*time.Hour)
	if got := d.domainNow(t).State; got != account.Closed {
		t.Fatalf("at the deadline the domain is %s", got)
	}
	d.wantStates(t, map[account.Address]account.State{bob: account.Done, carla: account.Done})
	if _, err := d.store.Credential(t.Context(), imported.ID, store.KindPassword); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the credential of an expired account is left: %v (S1)", err)
	}
	report, err := d.Report(t.Context(), domain)
	must(t, err)
	if !strings.Contains(report.Text, "accounts never logged in here; nothing of theirs was copied.") || !strings.Contains(report.Text, "All borrowed passwords are erased.") {
		t.Errorf("report:\n%s", report.Text)
	}
}

func TestDomainWaitsForAccountsThatAreNotDoneWhateverTheDeadline(t *testing.T) { // L1
	d, _ := newDaemon(t, "cutover: {deadline_hours: 1}\n")
	of := d.addDomain(t, account.Source{}, account.Draining)
	d.addAccount(t, of, anna, account.Following)
	d.addAccount(t, of, bob, account.Copying)
	d.addAccount(t, of, carla, account.Listed)
	must(t, d.store.SetPaused(t.Context(), bob, false))
	memory := d.decide(t, account.Closed, 100*time.Hour)
	d.wantStates(t, map[account.Address]account.State{anna: account.Closing, bob: account.Copying})
	if got := d.domainNow(t).State; got != account.Draining || memory.Waiting != "last passes: 2 of 3 accounts not done yet" {
		t.Errorf("the domain is %s, %q", got, memory.Waiting)
	}
	if a := d.read(t, anna); a.NextPassAt.After(time.Now()) || a.Priority != priorityClosing {
		t.Errorf("the last pass is not due: %+v", a)
	}
}

// A letter that comes to the source while the last passes run restarts the quiet time: it must be followed.
func TestDomainThatIsNotQuietAnyMoreTakesClosingAccountsBackToFollowing(t *testing.T) { // C1, L1
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{}, account.Draining)
	d.addAccount(t, of, anna, account.Closing)
	d.addAccount(t, of, bob, account.Done)
	d.decide(t, account.Draining, time.Hour)
	d.wantStates(t, map[account.Address]account.State{anna: account.Following, bob: account.Done})
}

func TestDomainThatGoesBackToOpenTakesClosingAccountsBackToFollowing(t *testing.T) { // C1
	d, _ := newDaemon(t, "")
	of := d.addDomain(t, account.Source{}, account.Draining)
	d.addAccount(t, of, anna, account.Closing)
	d.addAccount(t, of, bob, account.Done)
	d.addAccount(t, of, carla, account.Copying)
	d.decide(t, account.Open, time.Hour)
	if got := d.domainNow(t).State; got != account.Open {
		t.Fatalf("the domain is %s", got)
	}
	d.wantStates(t, map[account.Address]account.State{anna: account.Following, bob: account.Done, carla: account.Copying})
	events, err := d.Events(t.Context(), anna, 0, 10)
	if err != nil || len(events) != 1 || events[0].Name != "state" || events[0].State != "following" {
		t.Errorf("events: %+v, %v", events, err)
	}
}

// Only accounts whose source a pass can see say something about its quiet.
func TestObservationLooksAtAccountsWithAPassOnly(t *testing.T) {
	d, _ := newDaemon(t, "dns: {parents: ['127.0.0.1:9'], public_resolvers: [], timeout_seconds: 1}\n")
	must(t, d.buildCutover(t.Context()))
	now := time.Now().UTC().Truncate(time.Second)
	of := account.Domain{Name: domain}
	o := d.observe(t.Context(), of, []account.Account{
		{State: account.Listed, LastNewAt: now}, {State: account.Done, LastPassAt: now.Add(-time.Hour)},
		{State: account.Following, LastPassAt: now.Add(-time.Minute), LastNewAt: now.Add(-2 * time.Minute)},
		{State: account.Closing, LastPassAt: now.Add(-3 * time.Minute), LastNewAt: now.Add(-time.Hour)},
	})
	if o.Accounts != 2 || !o.LastNewAt.Equal(now.Add(-2*time.Minute)) || !o.OldestPassAt.Equal(now.Add(-3*time.Minute)) || !o.NewestPassAt.Equal(now.Add(-time.Minute)) {
		t.Errorf("got %+v", o)
	}
	if o.MX == cutover.Here || o.Complete {
		t.Errorf("servers that do not answer agreed: %+v", o)
	}
}
