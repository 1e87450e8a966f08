package control

import (
	"cmp"

	"mailstork/daemon/account"
)

// SourceOptions are what an admin may say about the source of a domain later.
type SourceOptions struct {
	Endpoint   *Endpoint `json:"endpoint,omitempty"`
	CAFile     *string   `json:"ca_file,omitempty"`
	ServerName *string   `json:"server_name,omitempty"`
	Pin        *string   `json:"pin,omitempty"`      // account.ParsePin; empty takes it back
	Compress   *string   `json:"compress,omitempty"` // auto, always or never
	// DowngradeTLS permits an Endpoint without TLS where the source had it.
	DowngradeTLS bool `json:"downgrade_tls,omitempty"`
}

// Endpoint is where a source listens.
type Endpoint struct {
	Host string          `json:"host"`
	Port int             `json:"port"`
	TLS  account.TLSMode `json:"tls"`
}

// Apply changes what was said. What had TLS keeps it, unless the admin says so twice (S1). A pin and a CA file exclude
// each other: what is said goes before what was there.
func (o SourceOptions) Apply(s account.Source, hint string) (account.Source, error) {
	before := s
	if e := o.Endpoint; e != nil {
		if e.TLS == account.TLSNone && (s.TLS == account.TLSImplicit || s.TLS == account.TLSStartTLS) && !o.DowngradeTLS {
			return s, Refused("the source "+s.HostPort()+" had TLS and would be used without: passwords and mail would travel in clear",
				"mailstork domain set NAME … --downgrade-tls   # if you really mean it")
		}
		if s.Host, s.Port, s.TLS = e.Host, e.Port, e.TLS; s.TLS == account.TLSNone {
			s.Pin, s.CAFile, s.ServerName = "", "", ""
		}
	}
	if o.ServerName != nil {
		s.ServerName = *o.ServerName
	}
	if o.CAFile != nil {
		if s.CAFile = *o.CAFile; s.CAFile != "" {
			s.Pin = ""
		}
	}
	if o.Pin != nil {
		pin, err := account.ParsePin(*o.Pin)
		if err != nil {
			return s, Invalid(err.Error(), hint)
		}
		if s.Pin = pin; pin != "" && o.CAFile == nil {
			s.CAFile = ""
		}
	}
	if o.Compress != nil {
		if s.Compress = *o.Compress; s.Compress == "auto" {
			s.Compress = ""
		}
	}
	if s == before {
		return s, nil
	}
	if err := s.Check(); err != nil {
		return s, Invalid(err.Error(), hint)
	}
	return s, nil
}

func sourceChanges(before, after account.Source) []Change {
	changes := difference(nil, "source", sourceName(before), sourceName(after))
	changes = difference(changes, "ca-file", before.CAFile, after.CAFile)
	changes = difference(changes, "server-name", before.ServerName, after.ServerName)
	changes = difference(changes, "compress", cmp.Or(before.Compress, "auto"), cmp.Or(after.Compress, "auto"))
	return difference(changes, "pin", before.Pin, after.Pin)
}

// sourceName writes a source as the flags take it.
func sourceName(s account.Source) string {
	return map[account.TLSMode]string{account.TLSImplicit: "imaps://", account.TLSStartTLS: "imap://", account.TLSNone: "--no-tls imap://"}[s.TLS] + s.HostPort()
}

func mailName(d account.Domain) string { return yesNo(!d.PasswordsOnly) }
