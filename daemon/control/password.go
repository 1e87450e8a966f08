package control

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// passwordRequest is the body that makes a password valid. The password is base64 of octets.
type passwordRequest struct {
	Password     []byte `json:"password"`
	AlsoAtSource bool   `json:"also_at_source"`
	DryRun       bool   `json:"dry_run"`
}

// decodePassword returns a password that both sides can take; errors never show it.
func decodePassword(body io.Reader) (r passwordRequest, password secret.Secret, err error) {
	if err := decodeStrict(body, &r); err != nil {
		return r, password, err
	}
	const hint = "mailstork account set-password --help"
	switch {
	case len(r.Password) == 0 || len(r.Password) > MaxPasswordOctets:
		return r, password, Invalid(fmt.Sprintf("a password of %d octets is not between 1 and %d", len(r.Password), MaxPasswordOctets), hint)
	case bytes.ContainsAny(r.Password, "\x00\r\n"):
		return r, password, Invalid("the password holds a line break or NUL, which IMAP can't carry", hint)
	}
	defer clear(r.Password)
	return r, secret.New(r.Password), nil
}

func (s *Server) setPassword(r *http.Request) (any, error) {
	in, password, err := decodePassword(http.MaxBytesReader(nil, r.Body, maxBodyOctets))
	if err != nil {
		return nil, err
	}
	defer password.Wipe()
	return addressed(func(ctx context.Context, address account.Address) (Account, error) {
		return s.Operator.SetPassword(ctx, address, password, in.AlsoAtSource, in.DryRun)
	})(r)
}

// SetPassword implements AccountOperator.
func (c *Client) SetPassword(ctx context.Context, address account.Address, password secret.Secret, alsoAtSource, dryRun bool) (Account, error) {
	return post[Account](ctx, c, accountPath(address)+"/password", passwordRequest{password.Reveal(), alsoAtSource, dryRun})
}
