package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// The caps of what a request may bring. A list of MaxImportRows with passwords stays below maxImportOctets.
const (
	MaxImportRows     = 50_000
	MaxPasswordOctets = 1024
	MaxUserOctets     = 512

	maxImportOctets = 32 << 20
	maxBodyOctets   = 64 << 10
	maxMXHosts      = 16
	maxOutgoing     = 64
)

// domainRequest is the body that adds a domain.
type domainRequest struct {
	Name    string         `json:"name"`
	Source  account.Source `json:"source"`
	Options DomainOptions  `json:"options"`
	DryRun  bool           `json:"dry_run"`
}

// domainSetRequest is the body that changes the options of a domain, and accountSetRequest those of an account.
type domainSetRequest struct {
	Options DomainOptions `json:"options"`
	DryRun  bool          `json:"dry_run"`
}

type accountSetRequest struct {
	Options AccountOptions `json:"options"`
	DryRun  bool           `json:"dry_run"`
}

// importRequest is the body of an import. It is the only message that carries passwords; they are base64 of octets, so
// that any octet survives JSON.
type importRequest struct {
	DryRun bool        `json:"dry_run"`
	Rows   []importRow `json:"rows"`
}

type importRow struct {
	Line       int    `json:"line"`
	Address    string `json:"address"`
	SourceUser string `json:"source_user,omitempty"`
	Password   []byte `json:"password,omitempty"`
}

// decodeStrict reads exactly one JSON value into v; unknown keys are errors.
func decodeStrict(body io.Reader, v any) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return &Error{Kind: KindInvalid, Sentence: "the request is not understood", Raw: withoutValues(err)}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Invalid("the request holds more than one value", "")
	}
	return nil
}

// withoutValues describes a decoding error without what stood in the body, which may be a password (S1).
func withoutValues(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return "wrong type for " + wrongType.Field
	}
	if strings.HasPrefix(err.Error(), "json: unknown field") {
		return "unknown key"
	}
	if strings.Contains(err.Error(), "request body too large") {
		return "too large"
	}
	return "not valid JSON"
}

// decodeDomain returns a domain that may be stored as it is.
func decodeDomain(body io.Reader) (d account.Domain, dryRun bool, err error) {
	var r domainRequest
	if err := decodeStrict(body, &r); err != nil {
		return d, false, err
	}
	const hint = "mailstork domain add --help"
	d.Source = r.Source
	if d.Name, err = account.ParseDomainName(r.Name); err != nil {
		return d, false, Invalid(err.Error(), hint)
	}
	if err := d.Source.Check(); err != nil {
		return d, false, Invalid(err.Error(), hint)
	}
	d, err = r.Options.Apply(d, hint)
	return d, r.DryRun, err
}

// decodeImport returns rows with canonical addresses, each once. Errors name lines and never what stands in them.
func decodeImport(body io.Reader) (rows []ImportRow, dryRun bool, err error) {
	var r importRequest
	if err := decodeStrict(body, &r); err != nil {
		return nil, false, err
	}
	if len(r.Rows) == 0 || len(r.Rows) > MaxImportRows {
		return nil, false, Invalid(fmt.Sprintf("%d accounts are not between 1 and %d", len(r.Rows), MaxImportRows), "")
	}
	var wrong []LineError
	seen := map[account.Address]int{}
	for _, in := range r.Rows {
		row, problem := in.check()
		if first, found := seen[row.Address]; found && problem == "" {
			problem = fmt.Sprintf("the same address stands in line %d", first)
		}
		if problem != "" {
			wrong = append(wrong, LineError{in.Line, problem})
			continue
		}
		seen[row.Address] = in.Line
		rows = append(rows, row)
	}
	if len(wrong) > 0 {
		return nil, false, InvalidLines(wrong)
	}
	return rows, r.DryRun, nil
}

func (in importRow) check() (ImportRow, string) {
	address, err := account.ParseAddress(in.Address)
	switch {
	case err != nil:
		return ImportRow{}, "no usable mail address"
	case len(in.SourceUser) > MaxUserOctets:
		return ImportRow{}, fmt.Sprintf("the source user is longer than %d octets", MaxUserOctets)
	case strings.ContainsAny(in.SourceUser, "\x00\r\n"):
		return ImportRow{}, "the source user holds a line break or NUL, which IMAP can't carry"
	case len(in.Password) > MaxPasswordOctets:
		return ImportRow{}, fmt.Sprintf("the password is longer than %d octets", MaxPasswordOctets)
	case strings.ContainsAny(string(in.Password), "\x00\r\n"):
		return ImportRow{}, "the password holds a line break or NUL, which IMAP can't carry"
	}
	return ImportRow{Line: in.Line, Address: address, SourceUser: in.SourceUser, Password: secret.New(in.Password)}, ""
}
