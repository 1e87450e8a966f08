package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of the sealing key in octets.
const KeySize = chacha20poly1305.KeySize

const sealVersion = 1

// Sealer seals secrets with XChaCha20-Poly1305. The associated data names what the secret opens, so that a sealed
// value moved to another row does not open.
type Sealer struct{ key [KeySize]byte }

// NewSealer takes a key of KeySize octets.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("taking sealing key: %d octets, want %d", len(key), KeySize)
	}
	s := &Sealer{}
	copy(s.key[:], key)
	return s, nil
}

// OpenKeyFile reads the key from path, or makes one there (mode 0600) when nothing is there yet.
// A key file that others may read is refused.
func OpenKeyFile(path string) (*Sealer, error) {
	key, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if key, err = createKey(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 && !isCredential(path) {
		return nil, fmt.Errorf("reading key file %s: others may read it (mode %04o); run: chmod 600 %s", path, info.Mode().Perm(), path)
	}
	return NewSealer(key)
}

// isCredential tells whether systemd laid the file there (LoadCredential=): it guards that folder by other means.
func isCredential(path string) bool {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	return dir != "" && filepath.Dir(path) == filepath.Clean(dir)
}

func createKey(path string) ([]byte, error) {
	key := make([]byte, KeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("making key: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating key file: %w", err)
	}
	_, err = file.Write(key)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return nil, fmt.Errorf("writing key file %s: %w", path, err)
	}
	return key, nil
}

// Seal returns version octet, nonce and ciphertext of s for one account and kind ("password").
func (x *Sealer) Seal(s Secret, accountID int64, kind string) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(x.key[:])
	if err != nil {
		return nil, fmt.Errorf("sealing %s: %w", kind, err)
	}
	sealed := make([]byte, 1+chacha20poly1305.NonceSizeX, 1+chacha20poly1305.NonceSizeX+len(s.Reveal())+aead.Overhead())
	sealed[0] = sealVersion
	nonce := sealed[1:]
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("sealing %s: %w", kind, err)
	}
	return aead.Seal(sealed, nonce, s.Reveal(), associated(accountID, kind)), nil
}

// Open returns the secret, or an error when the seal was made for another account or kind, by another key, or altered.
func (x *Sealer) Open(sealed []byte, accountID int64, kind string) (Secret, error) {
	aead, err := chacha20poly1305.NewX(x.key[:])
	if err != nil {
		return Secret{}, fmt.Errorf("opening %s: %w", kind, err)
	}
	const head = 1 + chacha20poly1305.NonceSizeX
	if len(sealed) < head || sealed[0] != sealVersion {
		return Secret{}, fmt.Errorf("opening %s of account %d: not a sealed value of version %d", kind, accountID, sealVersion)
	}
	plain, err := aead.Open(nil, sealed[1:head], sealed[head:], associated(accountID, kind))
	if err != nil {
		return Secret{}, fmt.Errorf("opening %s of account %d: the key does not fit or the value was altered", kind, accountID)
	}
	return hide(plain), nil
}

func associated(accountID int64, kind string) []byte {
	return fmt.Appendf(nil, "mailstork/%d/%s", accountID, kind)
}
