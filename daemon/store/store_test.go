package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
)

func openStore(t *testing.T) (*Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mailstork.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, path
}

func addDomain(t *testing.T, s *Store) account.Domain {
	t.Helper()
	d, err := s.AddDomain(t.Context(), account.Domain{
		Name: "example.org", Source: account.Source{Host: "old.example", Port: 993, TLS: account.TLSImplicit},
		Accounts: account.AccountsAny, MXHosts: []string{"mx.new.example"}, OutgoingAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ensure(t *testing.T, s *Store, d account.Domain, address account.Address) (a account.Account) {
	t.Helper()
	err := s.Write(t.Context(), func(tx *sql.Tx) (err error) {
		a, err = s.EnsureAccount(t.Context(), tx, d.ID, address, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDomainComesBackAsItWasAdded(t *testing.T) {
	s, _ := openStore(t)
	want := addDomain(t, s)
	got, err := s.Domain(t.Context(), "example.org")
	want.CreatedAt = want.CreatedAt.Truncate(time.Millisecond)
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := s.AddDomain(t.Context(), want); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("adding it twice: %v", err)
	}
	if _, err := s.Domain(t.Context(), "other.org"); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown domain: %v, want ErrNotFound", err)
	}
}

func TestAccountStateMovesOnlyAlongTheTable(t *testing.T) {
	s, _ := openStore(t)
	a := ensure(t, s, addDomain(t, s), "anna@example.org")
	move := func(a account.Account, to account.State) error {
		return s.Write(t.Context(), func(tx *sql.Tx) error { return s.MoveAccount(t.Context(), tx, a, to) })
	}
	if err := move(a, account.Following); err == nil {
		t.Error("listed → following went through")
	}
	if err := move(a, account.Joined); err != nil {
		t.Error(err)
	}
	if err := move(a, account.Joined); !errors.Is(err, ErrNotFound) {
		t.Errorf("a second mover with an old view: %v, want ErrNotFound", err)
	}
}

func TestStoredHashIsNeverOverwritten(t *testing.T) { // A2
	s, _ := openStore(t)
	a := ensure(t, s, addDomain(t, s), "anna@example.org")
	for _, hash := range []string{"{X}first", "{X}second"} {
		if err := s.Write(t.Context(), func(tx *sql.Tx) error { return s.StorePasswordHash(t.Context(), tx, a.ID, hash) }); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Account(t.Context(), a.Address)
	if err != nil || got.PasswordHash != "{X}first" || !got.Switched() {
		t.Errorf("hash = %q, switched %v, %v", got.PasswordHash, got.Switched(), err)
	}
}

func TestErasedCredentialLeavesNoOctets(t *testing.T) { // S1
	s, path := openStore(t)
	a := ensure(t, s, addDomain(t, s), "anna@example.org")
	sealed := bytes.Repeat([]byte("sealed-canary-"), 20)
	ctx := t.Context()
	if err := s.Write(ctx, func(tx *sql.Tx) error { return s.SaveCredential(ctx, tx, a.ID, KindPassword, sealed) }); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Credential(ctx, a.ID, KindPassword); err != nil || !bytes.Equal(got, sealed) {
		t.Fatalf("credential = %q, %v", got, err)
	}
	if !filesContain(t, path, "sealed-canary") {
		t.Fatal("the search does not even find what is there")
	}
	if err := s.Write(ctx, func(tx *sql.Tx) error { return s.EraseCredentials(ctx, tx, a.ID) }); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseTraces(ctx); err != nil {
		t.Fatal(err)
	}
	if filesContain(t, path, "sealed-canary") {
		t.Error("octets of the erased credential are still in the database files")
	}
}

func filesContain(t *testing.T, path, text string) bool {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(text)) {
			return true
		}
	}
	return false
}

func TestNewerSchemaIsRefusedPolitely(t *testing.T) {
	s, path := openStore(t)
	err := s.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if _, err := Open(context.Background(), path); err == nil || !strings.Contains(err.Error(), "schema 999") {
		t.Errorf("Open = %v, want a polite refusal", err)
	}
}

func TestDatabaseFileIsPrivate(t *testing.T) {
	_, path := openStore(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}
