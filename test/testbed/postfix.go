package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// PostfixOptions describe this server's Postfix.
type PostfixOptions struct {
	Name        string // folder in the lab; default "postfix"
	Domains     []string
	LMTPAddress string // host:port of the Dovecot that keeps the mail
	// MilterAddress is host:port, or in Postfix's words "inet:host:port" or
	// "unix:/path"; empty for none.
	MilterAddress string
	// RecipientFile lists who may get letters (texthash: "address anything" on
	// each line); the caller may rewrite it, in one step. Default: one in the lab,
	// filled by SetRecipients. AliasFile: "alias address, address"; default empty.
	RecipientFile string
	AliasFile     string
	HostName      string // default "mx.testbed.test"
	// AuthSocket is where a Dovecot answers who may send (Dovecot.AuthSocket); then there is a submission service.
	AuthSocket  string
	ExtraConfig string // main.cf lines
}

// Postfix is one private instance.
type Postfix struct {
	Name        string
	SMTPAddress string
	// SubmissionAddress takes letters of those who log in; empty without AuthSocket.
	SubmissionAddress string
	Dir               string
	ConfigDir         string
	QueueDir          string
	DataDir           string
	LogFile           string
	RecipientFile     string
	AliasFile         string

	proc *process
}

// StartPostfix starts an MTA that takes letters for Domains by SMTP, and by
// Sendmail from local programs, and delivers them by LMTP.
func (l *Lab) StartPostfix(o PostfixOptions) (*Postfix, error) {
	if o.Name == "" {
		o.Name = "postfix"
	}
	if o.HostName == "" {
		o.HostName = "mx.testbed.test"
	}
	if o.MilterAddress != "" && !strings.HasPrefix(o.MilterAddress, "inet:") && !strings.HasPrefix(o.MilterAddress, "unix:") {
		o.MilterAddress = "inet:" + o.MilterAddress
	}
	dir, err := l.makeServerDir(o.Name)
	if err != nil {
		return nil, err
	}
	p := &Postfix{
		Name: o.Name, Dir: dir,
		ConfigDir: filepath.Join(dir, "etc"), QueueDir: filepath.Join(dir, "queue"),
		DataDir: filepath.Join(dir, "data"), LogFile: filepath.Join(dir, "log"),
		RecipientFile: o.RecipientFile, AliasFile: o.AliasFile,
	}
	if err := p.makeFolders(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.Name, err)
	}
	for attempt := 1; ; attempt++ {
		if err := p.configure(o); err != nil {
			return nil, fmt.Errorf("configuring %s: %w", p.Name, err)
		}
		err := p.Start()
		if err == nil {
			l.add(p)
			return p, nil
		}
		if !errors.Is(err, errPortTaken) || attempt == 5 {
			return nil, err
		}
	}
}

func (p *Postfix) configure(o PostfixOptions) error {
	port, err := FreePort()
	if err != nil {
		return err
	}
	p.SMTPAddress = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if o.AuthSocket != "" {
		next, err := FreePort()
		for err == nil && next == port { // nobody holds it yet
			next, err = FreePort()
		}
		if err != nil {
			return err
		}
		p.SubmissionAddress = net.JoinHostPort("127.0.0.1", strconv.Itoa(next))
	}
	data := struct {
		*Postfix
		PostfixOptions
		// Both have these; a template needs one.
		Name, RecipientFile, AliasFile string
	}{p, o, p.Name, p.RecipientFile, p.AliasFile}
	for _, name := range []string{"main.cf", "master.cf"} {
		text, err := render(name, data)
		if err != nil {
			return err
		}
		if err := writeCold(filepath.Join(p.ConfigDir, name), text); err != nil {
			return err
		}
	}
	return nil
}

