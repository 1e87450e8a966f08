package account

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

const pinPrefix = "sha256:"

// ParsePin returns the one spelling of a pin: sha256: and the base64 of the SHA-256 of a certificate's
// SubjectPublicKeyInfo, as RFC 7469 §2.4 computes it. Hexadecimal is taken, too; empty means none.
func ParsePin(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	digest, found := strings.CutPrefix(strings.TrimSpace(text), pinPrefix)
	octets, err := base64.StdEncoding.DecodeString(digest)
	if len(digest) == hex.EncodedLen(sha256.Size) {
		octets, err = hex.DecodeString(digest)
	}
	if !found || err != nil || len(octets) != sha256.Size {
		return "", fmt.Errorf("pin %q is not sha256: and the SHA-256 of a public key in base64 or hexadecimal", text)
	}
	return pinPrefix + base64.StdEncoding.EncodeToString(octets), nil
}

// PinOf is the pin of a certificate.
func PinOf(certificate *x509.Certificate) string {
	digest := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return pinPrefix + base64.StdEncoding.EncodeToString(digest[:])
}

// PinError says that a source showed another key than the pinned one.
type PinError struct {
	Want, Got string
}

func (e *PinError) Error() string {
	return fmt.Sprintf("the source shows the key %s, and %s is pinned", e.Got, e.Want)
}

// TLSConfig is how a certificate is verified: against the pinned key alone, else against the certificate authorities
// and the name. There is no way to verify nothing (S1).
func (s Source) TLSConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.CertificateName()}
	if s.Pin != "" {
		config.InsecureSkipVerify = true // VerifyConnection is asked in its place, also when a session is resumed
		config.VerifyConnection = s.verifyPin
		return config, nil
	}
	if s.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading ca_file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading ca_file: %s holds no certificate", s.CAFile)
	}
	return config, nil
}

// verifyPin looks at the certificate whose key the handshake proved, never at others of the chain.
func (s Source) verifyPin(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the source shows no certificate")
	}
	if got := PinOf(state.PeerCertificates[0]); subtle.ConstantTimeCompare([]byte(got), []byte(s.Pin)) == 0 {
		return &PinError{Want: s.Pin, Got: got}
	}
	return nil
}
