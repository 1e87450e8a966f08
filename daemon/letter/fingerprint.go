package letter

import (
	"bytes"
	"crypto/sha256"
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
	if field := id.field([]byte(name)); field != nil && *field == "" {
		*field = value
	}
}

// field is where the value of a header field belongs; nil when it is none of the FingerprintFields.
func (id *Identity) field(name []byte) *string {
	for i, field := range []*string{&id.MessageID, &id.Date, &id.From, &id.Subject} {
		if bytes.EqualFold(name, fieldNames[i]) {
			return field
		}
	}
	return nil
}

var fieldNames = [][]byte{[]byte("Message-ID"), []byte("Date"), []byte("From"), []byte("Subject")}

const maxHeaderOctets = 256 << 10

// ReadIdentity reads a header block up to its empty line or its end; at most 256 KiB of it are looked at. Only the
// values that count are copied: the mirror asks this of every message.
func ReadIdentity(header []byte) Identity {
	var id Identity
	var field *string
	var value []byte
	end := func() {
		if field != nil && *field == "" {
			*field = string(value)
		}
		field, value = nil, value[:0]
	}
	for line := range bytes.Lines(header[:min(len(header), maxHeaderOctets)]) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) == 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			end()
			name, rest, _ := bytes.Cut(line, []byte(":"))
			field, line = id.field(bytes.TrimRight(name, " \t")), rest
		}
		if field != nil {
			value = append(value, line...)
		}
	}
	end()
	return id
}
