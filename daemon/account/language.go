package account

import (
	"fmt"
	"slices"
	"strings"
)

// Language is one in which owners are told of the move (ISO 639-1).
type Language string

// Languages are those that daemon/notice has texts for.
var Languages = []Language{"de", "en", "es", "fr", "it", "nl", "pl", "pt"}

// ParseLanguage returns the language of a code; "de-AT" and "pt_BR.UTF-8" are their first parts. Empty stays empty.
func ParseLanguage(text string) (Language, error) {
	code := strings.ToLower(text)
	if i := strings.IndexAny(code, "-_."); i > 0 {
		code = code[:i]
	}
	if code != "" && !slices.Contains(Languages, Language(code)) {
		return "", fmt.Errorf("there is no text in the language %q; there are %s", text, joinLanguages())
	}
	return Language(code), nil
}

func joinLanguages() string {
	codes := make([]string, len(Languages))
	for i, language := range Languages {
		codes[i] = string(language)
	}
	return strings.Join(codes, ", ")
}

// Notice says what the owners of a domain's accounts are told of the move.
type Notice struct {
	Welcome  bool     `json:"welcome,omitempty"`  // a letter in the inbox says how far it is
	Language Language `json:"language,omitempty"` // empty: English
	Sender   Address  `json:"sender,omitempty"`   // empty: the domain's postmaster
}

// LanguageOf is the language of an account's owner, as far as anybody has said.
func (d Domain) LanguageOf(a Account) Language {
	for _, language := range []Language{a.Language, d.Notice.Language} {
		if language != "" {
			return language
		}
	}
	return "en"
}

// NoticeSender is who writes to the owners.
func (d Domain) NoticeSender() Address {
	if d.Notice.Sender != "" {
		return d.Notice.Sender
	}
	return Address("postmaster@" + d.Name)
}
