package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mailstork/daemon/secret"
)

func (a app) accountSetPassword() *cobra.Command {
	var file string
	var alsoAtSource bool
	c := &cobra.Command{
		Use: "set-password ACCOUNT", Short: "set the password that is valid here", Args: cobra.ExactArgs(1),
		Long: `Set the password that is valid here, in the place of the one before. It is asked for twice on a terminal, else read from
standard input or a file, and never taken as an argument.

The source is not told. With --also-at-source it is the source's password as well: it is proven there first, and the passes go on
with it.`,
		Example: "  mailstork account set-password anna@example.org --also-at-source",
	}
	c.Flags().StringVar(&file, "password-file", "", "`FILE` with the password, - for standard input")
	c.Flags().BoolVar(&alsoAtSource, "also-at-source", false, "it is the source's password, too: prove it there first")
	dryRun, asJSON := addDryRun(c), addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		address, err := parseAddress(args[0])
		if err != nil {
			return err
		}
		password, err := newPassword(c, file)
		if err != nil {
			return usage(err, "mailstork account set-password --help")
		}
		defer password.Wipe()
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		changed, err := client.SetPassword(c.Context(), address, password, alsoAtSource, *dryRun)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), changed)
		}
		done := "the new password is valid here"
		if *dryRun {
			done = "would get the new password"
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", address, done)
		return err
	}
	return c
}

// newPassword asks on a terminal, and reads from a file or standard input otherwise.
func newPassword(c *cobra.Command, file string) (secret.Secret, error) {
	in, isFile := c.InOrStdin().(*os.File)
	switch {
	case file != "" && file != "-":
		return readPassword(file, "")
	case file == "" && isFile && term.IsTerminal(int(in.Fd())):
		return askTwice(c.ErrOrStderr(), func() ([]byte, error) { return term.ReadPassword(int(in.Fd())) })
	}
	return secretFrom(c.InOrStdin())
}

func askTwice(out io.Writer, ask func() ([]byte, error)) (secret.Secret, error) {
	var typed [2][]byte
	for i, prompt := range []string{"new password: ", "once more: "} {
		fmt.Fprint(out, prompt)
		text, err := ask()
		fmt.Fprintln(out)
		if err != nil {
			return secret.Secret{}, fmt.Errorf("reading the password: %w", err)
		}
		defer clear(text)
		typed[i] = text
	}
	switch {
	case len(typed[0]) == 0:
		return secret.Secret{}, errors.New("there is no password")
	case !bytes.Equal(typed[0], typed[1]):
		return secret.Secret{}, errors.New("the two are not the same; nothing was changed")
	}
	return secret.New(typed[0]), nil
}
