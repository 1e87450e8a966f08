package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

// domainFlags are the options of a domain: domain add and domain set have the same ones. What is not given is not said.
type domainFlags struct {
	set          *pflag.FlagSet
	accounts     string
	mx, outgoing []string
	mail         string
	firstLogin   string
	guard        guardFlags
	notice       noticeFlags
	rules        ruleFlags
}

// guardFlags are what an admin tells the hook's guard.
type guardFlags struct {
	failuresPerSource, newAccountsPerHour int
	sourceAllowsUs                        string
}

// ruleFlags are the options about messages and folders; an account has them, too.
type ruleFlags struct {
	set            *pflag.FlagSet
	excludeRoles   []string
	excludeFolders []string
	maxMessageSize string
	folderMap      []string
	allMail        string
}

func (f *domainFlags) register(c *cobra.Command) {
	f.set = c.Flags()
	f.set.StringSliceVar(&f.mx, "mx", nil, "`HOST` that the MX will name; may be repeated")
	f.set.StringSliceVar(&f.outgoing, "outgoing", nil, "`IP` address that sends the domain's mail; may be repeated")
	f.set.StringVar(&f.accounts, "accounts", "listed", "who may join by logging in: listed (imported addresses) or any (whose password the source accepts)")
	f.set.StringVar(&f.mail, "mail", "yes", "copy the mail: yes, or no (logins are proven and accounts created, nothing else)")
	f.set.StringVar(&f.firstLogin, "first-login", "local", "where first logins lead: local (into the account here, while its mail arrives), proxy (through this server into the source, until nearly everything is here) or notice (to a letter that says how far the move is, until everything is here)")
	f.set.IntVar(&f.guard.failuresPerSource, "failures-per-source", 0, "pass on at most `N` wrong passwords to the source within hook.failure_window_minutes; 0: the default of the configuration")
	f.set.StringVar(&f.guard.sourceAllowsUs, "source-allows-us", "no", "yes: the source's admin has put this server on an allow list, so that it passes on "+strconv.Itoa(guard.AllowedFailures)+" wrong passwords instead of the default; no")
	f.set.IntVar(&f.guard.newAccountsPerHour, "new-accounts-per-hour", 0, "let first logins make at most `N` accounts within an hour; 0: no limit but hook.creations_per_minute")
	f.notice.register(c)
	f.rules.register(c)
}

func (f *ruleFlags) register(c *cobra.Command) {
	f.set = c.Flags()
	f.set.StringSliceVar(&f.excludeRoles, "exclude-role", nil, "leave out folders with this `ROLE`: trash, junk, sent, drafts, archive, all, flagged; may be repeated")
	f.set.StringArrayVar(&f.excludeFolders, "exclude-folder", nil, "leave out this `FOLDER` of the source and all below it; may be repeated")
	f.set.StringVar(&f.maxMessageSize, "max-message-size", "", "leave out larger messages; a `SIZE` as 50MiB, 0 for no limit")
	f.set.StringVar(&f.allMail, "all-mail", "", "of folders that show the mail of the others once more (Gmail's All Mail, Starred, Important): copy the rest, that is what no other folder has (the default), the whole, or skip them, and what is only archived with them. From whole to rest, the second copies of who has not been switched yet go, as far as mailstork made them and nobody changed them; what an owner copied, moved or flagged here is never touched (`POLICY`)")
	f.set.StringArrayVar(&f.folderMap, "map", nil, "keep a folder of the source, and all below it, in another folder here, as 'Old=New'; two may share one; may be repeated (`OLD=NEW`)")
}

// options are what the command line says.
func (f *domainFlags) options() (o control.DomainOptions, err error) {
	if f.set.Changed("accounts") {
		policy := account.AccountsPolicy(f.accounts)
		o.Policy = &policy
	}
	if f.set.Changed("mx") {
		o.MXHosts = &f.mx
	}
	if f.set.Changed("outgoing") {
		for _, text := range f.outgoing {
			if _, err := netip.ParseAddr(text); err != nil {
				return o, fmt.Errorf("--outgoing %q is not an IP address", text)
			}
		}
		o.Outgoing = &f.outgoing
	}
	if f.set.Changed("mail") {
		copied, err := parseYesNo("mail", f.mail)
		if err != nil {
			return o, err
		}
		passwordsOnly := !copied
		o.PasswordsOnly = &passwordsOnly
	}
	if f.set.Changed("first-login") {
		first := account.FirstLogin(f.firstLogin)
		o.FirstLogin = &first
	}
	if o.GuardOptions, err = f.guard.options(f.set); err != nil {
		return o, err
	}
	if o.Notice, err = f.notice.options(); err != nil {
		return o, err
	}
	o.RuleOptions, err = f.rules.options()
	return o, err
}

