package mirror

import (
	"bytes"
	"io"
	"strings"

	"mailstork/daemon/letter"
)

// maxHeader is how much of a header is kept for the fingerprint; letter.ReadIdentity looks at no more.
const maxHeader = 256 << 10

// message is a body on its way from one socket to the other: what passes is hashed, and only its header is kept.
type message struct {
	body   io.Reader
	digest *letter.Digest
	header []byte
	ended  bool // the header is complete
}

func (m *message) begin(body io.Reader) {
	if m.digest == nil {
		m.digest = letter.NewDigest()
	}
	m.digest.Reset()
	m.body, m.header, m.ended = body, m.header[:0], false
}

func (m *message) Read(p []byte) (int, error) {
	n, err := m.body.Read(p)
	_, _ = m.digest.Write(p[:n]) // never fails
	m.collect(p[:n])
	return n, err
}

// collect keeps the header up to its empty line.
func (m *message) collect(p []byte) {
	if m.ended {
		return
	}
	from := max(0, len(m.header)-3)
	m.header = append(m.header, p[:min(len(p), maxHeader-len(m.header))]...)
	tail := m.header[from:]
	m.ended = len(m.header) >= maxHeader || bytes.Contains(tail, []byte("\n\r\n")) || bytes.Contains(tail, []byte("\n\n"))
}

func (m *message) end() ([letter.DigestSize]byte, letter.Fingerprint) {
	return m.digest.Sum(), letter.ReadIdentity(m.header).Fingerprint()
}

// reasons joins what is to be said of a message.
func reasons(first, then string) string {
	if first == "" || then == "" {
		return first + then
	}
	return first + "; " + then
}

// unkeptReason tells what of a message the destination could not keep (L6: reported, never silent).
func unkeptReason(unkept []string) string {
	if len(unkept) == 0 {
		return ""
	}
	return "not kept here: " + strings.Join(unkept, ", ")
}
