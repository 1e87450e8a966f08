package provision

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	anna     = account.Address("anna@example.org")
	hashA    = "{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$YWFhYWFhYWE"
	hashB    = "{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$YmJiYmJiYmI"
	headline = "# Written by mailstork; changes are lost.\n"
)

type joins struct {
	mu       sync.Mutex
	accounts []account.Account
	renewed  []account.Address
	led      []account.Account
}

func (j *joins) Joined(_ context.Context, a account.Account) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.accounts = append(j.accounts, a)
}

func (j *joins) Led(_ context.Context, a account.Account) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.led = append(j.led, a)
}

func (j *joins) Renewed(_ context.Context, a account.Account) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.renewed = append(j.renewed, a.Address)
}

// bench is a Provisioner on a real store in a folder of its own.
type bench struct {
	*Provisioner
	store   *store.Store
	sealer  *secret.Sealer
	joins   *joins
	letters *letters
	options Options
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), filepath.Join(dir, "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	sealer, err := secret.NewSealer(make([]byte, secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	for name, policy := range map[string]account.AccountsPolicy{"example.org": account.AccountsAny, "example.net": account.AccountsListed} {
		_, err := s.AddDomain(t.Context(), account.Domain{Name: name, Accounts: policy,
			Source: account.Source{Host: "imap." + name, Port: 993, TLS: account.TLSImplicit}})
		if err != nil {
			t.Fatal(err)
		}
	}
	b := &bench{store: s, sealer: sealer, joins: &joins{}, letters: &letters{dir: "/run/mailstork/notice"}}
	b.options = Options{Store: s, Sealer: sealer, Journal: b.joins, Notices: b.letters,
		PassdbFile: filepath.Join(dir, "dovecot", "passdb"), UserdbFile: filepath.Join(dir, "dovecot", "userdb"), ProxiedFile: filepath.Join(dir, "dovecot", "proxied"), Authorities: "/etc/ca.pem",
		MailUID: 5000, MailGID: 5001, HomeTemplate: "/var/vmail/{domain}/{local}"}
	b.restart(t)
	return b
}

// restart is a new process on the same state.
func (b *bench) restart(t *testing.T) {
	t.Helper()
	p, err := New(b.options)
	if err != nil {
		t.Fatal(err)
	}
	b.Provisioner = p
}