func (f *guardFlags) options(set *pflag.FlagSet) (o control.GuardOptions, err error) {
	if set.Changed("failures-per-source") {
		o.FailuresPerSource = &f.failuresPerSource
	}
	if set.Changed("new-accounts-per-hour") {
		o.NewAccountsPerHour = &f.newAccountsPerHour
	}
	if set.Changed("source-allows-us") {
		allows, err := parseYesNo("source-allows-us", f.sourceAllowsUs)
		if err != nil {
			return o, err
		}
		o.SourceAllowsUs = &allows
	}
	_, err = o.Apply(account.GuardRules{}, "")
	return o, err
}

func parseYesNo(flag, text string) (bool, error) {
	if text != "yes" && text != "no" {
		return false, fmt.Errorf("--%s %q is neither yes nor no", flag, text)
	}
	return text == "yes", nil
}

func (f *ruleFlags) options() (o control.RuleOptions, err error) {
	if f.set.Changed("exclude-role") {
		roles := []account.Role{}
		for _, text := range withoutEmpty(f.excludeRoles) {
			roles = append(roles, account.Role(strings.ToLower(text)))
		}
		o.ExcludeRoles = &roles
	}
	if f.set.Changed("exclude-folder") {
		folders := withoutEmpty(f.excludeFolders)
		o.ExcludeFolders = &folders
	}
	if f.set.Changed("max-message-size") {
		size, err := parseOctets(f.maxMessageSize)
		if err != nil {
			return o, fmt.Errorf("--max-message-size %w", err)
		}
		o.MaxMessageOctets = &size
	}
	if f.set.Changed("map") {
		folders := map[string]string{}
		for _, entry := range withoutEmpty(f.folderMap) {
			from, to, found := strings.Cut(entry, "=")
			if !found {
				return o, fmt.Errorf("--map %q is not OLD=NEW", entry)
			}
			if _, twice := folders[from]; twice {
				return o, fmt.Errorf("--map names %q twice", from)
			}
			folders[from] = to
		}
		o.Map = &folders
	}
	if f.set.Changed("all-mail") {
		policy := account.AllMail(strings.ToLower(f.allMail))
		o.AllMail = &policy
	}
	return o, o.Over(account.Rules{}).Check()
}

// withoutEmpty lets an empty value take everything back.
func withoutEmpty(texts []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(text string) bool { return text == "" })
}

// parseOctets reads a size as people write it; units are powers of 1024, or of 1000 without the i.
func parseOctets(text string) (int64, error) {
	units := map[string]float64{"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "kb": 1e3, "mb": 1e6, "gb": 1e9}
	number := strings.TrimRight(text, "bBkKmMgGiI")
	unit, known := units[strings.ToLower(text[len(number):])]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !known || math.IsNaN(n) || n < 0 || n*unit > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is no size, such as 50MiB", text)
	}
	return int64(n * unit), nil
}

const replacesHelp = `Each option replaces what it said before; an empty one, as --map '', takes it back. What is not given stays.`

