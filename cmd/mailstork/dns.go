package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/config"
	"mailstork/dnscheck"
)

func (a app) dns() *cobra.Command {
	return noun("dns", "look at the public DNS", a.dnsCheck())
}

type dnsFlags struct {
	mx, outgoing, resolvers, publicResolvers, parents []string
	port                                              int
}

func (a app) dnsCheck() *cobra.Command {
	var f dnsFlags
	c := &cobra.Command{
		Use: "check DOMAIN", Short: "show where the world sends a domain's mail, and which records to publish", Args: cobra.ExactArgs(1),
		Long: `Ask every authoritative server of a domain for its MX and SPF, the public resolvers for what caches still say, and tell
which records to publish.

With --mx the check runs here and now, and the domain need not be known to the daemon. Without it the daemon is asked
about one of its domains.`,
	}
	c.Flags().StringSliceVar(&f.mx, "mx", nil, "`HOST` that the MX shall name; may be repeated")
	c.Flags().StringSliceVar(&f.outgoing, "outgoing", nil, "`IP` address for which SPF is evaluated; may be repeated")
	c.Flags().StringSliceVar(&f.resolvers, "resolver", nil, "resolver (`IP:PORT`) instead of dns.resolvers of the configuration; may be repeated")
	c.Flags().StringSliceVar(&f.publicResolvers, "public-resolver", nil, "resolver (`IP:PORT`) instead of dns.public_resolvers; may be repeated")
	c.Flags().StringSliceVar(&f.parents, "parent", nil, "server of the parent zone (`IP:PORT`) instead of dns.parents; may be repeated")
	c.Flags().IntVar(&f.port, "port", 0, "port of authoritative servers instead of dns.port")
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		name, err := account.ParseDomainName(args[0])
		if err != nil {
			return usage(err, "mailstork dns check --help")
		}
		report, err := f.check(c, name)
		if err != nil {
			return err
		}
		if *asJSON {
			err = writeJSON(c.OutOrStdout(), report)
		} else {
			err = dnscheck.Text(c.OutOrStdout(), report)
		}
		if err == nil && report.MX != dnscheck.Here {
			err = &exitError{code: exitDNS, err: errors.New("")}
		}
		return err
	}
	return c
}

func (f dnsFlags) check(c *cobra.Command, name string) (dnscheck.Report, error) {
	loaded, err := loadConfig(c)
	if err != nil {
		return dnscheck.Report{}, err
	}
	if len(f.mx) > 0 {
		return f.checkHere(c, name, loaded.DNS)
	}
	if len(f.outgoing)+len(f.resolvers)+len(f.publicResolvers)+len(f.parents)+f.port > 0 {
		return dnscheck.Report{}, usage(errors.New("the other flags need --mx: without it the daemon checks with its own settings"), "mailstork dns check --help")
	}
	client, err := connect(c)
	if err != nil {
		return dnscheck.Report{}, err
	}
	defer client.Close()
	text, err := client.CheckDNS(c.Context(), name)
	if err != nil {
		return dnscheck.Report{}, err
	}
	var report dnscheck.Report
	if err := json.Unmarshal(text, &report); err != nil {
		return report, fmt.Errorf("reading the daemon's answer: %w", err)
	}
	return report, nil
}

func (f dnsFlags) checkHere(c *cobra.Command, name string, configured config.DNS) (dnscheck.Report, error) {
	question := dnscheck.Question{Domain: name}
	for _, text := range f.mx {
		host, err := account.ParseDomainName(text)
		if err != nil {
			return dnscheck.Report{}, usage(fmt.Errorf("--mx: %w", err), "mailstork dns check --help")
		}
		question.Expect.MXHosts = append(question.Expect.MXHosts, host)
	}
	for _, text := range f.outgoing {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return dnscheck.Report{}, usage(fmt.Errorf("--outgoing %q is not an IP address", text), "mailstork dns check --help")
		}
		question.Expect.OutgoingAddresses = append(question.Expect.OutgoingAddresses, address)
	}
	options, err := f.options(configured)
	if err != nil {
		return dnscheck.Report{}, usage(err, "mailstork dns check --help")
	}
	checker, err := dnscheck.New(options)
	if err != nil {
		return dnscheck.Report{}, err
	}
	return checker.Check(c.Context(), question), nil
}

func (f dnsFlags) options(configured config.DNS) (dnscheck.Options, error) {
	o := dnscheck.Options{Port: uint16(configured.Port), QueryTimeout: configured.Timeout.Duration()}
	for _, list := range []struct {
		into              *[]netip.AddrPort
		given, configured []string
	}{
		{&o.Resolvers, f.resolvers, configured.Resolvers},
		{&o.PublicResolvers, f.publicResolvers, configured.PublicResolvers},
		{&o.Parents, f.parents, configured.Parents},
	} {
		use := list.given
		if len(use) == 0 {
			use = list.configured
		}
		var err error
		if *list.into, err = config.AddrPorts(use); err != nil {
			return o, err
		}
	}
	if f.port < 0 || f.port > 65535 {
		return o, fmt.Errorf("--port %d is not between 1 and 65535", f.port)
	}
	if f.port > 0 {
		o.Port = uint16(f.port)
	}
	return o, nil
}
