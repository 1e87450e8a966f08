package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/wire"
)

// sessionAddress is where our sessions at the destination come from, so that they can be told from their owners'
// (docs/adr/0002). The master user may log in from nowhere else.
var sessionAddress = netip.MustParseAddr("127.77.0.1")

// probeSource connects to a source without any password: what can't even greet us is no source. It returns what the
// source says it is (RFC 2971), if it does.
func (d *Daemon) probeSource(ctx context.Context, source account.Source) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.config.Source.ConnectTimeout.Duration())
	defer cancel()
	conn, err := wire.Dial(ctx, wire.Options{Address: source.HostPort(), TLS: source.TLS, CAFile: source.CAFile, ServerName: source.ServerName,
		IdleTimeout: d.config.Source.ConnectTimeout.Duration(), ReadOnly: true, PublicOnly: !d.config.Source.AllowPrivateAddresses})
	if err != nil {
		return "", sourceTrouble(source, err)
	}
	defer conn.Close()
	id, _ = conn.AskID(ctx) // what it does not tell is no reason against it
	return id, nil
}

// sourceTrouble says in one sentence why a source can't be used, with its raw answer and the next command. What a flag
// of the command would cure, the hint says.
func sourceTrouble(source account.Source, err error) error {
	known := mirror.ExplainSource(source, err)
	trouble := forCommand(known, control.KindInvalid)
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var network net.Error
	switch {
	case errors.As(err, &host):
		trouble.Hint += "   # if this is the right server: --server-name NAME"
	case errors.As(err, &unknown):
		trouble.Hint += "   # if this is the right server: --ca-file FILE"
	case errors.As(err, &network) && network.Timeout() && source.TLS != account.TLSImplicit:
		trouble.Hint += "   # if it expects TLS at once: write imaps:// instead of imap://"
	}
	return trouble
}

// forCommand gives an error the form in which commands tell it: a clause, without capital and full stop.
func forCommand(known *mirror.Error, kind control.Kind) *control.Error {
	first, size := utf8.DecodeRuneInString(known.Sentence)
	sentence := string(unicode.ToLower(first)) + strings.TrimSuffix(known.Sentence[size:], ".")
	return &control.Error{Kind: kind, Sentence: sentence, Raw: known.Answer, Hint: known.Hint}
}

// fence says how to wait until Dovecot has no session of ours left for an account.
func (d *Daemon) fence(user string) destination.FenceOptions {
	return destination.FenceOptions{User: user, LocalAddress: sessionAddress, Command: d.doveadm(),
		Timeout: d.config.Dovecot.FenceTimeout.Duration()}
}

func (d *Daemon) doveadm() []string {
	return []string{d.config.Dovecot.DoveadmPath, "-c", d.doveadmConfig()}
}

func (d *Daemon) doveadmConfig() string { return filepath.Join(d.config.RuntimeDir, "doveadm.conf") }

// writeDoveadmConfig makes a configuration that only says where Dovecot's sockets are: the real one may name keys that
// our user can't read, and doveadm would refuse to start.
func (d *Daemon) writeDoveadmConfig(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	program, err := exec.LookPath("dovecot")
	if err != nil {
		program = "/usr/sbin/dovecot" // not in the PATH of every user
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return fmt.Errorf("asking %s for its version: %w", program, err)
	}
	text := "base_dir = " + d.config.Dovecot.BaseDir + "\n"
	if version, _, _ := strings.Cut(string(out), " "); strings.HasPrefix(version, "2.4") {
		version, _, _ = strings.Cut(strings.TrimSpace(version), "-") // must stand first in the file
		text = "dovecot_config_version = " + version + "\ndovecot_storage_version = " + version + "\n" + text
	}
	return os.WriteFile(d.doveadmConfig(), []byte(text), 0o644)
}

// Doctor tests what only the daemon can: the fence and the master user, with an account that is here.
func (d *Daemon) Doctor(ctx context.Context) ([]control.Finding, error) {
	accounts, err := d.store.Accounts(ctx, "")
	if err != nil {
		return nil, err
	}
	found := []control.Finding{{Check: "database", Level: control.OK, Sentence: "The database answers."}}
	user := "nobody@invalid.example"
	if len(accounts) > 0 {
		user = string(accounts[0].Address)
	}
	return append(found, d.testFence(ctx, user), d.testMaster(ctx, accounts)), nil
}

func (d *Daemon) testFence(ctx context.Context, user string) control.Finding {
	options := d.fence(user)
	options.Timeout = 5 * time.Second
	if err := destination.Fence(ctx, options); err != nil {
		return control.Finding{Check: "fence", Level: control.Fail, Sentence: fmt.Sprintf("Dovecot does not tell its sessions: %v.", err),
			Next: strings.Join(d.doveadm(), " ") + " who"}
	}
	return control.Finding{Check: "fence", Level: control.OK, Sentence: "Dovecot tells its sessions."}
}

func (d *Daemon) testMaster(ctx context.Context, accounts []account.Account) control.Finding {
	if len(accounts) == 0 {
		return control.Finding{Check: "master user", Level: control.OK, Sentence: "Not tested: there is no account yet."}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := destination.Dial(ctx, d.destination(accounts[0]))
	if err != nil {
		return control.Finding{Check: "master user", Level: control.Fail, Sentence: fmt.Sprintf("The master user can't log in: %v.", err),
			Next: "doveconf -n   # auth_master_user_separator and the passdb with master = yes"}
	}
	_ = conn.Close()
	return control.Finding{Check: "master user", Level: control.OK, Sentence: "Dovecot lets the master user in."}
}

// destination says how the mirror reaches an account here.
func (d *Daemon) destination(a account.Account) destination.Options {
	c := d.config.Dovecot
	return destination.Options{Address: c.IMAPAddress, LocalAddress: sessionAddress, User: string(a.Address), MasterUser: c.MasterUser,
		MasterPassword: d.master, Separator: c.MasterSeparator}
}

// readable is a folder's name as people write it.
func readable(raw string) string { return wire.DecodeName(raw) }
