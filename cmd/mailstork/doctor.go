package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailstork/daemon/config"
	"mailstork/daemon/control"
)

const probeTimeout = 5 * time.Second

func (a app) doctor() *cobra.Command {
	c := &cobra.Command{
		Use: "doctor", Short: "test whether everything that mailstork needs is there and works", Args: cobra.NoArgs,
		Long: `Test configuration, folders, files, permissions, disk space, the sockets of the daemon, and Dovecot. What only the
daemon can test (Dovecot through the master user, the fence) it is asked for. Nothing is changed. Best run as root.`,
	}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		findings := examine(c)
		failed := 0
		for _, f := range findings {
			if f.Level == control.Fail {
				failed++
			}
		}
		var err error
		if *asJSON {
			err = writeJSON(c.OutOrStdout(), findings)
		} else {
			writeFound(c.OutOrStdout(), findings)
		}
		if err == nil && failed > 0 {
			return &exitError{code: exitUnhealthy, err: errors.New("")}
		}
		return err
	}
	return c
}

func examine(c *cobra.Command) []control.Finding {
	path := c.Flag("config").Value.String()
	loaded, err := loadConfig(c)
	if err != nil {
		failure := asFailure(err)
		return []control.Finding{{Check: "config", Level: control.Fail, Sentence: sentence(failure.Sentence + ": " + failure.Raw), Next: failure.Hint}}
	}
	d := doctor{config: loaded, ctx: c.Context()}
	if _, err := os.Stat(path); err != nil {
		d.add("config", control.OK, "", "There is no file %s: the defaults apply.", path)
	} else {
		d.add("config", control.OK, "", "%s can be used.", path)
	}
	d.folders()
	d.files()
	d.disk()
	d.dovecot()
	if d.daemon() {
		d.hook()
		d.milter()
	}
	return d.found
}

// sentence makes one of an error's text.
func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// doctor collects findings about one configuration.
type doctor struct {
	config config.Config
	ctx    context.Context
	found  []control.Finding
}

func (d *doctor) add(check string, level control.Level, next, format string, args ...any) {
	d.found = append(d.found, control.Finding{Check: check, Level: level, Sentence: fmt.Sprintf(format, args...), Next: next})
}

// daemon asks the daemon; false when it does not run, since its other sockets are silent then, too.
func (d *doctor) daemon() bool {
	client := control.NewClient(d.config.Control.Socket)
	defer client.Close()
	ctx, cancel := context.WithTimeout(d.ctx, 4*probeTimeout) // it tests Dovecot meanwhile
	defer cancel()
	status, err := client.Status(ctx)
	if err != nil {
		failure := asFailure(err)
		d.add("daemon", control.Fail, failure.Hint, "%s", sentence(failure.Sentence))
		return false
	}
	d.add("daemon", control.OK, "", "The daemon %s answers at %s.", status.Version, d.config.Control.Socket)
	if status.Version != versionText() {
		d.add("daemon", control.Warn, "systemctl restart mailstork", "The daemon is %s, this command is %s.", status.Version, versionText())
	}
	if n := len(status.Stuck); n > 0 {
		d.add("accounts", control.Warn, "mailstork account list --stuck", "Accounts that wait for you: %s.", count(n))
	}
	own, err := client.Doctor(ctx)
	if err != nil {
		failure := asFailure(err)
		d.add("daemon", control.Fail, failure.Hint, "The daemon can't test itself: %s.", failure.Sentence)
	}
	d.found = append(d.found, own...)
	return true
}

func writeFound(out io.Writer, findings []control.Finding) {
	style := styleOf(out)
	worst := map[control.Level]int{}
	for _, f := range findings {
		worst[f.Level]++
		mark := map[control.Level]string{
			control.OK: style.mark("32", "ok  "), control.Warn: style.mark("33", "warn"), control.Fail: style.mark("31", "FAIL"),
		}[f.Level]
		fmt.Fprintf(out, "%s  %-12s %s\n", mark, f.Check, clean(f.Sentence))
		if f.Next != "" && f.Level != control.OK {
			fmt.Fprintf(out, "%18s next: %s\n", "", clean(f.Next))
		}
	}
	fmt.Fprintf(out, "\n%d checks: %d ok, %d warnings, %d failed\n", len(findings), worst[control.OK], worst[control.Warn], worst[control.Fail])
}
