package provider

import (
	"context"
	"database/sql"
	"fmt"
	"hash/crc32"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

// Every message that a server with a quirk really holds is here exactly once, with its bytes, flags and date; a pass
// behind that appends nothing; what the operator shall read is told, and nothing else; nothing hangs.
func TestEveryProfileIsMirroredWholeOnceAndTold(t *testing.T) {
	l := newLedgers(t)
	t.Run("all", func(t *testing.T) { // ends before the ledgers are closed
		for _, p := range All() {
			t.Run(p.Name, func(t *testing.T) {
				t.Parallel()
				newBench(t, l, p).run(t)
			})
		}
	})
}

// ledgers is one database for all profiles; each is an account in it.
type ledgers struct {
	store  *store.Store
	domain account.Domain
}

func newLedgers(t *testing.T) *ledgers {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d, err := db.AddDomain(t.Context(), account.Domain{
		Name: "example.org", Source: account.Source{Host: "old.example", Port: 143, TLS: account.TLSNone}, Accounts: account.AccountsAny,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &ledgers{db, d}
}

type bench struct {
	profile     Profile
	there, here *Server
	ledger      *ledger.Ledger
	account     account.Account
	dir         string
	told        []string
}

func newBench(t *testing.T, l *ledgers, p Profile) *bench {
	t.Helper()
	b := &bench{profile: p, dir: t.TempDir()}
	s := NewStore()
	if p.Seed != nil {
		p.Seed(s)
	}
	var err error
	if b.there, err = Start(s, p.Quirk); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.there.Close)
	if b.here, err = StartDestination(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.here.Close)
	b.ledger = ledger.New(l.store)
	if err = l.store.Write(t.Context(), func(tx *sql.Tx) (err error) {
		b.account, err = l.store.EnsureAccount(t.Context(), tx, l.domain.ID, account.Address(p.Name+"@example.org"), User)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) options() mirror.Options {
	patience := 20 * time.Second
	if b.profile.Idle {
		patience = 300 * time.Millisecond
	}
	return mirror.Options{
		Account: b.account, Ledger: b.ledger, KeepDir: filepath.Join(b.dir, "refused"),
		Source: source.Options{
			Server: account.Source{Host: "127.0.0.1", Port: b.there.Port, TLS: account.TLSNone},
			User:   User, Password: secret.FromString(Password), IdleTimeout: patience,
		},
		Destination: destination.Options{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(b.here.Port)), User: User, IdleTimeout: 20 * time.Second},
		Fence:       func(context.Context) error { return nil },
	}
}

// pass runs one pass and keeps what it told.
func (b *bench) pass(t *testing.T) (mirror.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result, err := mirror.Pass(ctx, b.options())
	if ctx.Err() != nil {
		t.Fatalf("the pass hung: %v", err)
	}
	b.told = append(b.told, result.Oddities...)
	for _, f := range result.Problems() {
		b.told = append(b.told, f.Name+": "+f.Problem)
	}
	if err != nil {
		b.told = append(b.told, err.Error())
	}
	return result, err
}

func (b *bench) run(t *testing.T) {
	p := b.profile
	for range max(p.Passes, 1) - 1 {
		_, _ = b.pass(t)
	}
	if _, err := b.pass(t); (err != nil) != p.Never {
		t.Errorf("the last pass: %v; told %q", err, b.told)
	}
	b.compare(t)
	again, err := b.pass(t)
	if (err != nil) != p.Never || again.Appended != 0 {
		t.Errorf("a pass behind it appended %d, %v", again.Appended, err)
	}
	b.compare(t)
	b.checkTold(t)
	if !b.there.Bent() {
		t.Error("the server never did what the profile says")
	}
	if wrong := b.there.Wrong(); len(wrong) > 0 {
		t.Errorf("L5: the source was asked %q", wrong)
	}
	if wrong := b.here.Wrong(); len(wrong) > 0 {
		t.Errorf("the destination was asked %q", wrong)
	}
	found, err := b.ledger.CheckSettled(t.Context(), b.account.ID)
	if err != nil || len(found) > 0 {
		t.Errorf("the ledger: %v, %v", found, err)
	}
}

func (b *bench) checkTold(t *testing.T) {
	t.Helper()
	exceptions, err := b.ledger.Exceptions(t.Context(), b.account.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exceptions {
		b.told = append(b.told, e.Reason)
	}
	all := strings.Join(b.told, "\n")
	switch reads := b.profile.Reads; {
	case reads == "" && all != "":
		t.Errorf("told something, though there is nothing to tell:\n%s", all)
	case !strings.Contains(all, reads):
		t.Errorf("did not tell %q, but:\n%s", reads, all)
	}
}

// compare holds what is here against what the source has.
func (b *bench) compare(t *testing.T) {
	t.Helper()
	want, got := map[string][]string{}, map[string][]string{}
	b.there.mu.Lock()
	for _, f := range b.there.Store.Folders {
		for _, m := range f.Messages {
			if b.profile.Arrives != nil {
				if m = b.profile.Arrives(f, m); m == nil {
					continue
				}
			}
			want[b.place(f)] = append(want[b.place(f)], show(m))
		}
	}
	b.there.mu.Unlock()
	b.here.mu.Lock()
	for _, f := range b.here.Store.Folders {
		for _, m := range f.Messages {
			got[f.Raw] = append(got[f.Raw], show(m))
		}
	}
	b.here.mu.Unlock()
	if b.profile.Never {
		clear(want)
	}
	for name := range got {
		if want[name] == nil {
			want[name] = nil
		}
	}
	for name, messages := range want {
		slices.Sort(messages)
		slices.Sort(got[name])
		if !slices.Equal(messages, got[name]) {
			t.Errorf("%q here has\n  %s\nand should have\n  %s\ntold %q", name, strings.Join(got[name], "\n  "), strings.Join(messages, "\n  "), b.told)
		}
	}
}

func (b *bench) place(f *Folder) string {
	if name, differs := b.profile.Places[f.Raw]; differs {
		return name
	}
	if slices.Contains(f.Attributes, `\Sent`) {
		return "Sent"
	}
	return f.Raw
}

// show is all that counts of a message.
func show(m *Message) string {
	date := "no date"
	if at, _, ok := wire.ParseDate(m.Date); ok {
		date = at.UTC().Format(time.RFC3339)
	}
	flags := slices.Clone(m.Flags)
	slices.Sort(flags)
	_, subject, _ := strings.Cut(m.Body, "Subject: ")
	subject, _, _ = strings.Cut(subject, "\r\n")
	return fmt.Sprintf("%q %d octets %08x %q %s", subject, len(m.Body), crc32.ChecksumIEEE([]byte(m.Body)), flags, date)
}
