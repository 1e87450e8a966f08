package mirror

import (
	"bytes"
	"cmp"
	"slices"
)

// matchSightings gives source messages copies with their digest: first in the folder that stands for theirs, then
// anywhere. Each copy is given once (multiplicity). It is pure. pairs[folder] is the index of a source folder's
// destination folder, or -1; found[i] is the index of the copy of source[i], or -1.
func matchSightings(source, copies []sighting, pairs []int32) (found []int32) {
	found = make([]int32, len(source))
	for i := range found {
		found[i] = -1
	}
	a, b := byDigestAndFolder(source), byDigestAndFolder(copies)
	for len(a) > 0 && len(b) > 0 {
		switch c := bytes.Compare(source[a[0]].sum[:], copies[b[0]].sum[:]); {
		case c < 0:
			a = a[1:]
		case c > 0:
			b = b[1:]
		default:
			same := sameDigest(source, a)
			equal := sameDigest(copies, b)
			if source[a[0]].sum != (digest{}) {
				matchEqual(source, copies, a[:same], b[:equal], pairs, found)
			}
			a, b = a[same:], b[equal:]
		}
	}
	return found
}

// byDigestAndFolder orders messages so that equal ones stand together, the oldest of each folder first.
func byDigestAndFolder(all []sighting) []int32 {
	order := make([]int32, len(all))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		x, y := &all[i], &all[j]
		return cmp.Or(bytes.Compare(x.sum[:], y.sum[:]), cmp.Compare(x.folder, y.folder), cmp.Compare(x.uid, y.uid))
	})
	return order
}

func sameDigest(all []sighting, order []int32) int {
	n := 1
	for n < len(order) && all[order[n]].sum == all[order[0]].sum {
		n++
	}
	return n
}

// matchEqual matches messages that all have the same bytes.
func matchEqual(source, copies []sighting, a, b []int32, pairs []int32, found []int32) {
	free := map[int32][]int32{} // destination folder → copies in it
	for _, i := range b {
		free[copies[i].folder] = append(free[copies[i].folder], i)
	}
	var rest []int32
	for _, i := range a {
		place := pairs[source[i].folder]
		if own := free[place]; len(own) > 0 {
			found[i], free[place] = own[0], own[1:]
			continue
		}
		rest = append(rest, i)
	}
	if len(rest) == 0 {
		return
	}
	for _, i := range b { // what is still free, folder by folder
		if len(rest) == 0 {
			return
		}
		place := copies[i].folder
		if own := free[place]; len(own) > 0 && own[0] == i {
			found[rest[0]], free[place] = i, own[1:]
			rest = rest[1:]
		}
	}
}

// equalTo returns the indexes of all messages with a digest.
func equalTo(all []sighting, order []int32, sum digest) []int32 {
	from, found := slices.BinarySearchFunc(order, sum, func(i int32, sum digest) int { return bytes.Compare(all[i].sum[:], sum[:]) })
	if !found {
		return nil
	}
	return order[from : from+sameDigest(all, order[from:])]
}
