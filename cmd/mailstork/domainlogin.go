package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

// loginSecretVariable holds the secret of a domain's login, when no file does.
const loginSecretVariable = "MAILSTORK_LOGIN_SECRET"

// loginFlags say what opens all accounts of a domain at its source.
type loginFlags struct {
	login  account.SourceLogin
	grant  string
	secret string
	remove bool
}

func (f *loginFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.login.User, "master-user", "", "`NAME` of a master user, who opens every account at the source")
	c.Flags().StringVar(&f.login.Spelling, "master-login", "", "how the source wants to hear it: a `SPELLING` listed by \"mailstork domain login --help\", or a template such as {user}%{master}")
	c.Flags().StringVar(&f.login.TokenURL, "oauth-token-url", "", "token endpoint, an https `URL`, for sources that take OAuth2 tokens")
	c.Flags().StringVar(&f.login.ClientID, "oauth-client-id", "", "`ID` of the OAuth2 client")
	c.Flags().StringVar(&f.login.Scope, "oauth-scope", "", "`SCOPE` that tokens are asked for")
	c.Flags().StringVar(&f.grant, "oauth-grant", string(account.LoginClient), "`GRANT`: client_credentials (one client opens all accounts) or refresh_token (each account has one, imported as its password)")
	c.Flags().StringVar(&f.secret, "login-secret-file", "", "`FILE` with the master password or the client's secret, - for standard input; else "+loginSecretVariable)
}

// given tells whether a login was asked for at all.
func (f *loginFlags) given() bool { return f.login != account.SourceLogin{} }

// read checks the flags and takes the secret.
func (f *loginFlags) read(c *cobra.Command) (login account.SourceLogin, value secret.Secret, err error) {
	login = f.login
	master, oauth := login.User+login.Spelling != "", login.TokenURL+login.ClientID+login.Scope != ""
	switch {
	case master && oauth:
		return login, value, errors.New("either a master user or an OAuth2 client opens the accounts, not both")
	case master:
		login.Kind = account.LoginMaster
	case oauth:
		login.Kind = account.SourceLoginKind(f.grant)
		if login.Kind == account.LoginMaster {
			return login, value, fmt.Errorf("--oauth-grant %q is neither client_credentials nor refresh_token", f.grant)
		}
	default:
		return login, value, errors.New("nothing says who opens the accounts: --master-user with --master-login, or --oauth-token-url with --oauth-client-id")
	}
	if err := login.Check(); err != nil {
		return login, value, err
	}
	switch {
	case f.secret == "-":
		value, err = secretFrom(c.InOrStdin())
	case f.secret == "" && os.Getenv(loginSecretVariable) == "" && login.Kind == account.LoginRefresh:
		// A public client has none.
	default:
		value, err = readPassword(f.secret, loginSecretVariable)
	}
	return login, value, err
}

func secretFrom(in io.Reader) (secret.Secret, error) {
	text, err := io.ReadAll(io.LimitReader(in, control.MaxDomainSecretOctets+3))
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if err == nil && len(text) == 0 {
		err = errors.New("there is no secret on standard input")
	}
	return secret.New(text), err
}

func (a app) domainLogin() *cobra.Command {
	var f loginFlags
	c := &cobra.Command{
		Use: "login NAME", Short: "say what opens all accounts of a domain at its source", Args: cobra.ExactArgs(1),
		Long: `Say what opens all accounts of a domain at its source: a master user, or an OAuth2 client. Then a list of addresses is
enough to copy accounts; the first login of an owner here stays what switches an account. A password imported for an account
goes before it. The secret comes from a file, standard input or ` + loginSecretVariable + `, is stored sealed, and is erased when the
domain is closed, or by --remove.

Spellings of a master user:

` + spellings(),
		Example: "  mailstork domain login example.org --master-user admin --master-login dovecot --login-secret-file /root/master",
	}
	f.register(c)
	c.Flags().BoolVar(&f.remove, "remove", false, "erase what is stored")
	dryRun, asJSON := addDryRun(c), addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var login account.SourceLogin
		var value secret.Secret
		var err error
		switch {
		case f.remove && f.given():
			err = errors.New("--remove goes with nothing else")
		case !f.remove:
			login, value, err = f.read(c)
		}
		if err != nil {
			return usage(err, "mailstork domain login --help")
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		d, err := client.SetDomainLogin(c.Context(), args[0], login, value, *dryRun)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), d)
		}
		return tellLogin(c.OutOrStdout(), d, *dryRun)
	}
	return c
}

func spellings() string {
	var text strings.Builder
	for _, s := range account.MasterSpellings {
		how := s.Login
		if s.Command != "" {
			how = s.Command
		}
		fmt.Fprintf(&text, "  %-15s %-24s %s\n", s.Name, how, s.Servers)
	}
	return text.String() + "\n{user} is the account's login name at the source, {local} and {domain} the parts of its address, {master} the master user."
}

func tellLogin(out io.Writer, d control.Domain, dryRun bool) error {
	would := ""
	if dryRun {
		would = "would be "
	}
	if d.Login == nil {
		_, err := fmt.Fprintf(out, "%serased: nothing opens the accounts of %s but their own passwords\n", would, d.Name)
		return err
	}
	_, err := fmt.Fprintf(out, "%sstored, sealed: %s opens the accounts of %s\n  next: mailstork account import FILE --domain %s   # addresses are enough\n",
		would, loginInWords(d.Login), d.Name, d.Name)
	return err
}

func loginInWords(l *account.SourceLogin) string {
	switch l.Kind {
	case account.LoginMaster:
		return strings.TrimSpace("master user "+l.User) + " (" + l.Spelling + ")"
	case account.LoginRefresh:
		return "OAuth2 client " + l.ClientID + " with each account's refresh token"
	}
	return "OAuth2 client " + l.ClientID
}
