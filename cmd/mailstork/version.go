package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (-X main.version=…) in releases.
var version string

// versionText is the release, or the commit that a developer's build was made from.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "dev-" + setting.Value[:12]
		}
	}
	return "dev"
}

func (a app) version() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "show the version of this program", Args: cobra.NoArgs}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *asJSON {
			return writeJSON(c.OutOrStdout(), map[string]string{"version": versionText(), "go": runtime.Version()})
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "mailstork %s (%s)\n", versionText(), runtime.Version())
		return err
	}
	return c
}
