package authhook

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// fakeProvisioner is the stage behind: two domains and a map of accounts.
type fakeProvisioner struct {
	mu       sync.Mutex
	domains  map[string]account.Domain
	accounts map[account.Address]account.Account
	admitted map[account.Address][]string // passwords
	err      error
	lead     func(service string) (account.Route, error)
}

func newFakeProvisioner() *fakeProvisioner {
	src := account.Source{Host: "imap.example.org", Port: 993, TLS: account.TLSImplicit}
	return &fakeProvisioner{
		domains: map[string]account.Domain{
			"example.org": {ID: 1, Name: "example.org", State: account.Open, Accounts: account.AccountsAny, Source: src},
			"example.net": {ID: 2, Name: "example.net", State: account.Draining, Accounts: account.AccountsListed, Source: src},
			"example.com": {ID: 3, Name: "example.com", State: account.Closed, Accounts: account.AccountsAny, Source: src},
		},
		accounts: map[account.Address]account.Account{
			"listed@example.net": {ID: 1, Address: "listed@example.net", State: account.Listed, SourceUser: "l.isted"},
		},
		admitted: map[account.Address][]string{},
	}
}

func (p *fakeProvisioner) Standing(_ context.Context, address account.Address) (account.Domain, account.Account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.domains[address.Domain()], p.accounts[address], p.err
}

func (p *fakeProvisioner) Admit(ctx context.Context, address account.Address, hash string, password secret.Secret) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a := p.accounts[address]
	a.ID, a.Address, a.State = 9, address, account.Joined
	if a.PasswordHash == "" {
		a.PasswordHash = hash
	}
	p.accounts[address] = a
	p.admitted[address] = append(p.admitted[address], string(password.Reveal()))
	return p.err
}

func (p *fakeProvisioner) Renew(_ context.Context, address account.Address, hash string, password secret.Secret) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[address]
	if !a.CredentialRefused {
		return errors.New("not refused")
	}
	a.PasswordHash, a.CredentialRefused = hash, false
	p.accounts[address] = a
	p.admitted[address] = append(p.admitted[address], string(password.Reveal()))
	return p.err
}

func (p *fakeProvisioner) Lead(_ context.Context, _ account.Address, service string) (account.Route, error) {
	if p.lead != nil {
		return p.lead(service)
	}
	return account.RouteHere, nil
}

func (p *fakeProvisioner) Userdb(address account.Address) (uid, gid int, home string) {
	return 5000, 5001, "/var/vmail/" + string(address)
}

func (p *fakeProvisioner) count() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, passwords := range p.admitted {
		n += len(passwords)
	}
	return n
}

// fakeVerifier is the source. It knows one password for everybody.
type fakeVerifier struct {
	mu       sync.Mutex
	right    string
	takesAll bool
	err      error // instead of an answer
	asked    int
	users    []string
	underway map[string]int
	most     int           // logins of one user at once
	all      int           // logins at once
	mostAll  int           // the highest of all
	hold     chan struct{} // every login waits until it is closed
	pace     time.Duration // every login takes at least this long
}

func newFakeVerifier() *fakeVerifier {
	return &fakeVerifier{right: "right", underway: map[string]int{}}
}

func (v *fakeVerifier) Verify(ctx context.Context, _ account.Source, user string, password secret.Secret) error {
	v.mu.Lock()
	v.asked++
	v.users = append(v.users, user)
	v.underway[user]++
	v.all++
	v.most, v.mostAll = max(v.most, v.underway[user]), max(v.mostAll, v.all)
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.underway[user]--
		v.all--
	}()
	time.Sleep(v.pace)
	if v.hold != nil {
		select {
		case <-v.hold:
		case <-ctx.Done():
			return &SourceProblem{What: "too late", Sent: true, Err: ctx.Err()}
		}
	}
	switch {
	case v.err != nil:
		return v.err
	case string(password.Reveal()) != v.right && !v.takesAll:
		return &WrongPassword{Answer: "NO"}
	}
	return nil
}

func (v *fakeVerifier) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked
}

// fakeJournal keeps the decisions.
type fakeJournal struct {
	mu        sync.Mutex
	decisions []Decision
}

func (j *fakeJournal) Decided(_ context.Context, d Decision) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.decisions = append(j.decisions, d)
}

func (j *fakeJournal) Trouble(_ context.Context, err error) { panic(err) }

// fakeNotebook outlives hooks, as the store does.
type fakeNotebook struct {
	mu       sync.Mutex
	err      error
	next     int64
	failures map[int64]guard.Failure
	breakers map[string]guard.Breaker
}

func newFakeNotebook() *fakeNotebook {
	return &fakeNotebook{failures: map[int64]guard.Failure{}, breakers: map[string]guard.Breaker{}}
}

func (n *fakeNotebook) Begin(_ context.Context, l guard.Login, at time.Time) (int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next++
	n.failures[n.next] = guard.Failure{Address: l.Address, Network: l.Network, Host: l.Host, At: at}
	return n.next, n.err
}

func (n *fakeNotebook) Forget(_ context.Context, id int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.failures, id)
	return nil
}

func (n *fakeNotebook) SaveBreaker(_ context.Context, host string, b guard.Breaker) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.breakers[host] = b
	return nil
}

func (n *fakeNotebook) Load(context.Context) (guard.Past, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	failures := slices.SortedFunc(maps.Values(n.failures), func(a, b guard.Failure) int { return a.At.Compare(b.At) })
	return guard.Past{Failures: failures, Breakers: maps.Clone(n.breakers)}, nil
}

// bench is a hook between fakes, with a clock that tests move.
type bench struct {
	*Hook
	provisioner *fakeProvisioner
	verifier    *fakeVerifier
	journal     *fakeJournal
	notebook    *fakeNotebook
	clock       time.Time
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	b := &bench{provisioner: newFakeProvisioner(), verifier: newFakeVerifier(), journal: &fakeJournal{}, notebook: newFakeNotebook(),
		clock: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	o := Options{Provisioner: b.provisioner, Verifier: b.verifier, Journal: b.journal, Notebook: b.notebook, LeastRefusal: time.Microsecond,
		ClientSecret: secret.FromString("client secret"), Now: func() time.Time { return b.clock }}
	if change != nil {
		change(&o)
	}
	hook, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b.Hook = hook
	hook.hasher.kib, hook.hasher.passes = 64, 1 // what a hash costs is not tested here
	t.Cleanup(hook.Close)
	return b
}

func (b *bench) login(t *testing.T, user, password string) Decision {
	t.Helper()
	return b.Decide(t.Context(), Attempt{User: user, Password: secret.FromString(password)})
}

func (b *bench) want(t *testing.T, user, password string, result Result, why string) {
	t.Helper()
	if d := b.login(t, user, password); d.Result != result || d.Why != why {
		t.Errorf("login of %s with %q: got %s (%s, %v), want %s (%s)", user, password, d.Result, d.Why, d.Err, result, why)
	}
}
