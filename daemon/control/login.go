package control

import (
	"bytes"
	"fmt"
	"io"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// MaxDomainSecretOctets bounds a master password or an OAuth2 client secret.
const MaxDomainSecretOctets = 4096

// loginRequest is the body that sets what opens all accounts of a domain. Its secret is base64 of octets.
type loginRequest struct {
	Login  account.SourceLogin `json:"login"`
	Secret []byte              `json:"secret,omitempty"`
	DryRun bool                `json:"dry_run"`
}

// decodeLogin returns a login that may be stored as it is; errors never show the secret.
func decodeLogin(body io.Reader) (login account.SourceLogin, value secret.Secret, dryRun bool, err error) {
	var r loginRequest
	if err := decodeStrict(body, &r); err != nil {
		return login, value, false, err
	}
	const hint = "mailstork domain login --help"
	switch {
	case r.Login == account.SourceLogin{}:
		return login, value, r.DryRun, nil
	case len(r.Secret) > MaxDomainSecretOctets:
		return login, value, false, Invalid(fmt.Sprintf("the secret is longer than %d octets", MaxDomainSecretOctets), hint)
	case bytes.ContainsAny(r.Secret, "\x00\r\n"):
		return login, value, false, Invalid("the secret holds a line break or NUL, which IMAP can't carry", hint)
	case len(r.Secret) == 0 && r.Login.Kind != account.LoginRefresh:
		return login, value, false, Invalid("there is no secret", hint)
	}
	if err := r.Login.Check(); err != nil {
		return login, value, false, Invalid(err.Error(), hint)
	}
	return r.Login, secret.New(r.Secret), r.DryRun, nil
}
