package provision_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailstork/authhook"
	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/provision"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
	"mailstork/test/testbed"
)

const canary = "c4n4ry \"pass\" \\wörd {3}%40"

// site is an old provider, this server's Dovecot, and the first two stages between them.
type site struct {
	t           *testing.T
	lab         *testbed.Lab
	source      *testbed.Dovecot
	destination *testbed.Dovecot
	store       *store.Store
	provisioner *provision.Provisioner
	decisions   *decisions
	verifier    *slowVerifier
	address     string // of the hook, over its restarts
	stop        func()
}

// decisions is the journal of both stages.
type decisions struct {
	mu   sync.Mutex
	list []authhook.Decision
}

func (d *decisions) Joined(context.Context, account.Account) {}

func (d *decisions) Renewed(context.Context, account.Account) {}

func (d *decisions) Led(context.Context, account.Account) {}
func (d *decisions) Trouble(_ context.Context, err error) {
	d.Decided(context.Background(), authhook.Decision{Err: err})
}

// forgetful is a notebook of a hook that is never started again.
type forgetful struct{}

func (forgetful) Load(context.Context) (guard.Past, error)                     { return guard.Past{}, nil }
func (forgetful) Begin(context.Context, guard.Login, time.Time) (int64, error) { return 0, nil }
func (forgetful) Forget(context.Context, int64) error                          { return nil }
func (forgetful) SaveBreaker(context.Context, string, guard.Breaker) error     { return nil }

func (d *decisions) Decided(_ context.Context, one authhook.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, one)
}

func (d *decisions) last() authhook.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.list) == 0 {
		return authhook.Decision{}
	}
	return d.list[len(d.list)-1]
}

// slowVerifier lets tests make the source slow.
type slowVerifier struct {
	authhook.IMAPVerifier
	delay atomic.Int64 // nanoseconds
}

func (v *slowVerifier) Verify(ctx context.Context, src account.Source, user string, password secret.Secret) error {
	select {
	case <-time.After(time.Duration(v.delay.Load())):
	case <-ctx.Done():
	}
	return v.IMAPVerifier.Verify(ctx, src, user, password)
}

// HOOK_WAY says how Dovecot asks the hook in all tests here: by the password grant over TCP (2.3 and 2.4), over a Unix
// socket (2.4), or through the program mailstork-checkpassword (2.3).
const (
	wayVariable      = "HOOK_WAY"
	waySocket        = "socket"
	wayCheckpassword = "checkpassword"
)

