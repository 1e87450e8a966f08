package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

func (a app) log() *cobra.Command {
	c := &cobra.Command{
		Use: "log ACCOUNT", Short: "show what happened to an account", Args: cobra.ExactArgs(1),
		Long: "Show the newest events of an account, oldest first. With --json: one object per line.",
	}
	asJSON := addJSON(c)
	follow := c.Flags().BoolP("follow", "f", false, "go on with new events until interrupted")
	limit := c.Flags().IntP("limit", "n", 50, "how many events at most, 1 to 1000")
	c.RunE = func(c *cobra.Command, args []string) error {
		address, err := parseAddress(args[0])
		if err != nil {
			return err
		}
		if *limit < 1 || *limit > control.MaxEvents {
			return usage(fmt.Errorf("--limit %d is not between 1 and %d", *limit, control.MaxEvents), "mailstork log --help")
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		out := c.OutOrStdout()
		each := func(e control.Event) error { return a.writeEvent(out, e) }
		if *asJSON {
			encoder := json.NewEncoder(out)
			each = func(e control.Event) error { return encoder.Encode(e) }
		}
		if *follow {
			return client.Follow(c.Context(), address, 0, *limit, each)
		}
		events, err := client.Events(c.Context(), address, 0, *limit)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := each(e); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// writeEvent is one line: time, event, then what is known.
func (a app) writeEvent(out io.Writer, e control.Event) error {
	parts := []string{}
	if e.State != "" {
		parts = append(parts, "→ "+e.State)
	}
	if e.Folder != "" {
		parts = append(parts, fmt.Sprintf("%q", e.Folder))
	}
	if e.Detail != "" {
		parts = append(parts, e.Detail)
	}
	if e.Took > 0 {
		parts = append(parts, "("+span(e.Took.Round(100*time.Millisecond))+")")
	}
	if e.Err != "" {
		parts = append(parts, "failed: "+e.Err)
	}
	_, err := fmt.Fprintf(out, "%s  %-10s %s\n", e.At.In(a.zone).Format("2006-01-02 15:04:05"), clean(e.Name), clean(strings.Join(parts, "  ")))
	return err
}

func parseAddress(text string) (account.Address, error) {
	address, err := account.ParseAddress(text)
	if err != nil {
		return "", usage(err, "mailstork account list")
	}
	return address, nil
}
