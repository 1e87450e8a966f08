package dnscheck

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Text writes a report for a person: one sentence, what each server said, what is wrong, what to publish.
func Text(w io.Writer, r Report) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s.\n", r.Domain, r.Sentence)
	if len(r.Servers)+len(r.Caches) > 0 {
		out.WriteString("\n")
		table(&out, r)
	}
	for _, c := range r.SPF.Checks {
		fmt.Fprintf(&out, "\nSPF for %s: %s", c.Address, c.Result)
	}
	if len(r.SPF.Checks) > 0 {
		out.WriteString("\n")
	}
	findings(&out, "Wrong", r.Errors)
	findings(&out, "Worth knowing", r.Warnings)
	records(&out, "Publish these records", r.Publish, false)
	records(&out, "Remove these records", r.Remove, false)
	records(&out, "Leave these TXT records as they are", r.Publish, true)
	_, err := io.WriteString(w, printable(out.String()))
	return err
}

func table(out *strings.Builder, r Report) {
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tab, "SERVER\tADDRESS\tMX\tTTL\tSERIAL\tVERDICT")
	for _, s := range r.Servers {
		said := hostsOf(s.Records)
		if s.Problem != "" {
			said = s.Problem
		}
		verdict := string(s.MX)
		if s.Skipped {
			verdict = "skipped"
		}
		_, _ = fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, s.Address, said, number(s.TTLSeconds), number(s.Serial), verdict)
	}
	for _, c := range r.Caches {
		said := hostsOf(c.Records)
		if c.Problem != "" {
			said = c.Problem
		}
		_, _ = fmt.Fprintf(tab, "%s\t%s\t%s\t%s\t%s\t%s\n", "(resolver)", c.Resolver, said, number(c.RemainingTTLSeconds), "", c.MX)
	}
	_ = tab.Flush() // writes to memory
}

func number(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

func findings(out *strings.Builder, title string, all []Finding) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s:\n", title)
	for _, f := range all {
		fmt.Fprintf(out, "  - %s\n", f.Text)
	}
}

func records(out *strings.Builder, title string, all []Record, keep bool) {
	titled := false
	for _, r := range all {
		if r.Keep != keep {
			continue
		}
		if !titled {
			fmt.Fprintf(out, "\n%s:\n", title)
			titled = true
		}
		fmt.Fprintf(out, "  %s\n", r.Line())
	}
}

// printable keeps foreign bytes from driving a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' || c >= ' ' && c != 0x7f && (c < 0x80 || c > 0x9f) {
			return c
		}
		return '?'
	}, s)
}
