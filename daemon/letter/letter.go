// Package letter tells letters apart: the digest is the identity of bytes, the fingerprint the identity of a letter.
//
// Owns: both definitions (DESIGN §1). Never does: reading mail from anywhere; it is pure.
// The mirror, the milter and the verification must agree on both to the octet, so they live in one place.
package letter

import (
	"crypto/sha256"
	"hash"
)

// DigestSize is the length of a digest in octets.
const DigestSize = sha256.Size

// Digest computes the identity of a message's bytes as Dovecot would store them: CRLF becomes LF (a run of CR
// before LF counts as one) and NUL becomes 0x80. Measured on Dovecot 2.3.19; the source's RFC822.SIZE is therefore
// no identity. The zero value is not usable; take NewDigest.
type Digest struct {
	sum       hash.Hash
	pendingCR int   // CRs seen whose successor is not known yet
	octets    int64 // as they came in
	scratch   []byte
}

// NewDigest starts an empty message.
func NewDigest() *Digest { return &Digest{sum: sha256.New()} }

// Write takes the next octets of the message; it never fails.
func (d *Digest) Write(p []byte) (int, error) {
	d.octets += int64(len(p))
	out := d.scratch[:0]
	for _, c := range p {
		if c == '\r' {
			d.pendingCR++
			continue
		}
		if d.pendingCR > 0 {
			if c != '\n' {
				out = appendCR(out, d.pendingCR)
			}
			d.pendingCR = 0
		}
		if c == 0 {
			c = 0x80
		}
		out = append(out, c)
	}
	d.sum.Write(out)
	d.scratch = out[:0]
	return len(p), nil
}

func appendCR(out []byte, n int) []byte {
	for range n {
		out = append(out, '\r')
	}
	return out
}

// Octets is the number of octets written, as they came.
func (d *Digest) Octets() int64 { return d.octets }

// Sum ends the message and returns its digest.
func (d *Digest) Sum() (digest [DigestSize]byte) {
	d.sum.Write(appendCR(nil, d.pendingCR))
	d.pendingCR = 0
	d.sum.Sum(digest[:0])
	return digest
}

// Reset starts the next message in the same memory.
func (d *Digest) Reset() { d.sum.Reset(); d.pendingCR, d.octets = 0, 0 }
