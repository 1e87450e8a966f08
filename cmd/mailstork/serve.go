package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"mailstork/daemon"
	"mailstork/daemon/config"
)

func (a app) serve() *cobra.Command {
	c := &cobra.Command{
		Use: "serve", Short: "run the daemon", Args: cobra.NoArgs,
		Long: `Run the daemon until it is told to stop. systemd does this: systemctl start mailstork.

With --check only the configuration is read and every problem in it is told.`,
	}
	check := c.Flags().Bool("check", false, "check the configuration and stop")
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := loadConfig(c)
		if err != nil {
			return err
		}
		if *check {
			_, err := fmt.Fprintln(c.OutOrStdout(), "the configuration is valid")
			return err
		}
		d, err := daemon.New(c.Context(), loaded, versionText(), newLogger(loaded.Log, os.Stderr))
		if err != nil {
			return err
		}
		return errors.Join(d.Run(c.Context()), d.Close())
	}
	return c
}

// newLogger writes to w. Under systemd the journal knows the time already.
func newLogger(c config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // the bounds of the key allow only names of levels
	}
	options := &slog.HandlerOptions{Level: level}
	if os.Getenv("JOURNAL_STREAM") != "" {
		options.ReplaceAttr = func(groups []string, attr slog.Attr) slog.Attr {
			if attr.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return attr
		}
	}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
