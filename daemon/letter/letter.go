// Package letter tells letters apart: the digest is the identity of bytes, the fingerprint the identity of a letter.
//
// Owns: both definitions (DESIGN §1). Never does: reading mail from anywhere; it is pure.
// The mirror, the milter and the verification must agree on both to the octet, so they live in one place.
package letter

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// DigestSize is the length of a digest in octets.
const DigestSize = sha256.Size

const maxScratch = 128 << 10

// Digest computes the identity of a message's bytes as Dovecot would store them: CRLF becomes LF (a run of CR
// before LF counts as one), NUL becomes 0x80, and CRs at the very end are lost. Measured on Dovecot 2.3.19 by
// daemon/mirror/destination; the source's RFC822.SIZE is therefore no identity. The zero value is not usable; take
// NewDigest.
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
	n, out, nul := len(p), d.scratch[:0], bytes.IndexByte(p, 0) >= 0
	for len(p) > 0 {
		line, cr := p, false
		if i := bytes.IndexByte(p, '\r'); i >= 0 {
			line, cr = p[:i], true
		}
		if len(line) > 0 {
			if line[0] != '\n' {
				out = d.appendCRs(out)
			}
			d.pendingCR = 0
			start := len(out)
			if out = append(out, line...); nul {
				store(out[start:])
			}
			p = p[len(line):]
		}
		if cr {
			d.pendingCR++
			p = p[1:]
		}
	}
	d.sum.Write(out)
	d.scratch = out[:0]
	return n, nil
}

// appendCRs appends the pending CRs. A message of a gigabyte of CRs must not take a gigabyte of memory.
func (d *Digest) appendCRs(out []byte) []byte {
	for ; d.pendingCR > 0; d.pendingCR-- {
		if out = append(out, '\r'); len(out) >= maxScratch {
			d.sum.Write(out)
			out = out[:0]
		}
	}
	return out
}

// store replaces each NUL as Dovecot does.
func store(octets []byte) {
	for i := bytes.IndexByte(octets, 0); i >= 0; i = bytes.IndexByte(octets, 0) {
		octets[i] = 0x80
		octets = octets[i:]
	}
}

// Octets is the number of octets written, as they came.
func (d *Digest) Octets() int64 { return d.octets }

// Sum ends the message and returns its digest.
func (d *Digest) Sum() (digest [DigestSize]byte) {
	d.pendingCR = 0
	d.sum.Sum(digest[:0])
	return digest
}

// Reset starts the next message in the same memory.
func (d *Digest) Reset() { d.sum.Reset(); d.pendingCR, d.octets = 0, 0 }
