package authhook

import (
	"testing"
	"time"
)

func TestMemoryForgetsInTimeAndHoldsNoMoreThanItsMost(t *testing.T) {
	m := newMemory(time.Minute, 3)
	now := time.Unix(1_000_000, 0)
	d := func(i int) digest { return m.digest([]byte{byte(i)}) }
	m.remember(now, d(1))
	m.remember(now.Add(30*time.Second), d(1))
	if !m.knows(now.Add(59*time.Second), d(1)) || m.knows(now.Add(time.Minute), d(1)) {
		t.Error("a refused password is not kept for exactly a minute")
	}
	for i := range 10 {
		m.remember(now.Add(time.Hour), d(i))
	}
	if len(m.known) != 3 || len(m.queue) != 3 || m.knows(now.Add(time.Hour), d(6)) || !m.knows(now.Add(time.Hour), d(7)) {
		t.Errorf("%d kept; want the newest three", len(m.known))
	}
}

func TestDigestKeepsPartsApartAndDiffersInEveryProcess(t *testing.T) {
	m := newMemory(time.Minute, 3)
	if m.digest([]byte("ab"), []byte("c")) == m.digest([]byte("a"), []byte("bc")) {
		t.Error("parts run into each other")
	}
	if m.digest([]byte("a")) == newMemory(time.Minute, 3).digest([]byte("a")) {
		t.Error("two keys give one digest")
	}
}
