package letter

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"io"
	"strings"
)

// FingerprintSize is the length of a fingerprint in octets.
const FingerprintSize = 16

// Fingerprint is the identity of a letter: what stays the same on every road that one letter takes. It is a hint
// for matching a source message with a delivered one, never a reason to drop a message inside the source. The zero
// value means that the letter has too little of its own to be recognised.
type Fingerprint [FingerprintSize]byte

// IsZero tells whether the letter can't be recognised.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// FingerprintFields are the header fields (RFC 5322 §3.6) that Identity needs.
var FingerprintFields = []string{"Message-ID", "Date", "From", "Subject"}

// Identity are the raw values of the FingerprintFields, first occurrence each, folded or not.
type Identity struct{ MessageID, Date, From, Subject string }

// Fingerprint hashes the identity. White space is collapsed, since servers fold headers anew. A letter that has
// neither Message-ID nor Date has no fingerprint: From and Subject alone would make strangers equal.
func (id Identity) Fingerprint() Fingerprint {
	if squeeze(id.MessageID) == "" && squeeze(id.Date) == "" {
		return Fingerprint{}
	}
	sum := sha256.New()
	for _, value := range []string{id.MessageID, id.Date, id.From, id.Subject} {
		sum.Write([]byte(squeeze(value)))
		sum.Write([]byte{0})
	}
	var f Fingerprint
	copy(f[:], sum.Sum(nil))
	return f
}

// squeeze drops all white space: folding may put it at places where the sender had none (RFC 5322 §2.2.3).
func squeeze(value string) string { return strings.Join(strings.Fields(value), "") }

// Set takes one header field when it is the first of its name.
func (id *Identity) Set(name, value string) {
	var field *string
	switch {
	case strings.EqualFold(name, "Message-ID"):
		field = &id.MessageID
	case strings.EqualFold(name, "Date"):
		field = &id.Date
	case strings.EqualFold(name, "From"):
		field = &id.From
	case strings.EqualFold(name, "Subject"):
		field = &id.Subject
	default:
		return
	}
	if *field == "" {
		*field = value
	}
}

const maxHeaderOctets = 256 << 10

// ReadIdentity reads a header block up to its empty line or its end; at most 256 KiB of it are looked at.
func ReadIdentity(header io.Reader) Identity {
	var id Identity
	var name string
	var value bytes.Buffer
	lines := bufio.NewScanner(io.LimitReader(header, maxHeaderOctets))
	lines.Buffer(make([]byte, 0, 4096), maxHeaderOctets)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			value.WriteString(line)
			continue
		}
		id.Set(name, value.String())
		value.Reset()
		rest := ""
		name, rest, _ = strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		value.WriteString(rest)
	}
	id.Set(name, value.String())
	return id
}
