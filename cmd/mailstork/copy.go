package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"mailstork/daemon"
	"mailstork/daemon/control"
	"mailstork/daemon/ledger"
	"mailstork/daemon/secret"
)

// The environment variables that hold the two passwords, when no file does.
const (
	fromPasswordVariable = "MAILSTORK_FROM_PASSWORD"
	toPasswordVariable   = "MAILSTORK_TO_PASSWORD"
)

// copyGCPercent is how far the heap of a copy may grow beyond what is in use.
const copyGCPercent = 50

type copyFlags struct {
	from, to                string
	fromFile, toFile        string
	fromCA, toCA            string
	state                   string
	doveadm                 []string
	settle                  time.Duration
	connections             int
	fromWithoutTLS, toNoTLS bool
	sourceIsTruth, asJSON   bool
	verify                  bool
}

func (a app) copy() *cobra.Command {
	var f copyFlags
	c := &cobra.Command{
		Use: "copy", Short: "copy one account to another, once, without the daemon", Args: cobra.NoArgs,
		Long: `Copy one account to another with a single pass. No daemon is needed.

Passwords come from files (--from-password-file, --to-password-file) or from the environment
(` + fromPasswordVariable + `, ` + toPasswordVariable + `), never from the command line.

With --state the ledger is kept in that file: the command may then be repeated, killed and resumed, and copies only what
is new. Without it, messages that are at the destination already are recognised and not copied again; but the destination
may go on storing for a moment what a killed run had sent, so then give --doveadm, or wait half a minute.

Exit code 0 means that the two accounts are in sync.`,
		Example: "  mailstork copy --from imaps://anna%40old.example@imap.old.example --to imaps://anna@mx.new.example --state anna.ledger",
	}
	flags := c.Flags()
	flags.StringVar(&f.from, "from", "", "the source, a `URL`: imaps://USER@HOST[:PORT] or imap://… (STARTTLS)")
	flags.StringVar(&f.to, "to", "", "the destination, a `URL`")
	flags.StringVar(&f.fromFile, "from-password-file", "", "`FILE` with the password for the source")
	flags.StringVar(&f.toFile, "to-password-file", "", "`FILE` with the password for the destination")
	flags.StringVar(&f.fromCA, "from-ca-file", "", "PEM `FILE` with the authorities for the source's certificate")
	flags.StringVar(&f.toCA, "to-ca-file", "", "PEM `FILE` with the authorities for the destination's certificate")
	flags.BoolVar(&f.fromWithoutTLS, "from-no-tls", false, "send the password to an imap:// source in clear; for loopback and laboratories")
	flags.BoolVar(&f.toNoTLS, "to-no-tls", false, "send the password to an imap:// destination in clear; for loopback and laboratories")
	flags.StringVar(&f.state, "state", "", "`FILE` that keeps the ledger between runs")
	flags.StringSliceVar(&f.doveadm, "doveadm", nil, "`COMMAND` that asks the destination's Dovecot for its sessions after doubt, as doveadm,-c,/etc/dovecot/dovecot.conf")
	flags.DurationVar(&f.settle, "settle", 30*time.Second, "how long to wait after doubt about an append, when --doveadm is not given")
	flags.IntVar(&f.connections, "connections", 4, "connections to each side at most, 1 to 8; fewer when the source lets no more in")
	flags.BoolVar(&f.sourceIsTruth, "mirror", false, "follow deletions at the source, too, until somebody changes the copy")
	flags.BoolVar(&f.verify, "verify", false, "afterwards read both sides again and account for every message, as mailstork account verify does")
	flags.BoolVar(&f.asJSON, "json", false, "write the result as JSON")
	for _, name := range []string{"from", "to"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a name that no flag has: a mistake above
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return a.runCopy(c, f) }
	return c
}

func (a app) runCopy(c *cobra.Command, f copyFlags) error {
	job, err := f.job()
	if err != nil {
		return usage(err, "mailstork copy --help")
	}
	// A copy waits for two servers: some CPU of its own costs no time, and buys a smaller heap.
	defer debug.SetGCPercent(debug.SetGCPercent(copyGCPercent))
	line := newProgress(c.ErrOrStderr(), a.now)
	job.Progress = func(pass control.Pass) { line.show(pass) }
	result, err := daemon.Copy(c.Context(), job)
	line.end()
	if err == nil {
		err = f.notInSync(result)
	}
	var known *control.Error
	switch {
	case errors.As(err, &known) && known.Kind != control.KindFailed:
		return err
	case err != nil:
		return &exitError{code: exitNotInSync, err: err}
	}
	return a.tellCopied(c, f, result)
}

