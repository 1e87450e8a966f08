package ledger

import (
	"slices"
	"strings"
)

// JoinFlags is the form in which flags are kept: sorted, one space between, each once. Keywords that differ only in
// case are one keyword, as in Dovecot.
func JoinFlags(flags []string) string {
	sorted := slices.Clone(flags)
	slices.SortFunc(sorted, compareFlags)
	return strings.Join(slices.CompactFunc(sorted, strings.EqualFold), " ")
}

// SplitFlags is the reverse of JoinFlags.
func SplitFlags(joined string) []string { return strings.Fields(joined) }

// compareFlags orders regardless of case first, so that equal flags are neighbours.
func compareFlags(a, b string) int {
	if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// FlagChanges returns what must be added to and removed from base to make it next.
func FlagChanges(base, next string) (add, remove []string) {
	if base == next {
		return nil, nil
	}
	from, to := SplitFlags(base), SplitFlags(next)
	return without(to, from), without(from, to)
}

func without(flags, others []string) (rest []string) {
	for _, flag := range flags {
		if !slices.ContainsFunc(others, func(other string) bool { return strings.EqualFold(other, flag) }) {
			rest = append(rest, flag)
		}
	}
	return rest
}
