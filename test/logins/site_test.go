package logins

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/authhook"
	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/notice"
	"mailstork/daemon/provision"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
	"mailstork/test/testbed"
)

const (
	domain = "example.org"
	anna   = "anna@example.org"
	bert   = "bert@example.org"
)

// way is how Dovecot asks the hook.
type way struct {
	name          string
	dovecot       string
	socket        bool // a Unix one; TCP otherwise
	checkpassword bool // through the program; the password grant otherwise
}

var (
	grant23 = way{name: "2.3 by the grant over TCP", dovecot: testbed.Dovecot23}
	grant24 = way{name: "2.4 by the grant over TCP", dovecot: testbed.Dovecot24}
	ways    = []way{grant23, {name: "2.3 through checkpassword", dovecot: testbed.Dovecot23, checkpassword: true},
		grant24, {name: "2.4 by the grant over a Unix socket", dovecot: testbed.Dovecot24, socket: true}}
)

// onBoth runs a test with the drop-in of Dovecot 2.3 and of 2.4.
func onBoth(t *testing.T, test func(t *testing.T, w way)) {
	for _, w := range []way{grant23, grant24} {
		t.Run("Dovecot "+w.dovecot, func(t *testing.T) { test(t, w) })
	}
}

// plenty is the budget of a source that has allowed this server more than its other visitors.
var plenty = guard.Budget{Failures: 100_000, Window: time.Minute}

// options change a site from what most tests here need: an old Dovecot 2.3 whose budget never ends.
type options struct {
	way         way
	accounts    map[string]string // at the source
	source      string            // configuration of the source, at its end
	destination string            // configuration of this server's Dovecot, at its end
	budget      guard.Budget      // of the source host; default plenty, for accounts and networks too
	pop3        bool
}

// site is an old provider, this server's Dovecot, and the first two stages between them.
type site struct {
	t           *testing.T
	lab         *testbed.Lab
	source      *testbed.Dovecot
	destination *testbed.Dovecot
	store       *store.Store
	provisioner *provision.Provisioner
	letters     *letters
	journal     *journal
	verifier    *verifier
	limits      guard.Limits
	address     string // of the hook, over its restarts
	stop        func() // of the hook
}

const clientSecret = "client secret"

func newSite(t *testing.T, o options) *site {
	t.Helper()
	testbed.Need(t, "dovecot "+testbed.Dovecot23, "dovecot "+o.way.dovecot)
	s := &site{t: t, lab: testbed.NewForTest(t), journal: &journal{}, limits: guard.Limits{Account: plenty, Network: plenty, Source: plenty}}
	if o.budget != (guard.Budget{}) {
		s.limits = guard.Limits{Source: o.budget}
	}
	s.verifier = &verifier{proof: authhook.IMAPVerifier{AllowPrivateAddresses: true}, underway: map[string]int{}}
	var err error
	if s.source, err = s.lab.StartSource(testbed.SourceOptions{Version: testbed.Dovecot23, Accounts: o.accounts, ExtraConfig: o.source}); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(s.lab.Dir, "state")
	s.openStore(state)
	s.addDomain(domain, account.AccountsAny)
	if err := s.provisioner.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := testbed.DestinationOptions{Version: o.way.dovecot, HomeDir: s.homes(), HookSecret: clientSecret, PassdbFile: s.passdb(), UserdbFile: s.userdb(), ProxiedFile: s.proxied(),
		POP3: o.pop3, ExtraConfig: o.destination}
	address := "127.0.0.1:0"
	if o.way.socket {
		address = filepath.Join(state, "hook.sock")
	}
	if o.way.checkpassword {
		d.Checkpassword = s.build("mailstork-checkpassword")
	}
	s.startHook(address)
	d.HookAddress = s.address
	if s.destination, err = s.lab.StartDestination(d); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) homes() string   { return filepath.Join(s.lab.Dir, "vmail") }
func (s *site) passdb() string  { return filepath.Join(s.lab.Dir, "state", "dovecot", "passdb") }
func (s *site) proxied() string { return filepath.Join(s.lab.Dir, "state", "dovecot", "proxied") }
func (s *site) userdb() string  { return filepath.Join(s.lab.Dir, "state", "dovecot", "userdb") }

