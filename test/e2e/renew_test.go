package e2e

import (
	"errors"
	"fmt"
	"testing"

	"mailstork/test/site"
)

// A person who changes the password at the source keeps the old one here, until the new one is typed here.
func TestAPasswordChangedAtTheSourceIsRenewedByTheNextLoginWithIt(t *testing.T) { // A2, A3
	s := start(t, nil)
	login(t, s, anna, annaPass)
	waitState(t, s, anna, "following")
	const renewed = "anna's next one"
	must(t, s.Source.SetPassword(anna, renewed))
	must(t, site.Eventually(func() error {
		var a site.Account
		if err := s.JSON(&a, "account", "show", anna); err != nil {
			return err
		}
		if a.Stuck == "" {
			return errors.New("no pass has told that the source refuses the stored password")
		}
		return nil
	}))
	login(t, s, anna, annaPass)
	if c, err := s.Dest.Login(anna, "neither of them"); err == nil {
		_ = c.Close()
		t.Error("a password that neither side knows was accepted")
	}
	login(t, s, anna, renewed)
	must(t, site.Eventually(func() error { // Dovecot looks at the file once a second
		c, err := s.Dest.Login(anna, annaPass)
		if err != nil {
			return nil
		}
		return errors.Join(c.Close(), errors.New("the password that the source refuses is still valid here after the new one was proven"))
	}))
	must(t, site.Eventually(func() error {
		var a site.Account
		if err := s.JSON(&a, "account", "show", anna); err != nil {
			return err
		}
		if a.Stuck != "" {
			return fmt.Errorf("still stuck: %s", a.Stuck)
		}
		return nil
	}))
	must(t, s.Source.Stop())
	login(t, s, anna, renewed)
}
