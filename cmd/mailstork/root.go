package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"mailstork/daemon/config"
	"mailstork/daemon/control"
)

const defaultConfig = "/etc/mailstork/mailstork.yaml"

func newRoot(a app) *cobra.Command {
	root := &cobra.Command{
		Use:   "mailstork",
		Short: "move the mail accounts of a domain to this server while people keep using them",
		Long: `mailstork moves the mail accounts of a domain from an old provider to this server while people keep using them.

A domain is added (domain add), its people log in here with their old passwords or are imported (account import),
their mail is copied and followed, the MX is changed, and the domain closes itself with a report (domain report).

Every command that reads has --json. Every command that changes something has --dry-run.

` + exitTable(),
		SilenceErrors: true, SilenceUsage: true,
		Version: versionText(), Args: cobra.NoArgs, RunE: showHelp,
	}
	root.SetVersionTemplate("mailstork {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().String("config", defaultConfig, "configuration `FILE`")
	root.AddCommand(a.serve(), a.status(), a.doctor(), a.setup(), a.domain(), a.dns(), a.account(), a.copy(), a.log(), a.version())
	return root
}

// noun is a command that only groups its verbs.
func noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: showHelp}
	c.AddCommand(verbs...)
	return c
}

func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// loadConfig reads the file that --config names. Without that flag the file need not exist.
func loadConfig(c *cobra.Command) (config.Config, error) {
	flag := c.Flag("config")
	loaded, err := config.Load(flag.Value.String())
	if errors.Is(err, os.ErrNotExist) && !flag.Changed {
		return config.Default(), nil
	}
	if err != nil {
		return loaded, &control.Error{
			Kind: control.KindInvalid, Sentence: "the configuration can't be used", Raw: err.Error(),
			Hint: fmt.Sprintf("correct the file (man 5 mailstork.yaml), then: mailstork serve --config %s --check", flag.Value),
		}
	}
	return loaded, nil
}

// connect returns a client for the daemon of the configuration.
func connect(c *cobra.Command) (*control.Client, error) {
	loaded, err := loadConfig(c)
	if err != nil {
		return nil, err
	}
	return control.NewClient(loaded.Control.Socket), nil
}

func addJSON(c *cobra.Command) *bool { return c.Flags().Bool("json", false, "write JSON") }

func addDryRun(c *cobra.Command) *bool {
	return c.Flags().Bool("dry-run", false, "tell what would be done, change nothing")
}
