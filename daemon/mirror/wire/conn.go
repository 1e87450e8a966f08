package wire

import "time"

// DefaultIdleTimeout is how long a server may be silent in the middle of a reply.
const DefaultIdleTimeout = 90 * time.Second

// Trace sees one line of the dialogue at a time, for a protocol log: sent tells the
// direction. Secrets are masked as "***" and literals left out before it is called.
type Trace func(sent bool, line string)

// Conn is one IMAP connection.
type Conn struct{}