// openStore opens the database and what makes accounts in it.
func (s *site) openStore(state string) {
	s.t.Helper()
	if err := os.Mkdir(state, 0o755); err != nil {
		s.t.Fatal(err)
	}
	var err error
	if s.store, err = store.Open(s.t.Context(), filepath.Join(state, "mailstork.db")); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.store.Close() })
	sealer, err := secret.OpenKeyFile(filepath.Join(state, "key"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.letters = &letters{notice.Folders{Dir: filepath.Join(s.lab.Dir, "notice")}}
	s.provisioner, err = provision.New(provision.Options{Store: s.store, Sealer: sealer, Journal: s.journal, Notices: s.letters,
		PassdbFile: s.passdb(), UserdbFile: s.userdb(), ProxiedFile: s.proxied(), Authorities: s.lab.CAFile, FileGroup: "dovecot",
		MailUID: testbed.MailUID, MailGID: testbed.MailGID, HomeTemplate: s.homes() + "/{domain}/{local}"})
	if err != nil {
		s.t.Fatal(err)
	}
}

// build makes a program where Dovecot may run it.
func (s *site) build(name string) string {
	s.t.Helper()
	program := filepath.Join(s.lab.Dir, name)
	build := exec.Command("go", "build", "-o", program, "mailstork/cmd/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func (s *site) addDomain(name string, policy account.AccountsPolicy) {
	s.t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", s.source.IMAPSAddress)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.store.AddDomain(s.t.Context(), account.Domain{Name: name, Accounts: policy, Source: account.Source{
		Host: "127.0.0.1", Port: addr.Port, TLS: account.TLSImplicit, CAFile: s.lab.CAFile, ServerName: "localhost"}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) startHook(address string) {
	s.t.Helper()
	hook, err := authhook.New(s.t.Context(), authhook.Options{Provisioner: s.provisioner, Verifier: s.verifier, Journal: s.journal,
		Notebook: forgetful{}, ClientSecret: secret.FromString(clientSecret),
		Guard: s.limits, ParallelVerifications: 200, LeastRefusal: time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	listener, err := net.Listen(network, address)
	if err == nil && network == "unix" {
		err = os.Chmod(address, 0o666) // Dovecot's auth process is another user; the client_secret protects it
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	server := hook.Server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
				s.t.Error(err)
			}
			hook.Close()
		})
	}
	s.t.Cleanup(s.stop)
}

// count asks the store for one number.
func (s *site) count(query string, values ...any) (n int) {
	s.t.Helper()
	if err := s.store.Reader().QueryRowContext(s.t.Context(), query, values...).Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
		s.t.Fatal(err)
	}
	return n
}

func (s *site) accounts() int    { return s.count("SELECT COUNT(*) FROM account") }
func (s *site) credentials() int { return s.count("SELECT COUNT(*) FROM credential") }

// atSource counts lines of the old server's log with a text in them.
func (s *site) atSource(text string) int {
	s.t.Helper()
	log, err := os.ReadFile(s.source.LogFile)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

func (s *site) waitFor(what string, reached func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !reached() {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// knows waits until Dovecot finds an account in the passdb file: it looks at the file once a second.
func (s *site) knows(address string) {
	s.t.Helper()
	s.waitFor(address+" in the passdb file", func() bool {
		_, err := s.destination.Doveadm("auth", "lookup", address)
		return err == nil
	})
}

// journal counts the decisions and keeps the last.
type journal struct {
	mu    sync.Mutex
	count map[authhook.Result]int
	last  authhook.Decision
}

func (j *journal) Joined(context.Context, account.Account)  {}
func (j *journal) Renewed(context.Context, account.Account) {}
func (j *journal) Led(context.Context, account.Account)     {}

func (j *journal) Trouble(_ context.Context, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last = authhook.Decision{Err: err}
}

func (j *journal) Decided(_ context.Context, d authhook.Decision) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.count == nil {
		j.count = map[authhook.Result]int{}
	}
	j.count[d.Result]++
	j.last = d
}

func (j *journal) lastDecision() authhook.Decision {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// decisions is how often Dovecot was answered.
func (j *journal) decisions() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, k := range j.count {
		n += k
	}
	return n
}

// forgetful is a notebook of a hook that is never started again.
type forgetful struct{}

func (forgetful) Load(context.Context) (guard.Past, error)                     { return guard.Past{}, nil }
func (forgetful) Begin(context.Context, guard.Login, time.Time) (int64, error) { return 0, nil }
func (forgetful) Forget(context.Context, int64) error                          { return nil }
func (forgetful) SaveBreaker(context.Context, string, guard.Breaker) error     { return nil }

// verifier asks the old server as the product does, counts, and can make it slow.
type verifier struct {
	proof authhook.IMAPVerifier

	mu       sync.Mutex
	hold     chan struct{}  // passwords wait here until it is closed; nil for none
	underway map[string]int // by user
	most     int            // of one user at once
	waiting  int
	failed   []time.Time // when the old server had said no
}

func (v *verifier) Verify(ctx context.Context, src account.Source, user string, password secret.Secret) error {
	v.mu.Lock()
	v.underway[user]++
	v.most = max(v.most, v.underway[user])
	hold := v.hold
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.underway[user]--
	}()
	if hold != nil {
		v.await(ctx, hold)
	}
	err := v.proof.Verify(ctx, src, user, password)
	var wrong *authhook.WrongPassword
	if errors.As(err, &wrong) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.failed = append(v.failed, time.Now())
	}
	return err
}

func (v *verifier) await(ctx context.Context, hold chan struct{}) {
	v.wait(1)
	defer v.wait(-1)
	select {
	case <-hold:
	case <-ctx.Done():
	}
}

func (v *verifier) wait(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waiting += n
}

// waits is how many logins wait for the slow source now.
func (v *verifier) waits() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.waiting
}

// slow makes every login at the source wait until quick is called.
func (v *verifier) slow() (quick func()) {
	hold := make(chan struct{})
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hold = hold
	return sync.OnceFunc(func() {
		v.mu.Lock()
		v.hold = nil
		v.mu.Unlock()
		close(hold)
	})
}
