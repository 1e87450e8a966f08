package wire

import "time"

// Entry is what a listing tells of one message. Servers leave items out: a Has
// field is false then.
type Entry struct {
	UID          uint32
	Flags        []string // NormaliseFlags: system flags in RFC spelling, sorted, no \Recent
	HasFlags     bool
	InternalDate time.Time
	HasDate      bool
	Size         uint32 // RFC822.SIZE as told; advisory, servers get it wrong
	HasSize      bool
	ModSeq       uint64 // 0: not told
	Origin       uint64 // X-GM-MSGID: the same in every folder that shows the message; 0: not told

	// The server has spoken of the item, readable or not: no better word will come
	// behind the body.
	sawFlags, sawDate, sawOrigin bool
	handed                       bool // a body of it was handed on
}

// Oddity is something that a server did wrong and that was survived. It is
// reported, never silent, and never carries message content.
type Oddity struct {
	Kind   string // a short fixed word, for counting: "duplicate-uid", "bad-date", …
	Detail string // the folder, the UID, the piece of the reply
}
