package model

// Queues and sets of fixed length: free places are zero and at the end.

func push[T comparable](queue []T, v T) {
	n := length(queue)
	if n == len(queue) {
		panic("model: a queue is too short for what can happen")
	}
	queue[n] = v
}

func pop[T any](queue []T) {
	var zero T
	copy(queue, queue[1:])
	queue[len(queue)-1] = zero
}

func length[T comparable](queue []T) (n int) {
	var zero T
	for n < len(queue) && queue[n] != zero {
		n++
	}
	return n
}

func uidNext(folder []Slot) UID { return UID(length(folder) + 1) }

// give stores a copy at the end of a folder.
func give(folder []Slot, slot Slot) UID {
	push(folder, slot)
	return UID(length(folder))
}

// list looks at a folder.
func list(folder []Slot) Listing {
	l := Listing{UIDNext: uidNext(folder)}
	for i, slot := range folder {
		if slot.Letter != 0 && !slot.Gone {
			l.Present |= 1 << i
		}
	}
	return l
}

func (l Listing) has(u UID) bool { return l.Present>>(u-1)&1 == 1 }

func (b Batch) has(message int) bool { return b>>message&1 == 1 }

func (b Batch) with(message int) Batch { return b | 1<<message }

func (b Batch) count() (n UID) {
	for i := range messages {
		if b.has(i) {
			n++
		}
	}
	return n
}
