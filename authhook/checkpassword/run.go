package checkpassword

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"mailstork/daemon/secret"
)

// The exit codes that Dovecot 2.3 understands (src/auth/checkpassword-reply and db-checkpassword.c).
const (
	ExitRefused   = 1
	ExitUnknown   = 3 // only where no password was asked; else Dovecot takes it for a temporary failure
	ExitTemporary = 111
)

// Run answers one question. When the answer is yes, it returns the environment for the program that Dovecot named, and
// code 0; else the exit code and why.
func Run(ctx context.Context, c Client, input io.Reader, environment []string) (reply []string, code int, err error) {
	r, err := Read(input)
	if err != nil {
		return nil, ExitTemporary, err
	}
	defer r.Password.Wipe()
	// Dovecot sets AUTHORIZED=1 when it wants to know where the mail of somebody is, without a password.
	lookup := variable(environment, "AUTHORIZED") == "1"
	var place Place
	if lookup {
		place, err = c.Find(ctx, r.User)
	} else {
		place, err = c.Verify(ctx, r, Login{Client: variable(environment, "TCPREMOTEIP"), Service: strings.ToLower(variable(environment, "SERVICE"))})
	}
	switch {
	case errors.Is(err, ErrRefused):
		return nil, ExitRefused, nil
	case errors.Is(err, ErrUnknown):
		return nil, ExitUnknown, nil
	case err != nil:
		return nil, ExitTemporary, err
	}
	return answerIn(environment, r.User, place, lookup), 0, nil
}

// answerIn keeps what Dovecot gave (it misses ORIG_UID when it is gone) and sets each of ours exactly once: it refuses an
// AUTHORIZED that is there twice.
func answerIn(environment []string, user string, p Place, lookup bool) []string {
	ours := []string{"USER=" + user, "HOME=" + p.Home, "userdb_uid=" + p.UID, "userdb_gid=" + p.GID, "EXTRA=userdb_uid userdb_gid"}
	if lookup {
		ours = append(ours, "AUTHORIZED=2")
	}
	kept := slices.DeleteFunc(slices.Clone(environment), func(have string) bool {
		name, _, _ := strings.Cut(have, "=")
		return slices.ContainsFunc(ours, func(our string) bool { return strings.HasPrefix(our, name+"=") })
	})
	return append(kept, ours...)
}

func variable(environment []string, name string) string {
	for _, have := range environment {
		if value, found := strings.CutPrefix(have, name+"="); found {
			return value
		}
	}
	return ""
}

// Options are the arguments that stand before the program that Dovecot names.
type Options struct {
	Hook       string   // address of the hook
	SecretFile string   // its client_secret
	Reply      []string // the program that is started after a yes
}

const usage = "usage: mailstork-checkpassword HOOK SECRET_FILE PROGRAM…  (HOOK: 127.0.0.1:7911 or a socket; Dovecot adds PROGRAM itself)"

// Parse reads the arguments without the program's own name.
func Parse(arguments []string) (Options, error) {
	if len(arguments) < 3 {
		return Options{}, fmt.Errorf("reading arguments: %d are too few; %s", len(arguments), usage)
	}
	return Options{Hook: arguments[0], SecretFile: arguments[1], Reply: arguments[2:]}, nil
}

// Client reads the client_secret.
func (o Options) Client() (Client, error) {
	text, err := os.ReadFile(o.SecretFile)
	if err != nil {
		return Client{}, fmt.Errorf("reading the hook's client_secret: %w", err)
	}
	return Client{Address: o.Hook, Secret: secret.New(bytes.TrimSpace(text))}, nil
}
