package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
		trouble.Hint += "   # if this is the right server: --ca-file FILE" + orPin(err)
	case errors.As(err, &network) && network.Timeout() && source.TLS != account.TLSImplicit:
		trouble.Hint += "   # if it expects TLS at once: write imaps:// instead of imap://"
	}
	return trouble
}

// orPin offers the key that a source showed, for whoever can compare it with what its operator says.
func orPin(err error) string {
	var unverified *tls.CertificateVerificationError
	if !errors.As(err, &unverified) || len(unverified.UnverifiedCertificates) == 0 {
		return ""
	}
	return ", or, once its operator has confirmed this key: --pin " + account.PinOf(unverified.UnverifiedCertificates[0])
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
		d.anvilKnowsProxies = true
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
	domains, err := d.store.Domains(ctx)
	if err != nil {
		return nil, err
	}
	for _, domain := range domains {
		if domain.State != account.Closed {
			found = append(found, sourceFindings(domain)...)
		}
	}
	user := "nobody@invalid.example"
	if len(accounts) > 0 {
		user = string(accounts[0].Address)
	}
	if slices.ContainsFunc(domains, func(d account.Domain) bool { return d.FirstLogin == account.FirstLoginProxy }) {
		found = append(found, d.testProxy(ctx, user))
	}
	if slices.ContainsFunc(domains, func(d account.Domain) bool { return d.FirstLogin == account.FirstLoginNotice }) {
		found = append(found, d.testNotices())
	}
	return append(found, d.testFence(ctx, user), d.testMaster(ctx, accounts)), nil
}

// sourceFindings tells what the last look at a domain's source found.
func sourceFindings(domain account.Domain) (found []control.Finding) {
	if domain.Source.TLS == account.TLSNone {
		found = append(found, control.Finding{Check: "source", Level: control.Warn, Next: "mailstork domain set " + domain.Name + " --source imaps://HOST",
			Sentence: fmt.Sprintf("Passwords and mail of %s travel without TLS from %s.", domain.Name, domain.Source.HostPort())})
	}
	if domain.Check.Doubt != "" {
		found = append(found, control.Finding{Check: "source", Level: control.Fail, Next: "mailstork domain check " + domain.Name,
			Sentence: fmt.Sprintf("No first login of %s is passed on to %s: %s.", domain.Name, domain.Source.HostPort(), domain.Check.Doubt)})
	}
	return found
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

// testProxy asks Dovecot whom it passes on: without an answer nobody can be switched.
func (d *Daemon) testProxy(ctx context.Context, user string) control.Finding {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := d.proxy().Sessions(ctx, user); err != nil {
		return control.Finding{Check: "live migration", Level: control.Fail, Sentence: fmt.Sprintf("Dovecot does not tell whom it passes on: %v.", err),
			Next: "mailstork setup dovecot --print   # is this in Dovecot's configuration?"}
	}
	return control.Finding{Check: "live migration", Level: control.OK, Sentence: "Dovecot tells whom it passes on."}
}

func (d *Daemon) testNotices() control.Finding {
	if err := d.notices.Usable(); err != nil {
		return control.Finding{Check: "notices", Level: control.Fail, Sentence: fmt.Sprintf("Dovecot can't show owners who wait a notice: %v.", err), Next: "chmod o+x " + d.config.RuntimeDir}
	}
	return control.Finding{Check: "notices", Level: control.OK, Sentence: "Dovecot can come to the notices of owners who wait."}
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