func (b *bench) admitted(t *testing.T, address account.Address, hash, password string) {
	t.Helper()
	if err := b.Admit(t.Context(), address, hash, secret.FromString(password)); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) account(t *testing.T, address account.Address) account.Account {
	t.Helper()
	a, err := b.store.Account(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (b *bench) credential(t *testing.T, address account.Address) string {
	t.Helper()
	a := b.account(t, address)
	sealed, err := b.store.Credential(t.Context(), a.ID, store.KindPassword)
	if errors.Is(err, store.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	opened, err := b.sealer.Open(sealed, a.ID, store.KindPassword)
	if err != nil {
		t.Fatal(err)
	}
	return string(opened.Reveal())
}

// list adds an account as an import does.
func (b *bench) list(t *testing.T, address account.Address) {
	t.Helper()
	domain, err := b.store.Domain(t.Context(), address.Domain())
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := b.store.EnsureAccount(t.Context(), tx, domain.ID, address, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) wantFiles(t *testing.T, userdb, passdb string) {
	t.Helper()
	for path, want := range map[string]string{b.options.UserdbFile: userdb, b.options.PassdbFile: passdb} {
		if got, err := os.ReadFile(path); err != nil || string(got) != headline+want {
			t.Errorf("%s: got %q, %v, want %q", filepath.Base(path), got, err, headline+want)
		}
	}
}

func TestFirstLoginMakesAccountHashCredentialAndFirstPass(t *testing.T) {
	b := newBench(t)
	before := time.Now().Add(-time.Second)
	b.admitted(t, anna, hashA, "old password")
	a := b.account(t, anna)
	if a.State != account.Joined || a.PasswordHash != hashA || !a.Switched() || a.Priority != FirstLoginPriority ||
		a.NextPassAt.Before(before) || a.NextPassAt.After(time.Now()) {
		t.Errorf("got %+v", a)
	}
	if got := b.credential(t, anna); got != "old password" {
		t.Errorf("the credential opens as %q", got)
	}
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "anna@example.org:"+hashA+"::::::\n")
	if len(b.joins.accounts) != 1 || b.joins.accounts[0].Address != anna || b.joins.accounts[0].State != account.Joined {
		t.Errorf("the journal was told %+v", b.joins.accounts)
	}
}

func TestSecondAdmissionChangesNothing(t *testing.T) {
	b := newBench(t)
	b.admitted(t, anna, hashA, "old password")
	first := b.account(t, anna)
	b.admitted(t, anna, hashB, "another password")
	if again := b.account(t, anna); again.PasswordHash != hashA || !again.SwitchedAt.Equal(first.SwitchedAt) { // A2
		t.Errorf("got %+v, before %+v", again, first)
	}
	if got := b.credential(t, anna); got != "old password" {
		t.Errorf("the credential opens as %q", got)
	}
	if len(b.joins.accounts) != 1 {
		t.Errorf("joined %d times", len(b.joins.accounts))
	}
}

func TestTwoHundredParallelFirstLoginsMakeOneAccountAndFewWrites(t *testing.T) {
	b := newBench(t)
	writes := 0
	inner := b.files.accounts
	b.files.accounts = func(ctx context.Context) ([]account.Account, error) { writes++; return inner(ctx) }
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			address := anna
			if i%2 == 1 {
				address = account.Address(fmt.Sprintf("a%d@example.org", i))
			}
			if err := b.Admit(t.Context(), address, hashA, secret.FromString("old password")); err != nil {
				t.Error(err)
				return
			}
			// durable and complete for whoever was admitted, at this moment
			passdb, err := os.ReadFile(b.options.PassdbFile)
			if err != nil || !strings.Contains(string(passdb), "\n"+string(address)+":") {
				t.Errorf("%s was admitted without an entry: %v", address, err)
			}
		})
	}
	all.Wait()
	if n, err := b.store.Accounts(t.Context(), ""); len(n) != 101 || err != nil {
		t.Errorf("%d accounts, %v; want 101", len(n), err)
	}
	if len(b.joins.accounts) != 101 {
		t.Errorf("joined %d times, want 101", len(b.joins.accounts))
	}
	t.Logf("200 admissions took %d writes", writes)
	if writes > 150 {
		t.Errorf("%d writes for 200 admissions", writes)
	}
}

func TestCallersThatComeTogetherShareOneWrite(t *testing.T) {
	b := newBench(t)
	writes, hold := 0, make(chan struct{})
	inner := b.files.accounts
	b.files.accounts = func(ctx context.Context) ([]account.Account, error) {
		if writes++; writes == 1 {
			<-hold
		}
		return inner(ctx)
	}
	var all sync.WaitGroup
	refresh := func() {
		if err := b.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
	}
	all.Go(refresh)
	waitFor(t, func() bool { return len(b.files.writing) == 1 && b.waiting() == nil })
	for range 50 {
		all.Go(refresh)
	}
	waitFor(t, func() bool { return b.waiting() != nil })
	close(hold)
	all.Wait()
	if writes > 5 { // one, one for the fifty, and a few for those that came late
		t.Errorf("%d writes", writes)
	}
}

func (b *bench) waiting() *round {
	b.files.mu.Lock()
	defer b.files.mu.Unlock()
	return b.files.next
}

