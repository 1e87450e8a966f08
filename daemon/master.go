package daemon

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"mailstork/daemon/config"
	"mailstork/daemon/provision"
	"mailstork/daemon/secret"
	"mailstork/daemon/setup"
)

const masterPasswordOctets = 32

// writeMaster gives the master user a new random password and writes its hash where Dovecot looks for it. Nobody can
// use the password of an earlier start. The password has 256 random bits, so a plain salted hash is as good as a slow
// one, and does not cost a tenth of a second for every connection of the mirror.
func writeMaster(c config.Dovecot) (secret.Secret, error) {
	random := make([]byte, masterPasswordOctets)
	if _, err := rand.Read(random); err != nil {
		return secret.Secret{}, fmt.Errorf("making master password: %w", err)
	}
	password := base64.RawURLEncoding.EncodeToString(random)
	salt := make([]byte, 8)
	if _, err := rand.Read(salt); err != nil {
		return secret.Secret{}, fmt.Errorf("making master password: %w", err)
	}
	line := fmt.Sprintf("%s:%s::::::allow_nets=%s\n", c.MasterUser, ssha256(password, salt), setup.SessionNetwork)
	if err := provision.ReplaceFile(c.MasterFile, []byte(line), c.FileGroup); err != nil {
		return secret.Secret{}, fmt.Errorf("writing master user: %w", err)
	}
	return secret.FromString(password), nil
}

// ssha256 is Dovecot's scheme SSHA256: base64(SHA-256(password ‖ salt) ‖ salt).
func ssha256(password string, salt []byte) string {
	sum := sha256.Sum256(append([]byte(password), salt...))
	return "{SSHA256}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}