// checkpassword builds the program where Dovecot may run it.
func checkpassword(t *testing.T, lab *testbed.Lab) string {
	t.Helper()
	program := filepath.Join(lab.Dir, "mailstork-checkpassword")
	build := exec.Command("go", "build", "-o", program, "mailstork/cmd/mailstork-checkpassword")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

func newSite(t *testing.T, accounts map[string]string, extra string) *site {
	t.Helper()
	testbed.Need(t, "dovecot")
	lab := testbed.NewForTest(t)
	s := &site{t: t, lab: lab, decisions: &decisions{}, verifier: &slowVerifier{IMAPVerifier: authhook.IMAPVerifier{AllowPrivateAddresses: true}}}
	var err error
	if s.source, err = lab.StartSource(testbed.SourceOptions{Accounts: accounts}); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(lab.Dir, "state")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	if s.store, err = store.Open(t.Context(), filepath.Join(state, "mailstork.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	sealer, err := secret.OpenKeyFile(filepath.Join(state, "key"))
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(lab.Dir, "vmail")
	s.provisioner, err = provision.New(provision.Options{Store: s.store, Sealer: sealer, Journal: s.decisions, Notices: nobodyWaits{},
		PassdbFile: filepath.Join(state, "dovecot", "passdb"), UserdbFile: filepath.Join(state, "dovecot", "userdb"), ProxiedFile: filepath.Join(state, "dovecot", "proxied"), FileGroup: "dovecot",
		MailUID: testbed.MailUID, MailGID: testbed.MailGID, HomeTemplate: home + "/{domain}/{local}"})
	if err != nil {
		t.Fatal(err)
	}
	s.addDomain("example.org")
	if err := s.provisioner.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	options := testbed.DestinationOptions{HomeDir: home, HookSecret: "client secret", PassdbFile: filepath.Join(state, "dovecot", "passdb"),
		UserdbFile: filepath.Join(state, "dovecot", "userdb"), ExtraConfig: extra}
	address := "127.0.0.1:0"
	switch os.Getenv(wayVariable) {
	case waySocket:
		address = filepath.Join(state, "hook.sock")
	case wayCheckpassword:
		options.Checkpassword = checkpassword(t, lab)
	}
	s.startHook(address)
	options.HookAddress = s.address
	s.destination, err = lab.StartDestination(options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) addDomain(name string) {
	s.t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", s.source.IMAPSAddress)
	if err != nil {
		s.t.Fatal(err)
	}
	_, err = s.store.AddDomain(s.t.Context(), account.Domain{Name: name, Accounts: account.AccountsAny, Source: account.Source{
		Host: "127.0.0.1", Port: addr.Port, TLS: account.TLSImplicit, CAFile: s.lab.CAFile, ServerName: "localhost"}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func listen(address string) (net.Listener, error) {
	if !strings.HasPrefix(address, "/") {
		return net.Listen("tcp", address)
	}
	listener, err := net.Listen("unix", address)
	if err == nil {
		err = os.Chmod(address, 0o666) // Dovecot's auth process is another user; the client_secret protects it
	}
	return listener, err
}

func (s *site) startHook(address string) {
	s.t.Helper()
	hook, err := authhook.New(s.t.Context(), authhook.Options{Provisioner: s.provisioner, Verifier: s.verifier, Journal: s.decisions, Notebook: forgetful{},
		ClientSecret: secret.FromString("client secret")})
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := listen(address)
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

// wantRefused logs in at the destination and wants a refusal with a response code.
func (s *site) wantRefused(address, password, code string) {
	s.t.Helper()
	client, err := s.destination.Login(address, password)
	var refused *testbed.StatusError
	if !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, code) {
		s.t.Errorf("login of %s: got %v, want %s; the hook said %+v", address, err, code, s.decisions.last())
	}
	if err == nil {
		client.Cut()
	}
}

func (s *site) wantIn(address, password string) {
	s.t.Helper()
	client, err := s.destination.Login(address, password)
	if err != nil {
		s.t.Errorf("%v; the hook said %+v", err, s.decisions.last())
		return
	}
	if _, err := client.Command("SELECT INBOX"); err != nil {
		s.t.Errorf("opening INBOX of %s: %v", address, err)
	}
	if err := client.Close(); err != nil {
		s.t.Error(err)
	}
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

func TestFirstLoginAtARealDovecotLandsInANewAccount(t *testing.T) {
	s := newSite(t, map[string]string{"anna@example.org": canary, "bert@example.org": "bert's"}, "")

	s.wantRefused("anna@example.org", "wrong", "[AUTHENTICATIONFAILED]")
	if accounts, err := s.store.Accounts(t.Context(), ""); len(accounts) != 0 || err != nil {
		t.Errorf("a wrong password made %+v, %v", accounts, err)
	}
	if _, err := os.Stat(s.destination.Home("anna@example.org")); !os.IsNotExist(err) {
		t.Errorf("a wrong password made a home: %v", err)
	}

	began := time.Now()
	s.wantIn("Anna@Example.org", canary)
	t.Logf("the first login took %s, the hook %s of it", time.Since(began).Round(time.Millisecond), s.decisions.last().Took.Round(time.Millisecond))
	a, err := s.store.Account(t.Context(), "anna@example.org")
	if err != nil || a.State != account.Joined || !a.Switched() {
		t.Errorf("got %+v, %v", a, err)
	}
	if info, err := os.Stat(s.destination.Home("anna@example.org")); err != nil || !info.IsDir() {
		t.Errorf("the home is not where the userdb says: %v", err)
	}

	s.wantIn("anna@example.org", canary)                                 // perhaps before Dovecot has seen the file
	s.wantRefused("anna@example.org", "wrong", "[AUTHENTICATIONFAILED]") // A2
	began = time.Now()
	s.knows("anna@example.org")
	t.Logf("Dovecot saw the new passdb entry after %s", time.Since(began).Round(time.Millisecond))
	if out, err := s.destination.Doveadm("user", "-u", "anna@example.org"); err != nil || !strings.Contains(out, fmt.Sprint(testbed.MailUID)) {
		t.Errorf("userdb: %s, %v", out, err)
	}
	if out, err := s.destination.Doveadm("user", "*"); err != nil || strings.TrimSpace(out) != "anna@example.org" {
		t.Errorf("all users: %q, %v", out, err)
	}

	if err := s.source.Stop(); err != nil {
		t.Fatal(err)
	}
	s.wantRefused("bert@example.org", "bert's", "[UNAVAILABLE]")
	s.wantIn("anna@example.org", canary) // A3
	s.stop()
	s.wantIn("anna@example.org", canary) // without the daemon
	s.wantRefused("bert@example.org", "bert's", "[UNAVAILABLE]")
	if err := s.source.Start(); err != nil {
		t.Fatal(err)
	}
	s.startHook(s.address)
	s.wantIn("bert@example.org", "bert's")
	s.wantNoCanary()
}

// wantNoCanary searches everything that was written, except the old provider's own folder.
func (s *site) wantNoCanary() {
	s.t.Helper()
	err := filepath.WalkDir(s.lab.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), "c4n4ry") {
			s.t.Errorf("%s holds the password (S1)", path)
		}
		return err
	})
	if err != nil {
		s.t.Error(err)
	}
}

func TestEveryByteThatDovecotTakesReachesTheSource(t *testing.T) {
	var all []byte
	for b := 0x20; b < 256; b++ {
		if b != 0x7f {
			all = append(all, byte(b))
		}
	}
	passwords := map[string]string{"anna@example.org": string(all), "bert@example.org": " +&=%41;\\\"'", "carl@example.org": strings.Repeat("ä", 300)}
	if os.Getenv(wayVariable) == wayCheckpassword {
		passwords["carl@example.org"] = strings.Repeat("ä", 200) // Dovecot gives that program 512 octets for all
	}
	s := newSite(t, passwords, "")
	for address, password := range passwords {
		s.wantIn(address, password)
		s.knows(address)
		s.wantIn(address, password) // from the passwd-file, by Dovecot's own verification of our hash
		s.wantRefused(address, password+"x", "[AUTHENTICATIONFAILED]")
	}
}

func TestWhoIsNotOursIsLeftToTheSitesOtherPassdb(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	line := fmt.Sprintf("zoe@example.com:{SHA256.HEX}%x::::::\n", sha256.Sum256([]byte("zoe's")))
	if err := os.WriteFile(other, []byte(line), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	passdb := "passdb {\n driver = passwd-file\n args = " + other + "\n}\nuserdb {\n driver = static\n args = uid=5000 gid=5000 home=" + dir + "/home/%u allow_all_users=yes\n}\n"
	if os.Getenv("DOVECOT_DESTINATION") == testbed.Dovecot24 {
		passdb = "passdb passwd-file {\n passwd_file_path = " + other + "\n}\nuserdb static {\n static_allow_all_users = yes\n fields {\n uid = 5000\n gid = 5000\n home = " +
			dir + "/home/%{user}\n }\n}\n"
	}
	s := newSite(t, nil, passdb)
	if _, err := s.destination.Doveadm("auth", "test", "zoe@example.com", "zoe's"); err != nil {
		t.Errorf("%v; the hook said %+v", err, s.decisions.last())
	}
	out, err := s.destination.Doveadm("auth", "login", "zoe@example.com", "zoe's")
	if err != nil || !strings.Contains(out, "uid=5000") || strings.Contains(out, "65534") || strings.Contains(out, "nonexistent") {
		t.Errorf("the hook's no left traces in the login of others: %s, %v", out, err)
	}
	if d := s.decisions.last(); d.Result != authhook.NotOurs {
		t.Errorf("the hook said %+v", d)
	}
	s.wantRefused("zoe@example.com", "wrong", "[AUTHENTICATIONFAILED]")
}

func TestDovecotWithAnotherClientSecretSaysUnavailable(t *testing.T) {
	s := newSite(t, map[string]string{"anna@example.org": canary}, "")
	s.stop()
	hook, err := authhook.New(t.Context(), authhook.Options{Provisioner: s.provisioner, Verifier: s.verifier, Journal: s.decisions,
		Notebook: forgetful{}, ClientSecret: secret.FromString("a new one")})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := listen(s.address)
	if err != nil {
		t.Fatal(err)
	}
	server := hook.Server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.wantRefused("anna@example.org", canary, "[UNAVAILABLE]")
	if err := errors.Join(server.Close(), <-served); !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	hook.Close()
}

func TestParallelFirstLoginsOfOneAccountAllGetIn(t *testing.T) {
	// Dovecot's default is ten sessions of one address, which is about something else.
	s := newSite(t, map[string]string{"anna@example.org": canary}, "mail_max_userip_connections = 1000\n")
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() { s.wantIn("anna@example.org", canary) })
	}
	all.Wait()
	for _, d := range s.decisions.list {
		if d.Result != authhook.Yes {
			t.Errorf("got %+v", d)
		}
	}
	log, err := os.ReadFile(s.source.LogFile)
	if n := strings.Count(string(log), "imap-login: Info: Login:"); n != 1 || err != nil {
		t.Errorf("the source saw %d logins, %v; want one", n, err)
	}
}

func TestSlowSourceHoldsUpNobodyElse(t *testing.T) {
	accounts := map[string]string{"anna@example.org": canary}
	for i := range 4 {
		accounts[fmt.Sprintf("slow%d@example.org", i)] = "slow"
	}
	s := newSite(t, accounts, "")
	s.wantIn("anna@example.org", canary)
	s.knows("anna@example.org")
	s.verifier.delay.Store(int64(3 * time.Second))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() { s.wantIn(fmt.Sprintf("slow%d@example.org", i), "slow") })
	}
	began := time.Now()
	for range 5 {
		s.wantIn("anna@example.org", canary)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("five logins of a known account took %s while others waited for the source", took)
	}
	all.Wait()
}

func TestNewPasswordOfEqualLengthInTheSameSecondIsSeen(t *testing.T) {
	s := newSite(t, map[string]string{"anna@example.org": canary}, "")
	s.wantIn("anna@example.org", canary)
	s.knows("anna@example.org")
	a, err := s.store.Account(t.Context(), "anna@example.org")
	if err != nil {
		t.Fatal(err)
	}
	other := []byte(a.PasswordHash) // what a new password will look like: as long as the old one
	other[len(other)-5] ^= 1
	// Dovecot looks once a second: its next look and the change must fall into one second.
	asked := time.Now().Unix()
	s.waitFor("the next second", func() bool { return time.Now().Unix() > asked && time.Now().Nanosecond() < 200_000_000 })
	passdb := filepath.Join(s.lab.Dir, "state", "dovecot", "passdb")
	if err := os.Chtimes(passdb, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if out, err := s.destination.Doveadm("auth", "test", "anna@example.org", canary); err != nil { // reads the file
		t.Fatal(out, err)
	}
	err = s.store.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE account SET password_hash = $1`, string(other))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.stop() // only the file decides now
	if err := s.provisioner.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.waitFor("Dovecot to see the change", func() bool {
		_, err := s.destination.Doveadm("auth", "test", "anna@example.org", canary)
		return err != nil
	})
}

// nobodyWaits stands for the folders of notices where nobody is shown one.
type nobodyWaits struct{}

func (nobodyWaits) Path(account.Account) string { return "/nonexistent" }
func (nobodyWaits) Ready(account.Domain, account.Account) error {
	return errors.New("nobody waits here")
}