func (a app) domainSet() *cobra.Command {
	var f domainFlags
	var source sourceFlags
	var downgrade bool
	c := &cobra.Command{
		Use: "set NAME", Short: "change options of a domain", Args: cobra.ExactArgs(1),
		Long: `Change options of a domain, also while its mail is being copied. What has changed is shown as old → new.

` + replacesHelp + `

The next passes follow the new rules. Nothing that is here is moved or removed by them: a folder that is excluded now keeps
what was copied; one that is no longer excluded is copied; under a new map only new messages go to the new place.

A source that is changed is looked at first, as by mailstork domain check. What had TLS is not used without, unless
--downgrade-tls says so as well.`,
		Example: "  mailstork domain set example.org --exclude-role trash,junk --max-message-size 50MiB\n" +
			"  mailstork domain set example.org --map 'Old clients=Archive/Clients' --exclude-folder 'Backup 2009' --dry-run",
	}
	f.register(c)
	source.register(c)
	c.Flags().BoolVar(&downgrade, "downgrade-tls", false, "use a source without TLS that had it: passwords and mail travel in clear")
	dryRun, asJSON := addDryRun(c), addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		options, err := f.options()
		if err == nil {
			options.SourceOptions, err = source.options()
		}
		if err == nil && options == (control.DomainOptions{}) {
			err = errors.New("nothing to set was given")
		}
		if err != nil {
			return usage(err, "mailstork domain set --help")
		}
		options.DowngradeTLS = downgrade
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		changed, err := client.SetDomain(c.Context(), args[0], options, *dryRun)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), changed)
		}
		return tellChanges(c.OutOrStdout(), "domain "+changed.Domain.Name, changed.Changes, *dryRun, "mailstork account show ADDRESS --folders   # what a pass will do")
	}
	return c
}

func (a app) accountSet() *cobra.Command {
	var f ruleFlags
	var language string
	c := &cobra.Command{
		Use: "set ACCOUNT", Short: "change what one account has of its own", Args: cobra.ExactArgs(1),
		Long: `Change the rules and the language that one account has of its own. They go before those of its domain: what the account maps
is copied though the domain excludes it.

` + replacesHelp,
		Example: "  mailstork account set anna@example.org --map 'Trash=Kept from the trash'",
	}
	f.register(c)
	c.Flags().StringVar(&language, "language", "", languageHelp)
	dryRun, asJSON := addDryRun(c), addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		address, err := parseAddress(args[0])
		if err != nil {
			return err
		}
		var options control.AccountOptions
		options.RuleOptions, err = f.options()
		if err == nil && c.Flags().Changed("language") {
			options.Language = &language
			_, err = account.ParseLanguage(language)
		}
		if err == nil && options == (control.AccountOptions{}) {
			err = errors.New("nothing to set was given")
		}
		if err != nil {
			return usage(err, "mailstork account set --help")
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		changed, err := client.SetAccount(c.Context(), address, options, *dryRun)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), changed)
		}
		return tellChanges(c.OutOrStdout(), string(changed.Account.Address), changed.Changes, *dryRun, "mailstork account show "+string(changed.Account.Address)+" --folders")
	}
	return c
}

func tellChanges(out io.Writer, of string, changes []control.Change, dryRun bool, next string) error {
	if len(changes) == 0 {
		_, err := fmt.Fprintf(out, "%s: nothing changes, it is so already\n", of)
		return err
	}
	verb := "changed "
	if dryRun {
		verb = "would change "
	}
	fmt.Fprintln(out, verb+of+":")
	var f facts
	for _, c := range changes {
		f.add("  "+c.Option, cmp.Or(c.Old, "none")+" → "+cmp.Or(c.New, "none"))
	}
	f.write(out)
	_, err := fmt.Fprintf(out, "  next: %s\n", next)
	return err
}

var allMailInWords = map[account.AllMail]string{
	account.AllMailRest:  "rest: of folders that show the mail of the others once more (Gmail), what no other folder has",
	account.AllMailWhole: "whole: folders that show the mail of the others once more (Gmail) are copied like all others",
	account.AllMailSkip:  "skip: folders that show the mail of the others once more (Gmail) are left out, and what is only archived with them",
}

// addRules shows rules among the facts of a domain or an account.
func addRules(f *facts, r account.Rules) {
	leaves := make([]string, 0, len(r.ExcludeRoles)+len(r.ExcludeFolders))
	for _, role := range r.ExcludeRoles {
		leaves = append(leaves, "folders with the role "+string(role))
	}
	for _, folder := range r.ExcludeFolders {
		leaves = append(leaves, fmt.Sprintf("folder %q", folder))
	}
	if r.MaxMessageOctets > 0 {
		leaves = append(leaves, "messages over "+octets(r.MaxMessageOctets))
	}
	for i, what := range leaves {
		f.add([]string{"leaves out", ""}[min(i, 1)], what)
	}
	if r.AllMail != "" {
		f.add("all mail", allMailInWords[r.AllMail])
	}
	for i, from := range slices.Sorted(maps.Keys(r.Map)) {
		f.add([]string{"keeps", ""}[min(i, 1)], fmt.Sprintf("%q in %q", from, r.Map[from]))
	}
}