func waitFor(t *testing.T, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestCrashBetweenDatabaseAndFilesIsHealedByRefresh(t *testing.T) {
	b := newBench(t)
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantFiles(t, "", "") // Dovecot needs them to exist
	broken := b.files.accounts
	b.files.accounts = func(context.Context) ([]account.Account, error) { return nil, errors.New("power cut") }
	if err := b.Admit(t.Context(), anna, hashA, secret.FromString("old password")); err == nil {
		t.Fatal("admitted without files")
	}
	b.files.accounts = broken
	b.wantFiles(t, "", "")
	litter := filepath.Join(filepath.Dir(b.options.PassdbFile), ".passdb.new")
	if err := os.WriteFile(litter, []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.restart(t)
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "anna@example.org:"+hashA+"::::::\n")
	if _, err := os.Stat(litter); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

func TestListedAccountsGetMailButNoPassword(t *testing.T) {
	b := newBench(t)
	b.list(t, "listed@example.net")
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantFiles(t, "listed@example.net::5000:5001::/var/vmail/example.net/listed::\n", "")
	b.admitted(t, "listed@example.net", hashA, "old password")
	if a := b.account(t, "listed@example.net"); a.State != account.Joined {
		t.Errorf("got %+v", a)
	}
}

func TestPolicyIsLookedAtAgain(t *testing.T) {
	b := newBench(t)
	for _, address := range []account.Address{"unlisted@example.net", "anna@elsewhere.org"} {
		if err := b.Admit(t.Context(), address, hashA, secret.FromString("x")); err == nil {
			t.Errorf("%s was admitted (A1)", address)
		}
	}
	b.moveDomain(t, "example.org", account.Cutover, account.Draining, account.Closed)
	if err := b.Admit(t.Context(), anna, hashA, secret.FromString("x")); !errors.Is(err, errClosed) {
		t.Errorf("got %v for a closed domain", err)
	}
	if n, err := b.store.Accounts(t.Context(), ""); len(n) != 0 || err != nil {
		t.Errorf("%d accounts, %v", len(n), err)
	}
}

func (b *bench) moveDomain(t *testing.T, name string, states ...account.DomainState) {
	t.Helper()
	for _, state := range states {
		domain, err := b.store.Domain(t.Context(), name)
		if err == nil {
			err = b.store.MoveDomain(t.Context(), domain, state, []byte("{}"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccountThatIsDoneGetsAHashButNoCredential(t *testing.T) {
	b := newBench(t)
	b.list(t, anna)
	err := b.store.Write(t.Context(), func(tx *sql.Tx) error {
		return b.store.MoveAccount(t.Context(), tx, b.account(t, anna), account.Done)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.admitted(t, anna, hashA, "old password")
	if a := b.account(t, anna); a.State != account.Done || a.PasswordHash != hashA || !a.NextPassAt.IsZero() {
		t.Errorf("got %+v", a)
	}
	if got := b.credential(t, anna); got != "" {
		t.Error("a credential is stored that nobody would erase")
	}
}

func TestStandingKnowsDomainAndAccount(t *testing.T) {
	b := newBench(t)
	b.list(t, "listed@example.net")
	for address, want := range map[account.Address][2]bool{"anna@elsewhere.org": {false, false}, anna: {true, false}, "listed@example.net": {true, true}} {
		domain, member, err := b.Standing(t.Context(), address)
		if err != nil || (domain.ID != 0) != want[0] || (member.ID != 0) != want[1] {
			t.Errorf("%s: got %+v, %+v, %v", address, domain, member, err)
		}
	}
}

func TestUnusableOptionsAreRefused(t *testing.T) {
	b := newBench(t)
	for name, change := range map[string]func(*Options){
		"no store":       func(o *Options) { o.Store = nil },
		"no file":        func(o *Options) { o.PassdbFile = "" },
		"root":           func(o *Options) { o.MailUID = 0 },
		"relative home":  func(o *Options) { o.HomeTemplate = "vmail/{domain}/{local}" },
		"shared home":    func(o *Options) { o.HomeTemplate = "/var/vmail/{local}" },
		"home with %":    func(o *Options) { o.HomeTemplate = "/var/%d/{domain}/{local}" },
		"home with :":    func(o *Options) { o.HomeTemplate = "/var/a:b/{domain}/{local}" },
		"two lines":      func(o *Options) { o.UserdbFields = "a=b\nroot::0:0::/root::" },
		"unprintable ok": func(o *Options) { o.UserdbFields = "a=\x7f" },
	} {
		o := b.options
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestNoPasswordIsInAnyFile(t *testing.T) {
	b := newBench(t)
	const canary = "c4n4ry-p4ssw0rd"
	b.admitted(t, anna, hashA, canary)
	dir := filepath.Dir(filepath.Dir(b.options.PassdbFile))
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), canary) {
			t.Errorf("%s holds the password (S1)", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
