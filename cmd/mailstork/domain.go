package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

func (a app) domain() *cobra.Command {
	return noun("domain", "work with the domains that are moved", a.domainAdd(), a.domainSet(), a.domainLogin(), a.domainCheck(), a.domainList(), a.domainShow(), a.domainReport())
}

// sourceFlags say where a domain's mail lies.
type sourceFlags struct {
	set                                    *pflag.FlagSet
	url, caFile, serverName, pin, compress string
	withoutTLS                             bool
}

func (a app) domainAdd() *cobra.Command {
	var f sourceFlags
	var options domainFlags
	var login loginFlags
	c := &cobra.Command{
		Use: "add NAME", Short: "begin to move a domain", Args: cobra.ExactArgs(1),
		Long: `Begin to move a domain. Nothing changes for its people until they log in here or are imported.

The source is where the mail lies now: imaps://HOST[:PORT] for TLS (port 993), imap://HOST[:PORT] for STARTTLS, which is
mandatory then (port 143). It is looked at first, as by mailstork domain check: one that accepts a random password for a random
name is refused.`,
		Example: "  mailstork domain add example.org --source imaps://imap.old.example --mx mx.new.example --outgoing 192.0.2.25",
	}
	f.register(c)
	options.register(c)
	login.register(c)
	for _, name := range []string{"source", "mx", "outgoing"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a name that no flag has: a mistake above
		}
	}
	dryRun, asJSON := addDryRun(c), addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d, err := f.domain(args[0], options)
		if err != nil {
			return usage(err, "mailstork domain add --help")
		}
		opens, value := account.SourceLogin{}, secret.Secret{}
		if login.given() {
			if opens, value, err = login.read(c); err != nil {
				return usage(err, "mailstork domain add --help")
			}
		}
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		added, err := client.AddDomain(c.Context(), d, *dryRun)
		if err != nil {
			return err
		}
		switch {
		case opens.Kind != "" && *dryRun:
			added.Login = &opens
		case opens.Kind != "":
			if added, err = client.SetDomainLogin(c.Context(), d.Name, opens, value, false); err != nil {
				return fmt.Errorf("the domain was added, but what opens its accounts was not stored (mailstork domain login %s): %w", d.Name, err)
			}
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), added)
		}
		return a.tellAdded(c.OutOrStdout(), added, *dryRun)
	}
	return c
}

func (f *sourceFlags) register(c *cobra.Command) {
	f.set = c.Flags()
	f.set.StringVar(&f.url, "source", "", "where the mail lies now, a `URL`")
	f.set.StringVar(&f.caFile, "ca-file", "", "PEM `FILE` with the authorities that the source's certificate is checked against, instead of the system's")
	f.set.StringVar(&f.serverName, "server-name", "", "`NAME` that the source's certificate must carry, when it is not the host's")
	f.set.StringVar(&f.pin, "pin", "", "take only this key of the source, `sha256:KEY`, in place of its authority, name and dates")
	f.set.StringVar(&f.compress, "compress", "auto", "compress the way to the source: auto (a slow one), always or never")
	f.set.BoolVar(&f.withoutTLS, "no-tls", false, "send passwords to an imap:// source in clear; for loopback and laboratories")
}

// options are what the command line says of a source that is there already.
func (f *sourceFlags) options() (o control.SourceOptions, err error) {
	if f.set.Changed("source") {
		source, user, err := parseSourceURL(f.url, f.withoutTLS)
		if err == nil && user != "" {
			err = errSourceUser
		}
		if err != nil {
			return o, err
		}
		o.Endpoint = &control.Endpoint{Host: source.Host, Port: source.Port, TLS: source.TLS}
	} else if f.withoutTLS {
		return o, errors.New("--no-tls goes with --source")
	}
	if f.set.Changed("ca-file") {
		o.CAFile = &f.caFile
	}
	if f.set.Changed("server-name") {
		o.ServerName = &f.serverName
	}
	if f.set.Changed("pin") {
		o.Pin = &f.pin
		_, err = account.ParsePin(f.pin)
	}
	if f.set.Changed("compress") {
		o.Compress = &f.compress
	}
	return o, err
}

var errSourceUser = errors.New("the source of a domain has no user: every account has its own")

func (f sourceFlags) domain(name string, flags domainFlags) (account.Domain, error) {
	d := account.Domain{Accounts: account.AccountsListed, FirstLogin: account.FirstLoginLocal}
	var user string
	var err error
	if d.Name, err = account.ParseDomainName(name); err != nil {
		return d, err
	}
	if d.Source, user, err = parseSourceURL(f.url, f.withoutTLS); err != nil {
		return d, err
	}
	if user != "" {
		return d, errSourceUser
	}
	d.Source.CAFile, d.Source.ServerName = f.caFile, f.serverName
	if d.Source.Pin, err = account.ParsePin(f.pin); err != nil {
		return d, err
	}
	if f.compress != "auto" {
		d.Source.Compress = f.compress
	}
	if err := d.Source.Check(); err != nil {
		return d, err
	}
	options, err := flags.options()
	if err != nil {
		return d, err
	}
	return options.Apply(d, "mailstork domain add --help")
}

func (a app) tellAdded(out io.Writer, d control.Domain, dryRun bool) error {
	if dryRun {
		fmt.Fprintf(out, "would add domain %s:\n\n", d.Name)
		a.writeDomain(out, d)
		return nil
	}
	fmt.Fprintf(out, "added domain %s\n", d.Name)
	var f facts
	a.addCheck(&f, d.Check)
	f.write(out)
	next := "mailstork account import FILE --domain " + d.Name + "   # the addresses that may join"
	if d.Policy == account.AccountsAny {
		next = "log in at this server with an old password, then: mailstork status"
	}
	_, err := fmt.Fprintf(out, "  next: %s\n", next)
	return err
}

