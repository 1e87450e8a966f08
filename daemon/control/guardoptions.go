package control

import (
	"fmt"
	"strconv"

	"mailstork/daemon/account"
)

// GuardOptions are what an admin may tell the hook's guard about a domain.
type GuardOptions struct {
	FailuresPerSource  *int  `json:"failures_per_source,omitempty"` // 0: the default
	SourceAllowsUs     *bool `json:"source_allows_us,omitempty"`
	NewAccountsPerHour *int  `json:"new_accounts_per_hour,omitempty"` // 0: no limit of the domain's own
}

// mostOfGuard is the bound that the configuration has for the same numbers.
const mostOfGuard = 100_000

// Apply changes what was said. Its errors are of kind Invalid.
func (o GuardOptions) Apply(g account.GuardRules, hint string) (account.GuardRules, error) {
	for _, number := range []struct {
		name string
		said *int
		kept *int
	}{{"failures-per-source", o.FailuresPerSource, &g.FailuresPerSource}, {"new-accounts-per-hour", o.NewAccountsPerHour, &g.NewAccountsPerHour}} {
		if number.said == nil {
			continue
		}
		if *number.said < 0 || *number.said > mostOfGuard {
			return g, Invalid(fmt.Sprintf("%s: %d is not between 0 and %d", number.name, *number.said, mostOfGuard), hint)
		}
		*number.kept = *number.said
	}
	if o.SourceAllowsUs != nil {
		g.SourceAllowsUs = *o.SourceAllowsUs
	}
	return g, nil
}

func guardChanges(before, after account.GuardRules) []Change {
	changes := difference(nil, "failures-per-source", orDefault(before.FailuresPerSource), orDefault(after.FailuresPerSource))
	changes = difference(changes, "source-allows-us", yesNo(before.SourceAllowsUs), yesNo(after.SourceAllowsUs))
	return difference(changes, "new-accounts-per-hour", orNone(before.NewAccountsPerHour), orNone(after.NewAccountsPerHour))
}

func orDefault(n int) string {
	if n == 0 {
		return "default"
	}
	return strconv.Itoa(n)
}

func orNone(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