// notInSync says what keeps the accounts from being in sync after a pass that reached its end.
func (f copyFlags) notInSync(result daemon.CopyResult) error {
	failed := &control.Error{Kind: control.KindFailed, Hint: "run the same command again; it goes on where it stopped"}
	problems, parked, refused := result.Problems(), result.Total.Parked, result.Total.Fates[ledger.Refused]
	switch {
	case len(problems) > 0:
		failed.Sentence = fmt.Sprintf("folder %q could not be finished", problems[0].Name)
		failed.Raw = problems[0].Problem
		if more := len(problems) - 1; more > 0 {
			failed.Sentence += fmt.Sprintf(" (and %d more folders)", more)
		}
	case parked > 0:
		failed.Sentence = messages(parked) + " landed at the destination and vanished again before we could see: removed by somebody, or never arrived"
		failed.Hint = "look for them; to copy what is missing anew: the same command with a new --state FILE"
	case refused > 0:
		failed.Sentence = "the destination can't store " + messages(refused) + " of the source; everything else is in sync"
		failed.Hint = "look at the messages at the source"
		if f.state != "" {
			failed.Hint = "ls " + f.state + ".refused   # their bytes"
		}
	default:
		return nil
	}
	return failed
}

// mostConnections is that of mirror.connections_per_account, too.
const mostConnections = 8

func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return count(n) + " messages"
}

func (f copyFlags) job() (job daemon.CopyJob, err error) {
	if f.connections < 1 || f.connections > mostConnections {
		return job, fmt.Errorf("--connections: %d is not from 1 to %d", f.connections, mostConnections)
	}
	job = daemon.CopyJob{State: f.state, Doveadm: f.doveadm, Settle: f.settle, Pairs: f.connections, Switched: !f.sourceIsTruth, Verify: f.verify}
	if job.From, err = endpoint("--from", f.from, f.fromWithoutTLS, f.fromCA, f.fromFile, fromPasswordVariable); err != nil {
		return job, err
	}
	job.To, err = endpoint("--to", f.to, f.toNoTLS, f.toCA, f.toFile, toPasswordVariable)
	return job, err
}

func endpoint(flag, url string, withoutTLS bool, caFile, passwordFile, variable string) (e daemon.Endpoint, err error) {
	if e.Server, e.User, err = parseSourceURL(url, withoutTLS); err != nil {
		return e, fmt.Errorf("%s: %w", flag, err)
	}
	e.Server.CAFile = caFile
	if e.User == "" {
		return e, fmt.Errorf("%s names no user: write imaps://USER@HOST", flag)
	}
	if e.Password, err = readPassword(passwordFile, variable); err != nil {
		return e, fmt.Errorf("%s: %w", flag, err)
	}
	return e, nil
}

// readPassword takes a password from a file (one final line end is not part of it) or from the environment.
func readPassword(file, variable string) (secret.Secret, error) {
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return secret.Secret{}, fmt.Errorf("reading the password: %w", err)
		}
		if content = bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r")); len(content) == 0 {
			return secret.Secret{}, fmt.Errorf("there is no password in %s", file)
		}
		return secret.New(content), nil
	}
	password := os.Getenv(variable)
	if password == "" {
		return secret.Secret{}, fmt.Errorf("there is no password: give a file, or set %s", variable)
	}
	// No program that we start gets to know it (S1).
	return secret.FromString(password), os.Unsetenv(variable)
}

// copied is the result as JSON.
type copied struct {
	Source   int                 `json:"source_messages"`
	Appended int                 `json:"appended"`
	Octets   int64               `json:"octets"`
	Fates    map[ledger.Fate]int `json:"fates"`
	Parked   int                 `json:"parked"`
	TookMS   int64               `json:"took_ms"`
	Problems int                 `json:"folders_with_problems"`

	Verified *control.Verification `json:"verification,omitempty"`
}

func (a app) tellCopied(c *cobra.Command, f copyFlags, result daemon.CopyResult) error {
	if err := a.tellWhatWasCopied(c, f, result); err != nil || result.Verified == nil {
		return err
	}
	if !f.asJSON {
		fmt.Fprintln(c.OutOrStdout())
		a.writeVerification(c.OutOrStdout(), *result.Verified)
	}
	if !result.Verified.Sound() {
		return &exitError{exitUnsound, "run the same command again", unsound(*result.Verified)}
	}
	return nil
}

func (a app) tellWhatWasCopied(c *cobra.Command, f copyFlags, result daemon.CopyResult) error {
	if f.asJSON {
		return writeJSON(c.OutOrStdout(), copied{Source: result.Source, Appended: result.Appended, Octets: result.Octets,
			Fates: result.Total.Fates, Parked: result.Total.Parked, TookMS: result.Took.Milliseconds(), Problems: len(result.Problems()), Verified: result.Verified})
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "in sync: %s at the source, %s copied by this run in %s\n",
		messages(result.Source), count(result.Appended), span(result.Took.Round(100*time.Millisecond)))
	for _, fate := range ledger.Fates {
		if n := result.Total.Fates[fate]; fate != ledger.Copied && n > 0 && err == nil {
			_, err = fmt.Fprintf(c.OutOrStdout(), "  %d %s\n", n, fate)
		}
	}
	for _, folder := range result.Folders {
		if folder.Limits != "" && err == nil {
			_, err = fmt.Fprintf(c.OutOrStdout(), "  %s: %s\n", clean(folder.Name), clean(folder.Limits))
		}
	}
	return err
}
