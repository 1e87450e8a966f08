package account

import "testing"

func TestWhyAnAccountIsNotKeptBehindANotice(t *testing.T) {
	waiting := Domain{State: Open, FirstLogin: FirstLoginNotice}
	for why, change := range map[string]func(*Domain){
		"":                             func(*Domain) {},
		"the domain's mail comes here": func(d *Domain) { d.State = Cutover },
		"its domain shows nobody a notice any more": func(d *Domain) { d.FirstLogin = FirstLoginLocal },
		"no mail of its domain is copied":           func(d *Domain) { d.PasswordsOnly = true },
	} {
		d := waiting
		if change(&d); WhyOpen(d) != why {
			t.Errorf("got %q, want %q", WhyOpen(d), why)
		}
	}
}
