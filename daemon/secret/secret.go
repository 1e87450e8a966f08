// Package secret keeps other people's passwords: a type that never shows itself, and the seal for what must be stored.
//
// Owns: Secret, Sealer and the key file. Never does: storing (that is the store's), logging.
// Invariant S1: no plaintext password in any file, log line, process argument, environment or page.
package secret

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const hidden = "***"

// Secret is a password or token. Every way to format, print, log or marshal it yields "***"; only Reveal shows it.
// The octets sit behind a function, since fmt walks into unexported fields of a struct without asking their methods.
type Secret struct{ reveal func() []byte }

// New takes its own copy of octets.
func New(octets []byte) Secret { return hide(append([]byte(nil), octets...)) }

// FromString is New for text.
func FromString(text string) Secret { return hide([]byte(text)) }

func hide(octets []byte) Secret { return Secret{reveal: func() []byte { return octets }} }

// Reveal returns the secret itself. The caller passes it to the one thing that needs it and keeps no copy.
func (s Secret) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// IsZero tells whether there is no secret.
func (s Secret) IsZero() bool { return len(s.Reveal()) == 0 }

// Equal compares in time that does not depend on where the two differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other.Reveal()) == 1
}

// Wipe overwrites the secret in memory. Copies made by the runtime may remain (docs/security.md).
func (s Secret) Wipe() { clear(s.Reveal()) }

func (s Secret) String() string               { return hidden }
func (s Secret) GoString() string             { return hidden }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(hidden)) }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
