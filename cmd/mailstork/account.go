package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/ledger"
)

func (a app) account() *cobra.Command {
	return noun("account", "work with the accounts of a domain",
		a.accountImport(), a.accountList(), a.accountShow(), a.accountSet(), a.accountSetPassword(), a.accountVerify(),
		a.accountAct(control.Sync, "make the next pass due now", "next pass is due now"),
		a.accountAct(control.Pause, "stop the passes of an account until it is resumed", "is paused"),
		a.accountAct(control.Resume, "let the passes of a paused account run again", "is no longer paused"),
		a.accountAct(control.Approve, "let the next pass follow what the guard holds back", "what is held back is followed by the next pass"),
		a.accountAct(control.Retry, "try refused messages again", "refused messages are tried by the next pass"),
		a.accountSettle(),
		a.accountAct(control.Abandon, "end an account whose rest at the source can't be had; nothing here is deleted", "is done, without a proof; the domain's report says what is missing"))
}

func (a app) accountList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "list accounts", Args: cobra.NoArgs}
	var filter control.AccountFilter
	c.Flags().StringVar(&filter.Domain, "domain", "", "only those of this domain (`NAME`)")
	state := c.Flags().String("state", "", "only those in this `STATE`: listed, joined, copying, following, closing, done")
	c.Flags().BoolVar(&filter.Stuck, "stuck", false, "only those that wait for you")
	c.Flags().BoolVar(&filter.Paused, "paused", false, "only those that are paused")
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		filter.State = account.State(*state)
		if err := canonical(&filter); err != nil {
			return usage(err, "mailstork account list --help")
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		accounts, err := client.Accounts(c.Context(), filter)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), accounts)
		}
		return a.writeAccounts(c.OutOrStdout(), accounts)
	}
	return c
}

func canonical(f *control.AccountFilter) (err error) {
	switch f.State {
	case "", account.Listed, account.Joined, account.Copying, account.Following, account.Closing, account.Done:
	default:
		return fmt.Errorf("--state %q is none of an account's states", f.State)
	}
	if f.Domain != "" {
		f.Domain, err = account.ParseDomainName(f.Domain)
	}
	return err
}

func (a app) writeAccounts(out io.Writer, accounts []control.Account) error {
	if len(accounts) == 0 {
		_, err := fmt.Fprintln(out, "no account")
		return err
	}
	t := newTable("ACCOUNT", "STATE", ">MESSAGES", ">LAST PASS", ">NEXT PASS", "REMARK")
	for _, one := range accounts {
		t.row(string(one.Address), string(one.State), doneOf(one.Messages.Accounted, one.Messages.Source),
			when(a.now(), one.LastPassAt), a.nextPass(one), remark(one))
	}
	t.write(out)
	return nil
}

func (a app) nextPass(one control.Account) string {
	switch {
	case one.Pass != nil:
		return "running"
	case one.Paused || one.Stuck != "" && one.NextPassAt.IsZero() || one.State == account.Listed || one.State == account.Done:
		return "–"
	case !one.NextPassAt.After(a.now()):
		return "due"
	}
	return when(a.now(), one.NextPassAt)
}

func remark(one control.Account) string {
	switch {
	case one.Paused && one.Stuck != "":
		return "paused, stuck: " + one.Stuck
	case one.Paused:
		return "paused"
	case one.Stuck != "":
		return "stuck: " + one.Stuck
	}
	return ""
}

func (a app) accountShow() *cobra.Command {
	c := &cobra.Command{
		Use: "show ACCOUNT", Short: "show one account with its folders", Args: cobra.ExactArgs(1),
		Long: `Show one account: how it stands, and what became of the messages of each folder.

With --folders: where each folder of the source is kept here, and which are left out by which rule. Before the first pass both
servers are asked for it, and nothing is changed; afterwards it is what the last pass saw. A rule is changed with
mailstork domain set or mailstork account set.`,
	}
	folders := c.Flags().Bool("folders", false, "show where each folder is kept, and by which rule, before the first pass, too")
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
		if *folders {
			return showFolderMap(c, client, address, *asJSON)
		}
		detail, err := client.Account(c.Context(), address)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), detail)
		}
		a.writeAccount(c.OutOrStdout(), detail)
		return nil
	}
	return c
}

