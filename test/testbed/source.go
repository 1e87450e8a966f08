package testbed

import (
	"fmt"
	"path/filepath"
)

// SourceOptions describe the old provider.
type SourceOptions struct {
	Name     string            // folder in the lab; default "source"
	Version  string            // Dovecot23 or Dovecot24; default $DOVECOT_SOURCE, or 2.3
	Accounts map[string]string // address → password

	Separator  string            // default "."
	Prefix     string            // of the personal namespace, as "INBOX."
	SpecialUse map[string]string // folder → attribute; default as in Debian
	Quota      string            // for every account, as "10M"; default none

	CertificateHosts   []string // default localhost and 127.0.0.1
	CertificateExpired bool

	RawLog      bool   // keep every IMAP session, see Commands
	ExtraConfig string // Dovecot configuration, at the end of the file
}

// StartSource starts an old provider: IMAP with and without TLS, and LMTP so
// that letters can reach it.
func (l *Lab) StartSource(o SourceOptions) (*Dovecot, error) {
	if o.Name == "" {
		o.Name = "source"
	}
	e, err := editionFor(o.Version, sourceVariable)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", o.Name, err)
	}
	c, err := l.newDovecot(e, o.Name, "", o.CertificateHosts, o.CertificateExpired)
	if err != nil {
		return nil, err
	}
	c.Separator, c.Prefix, c.Quota = o.Separator, o.Prefix, o.Quota
	if c.Separator == "" {
		c.Separator = "."
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
	c.PassdbFile = filepath.Join(c.Dir, "passdb")
	c.UserdbFile = filepath.Join(c.Dir, "userdb")
	if err := c.addAll(o.Accounts); err != nil {
		return nil, err
	}
	return l.startFirst(c, func(c *dovecotConfig) error {
		return renderTo(c.ConfFile, 0o644, 0, c.edition.config("source.conf", "source-2.4.conf"), c)
	})
}

// addAll makes both account files exist, with these accounts in them.
func (c *dovecotConfig) addAll(accounts map[string]string) error {
	for _, path := range []string{c.PassdbFile, c.UserdbFile} {
		if err := createMissing(path, 0o640, dovecotGID()); err != nil {
			return err
		}
	}
	for address, password := range accounts {
		if err := c.AddAccount(address, password); err != nil {
			return err
		}
	}
	return nil
}
