package provision

import (
	"errors"
	"slices"
	"testing"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

func (b *bench) refuseCredential(t *testing.T, address account.Address) {
	t.Helper()
	if err := b.store.SetCredentialRefused(t.Context(), address, true); err != nil {
		t.Fatal(err)
	}
	if err := b.store.SetStuck(t.Context(), address, "refused", "next"); err != nil {
		t.Fatal(err)
	}
}

func TestRenewReplacesHashAndCredentialOnlyWhileTheStoredOneIsRefused(t *testing.T) { // A2
	const address = account.Address("anna@example.org")
	b := newBench(t)
	b.admitted(t, address, "{X}old", "old")
	if err := b.Renew(t.Context(), address, "{X}new", secret.FromString("new")); !errors.Is(err, errNotRefused) {
		t.Errorf("nothing was refused: %v", err)
	}
	if a := b.account(t, address); a.PasswordHash != "{X}old" || b.credential(t, address) != "old" {
		t.Errorf("hash %s, credential %s", a.PasswordHash, b.credential(t, address))
	}
	switched := b.account(t, address).SwitchedAt
	b.refuseCredential(t, address)
	if err := b.Renew(t.Context(), address, "{X}new", secret.FromString("new")); err != nil {
		t.Fatal(err)
	}
	a := b.account(t, address)
	if a.PasswordHash != "{X}new" || a.CredentialRefused || a.Stuck != "" || !a.SwitchedAt.Equal(switched) || b.credential(t, address) != "new" {
		t.Errorf("got %+v, credential %s", a, b.credential(t, address))
	}
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "anna@example.org:{X}new::::::\n")
	if !slices.Equal(b.joins.renewed, []account.Address{address}) {
		t.Errorf("told: %v", b.joins.renewed)
	}
	if err := b.Renew(t.Context(), "nobody@example.net", "{X}new", secret.FromString("new")); err == nil {
		t.Error("an account that does not exist was renewed")
	}
}

func TestAnAdminsPasswordLeavesTheCredentialUnlessItWasProven(t *testing.T) {
	const address = account.Address("anna@example.org")
	b := newBench(t)
	b.admitted(t, address, "{X}old", "old")
	if err := b.SetPassword(t.Context(), address, "{X}set", secret.FromString("set"), false); err != nil {
		t.Fatal(err)
	}
	if a := b.account(t, address); a.PasswordHash != "{X}set" || b.credential(t, address) != "old" {
		t.Errorf("got %s, credential %s", a.PasswordHash, b.credential(t, address))
	}
	if err := b.SetPassword(t.Context(), address, "{X}both", secret.FromString("both"), true); err != nil {
		t.Fatal(err)
	}
	if a := b.account(t, address); a.PasswordHash != "{X}both" || b.credential(t, address) != "both" {
		t.Errorf("got %s, credential %s", a.PasswordHash, b.credential(t, address))
	}
}
