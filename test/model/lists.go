package model

// Lists of fixed length: free places are zero and at the end.

func push[T comparable](list []T, v T) {
	n := length(list)
	if n == len(list) {
		panic("model: a list is too short for what can happen")
	}
	list[n] = v
}

func length[T comparable](list []T) (n int) {
	var zero T
	for n < len(list) && list[n] != zero {
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

// look lists a folder.
func look(folder []Slot) Listing {
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

func (b Batch) count() (n UID) {
	for i := range messages {
		if b.has(i) {
			n++
		}
	}
	return n
}
