package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// app is what the commands need of the world.
type app struct {
	now  func() time.Time
	zone *time.Location
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(app{now: time.Now, zone: time.Local})
	os.Exit(run(ctx, root, os.Args[1:], os.Stderr))
}

// run executes a command line and returns the exit code. What cobra itself refuses is a mistake in usage.
func run(ctx context.Context, root *cobra.Command, args []string, stderr io.Writer) int {
	started := false
	watchStart(root, &started)
	root.SetArgs(args)
	used, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !started {
		err = usage(err, used.CommandPath()+" --help")
	}
	explain(stderr, err)
	return codeOf(err)
}

// watchStart sets started when a command's own code begins to run.
func watchStart(c *cobra.Command, started *bool) {
	if work := c.RunE; work != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*started = true
			return work(c, args)
		}
	}
	for _, below := range c.Commands() {
		watchStart(below, started)
	}
}
