package e2e

import (
	"testing"
	"time"

	"mailstork/test/site"
)

// Only passwords move: logins are proven at the source and valid here, and not one message comes.
func TestWithoutMailOnlyPasswordsMove(t *testing.T) { // A1, A3
	s := start(t, nil)
	_, err := s.CLI("domain", "set", domain, "--mail", "no")
	must(t, err)
	_, err = sourceOwner(t, s, anna).Append("INBOX", nil, time.Now(), letterTo(anna, "stays at the source"))
	must(t, err)
	login(t, s, anna, annaPass)
	if c, err := s.Dest.Login(bob, "not his"); err == nil {
		_ = c.Close()
		t.Error("a wrong password was accepted")
	}
	waitState(t, s, anna, "following")
	passes(t, s, anna, 1)
	if n := countSubject(t, login(t, s, anna, annaPass), "INBOX", "stays at the source"); n != 0 {
		t.Errorf("%d messages came", n)
	}
	var detail struct {
		Credential bool `json:"credential"`
	}
	must(t, s.JSON(&detail, "account", "show", anna))
	if detail.Credential {
		t.Error("a password is borrowed that nobody needs")
	}
	must(t, s.Source.Stop())
	must(t, site.Eventually(func() error {
		c, err := s.Dest.Login(anna, annaPass)
		if err == nil {
			err = c.Close()
		}
		return err
	}))
}
