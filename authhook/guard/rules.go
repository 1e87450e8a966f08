package guard

import "mailstork/daemon/account"

// Rules are what admins have said of single sources and domains.
type Rules struct {
	Sources   map[string]int // failures per window, by host
	Creations map[string]int // accounts that first logins may make within an hour, by domain
}

// RulesOf reads them off the domains. Where several share a source host it sees one server, ours: the strictest of them
// counts. perSource is for domains that say nothing.
func RulesOf(domains []account.Domain, perSource int) Rules {
	r := Rules{Sources: map[string]int{}, Creations: map[string]int{}}
	for _, d := range domains {
		if d.State == account.Closed {
			continue // no login is passed on for it any more
		}
		failures := perSource
		switch {
		case d.Guard.FailuresPerSource > 0:
			failures = d.Guard.FailuresPerSource
		case d.Guard.SourceAllowsUs:
			failures = max(perSource, AllowedFailures)
		}
		host := d.Source.HostKey()
		if strictest, known := r.Sources[host]; !known || failures < strictest {
			r.Sources[host] = failures
		}
		if d.Guard.NewAccountsPerHour > 0 {
			r.Creations[d.Name] = d.Guard.NewAccountsPerHour
		}
	}
	return r
}

// Follow obeys other rules from now on. What has failed already counts as before.
func (g *Guard) Follow(r Rules) { g.rules = r }

// BudgetOf is the budget of a source host.
func (g *Guard) BudgetOf(host string) Budget {
	if failures := g.rules.Sources[host]; failures > 0 {
		return Budget{failures, g.limits.Source.Window}
	}
	return g.limits.Source
}
