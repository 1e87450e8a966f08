package account

import "testing"

func TestParseLanguageTakesWhatPeopleAndSystemsWrite(t *testing.T) {
	for text, want := range map[string]Language{"": "", "it": "it", "DE": "de", "de-AT": "de", "pt_BR.UTF-8": "pt"} {
		if got, err := ParseLanguage(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"tlh", "english", "-", "../de", "d e"} {
		if got, err := ParseLanguage(text); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestOwnLanguageGoesBeforeThatOfTheDomain(t *testing.T) {
	d := Domain{Name: "example.org"}
	if got := d.LanguageOf(Account{}); got != "en" {
		t.Errorf("got %q where nobody has said one", got)
	}
	d.Notice.Language = "de"
	if got := d.LanguageOf(Account{}); got != "de" {
		t.Errorf("got %q, want that of the domain", got)
	}
	if got := d.LanguageOf(Account{Language: "fr"}); got != "fr" {
		t.Errorf("got %q, want the account's own", got)
	}
	if got := d.NoticeSender(); got != "postmaster@example.org" {
		t.Errorf("got %q", got)
	}
	if d.Notice.Sender = "help@example.org"; d.NoticeSender() != "help@example.org" {
		t.Errorf("got %q", d.NoticeSender())
	}
}