func (a app) writeAccount(out io.Writer, d control.AccountDetail) {
	var f facts
	f.add("account", string(d.Address))
	state := string(d.State)
	if d.Paused {
		state += ", paused"
	}
	f.add("state", state)
	f.add("stuck", d.Stuck)
	if d.Stuck != "" {
		f.add("next", d.Hint)
	}
	if d.SourceUser != string(d.Address) {
		f.add("source user", d.SourceUser)
	}
	f.add("language", string(d.Language))
	addRules(&f, d.Rules)
	f.add("credential", map[bool]string{true: "stored, sealed", false: "none"}[d.Credential])
	f.add("messages", doneOf(d.Messages.Accounted, d.Messages.Source)+" accounted for")
	if d.Route == account.RouteHere || d.Route == "" {
		f.add("first login", a.at(d.SwitchedAt, "not yet"))
	}
	addRoute(&f, d.Account)
	f.add("last pass", a.at(d.LastPassAt, ""))
	f.add("last new mail", a.at(d.LastNewAt, ""))
	f.add("next pass", a.nextPass(d.Account))
	f.add("ordered", string(d.Orders))
	if d.Pass != nil {
		f.add("now", passInWords(*d.Pass))
	}
	f.write(out)
	if len(d.Folders) > 0 {
		fmt.Fprintln(out)
		writeFolders(out, d.Folders)
	}
	writeExceptions(out, d)
}

// addRoute tells where logins lead that don't simply lead here.
func addRoute(f *facts, one control.Account) {
	s := one.Switching
	switch one.Route {
	case account.RouteSource:
		f.add("logins", "are passed on to the source (first-login proxy)")
		if s.Urgent != "" {
			f.add("switch", "as soon as the first pass is complete: "+s.Urgent)
		}
	case account.RouteNotice:
		f.add("logins", "are answered with a notice until the first pass is complete (first-login notice)")
	case account.RouteHeld:
		f.add("logins", "wait for a moment: the account is being switched")
	}
	if s.Fallback != "" {
		f.add("logins", "lead here, it can't be passed on: "+s.Fallback)
	}
}

// shownExceptions is how many exceptions a person wants to see; --json has more.
const shownExceptions = 20

func writeExceptions(out io.Writer, d control.AccountDetail) {
	for i, e := range d.Exceptions {
		if i == 0 {
			fmt.Fprintln(out)
		}
		if i == shownExceptions {
			fmt.Fprintf(out, "… and %s more: mailstork account show %s --json\n", count(len(d.Exceptions)-i+d.ExceptionsLeft), d.Address)
			break
		}
		fmt.Fprintf(out, "%-8s message %d of %q: %s\n", clean(e.Class), e.UID, clean(e.Folder), clean(e.Why))
		if e.File != "" {
			fmt.Fprintf(out, "         its bytes: %s\n", clean(e.File))
		}
	}
	for _, verb := range verbsFor(d) {
		fmt.Fprintln(out, "next:    "+verb)
	}
}

// verbsFor are the commands that answer an account's exceptions, while it still has passes.
func verbsFor(d control.AccountDetail) (verbs []string) {
	found := map[string]bool{}
	for _, e := range d.Exceptions {
		found[e.Class] = true
	}
	if d.State == account.Done {
		return nil
	}
	if found[string(ledger.Parked)] {
		verbs = append(verbs, fmt.Sprintf("mailstork account settle %s --copy   # or --leave", d.Address))
	}
	if found[string(ledger.Refused)] {
		verbs = append(verbs, "mailstork account retry "+string(d.Address))
	}
	return verbs
}

func writeFolders(out io.Writer, folders []control.Folder) {
	t := newTable("FOLDER", "KEPT HERE AS", ">SOURCE", ">COPIED", ">DELIVERED", ">DELETED", ">SKIPPED", ">REFUSED", ">UNSETTLED", "PROBLEM")
	some := func(n int64) string {
		if n == 0 {
			return ""
		}
		return count(n)
	}
	for _, f := range folders {
		here := f.Destination
		if here == f.Source {
			here = ""
		}
		t.row(f.Source, here, count(f.Messages), some(f.Copied), some(f.Delivered), some(f.Deleted), some(f.Skipped),
			some(f.Refused), some(f.Unsettled), f.Problem)
	}
	t.write(out)
	for _, f := range folders {
		if f.Limits != "" {
			fmt.Fprintf(out, "%s: %s\n", clean(f.Source), clean(f.Limits))
		}
	}
}
