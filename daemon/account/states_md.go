package account

import (
	"fmt"
	"strings"
)

//go:generate go test -run TestStatesPageIsGenerated -update .

// StatesPage renders docs/states.md from the transition tables.
func StatesPage() string {
	var page strings.Builder
	page.WriteString("# States\n\nGenerated from `daemon/account/state.go` (`go generate ./daemon/account`). Code changes a state only along a row of these tables.\n")
	page.WriteString("\nBeside its state an account has two flags: `paused` (by an admin) and `stuck` (with a reason and the next command).\n")
	page.WriteString("\n## An account\n\n| from | event | to | when |\n|---|---|---|---|\n")
	for _, t := range Transitions {
		fmt.Fprintf(&page, "| `%s` | %s | `%s` | %s |\n", t.From, t.Event, t.To, t.When)
	}
	page.WriteString("\n## Where an account's logins lead\n\nEvery account begins with `here`; only a live migration (`first_login: proxy`) and a notice (`first_login: notice`) go another way.\n\n| from | event | to | when |\n|---|---|---|---|\n")
	for _, t := range RouteTransitions {
		fmt.Fprintf(&page, "| `%s` | %s | `%s` | %s |\n", t.From, t.Event, t.To, t.When)
	}
	page.WriteString("\n## A domain\n\n| from | event | to | when |\n|---|---|---|---|\n")
	for _, t := range DomainTransitions {
		fmt.Fprintf(&page, "| `%s` | %s | `%s` | %s |\n", t.From, t.Event, t.To, t.When)
	}
	return page.String()
}
