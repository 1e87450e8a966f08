package wire

import (
	"slices"
	"strconv"
)

// UIDRange is the UIDs From to To, both included. To 0 means "to the end".
type UIDRange struct {
	From, To uint32
}

// Contains tells whether uid lies in the range.
func (r UIDRange) Contains(uid uint32) bool {
	return uid >= r.From && (r.To == 0 || uid <= r.To)
}

func (r UIDRange) String() string {
	from := strconv.FormatUint(uint64(r.From), 10)
	switch r.To {
	case 0:
		return from + ":*"
	case r.From:
		return from
	}
	return from + ":" + strconv.FormatUint(uint64(r.To), 10)
}

// UIDSet is ascending, disjoint ranges. Foreign sets are kept in this form and
// never expanded: "1:4294967295" is one range.
type UIDSet []UIDRange

// NewUIDSet returns the set of uids, which may be in any order.
func NewUIDSet(uids ...uint32) UIDSet {
	if !slices.IsSorted(uids) {
		uids = slices.Clone(uids)
		slices.Sort(uids)
	}
	var s UIDSet
	for _, u := range uids {
		if n := len(s); n > 0 && uint64(u) <= uint64(s[n-1].To)+1 {
			s[n-1].To = u
			continue
		}
		s = append(s, UIDRange{u, u})
	}
	return s
}

// Contains tells whether uid is in the set.
func (s UIDSet) Contains(uid uint32) bool {
	i, _ := slices.BinarySearchFunc(s, uid, func(r UIDRange, u uint32) int {
		if r.To < u {
			return -1
		}
		return 1
	})
	return i < len(s) && s[i].From <= uid
}

// Len is the number of UIDs in the set.
func (s UIDSet) Len() uint64 {
	var n uint64
	for _, r := range s {
		n += uint64(r.To) - uint64(r.From) + 1
	}
	return n
}

func (s UIDSet) String() string {
	var b []byte
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.String()...)
	}
	return string(b)
}

// normalise sorts and merges ranges as a server sent them.
func (s UIDSet) normalise() UIDSet {
	slices.SortFunc(s, func(a, b UIDRange) int {
		if a.From != b.From {
			if a.From < b.From {
				return -1
			}
			return 1
		}
		return 0
	})
	out := s[:0]
	for _, r := range s {
		if n := len(out); n > 0 && uint64(r.From) <= uint64(out[n-1].To)+1 {
			out[n-1].To = max(out[n-1].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}
