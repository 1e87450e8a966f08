package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

func (a app) domainCheck() *cobra.Command {
	c := &cobra.Command{
		Use: "check NAME", Short: "look at the source of a domain", Args: cobra.ExactArgs(1),
		Long: `Connect to the source of a domain and show its certificate, the version of TLS, what it says it is, and the capabilities that
matter. It is also asked about a random name with a random password: a source that accepts them would let everybody make accounts,
so no first login is passed on to it. That counts as one failed login in the source's budget, and is done once a day by itself.`,
	}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		check, err := client.CheckSource(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), check)
		}
		var f facts
		f.add("domain", args[0])
		a.addCheck(&f, check)
		f.write(c.OutOrStdout())
		return nil
	}
	return c
}

// addCheck shows what a source was found to be.
func (a app) addCheck(f *facts, check account.SourceCheck) {
	if check.TriedAt.IsZero() {
		return
	}
	f.add("says it is", check.ID)
	f.add("TLS", check.TLSVersion)
	if c := check.Certificate; c != nil {
		f.add("certificate", c.Subject)
		f.add("  signed by", c.Issuer)
		f.add("  names", strings.Join(c.Names, ", "))
		f.add("  until", a.at(c.Until, ""))
		f.add("  key", c.Pin)
	}
	f.add("offers", offers(check.Capabilities))
	first := "are passed on: it refused a random password"
	switch {
	case check.Doubt != "":
		first = "WAIT: " + check.Doubt
	case check.At.IsZero():
		first = ""
	}
	f.add("first logins", first)
	f.add("checked", a.at(check.TriedAt, ""))
}

// offers names the capabilities that make passes cheap or limit them, and how one may log in.
func offers(capabilities []string) string {
	matter := []string{"CONDSTORE", "QRESYNC", "LIST-STATUS", "LIST-EXTENDED", "SPECIAL-USE", "ESEARCH", "UIDPLUS", "COMPRESS=DEFLATE",
		"LOGINDISABLED", "ID", "QUOTA", "LITERAL+"}
	var told []string
	for _, name := range capabilities {
		if slices.Contains(matter, name) || strings.HasPrefix(name, "AUTH=") || strings.HasPrefix(name, "APPENDLIMIT") || strings.HasPrefix(name, "MESSAGELIMIT") {
			told = append(told, name)
		}
	}
	return strings.Join(told, " ")
}

// writeDoubts tells which sources get no first logins, and which are spoken to without TLS.
func writeDoubts(out io.Writer, domains []control.Domain) {
	for _, d := range domains {
		if d.State == account.Closed {
			continue
		}
		if d.Source.TLS == account.TLSNone {
			fmt.Fprintf(out, "\n%s\n  next: mailstork domain set %s --source imaps://%s\n",
				styleOf(out).red(d.Name+": passwords and mail travel WITHOUT TLS from "+clean(d.Source.HostPort())), d.Name, clean(d.Source.Host))
		}
		if d.Check.Doubt != "" {
			fmt.Fprintf(out, "\n%s\n  next: mailstork domain check %s\n",
				styleOf(out).red(fmt.Sprintf("%s: no first login is passed on to %s: %s", d.Name, clean(d.Source.HostPort()), clean(d.Check.Doubt))), d.Name)
		}
	}
}
