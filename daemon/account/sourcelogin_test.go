package account

import (
	"strings"
	"testing"
)

func TestEveryMasterSpellingIsFilledIn(t *testing.T) {
	a := Account{Address: "anna@stork.example", SourceUser: "anna@old.example"}
	for spelling, want := range map[string]string{
		"authzid":        "admin@x.example as anna@old.example",
		"dovecot":        "anna@old.example*admin@x.example",
		"exchange":       `stork.example\admin@x.example\anna`,
		"exchange-slash": "stork.example/admin@x.example/anna",
		"exchange-upn":   `admin@x.example\anna`,
		"office365":      `admin@x.example\anna@old.example`,
		"mirapoint":      "#anna@old.example#admin@x.example#",
		"kerio":          "anna@old.example X-MASTERAUTH anna@old.example",
		"sunone":         "admin@x.example PROXYAUTH anna@old.example",
		// Of one's own:
		"{local}%{master_local}": "anna%admin",
	} {
		l := SourceLogin{Kind: LoginMaster, User: "admin@x.example", Spelling: spelling}
		s, err := l.MasterFor(a)
		got := s.Login
		if s.Authz != "" {
			got += " as " + s.Authz
		}
		if s.Command != "" {
			got += " " + s.Command + " " + s.Become
		}
		if err != nil || l.Check() != nil || got != want {
			t.Errorf("%s: got %q, %v, %v, want %q", spelling, got, err, l.Check(), want)
		}
	}
	if len(MasterSpellings) != 9 {
		t.Errorf("%d spellings, and not all are tested", len(MasterSpellings))
	}
}

func TestALoginThatCannotWorkIsRefusedBeforeItIsStored(t *testing.T) {
	for want, l := range map[string]SourceLogin{
		"no known spelling":            {Kind: LoginMaster, User: "m", Spelling: "dovekot"},
		"unknown placeholder":          {Kind: LoginMaster, User: "m", Spelling: "{usr}*{master}"},
		"names no account":             {Kind: LoginMaster, User: "m", Spelling: "{master}"},
		"needs the name of the master": {Kind: LoginMaster, Spelling: "dovecot"},
		"https://HOST/PATH":            {Kind: LoginClient, TokenURL: "http://login.example/token", ClientID: "x"},
		"not of the form https":        {Kind: LoginClient, TokenURL: "https://a:b@login.example/token", ClientID: "x"},
		"client has an id":             {Kind: LoginRefresh, TokenURL: "https://login.example/token"},
		"line break":                   {Kind: LoginMaster, User: "a\r\nb", Spelling: "dovecot"},
		`kind "" is not known`:         {},
	} {
		if err := l.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", l, err, want)
		}
	}
	if err := (SourceLogin{Kind: LoginMaster, Spelling: "kerio"}).Check(); err != nil {
		t.Errorf("Kerio knows no master user by name: %v", err)
	}
}
