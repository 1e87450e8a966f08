package wire

// NewForTest speaks over a pipe instead of a socket.
var NewForTest = start

// LimitRepliesForTest brings the limit within reach of a test.
func (c *Conn) LimitRepliesForTest(n int) { c.maxReplies = n }
