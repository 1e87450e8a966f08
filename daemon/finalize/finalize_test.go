package finalize

import (
	"bytes"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/store"
)

type lab struct {
	*store.Store
	t      *testing.T
	domain account.Domain
}

func newLab(t *testing.T) *lab {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	d, err := s.AddDomain(t.Context(), account.Domain{Name: "example.org", Source: account.Source{Host: "old.example"}, Accounts: account.AccountsAny})
	if err != nil {
		t.Fatal(err)
	}
	return &lab{s, t, d}
}

// with adds an account with a credential and walks it to a state.
func (l *lab) with(address account.Address, states ...account.State) account.Account {
	l.t.Helper()
	ctx := l.t.Context()
	err := l.Write(ctx, func(tx *sql.Tx) error {
		a, err := l.EnsureAccount(ctx, tx, l.domain.ID, address, "")
		if err != nil {
			return err
		}
		for _, to := range states {
			if err := l.MoveAccount(ctx, tx, a, to); err != nil {
				return err
			}
			a.State = to
		}
		return l.SaveCredential(ctx, tx, a.ID, store.KindPassword, []byte("sealed"))
	})
	if err != nil {
		l.t.Fatal(err)
	}
	a, err := l.Account(ctx, address)
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

func (l *lab) closing(address account.Address) account.Account {
	return l.with(address, account.Joined, account.Copying, account.Following, account.Closing)
}

func report(address account.Address, source, copied, deleted int64) AccountReport {
	return AccountReport{Address: address, VerifiedAt: time.Unix(1_800_000_000, 0).UTC(), Octets: 1_500_000,
		Folders: []FolderReport{{Source: "INBOX", Destination: "INBOX", SourceMessages: source, Fates: Fates{Copied: copied, Deleted: deleted}}}}
}

func TestProvenAccountIsDoneAndItsCredentialErased(t *testing.T) {
	l := newLab(t)
	a := l.closing("anna@example.org")
	if err := Account(t.Context(), l.Store, a, report(a.Address, 10, 8, 2)); err != nil {
		t.Fatal(err)
	}
	got, err := l.Account(t.Context(), a.Address)
	if err != nil || got.State != account.Done {
		t.Errorf("state %s, %v; want done", got.State, err)
	}
	if n, err := l.CountCredentials(t.Context(), l.domain.ID); n != 0 || err != nil {
		t.Errorf("%d credentials left, %v", n, err)
	}
}

func TestAbandonedAccountThatWasPassedOnLandsHere(t *testing.T) {
	l := newLab(t)
	a := l.with("anna@example.org", account.Joined, account.Copying)
	for _, to := range []account.Route{account.RouteSource, account.RouteHeld} {
		err := l.Write(t.Context(), func(tx *sql.Tx) error {
			now, err := l.AccountIn(t.Context(), tx, a.Address)
			return errors.Join(err, l.MoveRoute(t.Context(), tx, now, to, account.Switching{}, 0))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := Abandon(t.Context(), l.Store, a, report(a.Address, 10, 8, 0), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Account(t.Context(), a.Address); err != nil || got.State != account.Done || got.Route != account.RouteHere || !got.Switched() {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAccountWithAGapStaysInClosingAndKeepsItsCredential(t *testing.T) { // L1
	l := newLab(t)
	a := l.closing("anna@example.org")
	var gap *Gap
	if err := Account(t.Context(), l.Store, a, report(a.Address, 10, 8, 1)); !errors.As(err, &gap) {
		t.Fatalf("err = %v, want a gap", err)
	}
	got, err := l.Account(t.Context(), a.Address)
	if err != nil || got.State != account.Closing {
		t.Errorf("state %s, %v; want closing", got.State, err)
	}
	if n, _ := l.CountCredentials(t.Context(), l.domain.ID); n != 1 {
		t.Errorf("%d credentials, want 1: the next pass needs it", n)
	}
}

func TestDomainClosesOnlyWhenEveryAccountIsDone(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	a, b := l.closing("anna@example.org"), l.with("bob@example.org")
	for _, to := range []account.DomainState{account.Cutover, account.Draining} {
		if err := l.MoveDomain(ctx, l.domain, to, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		l.domain.State = to
	}
	if err := Account(ctx, l.Store, a, report(a.Address, 10, 8, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := Close(ctx, l.Store, l.domain, []byte("{}"), time.Now()); err == nil {
		t.Fatal("closed although bob is only listed")
	}
	if err := Expire(ctx, l.Store, b); err != nil {
		t.Fatal(err)
	}
	r, err := Close(ctx, l.Store, l.domain, []byte("{}"), time.Now())
	if err != nil || r.AccountsMoved != 1 || r.NeverLoggedIn != 1 || r.SourceMessages != 10 || r.Fates.Total() != 10 {
		t.Errorf("report %+v, %v", r, err)
	}
	var text bytes.Buffer
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"example.org has moved here from old.example", "1 account with 10 messages (1.5 MB)",
		"1 account never logged in", "All borrowed passwords are erased", "anna@example.org"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, text.String())
		}
	}
}
