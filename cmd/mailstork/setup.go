package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"mailstork/daemon/config"
	"mailstork/daemon/control"
	"mailstork/daemon/setup"
)

// Where the files belong on Debian. The drop-in is read before 10-auth.conf, so that our passdbs are asked first.
const (
	dovecotDropIn     = "/etc/dovecot/conf.d/05-mailstork.conf"
	dovecotHookFile   = "/etc/dovecot/mailstork-hook.conf.ext"
	dovecotSecretFile = "/etc/dovecot/mailstork-hook-secret"
	checkpassword     = "/usr/lib/mailstork/mailstork-checkpassword"

	// secretHere stands where the client_secret belongs: it is not printed, since what is printed ends in tickets and chats.
	secretHere = "CLIENT_SECRET"
)

func (a app) setup() *cobra.Command {
	c := &cobra.Command{Use: "setup", Short: "what to add to Dovecot"}
	c.AddCommand(a.setupDovecot())
	return c
}

func (a app) setupDovecot() *cobra.Command {
	c := &cobra.Command{
		Use: "dovecot --print[=PART]", Short: "print what to add to Dovecot's configuration", Args: cobra.NoArgs,
		Long: `Print the two files that let the installed Dovecot (2.3 or 2.4) ask mailstork: the drop-in and the file with the hook's client_secret.
Each begins with a comment that says where it belongs. Nothing is changed. The secret itself is not printed: CLIENT_SECRET stands in
its place.`,
		Example: `  mailstork setup dovecot --print=drop-in | sudo tee ` + dovecotDropIn + `
  mailstork setup dovecot --print=hook | sudo sh -c 'sed "s/CLIENT_SECRET/$(cat /var/lib/mailstork/hook-secret)/" >` + dovecotHookFile + `'
  sudo chown root:dovecot ` + dovecotHookFile + ` && sudo chmod 0640 ` + dovecotHookFile + `
  doveconf -n >/dev/null && sudo doveadm reload`,
	}
	part := c.Flags().String("print", "", "what to print: all, drop-in or hook")
	c.Flags().Lookup("print").NoOptDefVal = "all"
	version := c.Flags().String("dovecot", "", "the version to print it for, 2.3 or 2.4; the installed one when left out")
	useCheckpassword := c.Flags().Bool("checkpassword", false, "ask through the program mailstork-checkpassword instead of the password grant (2.3 only)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := loadConfig(c)
		if err != nil {
			return err
		}
		if *version == "" {
			if *version, err = installedDovecot(c.Context()); err != nil {
				return err
			}
		}
		return printDovecot(c.OutOrStdout(), valuesOf(loaded, *version, *useCheckpassword), *part)
	}
	return c
}

func valuesOf(c config.Config, version string, useCheckpassword bool) setup.Values {
	v := setup.Values{Version: version, MasterFile: c.Dovecot.MasterFile, PassdbFile: c.Dovecot.PassdbFile, UserdbFile: c.Dovecot.UserdbFile,
		ProxiedFile: c.Dovecot.ProxiedFile, ProxyCAFile: c.Dovecot.ProxyCAFile,
		MasterSeparator: c.Dovecot.MasterSeparator, HookFile: dovecotHookFile, Hook: c.Hook.Listen, Secret: secretHere}
	if useCheckpassword {
		v.Checkpassword, v.SecretFile = checkpassword, dovecotSecretFile
	}
	return v
}

func printDovecot(out io.Writer, v setup.Values, part string) error {
	files, err := setup.Dovecot(v, dovecotDropIn)
	if err != nil {
		return control.Invalid(err.Error(), "mailstork setup dovecot --help")
	}
	switch part {
	case "all":
	case "drop-in":
		files = files[:1]
	case "hook":
		files = files[1:]
	default:
		return control.Invalid(fmt.Sprintf("--print takes all, drop-in or hook, not %q", part), "mailstork setup dovecot --print")
	}
	for i, file := range files {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if file.Text != secretHere+"\n" { // that one is a secret and nothing else
			fmt.Fprintf(out, "# %s  (%s, mode %04o)\n", file.Path, file.Owner, file.Mode)
		}
		if _, err := io.WriteString(out, file.Text); err != nil {
			return err
		}
	}
	return nil
}

// installedDovecot returns the first two numbers of the version.
func installedDovecot(ctx context.Context) (string, error) {
	program, err := exec.LookPath("dovecot")
	if err != nil {
		program = "/usr/sbin/dovecot" // not in the PATH of every user
	}
	if _, err := os.Stat(program); errors.Is(err, os.ErrNotExist) {
		return "", control.Invalid("no Dovecot is installed here", "mailstork setup dovecot --print --dovecot 2.4")
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", program, err)
	}
	numbers := strings.SplitN(strings.TrimSpace(string(out)), ".", 3)
	if len(numbers) < 2 {
		return "", fmt.Errorf("asking %s for its version: it answered %q", program, out)
	}
	return numbers[0] + "." + numbers[1], nil
}
