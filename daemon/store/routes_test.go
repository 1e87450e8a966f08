package store

import (
	"database/sql"
	"errors"
	"testing"

	"mailstork/daemon/account"
)

func TestRouteMovesOnlyAlongTheTableAndOnlyForTheHolderOfTheLease(t *testing.T) {
	s, _ := openStore(t)
	a := ensure(t, s, addDomain(t, s), "anna@example.org")
	if a.Route != account.RouteHere || a.Switched() {
		t.Errorf("a new account: %+v", a)
	}
	move := func(to account.Route, epoch int64) error {
		return s.Write(t.Context(), func(tx *sql.Tx) error {
			now, err := s.AccountIn(t.Context(), tx, a.Address)
			return errors.Join(err, s.MoveRoute(t.Context(), tx, now, to, account.Switching{Problem: "p", Failures: 2}, epoch))
		})
	}
	if err := move(account.RouteHeld, 0); err == nil {
		t.Error("here → held went through")
	}
	if err := move(account.RouteSource, 0); err != nil {
		t.Fatal(err)
	}
	err := s.Write(t.Context(), func(tx *sql.Tx) error { return s.StorePasswordHash(t.Context(), tx, a.ID, "{X}hash") })
	if got, getErr := s.Account(t.Context(), a.Address); err != nil || getErr != nil || got.Switched() || got.Switching.Failures != 2 {
		t.Errorf("a first login that is passed on: %+v, %v, %v", got, err, getErr)
	}
	if err := move(account.RouteHeld, 7); !errors.Is(err, ErrNotFound) {
		t.Errorf("somebody without the lease: %v, want ErrNotFound", err)
	}
	if err := errors.Join(move(account.RouteHeld, 0), move(account.RouteHere, 0)); err != nil {
		t.Error(err)
	}
	if got, err := s.Account(t.Context(), a.Address); err != nil || !got.Switched() || got.Route != account.RouteHere {
		t.Errorf("after the switch: %+v, %v", got, err)
	}
	if err := move(account.RouteHeld, 0); err == nil {
		t.Error("an account that is here was held again")
	}
}

func TestWhatIsKnownOfASwitchIsChangedBesideAPass(t *testing.T) {
	s, _ := openStore(t)
	a := ensure(t, s, addDomain(t, s), "anna@example.org")
	for range 2 {
		got, err := s.ChangeSwitching(t.Context(), a.Address, func(now *account.Account) bool {
			first := now.Switching.Urgent == ""
			now.Switching.Urgent += "once"
			return first
		})
		if err != nil || got.ID != a.ID {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if got, err := s.Account(t.Context(), a.Address); err != nil || got.Switching.Urgent != "once" {
		t.Errorf("got %+v, %v", got.Switching, err)
	}
}
