package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

func showFolderMap(c *cobra.Command, client *control.Client, address account.Address, asJSON bool) error {
	m, err := client.FolderMap(c.Context(), address)
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(c.OutOrStdout(), m)
	}
	return writeFolderMap(c.OutOrStdout(), address, m)
}

func writeFolderMap(out io.Writer, address account.Address, m control.FolderMap) error {
	when := "as the last pass saw it"
	if m.Live {
		when = "as a first pass would do it; the servers were asked just now"
	}
	fmt.Fprintf(out, "%s, %s\n\n", address, when)
	t := newTable("FOLDER", "KEPT HERE AS", "ROLE", ">MESSAGES", ">OCTETS", "RULE")
	copied, left := int64(0), int64(0)
	for _, f := range m.Folders {
		here, size := f.Destination, ""
		if f.Octets > 0 {
			size = octets(f.Octets)
		}
		if f.Excluded {
			here = "not copied"
			left += f.Messages
		} else {
			copied += f.Messages
		}
		t.row(f.Source, here, string(f.Role), count(f.Messages), size, f.Rule)
	}
	t.write(out)
	fmt.Fprintf(out, "\n%s in folders that are copied, %s in folders that are left out", messages(int(copied)), count(left))
	if m.MaxMessageOctets > 0 {
		fmt.Fprintf(out, "; messages over %s are left out everywhere", octets(m.MaxMessageOctets))
	}
	_, err := fmt.Fprintf(out, "\n  to change it: mailstork domain set %s --help\n", address.Domain())
	return err
}
