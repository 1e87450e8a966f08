package testbed

import (
	"fmt"
	"path/filepath"
	"strings"

	"mailstork/daemon/setup"
)

// DestinationOptions describe this server. The files belong to the daemon;
// a missing one is created empty, because Dovecot fails every login without it.
type DestinationOptions struct {
	Name    string // folder in the lab; default "destination"
	Version string // Dovecot23 or Dovecot24; default $DOVECOT_DESTINATION, or 2.3
	HomeDir string // default in the lab

	PassdbFile string // accounts that have logged in here; default in the lab
	UserdbFile string // every account; default in the lab
	MasterFile string // the daemon's own login; default in the lab
	// ProxiedFile has the accounts whose sessions are passed on to their source; default in the lab. ProxyCAFile has the
	// authorities that those are verified against; default the lab's, which signs every source.
	ProxiedFile, ProxyCAFile string

	HookAddress string // host:port of the auth hook, or the path of its socket (2.4); default one where nobody listens
	HookSecret  string // default "secret"
	// Checkpassword is the program of that passdb, in place of the password grant (2.3 only).
	Checkpassword string

	// For tests without a daemon: accounts that are there already, and a master
	// user for the login "address*MasterUser".
	Accounts       map[string]string
	MasterUser     string
	MasterPassword string

	Separator   string            // default "/"
	SpecialUse  map[string]string // folder → attribute; default as in Debian
	Quota       string            // for every account, as "10M"; default none
	RawLog      bool              // keep every IMAP session, see Commands
	POP3        bool              // also listen there, see LoginPOP3
	ExtraConfig string            // Dovecot configuration, at the end of the file
}

// StartDestination starts this server's Dovecot with mailstork's drop-in.
func (l *Lab) StartDestination(o DestinationOptions) (*Dovecot, error) {
	if o.Name == "" {
		o.Name = "destination"
	}
	e, err := editionFor(o.Version, destinationVariable)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", o.Name, err)
	}
	c, err := l.newDovecot(e, o.Name, o.HomeDir, nil, false)
	if err != nil {
		return nil, err
	}
	c.useFiles(o)
	if c.ProxyCAFile = o.ProxyCAFile; c.ProxyCAFile == "" {
		c.ProxyCAFile = c.CAFile
	}
	if err := c.useHook(o); err != nil {
		return nil, err
	}
	c.Separator, c.Quota, c.POP3 = o.Separator, o.Quota, o.POP3
	c.AuthSocket = filepath.Join(c.BaseDir, "sasl")
	if c.Separator == "" {
		c.Separator = "/"
	}
	c.SpecialUse, c.ExtraConfig = o.SpecialUse, o.ExtraConfig
	if c.SpecialUse == nil {
		c.SpecialUse = defaultSpecialUse
	}
	if o.RawLog {
		if err := c.withRawLog(); err != nil {
			return nil, err
		}
	}
	for _, file := range []string{c.MasterFile, c.ProxiedFile} {
		if err := createMissing(file, 0o640, dovecotGID()); err != nil {
			return nil, err
		}
	}
	if o.MasterUser != "" {
		if err := c.setLine(c.MasterFile, o.MasterUser, o.MasterUser+":"+hashPassword(o.MasterPassword)); err != nil {
			return nil, err
		}
	}
	if err := c.addAll(o.Accounts); err != nil {
		return nil, err
	}
	return l.startFirst(c, writeDestination)
}

func (c *dovecotConfig) useFiles(o DestinationOptions) {
	for _, file := range []struct {
		path   *string
		chosen string
		name   string
	}{
		{&c.PassdbFile, o.PassdbFile, "passdb"},
		{&c.UserdbFile, o.UserdbFile, "userdb"},
		{&c.MasterFile, o.MasterFile, "master"},
		{&c.ProxiedFile, o.ProxiedFile, "proxied"},
	} {
		*file.path = file.chosen
		if file.chosen == "" {
			*file.path = filepath.Join(c.Dir, file.name)
		}
	}
	c.DropInFile = filepath.Join(c.Dir, "mailstork.conf")
	c.HookFile = filepath.Join(c.Dir, "mailstork-hook.conf.ext")
}

func (c *dovecotConfig) useHook(o DestinationOptions) error {
	c.HookAddress, c.HookSecret, c.Checkpassword = o.HookAddress, o.HookSecret, o.Checkpassword
	if c.HookSecret == "" {
		c.HookSecret = "secret"
	}
	if c.HookAddress != "" {
		return nil
	}
	port, err := FreePort()
	c.HookAddress = fmt.Sprintf("127.0.0.1:%d", port)
	return err
}

func writeDestination(c *dovecotConfig) error {
	values := setup.Values{Version: c.edition.version, MasterFile: c.MasterFile, PassdbFile: c.PassdbFile, UserdbFile: c.UserdbFile,
		ProxiedFile: c.ProxiedFile, ProxyCAFile: c.ProxyCAFile, MasterSeparator: "*", HookFile: c.HookFile, Hook: c.HookAddress, Secret: c.HookSecret,
		Checkpassword: c.Checkpassword, SecretFile: c.HookFile}
	files, err := setup.Dovecot(values, c.DropInFile)
	if err != nil {
		return err
	}
	for _, file := range files {
		gid := 0
		if strings.HasSuffix(file.Owner, ":dovecot") {
			gid = dovecotGID()
		}
		if err := replaceFile(file.Path, file.Mode, gid, []byte(file.Text)); err != nil {
			return err
		}
	}
	return renderTo(c.ConfFile, 0o644, 0, c.edition.config("destination.conf", "destination-2.4.conf"), c)
}
