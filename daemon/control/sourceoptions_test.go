package control

import (
	"errors"
	"testing"

	"mailstork/daemon/account"
)

func TestASourceThatHadTLSIsNeverUsedWithoutUnlessSaidTwice(t *testing.T) { // S1
	to := &Endpoint{Host: "old.example", Port: 143, TLS: account.TLSNone}
	for _, had := range []account.TLSMode{account.TLSImplicit, account.TLSStartTLS} {
		s := account.Source{Host: "old.example", Port: 993, TLS: had, CAFile: "/ca.pem"}
		_, err := SourceOptions{Endpoint: to}.Apply(s, "")
		var refused *Error
		if !errors.As(err, &refused) || refused.Kind != KindRefused {
			t.Errorf("%s: got %v, want a refusal", had, err)
		}
		got, err := SourceOptions{Endpoint: to, DowngradeTLS: true}.Apply(s, "")
		if want := (account.Source{Host: "old.example", Port: 143, TLS: account.TLSNone}); err != nil || got != want {
			t.Errorf("%s, said twice: got %+v, %v", had, got, err)
		}
	}
	if _, err := (SourceOptions{Endpoint: to}).Apply(account.Source{Host: "h", Port: 1, TLS: account.TLSNone}, ""); err != nil {
		t.Errorf("a source that never had TLS: %v", err)
	}
}

func TestAPinAndAuthoritiesReplaceOneAnother(t *testing.T) {
	const pin = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	hexPin, file, none, bad := "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "/ca.pem", "", "sha256:x"
	s := account.Source{Host: "old.example", Port: 993, TLS: account.TLSImplicit, CAFile: file}
	pinned, err := SourceOptions{Pin: &hexPin}.Apply(s, "")
	if err != nil || pinned.Pin != pin || pinned.CAFile != "" {
		t.Errorf("pinning: %+v, %v", pinned, err)
	}
	if back, err := (SourceOptions{CAFile: &file}).Apply(pinned, ""); err != nil || back != s {
		t.Errorf("authorities again: %+v, %v", back, err)
	}
	if bare, err := (SourceOptions{Pin: &none}).Apply(pinned, ""); err != nil || bare.Pin != "" {
		t.Errorf("taking the pin back: %+v, %v", bare, err)
	}
	for name, o := range map[string]SourceOptions{"no pin": {Pin: &bad}, "both": {Pin: &hexPin, CAFile: &file},
		"a pin without TLS": {Pin: &hexPin, DowngradeTLS: true, Endpoint: &Endpoint{Host: "h", Port: 1, TLS: account.TLSNone}}} {
		if got, err := o.Apply(s, ""); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}