func (a app) domainList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "list the domains", Args: cobra.NoArgs}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		domains, err := client.Domains(c.Context())
		if err != nil {
			return err
		}
		out := c.OutOrStdout()
		switch {
		case *asJSON:
			return writeJSON(out, domains)
		case len(domains) == 0:
			_, err := fmt.Fprintln(out, "no domain yet")
			return err
		}
		t := newTable("DOMAIN", "STATE", "SOURCE", "ACCOUNTS", ">MESSAGES", "WAITING FOR")
		for _, d := range domains {
			t.row(d.Name, string(d.State), d.Source.HostPort(), accountsInWords(d), doneOf(d.Messages.Accounted, d.Messages.Source), waiting(a.now(), d.Cutover))
		}
		t.write(out)
		return nil
	}
	return c
}

func (a app) domainShow() *cobra.Command {
	c := &cobra.Command{Use: "show NAME", Short: "show one domain", Args: cobra.ExactArgs(1)}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		d, err := client.Domain(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), d)
		}
		a.writeDomain(c.OutOrStdout(), d)
		return nil
	}
	return c
}

func (a app) writeDomain(out io.Writer, d control.Domain) {
	var f facts
	f.add("domain", d.Name)
	f.add("state", string(d.State))
	f.add("source", sourceInWords(d.Source))
	a.addCheck(&f, d.Check)
	if d.Login != nil {
		f.add("opened by", loginInWords(d.Login))
	}
	f.add("accounts", accountsInWords(d))
	f.add("may join", map[account.AccountsPolicy]string{
		account.AccountsListed: "imported addresses only (listed)",
		account.AccountsAny:    "every address whose password the source accepts (any)",
	}[d.Policy])
	f.add("messages", doneOf(d.Messages.Accounted, d.Messages.Source)+" accounted for")
	f.add("MX here", strings.Join(d.MXHosts, ", "))
	var outgoing []string
	for _, address := range d.OutgoingAddresses {
		outgoing = append(outgoing, address.String())
	}
	f.add("sends from", strings.Join(outgoing, ", "))
	addGuard(&f, d)
	if d.PasswordsOnly {
		f.add("mail", "is not copied: passwords are proven and accounts created (--mail no)")
	}
	f.add("first logins", firstLoginInWords(d.FirstLogin))
	f.add("tells owners", noticeInWords(d.Notice))
	rules := d.Rules
	if rules.AllMail == "" && slices.Contains(d.Check.Capabilities, "X-GM-EXT-1") { // there it matters
		rules.AllMail = account.AllMailRest
	}
	addRules(&f, rules)
	f.add("waiting for", waiting(a.now(), d.Cutover))
	for i, holdout := range d.Cutover.Holdouts {
		f.add([]string{"held up by", ""}[min(i, 1)], holdout)
	}
	f.add("DNS checked", a.at(d.Cutover.CheckedAt, ""))
	f.add("added", a.at(d.CreatedAt, ""))
	f.add("closed", a.at(d.ClosedAt, ""))
	f.write(out)
}

// firstLoginInWords is empty for the default.
func firstLoginInWords(f account.FirstLogin) string {
	switch f {
	case account.FirstLoginProxy:
		return "are passed on to the source until nearly everything is here (proxy)"
	case account.FirstLoginNotice:
		return "are answered with a notice until everything is here (notice)"
	}
	return ""
}

// addGuard tells what the hook's guard lets through for a domain.
func addGuard(f *facts, d control.Domain) {
	if d.SourceBudget.Failures > 0 {
		text := fmt.Sprintf("%d within %s may reach the source", d.SourceBudget.Failures, span(time.Duration(d.SourceBudget.WindowSeconds)*time.Second))
		if d.Guard.SourceAllowsUs {
			text += ", which allow-lists this server (--source-allows-us)"
		}
		f.add("failed logins", text)
	}
	if n := d.Guard.NewAccountsPerHour; n > 0 {
		f.add("new accounts", fmt.Sprintf("at most %d an hour by first logins", n))
	}
}

func sourceInWords(s account.Source) string {
	text := s.HostPort() + map[account.TLSMode]string{
		account.TLSImplicit: ", TLS", account.TLSStartTLS: ", STARTTLS", account.TLSNone: ", WITHOUT TLS",
	}[s.TLS]
	if s.ServerName != "" {
		text += ", certificate of " + s.ServerName
	}
	if s.CAFile != "" {
		text += ", authorities of " + s.CAFile
	}
	if s.Pin != "" {
		text += ", key pinned: " + s.Pin
	}
	if s.Compress != "" {
		text += ", compressed: " + s.Compress
	}
	return text
}

func (a app) domainReport() *cobra.Command {
	c := &cobra.Command{
		Use: "report NAME", Short: "show what became of every message of a domain", Args: cobra.ExactArgs(1),
		Long: "Show the report of a domain: per account and in total what became of every message. Before the domain is closed it tells what is known so far.",
	}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		report, err := client.Report(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), report.JSON)
		}
		_, err = io.WriteString(c.OutOrStdout(), cleanLines(report.Text))
		return err
	}
	return c
}

// cleanLines is clean for text of several lines.
func cleanLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = clean(line)
	}
	return strings.Join(lines, "\n")
}
