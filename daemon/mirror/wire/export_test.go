package wire

import "time"

// NewForTest speaks over a pipe instead of a socket.
var NewForTest = start

// LimitRepliesForTest brings the limit within reach of a test.
func (c *Conn) LimitRepliesForTest(n int) { c.maxReplies = n }

// NoteForTest is what a connection tells of its link.
func (l *Link) NoteForTest(deflated bool, octets int64, waited time.Duration) {
	l.note(deflated, octets, waited)
}

// WantsForTest is the decision to compress.
func (l *Link) WantsForTest(c Compress) bool { return l.wants(c) }

// DeflatedForTest tells whether the connection is compressed, and how it grew.
func (c *Conn) DeflatedForTest() (received, inflated int64, ok bool) {
	if c.inflated == nil {
		return 0, 0, false
	}
	return c.inflated.in.n, c.inflated.out, true
}

// ThrottleForTest is how long a refusal asks to be left alone.
func ThrottleForTest(code, text string) time.Duration {
	return (&StatusError{Code: code, Text: text}).throttle()
}
