package provision

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

func TestNothingThatWouldMakeAnotherEntryGetsIntoTheFiles(t *testing.T) {
	b := newBench(t)
	for _, hash := range []string{"", "plain", "{PLAIN}a:0:0", "{PLAIN}a\nroot:{PLAIN}x", "{PLAIN}a b", "{PLAIN}\xff", "x{PLAIN}"} {
		if err := b.Admit(t.Context(), anna, hash, secret.FromString("x")); err == nil {
			t.Errorf("hash %q was taken", hash)
		}
	}
	if line := passdbLine(account.Account{Address: "#x@example.org", PasswordHash: hashA}); line != "" {
		t.Errorf("a comment is taken for an entry: %q", line)
	}
	rapid.Check(t, func(t *rapid.T) {
		wantOneEntry(t, account.Account{Address: anna}, passdbLine(account.Account{Address: anna, PasswordHash: "{X}" + rapid.String().Draw(t, "any hash")}))
		a := account.Account{Address: account.Address(rapid.String().Draw(t, "address")), PasswordHash: rapid.OneOf(rapid.String(), rapid.Just("{X}"+rapid.String().Draw(t, "tail"))).Draw(t, "hash")}
		wantOneEntry(t, a, passdbLine(a))
		if strings.Contains(string(a.Address), "@") {
			wantOneEntry(t, a, b.userdbLine(a, ""))
		}
	})
	rapid.Check(t, func(t *rapid.T) { // everything that ParseAddress takes has an entry
		address, err := account.ParseAddress(rapid.StringMatching(`[a-z0-9._+=~'&$!^{}-]{1,20}@[a-z0-9-]{1,10}\.org`).Draw(t, "address"))
		if err == nil && b.userdbLine(account.Account{Address: address}, "") == "" {
			t.Fatalf("%s has no entry", address)
		}
	})
}

func wantOneEntry(t *rapid.T, a account.Account, line string) {
	if line == "" {
		return
	}
	parts := strings.Split(strings.TrimSuffix(line, "\n"), ":")
	if strings.Count(line, "\n") != 1 || len(parts) != 8 || parts[0] != string(a.Address) || strings.HasPrefix(line, "#") {
		t.Fatalf("%q gives %q", a.Address, line)
	}
}

func TestFilesAreForDovecotsGroupOnly(t *testing.T) {
	b := newBench(t)
	b.admitted(t, anna, hashA, "old password")
	for _, path := range []string{b.options.PassdbFile, b.options.UserdbFile} {
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(b.options.PassdbFile); err != nil || info.Mode() != 0o640 {
		t.Errorf("refreshed: %v, %v", info.Mode(), err)
	}
	b.options.FileGroup = "no such group"
	b.restart(t)
	if err := b.Refresh(t.Context()); err == nil {
		t.Error("an unknown group was taken")
	}
}

func TestUnchangedFilesAreLeftAlone(t *testing.T) {
	b := newBench(t)
	b.admitted(t, anna, hashA, "old password")
	before, err := os.Stat(b.options.UserdbFile)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after, err := os.Stat(b.options.UserdbFile); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the file was written again: %v", err)
	}
	b.files.userdb.unsure = true // as after a failed write
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(b.options.UserdbFile); err != nil || after.ModTime().Equal(before.ModTime()) || b.files.userdb.unsure {
		t.Errorf("the file was taken for durable: %v", err)
	}
}

func TestPassdbNeverHasWhomTheUserdbLacks(t *testing.T) {
	b := newBench(t)
	if err := os.MkdirAll(b.options.UserdbFile, 0o755); err != nil { // nothing can be renamed to a folder
		t.Fatal(err)
	}
	if err := b.Admit(t.Context(), anna, hashA, secret.FromString("old password")); err == nil || !strings.Contains(err.Error(), b.options.UserdbFile) {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(b.options.PassdbFile))
	if err != nil || len(left) != 1 || left[0].Name() != "userdb" {
		t.Errorf("there is more than the folder: %v, %v", left, err)
	}
}

func TestWriteForManyDoesNotEndWithTheCallerThatBeganIt(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	inner := b.files.accounts
	b.files.accounts = func(ctx context.Context) ([]account.Account, error) { cancel(); return inner(ctx) }
	if err := b.Refresh(ctx); err != nil {
		t.Error(err)
	}
	b.wantFiles(t, "", "")
}

func TestRoundThatIsOverIsNotWrittenAgain(t *testing.T) {
	b := newBench(t)
	b.files.accounts = func(context.Context) ([]account.Account, error) { return nil, errors.New("written again") }
	over := &round{done: make(chan struct{})}
	close(over.done)
	if b.files.lead(t.Context(), over); over.err != nil {
		t.Error(over.err)
	}
}

func TestChangeOfEqualSizeWithinASecondHasANewTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passdb")
	seen := map[int64]bool{}
	for i := range 5 {
		if err := replace(path, fmt.Appendf(nil, "content %d", i), os.Getegid()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if second := info.ModTime().Unix(); seen[second] {
			t.Errorf("write %d has the second %d again", i, second)
		} else {
			seen[second] = true
		}
	}
}