// makeFolders does what "postfix check" would do, in milliseconds: the owners
// and modes of Postfix's own post-install.
func (p *Postfix) makeFolders() error {
	uid, err := userID("postfix")
	if err != nil {
		return err
	}
	drop, err := user.LookupGroup("postdrop")
	if err != nil {
		return err
	}
	dropGID, err := strconv.Atoi(drop.Gid)
	if err != nil {
		return err
	}
	type folder struct {
		path     string
		mode     fs.FileMode
		uid, gid int
	}
	folders := []folder{
		{p.ConfigDir, 0o755, 0, 0}, {p.DataDir, 0o700, uid, 0}, {p.QueueDir, 0o755, 0, 0},
		{filepath.Join(p.QueueDir, "pid"), 0o755, 0, 0},
		{filepath.Join(p.QueueDir, "maildrop"), 0o730, uid, dropGID},
		{filepath.Join(p.QueueDir, "public"), 0o710, uid, dropGID},
	}
	for _, name := range []string{"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"} {
		folders = append(folders, folder{filepath.Join(p.QueueDir, name), 0o700, uid, 0})
	}
	for _, f := range folders {
		if err := makeDir(f.path, f.mode, f.uid, f.gid); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		path *string
		name string
	}{{&p.RecipientFile, "recipients"}, {&p.AliasFile, "aliases"}} {
		if *file.path == "" {
			*file.path = filepath.Join(p.Dir, file.name)
		}
		if _, err := os.Stat(*file.path); errors.Is(err, os.ErrNotExist) {
			if err := writeCold(*file.path, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

func userID(name string) (int, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(found.Uid)
}

// Start starts a stopped instance and returns when it answers.
func (p *Postfix) Start() error {
	proc, err := startProcess(p.Name, p.LogFile, "/usr/lib/postfix/sbin/master", "-c", p.ConfigDir, "-s")
	if err != nil {
		return err
	}
	if err := proc.waitReady(func() error { return expectGreeting(p.SMTPAddress, "220 ") }); err != nil {
		return errors.Join(err, proc.stop())
	}
	p.proc = proc
	return nil
}

// Stop ends the instance; letters stay in its queue. It may be called twice.
func (p *Postfix) Stop() error {
	if p.proc == nil {
		return nil
	}
	err := p.proc.stop()
	p.proc = nil
	return err
}

func (p *Postfix) logFile() string { return p.LogFile }

// SetRecipients rewrites the recipient file; the next letter obeys it.
func (p *Postfix) SetRecipients(addresses ...string) error {
	var text strings.Builder
	for _, address := range addresses {
		fmt.Fprintf(&text, "%s known\n", address)
	}
	return writeCold(p.RecipientFile, []byte(text.String()))
}

// SetAliases rewrites the alias file, alias → addresses.
func (p *Postfix) SetAliases(aliases map[string][]string) error {
	var text strings.Builder
	for alias, addresses := range aliases {
		fmt.Fprintf(&text, "%s %s\n", alias, strings.Join(addresses, ", "))
	}
	return writeCold(p.AliasFile, []byte(text.String()))
}

// writeCold replaces a file that Postfix reads and makes it look old: Postfix
// waits until a file has not changed for two seconds before it trusts it.
func writeCold(path string, text []byte) error {
	if err := replaceFile(path, 0o644, 0, text); err != nil {
		return err
	}
	old := time.Now().Add(-time.Hour)
	return os.Chtimes(path, old, old)
}

// Send hands over a letter by SMTP, as another server on the Internet does.
func (p *Postfix) Send(from string, message []byte, to ...string) error {
	if err := smtp.SendMail(p.SMTPAddress, nil, from, to, message); err != nil {
		return fmt.Errorf("sending to %s: %w", strings.Join(to, ", "), err)
	}
	return nil
}

// Submit logs in and hands over a letter, as a mail program does. A refused login is a *textproto.Error with the
// reply code. Everything is in clear text: labs are on loopback.
func (p *Postfix) Submit(user, password, from string, message []byte, to ...string) error {
	if err := smtp.SendMail(p.SubmissionAddress, smtp.PlainAuth("", user, password, "127.0.0.1"), from, to, message); err != nil {
		return fmt.Errorf("submitting as %s: %w", user, err)
	}
	return nil
}

// Sendmail hands over a letter as a local program does: through the non-SMTP
// milters.
func (p *Postfix) Sendmail(from string, message []byte, to ...string) error {
	return p.command(message, "sendmail", append([]string{"-C", p.ConfigDir, "-i", "-f", from, "--"}, to...)...)
}

// Flush tries all deferred letters now.
func (p *Postfix) Flush() error {
	return p.command(nil, "postqueue", "-c", p.ConfigDir, "-f")
}

func (p *Postfix) command(stdin []byte, name string, args ...string) error {
	binary, err := findBinary(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w: %s", name, err, bytes.TrimSpace(out))
	}
	return nil
}

// Queued counts the letters that are not delivered yet.
func (p *Postfix) Queued() (int, error) {
	count := 0
	for _, queue := range []string{"maildrop", "incoming", "active", "deferred", "hold"} {
		err := filepath.WalkDir(filepath.Join(p.QueueDir, queue), func(_ string, entry fs.DirEntry, err error) error {
			if errors.Is(err, os.ErrNotExist) {
				return nil // it moved on while we looked
			}
			if err == nil && entry.Type().IsRegular() {
				count++
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("reading the queue of %s: %w", p.Name, err)
		}
	}
	return count, nil
}

// QueueEmpty returns when every letter has left, or ctx ends. A letter that moves
// between two queues is in neither for a moment, so two looks must agree.
func (p *Postfix) QueueEmpty(ctx context.Context) error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for empty := 0; ; {
		count, err := p.Queued()
		if err != nil {
			return err
		}
		if empty++; count > 0 {
			empty = 0
		}
		if empty == 2 {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the queue of %s: %d letters left: %w", p.Name, count, ctx.Err())
		}
	}
}
