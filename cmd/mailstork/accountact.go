package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

// actLong says more about verbs than fits their one line.
var actLong = map[control.Action]string{
	control.Approve: `So many messages vanished at once that it looks like an accident: nothing here followed. When their owner deleted them, say
so with this verb: the next pass removes our copies of them. It is refused when nothing is held back, and it counts once.`,
	control.Retry: `Dovecot would not store refused messages; their bytes are kept as files. They are new again for the next pass, unless they have
left the source. A file goes when its message is here.`,
	control.Abandon: `The account is done at once: its passes end, the credential for the source is erased, and it holds its domain open no
longer. Mail that is here stays, and its owner logs in as before. Nothing is proven; the domain's report names the account
and counts what the ledger knows. It can't be taken back.`,
}

// accountAct is one of the verbs that do one thing to accounts.
func (a app) accountAct(action control.Action, short, after string) *cobra.Command {
	c := &cobra.Command{Use: string(action) + " ACCOUNT...", Short: short, Long: actLong[action], Args: cobra.MinimumNArgs(1)}
	dryRun := addDryRun(c)
	c.RunE = func(c *cobra.Command, args []string) error { return act(c, args, *dryRun, action, after) }
	return c
}

// accountSettle says what becomes of parked messages.
func (a app) accountSettle() *cobra.Command {
	c := &cobra.Command{
		Use: "settle ACCOUNT...", Short: "say what becomes of parked messages", Args: cobra.MinimumNArgs(1),
		Long: `A parked message arrived here and vanished before a pass saw it, or it never arrived: its owner may have removed it, so it is
not copied again by itself. Say which it is, for all parked messages of the account.`,
	}
	again := c.Flags().Bool("copy", false, "copy them again; a copy that is still here is found and not doubled")
	c.Flags().Bool("leave", false, "their owner removed them: leave it so")
	c.MarkFlagsMutuallyExclusive("copy", "leave")
	c.MarkFlagsOneRequired("copy", "leave")
	dryRun := addDryRun(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if *again {
			return act(c, args, *dryRun, control.CopyParked, "parked messages are copied again by the next pass")
		}
		return act(c, args, *dryRun, control.LeaveParked, "parked messages count as removed by their owner")
	}
	return c
}

func act(c *cobra.Command, args []string, dryRun bool, action control.Action, after string) error {
	addresses := make([]account.Address, len(args))
	for i, text := range args {
		var err error
		if addresses[i], err = parseAddress(text); err != nil {
			return err
		}
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	for _, address := range addresses {
		if dryRun {
			one, err := client.Account(c.Context(), address)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "would %s %s (%s)\n", action, address, one.State)
			continue
		}
		if _, err := client.Act(c.Context(), address, action); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", address, after)
	}
	return nil
}
