package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const canary = "c4nary-pass"

func TestSecretNeverShowsItself(t *testing.T) {
	s := FromString(canary)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "p", &s, "in", struct{ S Secret }{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "in", struct{ S Secret }{s})
	marshalled, err := json.Marshal(map[string]any{"a": s, "b": []Secret{s}, "c": &s})
	if err != nil {
		t.Fatal(err)
	}
	type holder struct {
		inner Secret
		Outer *Secret
	}
	all := log.String() + string(marshalled)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b", "%T %v"} {
		all += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, holder{s, &s}) + fmt.Sprintf(verb, []Secret{s}) + fmt.Sprintf(verb, map[string]Secret{"k": s})
	}
	all += fmt.Sprint(s, &s) + s.String() + s.GoString()
	for _, shape := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
		if strings.Contains(all, shape) {
			t.Errorf("secret shown as %q", shape)
		}
	}
}

func TestSealedSecretOpensOnlyForItsAccountAndKind(t *testing.T) {
	x, err := NewSealer(bytes.Repeat([]byte{7}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := x.Seal(FromString(canary), 12, "password")
	if err != nil || bytes.Contains(sealed, []byte(canary)) {
		t.Fatalf("sealed = %x, %v", sealed, err)
	}
	if got, err := x.Open(sealed, 12, "password"); err != nil || string(got.Reveal()) != canary {
		t.Errorf("Open = %q, %v", got.Reveal(), err)
	}
	altered := append([]byte(nil), sealed...)
	altered[len(altered)-1] ^= 1
	other, _ := NewSealer(bytes.Repeat([]byte{8}, KeySize))
	for name, open := range map[string]func() (Secret, error){
		"another account":  func() (Secret, error) { return x.Open(sealed, 13, "password") },
		"another kind":     func() (Secret, error) { return x.Open(sealed, 12, "token") },
		"an altered value": func() (Secret, error) { return x.Open(altered, 12, "password") },
		"another key":      func() (Secret, error) { return other.Open(sealed, 12, "password") },
		"an empty value":   func() (Secret, error) { return x.Open(nil, 12, "password") },
		"a short value":    func() (Secret, error) { return x.Open(sealed[:20], 12, "password") },
	} {
		if _, err := open(); err == nil {
			t.Errorf("a sealed secret opened for %s", name)
		}
	}
}

func TestKeyFileIsMadeOnceAndKeptPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := OpenKeyFile(path)
	if err != nil || first.key != second.key {
		t.Fatalf("the second start has another key (%v)", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeyFile(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others may read: %v; want a refusal with the next command", err)
	}
}
