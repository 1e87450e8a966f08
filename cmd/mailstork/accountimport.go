package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

const maxRowsShown = 20

func (a app) accountImport() *cobra.Command {
	c := &cobra.Command{
		Use: "import FILE", Short: "add accounts from a list", Args: cobra.ExactArgs(1),
		Long: `Add accounts from a list: one address per line, or CSV or TSV with a header that names the columns address, source_user
(the login name at the source, when it is not the address) and password (at the source). FILE - is standard input.

All lines are added or, when one is wrong, none. Accounts that exist keep their state; a password given is stored anew.
Passwords are stored sealed and never shown. An account without one begins with its owner's first login.`,
		Example: "  mailstork account import people.csv --dry-run\n  printf 'anna\\nbob\\n' | mailstork account import - --domain example.org",
	}
	var o listOptions
	c.Flags().StringVar(&o.domain, "domain", "", "`NAME` of the domain of all addresses; those without @ get it")
	c.Flags().StringSliceVar(&o.columns, "columns", nil, "`NAMES` of the columns of a list without header")
	dryRun, asJSON := addDryRun(c), addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.domain != "" {
			var err error
			if o.domain, err = account.ParseDomainName(o.domain); err != nil {
				return usage(err, "mailstork account import --help")
			}
		}
		text, shared, err := readList(c, args[0])
		if err != nil {
			return err
		}
		rows, err := parseList(text, o)
		clear(text) // it may hold passwords (S1)
		if err != nil {
			return err
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		result, err := client.Import(c.Context(), rows, *dryRun)
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(c.OutOrStdout(), result)
		} else {
			err = tellImported(c.OutOrStdout(), result)
		}
		if result.Passwords > 0 && args[0] != "-" {
			warnOfPasswords(c.ErrOrStderr(), args[0], shared)
		}
		return err
	}
	return c
}

// readList reads the file, or standard input for "-". shared tells that other users may read the file.
func readList(c *cobra.Command, path string) (text []byte, shared bool, err error) {
	in := c.InOrStdin()
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, false, &control.Error{Kind: control.KindInvalid, Sentence: "the list can't be read", Raw: err.Error(), Hint: "mailstork account import --help"}
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil {
			shared = info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0
		}
		in = file
	}
	// UTF-16 takes twice the room; parseList looks at the real size.
	text, err = io.ReadAll(io.LimitReader(in, 2*maxListOctets+2))
	if err != nil {
		return nil, false, fmt.Errorf("reading the list: %w", err)
	}
	return text, shared, nil
}

func tellImported(out io.Writer, result control.ImportResult) error {
	if result.DryRun {
		for i, row := range result.Rows {
			if i == maxRowsShown {
				fmt.Fprintf(out, "… and %s more\n", count(len(result.Rows)-i))
				break
			}
			fmt.Fprintf(out, "line %d: %s would be %s\n", row.Line, row.Address, row.Action)
		}
	}
	sentence := fmt.Sprintf("%s added, %s changed, %s unchanged; %s with a password",
		count(result.Added), count(result.Changed), count(result.Unchanged), count(result.Passwords))
	if result.DryRun {
		sentence += ". Dry run: nothing was changed"
	}
	_, err := fmt.Fprintln(out, sentence)
	return err
}

func warnOfPasswords(out io.Writer, path string, shared bool) {
	if shared {
		fmt.Fprintf(out, "mailstork: other users may read %s, which holds passwords\n  next:   shred -u %s\n", path, path)
		return
	}
	fmt.Fprintf(out, "mailstork: %s holds passwords; when you don't need it any more: shred -u %s\n", path, path)
}
