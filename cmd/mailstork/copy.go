package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mailstork/daemon"
	"mailstork/daemon/control"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/daemon/secret"
)

// The environment variables that hold the two passwords, when no file does.
const (
	fromPasswordVariable = "MAILSTORK_FROM_PASSWORD"
	toPasswordVariable   = "MAILSTORK_TO_PASSWORD"
)

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
}

func (a app) copy() *cobra.Command {
	var f copyFlags
	c := &cobra.Command{
		Use: "copy", Short: "copy one account to another, once, without the daemon", Args: cobra.NoArgs,
		Long: `Copy one account to another with a single pass. No daemon is needed.

Passwords come from files (--from-password-file, --to-password-file) or from the environment
(` + fromPasswordVariable + `, ` + toPasswordVariable + `), never from the command line.

With --state the ledger is kept in that file: the command may then be repeated, killed and resumed, and copies only what
is new. Without it, messages that are at the destination already are recognised and not copied again.

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
	flags.IntVar(&f.connections, "connections", 2, "connections to each side")
	flags.BoolVar(&f.sourceIsTruth, "mirror", false, "follow deletions at the source, too, until somebody changes the copy")
	flags.BoolVar(&f.asJSON, "json", false, "write the result as JSON")
	for _, name := range []string{"from", "to"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // a name that no flag has: a mistake above
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return a.runCopy(c, f) }
	return c
}

func (a app) runCopy(c *cobra.Command, f copyFlags) (err error) {
	job, err := f.job()
	if err != nil {
		return usage(err, "mailstork copy --help")
	}
	if job.State == "" {
		dir, err := os.MkdirTemp("", "mailstork-copy-")
		if err != nil {
			return fmt.Errorf("preparing a ledger: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		job.State = filepath.Join(dir, "ledger")
	}
	line := newProgress(c.ErrOrStderr(), a.now)
	job.Progress = func(pass control.Pass) { line.show(pass) }
	result, err := daemon.Copy(c.Context(), job)
	line.end()
	if err != nil {
		return &exitError{code: exitNotInSync, next: nextOf(err), err: err}
	}
	if err := a.tellCopied(c, f, result); err != nil {
		return err
	}
	if problems := result.Problems(); len(problems) > 0 {
		return &exitError{code: exitNotInSync, next: "mailstork copy … again",
			err: fmt.Errorf("folder %q could not be finished: %s", problems[0].Name, problems[0].Problem)}
	}
	return nil
}

func nextOf(err error) string {
	var known *mirror.Error
	if errors.As(err, &known) {
		return known.Hint
	}
	return ""
}

func (f copyFlags) job() (job daemon.CopyJob, err error) {
	job = daemon.CopyJob{State: f.state, Doveadm: f.doveadm, Settle: f.settle, Pairs: f.connections, Switched: !f.sourceIsTruth}
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
		return secret.New(bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))), nil
	}
	password, set := os.LookupEnv(variable)
	if !set {
		return secret.Secret{}, fmt.Errorf("there is no password: give a file, or set %s", variable)
	}
	return secret.FromString(password), nil
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
}

func (a app) tellCopied(c *cobra.Command, f copyFlags, result mirror.Result) error {
	if f.asJSON {
		return writeJSON(c.OutOrStdout(), copied{Source: result.Source, Appended: result.Appended, Octets: result.Octets,
			Fates: result.Total.Fates, Parked: result.Total.Parked, TookMS: result.Took.Milliseconds(), Problems: len(result.Problems())})
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "in sync: %d messages at the source, %d copied by this run in %s\n",
		result.Source, result.Appended, result.Took.Round(10*time.Millisecond))
	for _, fate := range ledger.Fates {
		if n := result.Total.Fates[fate]; fate != ledger.Copied && n > 0 && err == nil {
			_, err = fmt.Fprintf(c.OutOrStdout(), "  %d %s\n", n, fate)
		}
	}
	return err
}
