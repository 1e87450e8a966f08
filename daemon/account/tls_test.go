package account

import "testing"

func TestAPinHasOneSpelling(t *testing.T) {
	const pin = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for _, text := range []string{pin, " " + pin + "\n", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"} {
		if got, err := ParsePin(text); err != nil || got != pin {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"sha256:", "sha1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", pin[7:], pin[:40], "sha256:e3b0", "sha256:" + pin} {
		if got, err := ParsePin(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

func TestASourceCheckRefusesPinsThatCouldNotBeAskedFor(t *testing.T) {
	const pin = "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	good := Source{Host: "old.example", Port: 993, TLS: TLSImplicit, Pin: pin}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Source){
		"without TLS":    func(s *Source) { s.TLS = TLSNone },
		"with a CA file": func(s *Source) { s.CAFile = "/etc/ca.pem" },
		"another form":   func(s *Source) { s.Pin = "sha256:e3b0" },
	} {
		s := good
		if change(&s); s.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
