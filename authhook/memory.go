package authhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// digest stands for a question with its password: an HMAC under a key that dies with the process (S1).
type digest [sha256.Size]byte

// memory remembers refused passwords for a while, in RAM only, so that nobody is asked again for the same answer.
type memory struct {
	key  [32]byte
	keep time.Duration
	most int

	mu    sync.Mutex
	known map[digest]struct{}
	queue []remembered // oldest first; all are kept equally long
}

type remembered struct {
	digest digest
	until  time.Time
}

func newMemory(keep time.Duration, most int) *memory {
	m := &memory{keep: keep, most: most, known: map[digest]struct{}{}}
	_, _ = rand.Read(m.key[:]) // never fails (crypto/rand)
	return m
}

// digest is different for every different list of parts.
func (m *memory) digest(parts ...[]byte) (d digest) {
	mac := hmac.New(sha256.New, m.key[:])
	for _, part := range parts {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write(part)
	}
	mac.Sum(d[:0])
	return d
}

func (m *memory) remember(now time.Time, d digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	if _, known := m.known[d]; known {
		return
	}
	if len(m.queue) >= m.most {
		m.dropOldest()
	}
	m.known[d] = struct{}{}
	m.queue = append(m.queue, remembered{d, now.Add(m.keep)})
}

func (m *memory) knows(now time.Time, d digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(now)
	_, known := m.known[d]
	return known
}

func (m *memory) forget(now time.Time) {
	for len(m.queue) > 0 && !m.queue[0].until.After(now) {
		m.dropOldest()
	}
}

func (m *memory) dropOldest() {
	delete(m.known, m.queue[0].digest)
	m.queue = m.queue[1:]
}
