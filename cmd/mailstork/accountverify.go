package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mailstork/daemon/control"
)

func (a app) accountVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify ACCOUNT", Short: "read both sides again and account for every message", Args: cobra.ExactArgs(1),
		Long: `Read every message at the source and at this server again, compare them by their bytes, and account for each one of
the source. Nothing is changed on either side. It takes as long as reading the account twice; a pass that runs is waited for.

Every message of the source is in one column: here (in the folder's place, with the same bytes), elsewhere (in another
folder here: its owner moved it), delivered (it reached us by SMTP), deleted (its owner deleted it), skipped (a rule),
refused (kept as a file), parked (it arrived, and vanished before a pass saw it), pending (for the next pass), or missing:
nothing explains its absence. What the ledger knows only explains what is not here; it never counts as a copy.

"twice" is a copy too many in a folder to which the mirror appended one. Exit code ` + fmt.Sprint(exitUnsound) + ` when something is missing, twice, or
could not be read.`,
	}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		address, err := parseAddress(args[0])
		if err != nil {
			return err
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		line := newProgress(c.ErrOrStderr(), a.now)
		verified, err := client.Verify(c.Context(), address, line.show)
		line.end()
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(c.OutOrStdout(), verified)
		} else {
			a.writeVerification(c.OutOrStdout(), verified)
		}
		if err == nil && !verified.Sound() {
			err = &exitError{exitUnsound, nextAfter(verified), unsound(verified)}
		}
		return err
	}
	return c
}

// listable is how many findings there would be if their number had no bound.
func listable(v control.Verification) int64 {
	n := v.Missing + v.Pending + v.Twice
	for _, f := range v.Folders {
		n += f.Skipped + f.Refused + f.Parked
	}
	return n
}

// unsound is the one sentence of a verification that found something.
func unsound(v control.Verification) error {
	var found []string
	add := func(n int64, what string) {
		if n > 0 {
			found = append(found, count(n)+" "+what)
		}
	}
	add(v.Missing, "missing")
	add(v.Twice, "here twice")
	for _, f := range v.Folders {
		if f.Problem != "" {
			found = append(found, fmt.Sprintf("folder %q could not be read", f.Source))
		}
	}
	return errors.New(subject(v) + strings.Join(found, ", "))
}

// subject names the account that was verified; a copy has none.
func subject(v control.Verification) string {
	if v.Account == "" {
		return ""
	}
	return string(v.Account) + ": "
}

func nextAfter(v control.Verification) string {
	if v.Missing > 0 {
		return "mailstork account sync " + string(v.Account) + "   # notes what its owner deleted meanwhile; then verify again"
	}
	return "mailstork account show " + string(v.Account)
}

func (a app) writeVerification(out io.Writer, v control.Verification) {
	t := newTable("FOLDER", "KEPT HERE AS", ">SOURCE", ">HERE", ">ELSEWHERE", ">DELIVERED", ">DELETED", ">SKIPPED", ">REFUSED", ">PARKED", ">PENDING", ">MISSING", "PROBLEM")
	some := func(n int64) string {
		if n == 0 {
			return ""
		}
		return count(n)
	}
	for _, f := range v.Folders {
		place := f.Destination
		if place == f.Source {
			place = ""
		}
		t.row(f.Source, place, count(f.Messages), count(f.Here), some(f.Elsewhere), some(f.Delivered), some(f.Deleted), some(f.Skipped),
			some(f.Refused), some(f.Parked), some(f.Pending), some(f.Missing), f.Problem)
	}
	t.write(out)
	for i, f := range v.Findings {
		if i == 0 {
			fmt.Fprintln(out)
		}
		name := f.MessageID
		if name == "" {
			name = "no Message-ID"
		}
		if !f.Date.IsZero() {
			name += ", " + f.Date.In(a.zone).Format("2006-01-02 15:04")
		}
		fmt.Fprintf(out, "%-8s message %d of %q (%s)\n         %s\n", clean(f.Class), f.UID, clean(f.Folder), clean(name), clean(f.Why))
	}
	if more := listable(v) - int64(len(v.Findings)); more > 0 {
		fmt.Fprintf(out, "… and %s more\n", count(more))
	}
	fmt.Fprintln(out)
	fmt.Fprintf(out, "%s%s at the source, read again on both sides", subject(v), messages(int(v.Messages)))
	switch {
	case !v.Sound():
		fmt.Fprintln(out, ".")
	case v.Pending > 0:
		fmt.Fprintf(out, ": every one is accounted for; %s waits for the next pass.\n", count(v.Pending))
	default:
		fmt.Fprintln(out, ": every one is accounted for.")
	}
}
