package compare

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// content hashes a message as Dovecot would store it, and keeps its first bytes
// so that a difference can be named by its subject.
type content struct {
	sum  hash.Hash
	head []byte
	crs  int // CRs whose fate the next byte decides
	out  []byte
}

// headLimit is how much of a message is searched for its subject.
const headLimit = 8 << 10

func newContent() *content { return &content{sum: sha256.New()} }

func (c *content) Write(p []byte) (int, error) {
	if room := headLimit - len(c.head); room > 0 {
		c.head = append(c.head, p[:min(room, len(p))]...)
	}
	size := len(p)
	c.out = c.out[:0]
	for found := true; found; {
		var before []byte
		before, p, found = bytes.Cut(p, []byte{'\r'})
		c.emit(before)
		if found {
			c.crs++
		}
	}
	_, err := c.sum.Write(bytes.ReplaceAll(c.out, []byte{0}, []byte{0x80}))
	return size, err
}

// emit appends bytes without CR, after the CRs that waited for them.
func (c *content) emit(p []byte) {
	if len(p) == 0 {
		return
	}
	if p[0] != '\n' {
		c.out = append(c.out, bytes.Repeat([]byte{'\r'}, c.crs)...)
	}
	c.crs = 0
	c.out = append(c.out, p...)
}

func (c *content) digest() Digest { return Digest(c.sum.Sum(nil)) }

// label is the subject, or the Message-ID, or the beginning of the message.
func (c *content) label() string {
	header, _, _ := bytes.Cut(bytes.ReplaceAll(c.head, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	for _, field := range []string{"subject:", "message-id:"} {
		for line := range bytes.Lines(header) {
			if len(line) > len(field) && bytes.EqualFold(line[:len(field)], []byte(field)) {
				return string(bytes.TrimSpace(line[len(field):]))
			}
		}
	}
	return string(bytes.TrimSpace(header[:min(len(header), 40)]))
}

// DigestOf returns the digest of a message that is in memory.
func DigestOf(message []byte) Digest {
	c := newContent()
	_, _ = c.Write(message) // a hash does not fail
	return c.digest()
}
