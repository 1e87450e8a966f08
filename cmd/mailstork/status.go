package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

const watchInterval = 2 * time.Second

func (a app) status() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "show what is going on", Args: cobra.NoArgs,
		Long: `Show the domains, the passes that are running, and what waits for you.

With --metrics everything that is counted is written as Prometheus reads it (metrics.socket and metrics.listen of the configuration
show the same), for example to a file of node_exporter's textfile collector.`,
	}
	asJSON := addJSON(c)
	metrics := c.Flags().Bool("metrics", false, "write Prometheus metrics")
	watch := c.Flags().Bool("watch", false, "show it again every 2 seconds until interrupted")
	c.MarkFlagsMutuallyExclusive("json", "metrics")
	c.MarkFlagsMutuallyExclusive("watch", "metrics")
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		if *metrics {
			return showMetrics(c.Context(), c.OutOrStdout(), client)
		}
		show := func(ctx context.Context, out io.Writer) error { return a.showStatus(ctx, out, client, *asJSON) }
		if *watch {
			return repeat(c.Context(), c.OutOrStdout(), show)
		}
		return show(c.Context(), c.OutOrStdout())
	}
	return c
}

func showMetrics(ctx context.Context, out io.Writer, client *control.Client) error {
	text, err := client.Metrics(ctx)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// repeat shows something again and again; on a terminal in the same place. An interrupt is its normal end.
func repeat(ctx context.Context, out io.Writer, show func(context.Context, io.Writer) error) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		screen := &page{terminal: isTerminal(out)}
		if err := show(ctx, screen); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		text := screen.String()
		if screen.terminal {
			// Home, each line cleared behind its end, then everything below: no flicker.
			text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
		}
		if _, err := io.WriteString(out, text); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// page collects what a terminal will show at once.
type page struct {
	strings.Builder
	terminal bool
}

func (a app) showStatus(ctx context.Context, out io.Writer, client *control.Client, asJSON bool) error {
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(out, status)
	}
	fmt.Fprintf(out, "mailstork %s, running for %s\n\n", clean(status.Version), span(status.Now.Sub(status.StartedAt).Truncate(time.Second)))
	if len(status.Domains) == 0 {
		fmt.Fprintf(out, "No domain yet.\n  next: mailstork domain add NAME --source imaps://HOST --mx HOST --outgoing IP\n")
		return nil
	}
	writeDomains(out, status.Now, status.Domains)
	writeDoubts(out, status.Domains)
	if len(status.Passes) > 0 {
		fmt.Fprintln(out)
		writePasses(out, status.Now, status.Passes)
	}
	if len(status.Sources) > 0 {
		fmt.Fprintln(out)
		writeSources(out, status.Now, status.Sources)
	}
	if len(status.Stuck) > 0 {
		fmt.Fprintf(out, "\n%s\n", styleOf(out).bold("WAITING FOR YOU"))
		for _, stuck := range status.Stuck {
			fmt.Fprintf(out, "%s: %s\n", stuck.Address, clean(stuck.Stuck))
			if stuck.Hint != "" {
				fmt.Fprintf(out, "  next: %s\n", clean(stuck.Hint))
			}
		}
	}
	return nil
}

func writeDomains(out io.Writer, now time.Time, domains []control.Domain) {
	t := newTable("DOMAIN", "STATE", "ACCOUNTS", ">MESSAGES", "WAITING FOR")
	for _, d := range domains {
		t.row(d.Name, string(d.State), accountsInWords(d), doneOf(d.Messages.Accounted, d.Messages.Source), waiting(now, d.Cutover))
	}
	t.write(out)
}

// writeSources tells where first logins are held back, so that nobody wonders why.
func writeSources(out io.Writer, now time.Time, sources []control.Source) {
	t := newTable("SOURCE", ">FAILED LOGINS", "FIRST LOGINS", "PASSES")
	for _, s := range sources {
		failed := fmt.Sprintf("%d of %d in %s", s.Failures, s.Budget, span(time.Duration(s.WindowSeconds)*time.Second))
		passes := "begin"
		if s.PassesUntil.After(now) {
			passes = "wait, as it asked; begin again " + when(now, s.PassesUntil)
		}
		t.row(clean(s.Host), failed, firstLogins(now, s), passes)
	}
	t.write(out)
}

func firstLogins(now time.Time, s control.Source) string {
	switch {
	case !s.Until.After(now):
		return "are passed on"
	case s.Broken > 0:
		return fmt.Sprintf("wait: it can't be reached or has too much of us; tried again %s", when(now, s.Until))
	}
	return fmt.Sprintf("wait, so that it does not ban this server; passed on again %s", when(now, s.Until))
}

// accountsInWords is "4: 1 listed, 3 following" in the order of an account's life.
func accountsInWords(d control.Domain) string {
	var parts []string
	total := 0
	for _, state := range account.States {
		if n := d.Accounts[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", count(n), state))
			total += n
		}
	}
	if d.Paused > 0 {
		parts = append(parts, count(d.Paused)+" paused")
	}
	if d.Stuck > 0 {
		parts = append(parts, count(d.Stuck)+" stuck")
	}
	if len(parts) == 0 {
		return "none"
	}
	return count(total) + ": " + strings.Join(parts, ", ")
}

func waiting(now time.Time, c control.Cutover) string {
	if c.DueAt.After(now) {
		return fmt.Sprintf("%s (%s)", c.Waiting, when(now, c.DueAt))
	}
	return c.Waiting
}

func writePasses(out io.Writer, now time.Time, passes []control.Pass) {
	t := newTable("WORKING ON", "PHASE", "FOLDER", ">FOLDERS", ">MESSAGES", ">FOR")
	for _, p := range passes {
		folders := ""
		if p.FoldersTotal > 0 {
			folders = fmt.Sprintf("%d of %d", p.Folders, p.FoldersTotal)
		}
		messages := ""
		if p.MessagesTotal > 0 {
			messages = doneOf(p.Messages, p.MessagesTotal)
		}
		t.row(string(p.Account), p.Phase, p.Folder, folders, messages, span(now.Sub(p.Since).Truncate(time.Second)))
	}
	t.write(out)
}
