package control

import (
	"context"
	"encoding/json"

	"mailstork/daemon/account"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/secret"
)

// Operator is what the daemon does on request. Its methods are called from several goroutines at once; the results
// belong to the caller. An error that is an *Error reaches the person as it is, any other one as its text.
// Client implements it too, so that a program may speak to a daemon as if it were inside.
type Operator interface {
	Observer
	DomainOperator
	AccountOperator
}

// Observer answers what is going on.
type Observer interface {
	// Status is one look at everything; cheap enough for once a second.
	Status(ctx context.Context) (Status, error)
	// Doctor tests what only the daemon can test: Dovecot through the master user, the fence, the database.
	Doctor(ctx context.Context) ([]Finding, error)
	// Events returns the newest events of an account with a number above since, oldest first, at most limit.
	Events(ctx context.Context, address account.Address, since int64, limit int) ([]eventlog.Event, error)
}

// DomainOperator works on domains. Names are canonical.
type DomainOperator interface {
	Domains(ctx context.Context) ([]Domain, error)
	Domain(ctx context.Context, name string) (Domain, error)
	// AddDomain adds a domain in state open; with dryRun it only tells what would be added, or why not.
	// Calling it twice with the same domain is an error of kind Refused.
	AddDomain(ctx context.Context, d account.Domain, dryRun bool) (Domain, error)
	// SetDomain changes the options of a domain that were said, and tells which were; with dryRun it only tells.
	// Passes that run follow what was said before; the next ones follow this.
	SetDomain(ctx context.Context, name string, options DomainOptions, dryRun bool) (DomainChanged, error)
	// SetDomainLogin keeps, sealed, what opens all accounts of a domain at its source, in place of what was kept before;
	// a login without kind erases it. The next passes use it for every account that has no password of its own.
	SetDomainLogin(ctx context.Context, name string, login account.SourceLogin, secret secret.Secret, dryRun bool) (Domain, error)
	// CheckSource looks at a domain's source now, asks it about a password that nobody has, and keeps what it found. That
	// counts as one failed login in the source's budget.
	CheckSource(ctx context.Context, name string) (account.SourceCheck, error)
	// Report is the domain's report, as far as it is known before the domain is closed.
	Report(ctx context.Context, name string) (Report, error)
	// CheckDNS looks at the domain's DNS now. The answer is the JSON of dnscheck.Report.
	CheckDNS(ctx context.Context, name string) (json.RawMessage, error)
}

// AccountOperator works on accounts.
type AccountOperator interface {
	Accounts(ctx context.Context, filter AccountFilter) ([]Account, error)
	// Account is one account with its folders.
	Account(ctx context.Context, address account.Address) (AccountDetail, error)
	// SetAccount is SetDomain for what one account has of its own. It goes before what its domain says.
	SetAccount(ctx context.Context, address account.Address, options AccountOptions, dryRun bool) (AccountChanged, error)
	// FolderMap says where the folders of an account are kept here, and which are left out. Before the first pass it
	// asks both servers, and changes nothing; that may take a while.
	FolderMap(ctx context.Context, address account.Address) (FolderMap, error)
	// Import adds all rows or none. What is wrong with rows comes as *Error with Lines. It may be called twice with the
	// same rows: accounts that exist keep their state, a password given is stored anew.
	Import(ctx context.Context, rows []ImportRow, dryRun bool) (ImportResult, error)
	// SetPassword makes a password valid here, in the place of the one before. With alsoAtSource it is the source's as well:
	// it is proven there first and kept for the passes. With dryRun nobody is asked and nothing changed.
	SetPassword(ctx context.Context, address account.Address, password secret.Secret, alsoAtSource, dryRun bool) (Account, error)
	// Act does one thing to an account and returns it as it is then.
	Act(ctx context.Context, address account.Address, action Action) (Account, error)
	// Verify reads both sides of an account again and accounts for every message. It changes nothing and takes as long as
	// reading does; a pass that runs is waited for. tell hears how far it is, from several goroutines.
	Verify(ctx context.Context, address account.Address, tell func(Pass)) (Verification, error)
}

// Action is what Act does.
type Action string

// The actions. Each may be repeated without harm.
const (
	Sync   Action = "sync"   // the next pass is due now
	Pause  Action = "pause"  // no pass starts; one that runs ends at its next message
	Resume Action = "resume" // passes start again

	Approve     = Action(account.Approve)     // what the guard holds back is meant; an error of kind Refused when it holds nothing back
	Retry       = Action(account.Retry)       // refused messages are tried again
	CopyParked  = Action(account.CopyParked)  // parked messages are copied again
	LeaveParked = Action(account.LeaveParked) // parked messages count as removed here by their owner

	// Abandon ends the account without its proof: what is here stays, the report says what is missing, the credential
	// is erased.
	Abandon Action = "abandon"
)

// ParseAction returns the action of that name.
func ParseAction(text string) (Action, error) {
	switch a := Action(text); a {
	case Sync, Pause, Resume, Approve, Retry, CopyParked, LeaveParked, Abandon:
		return a, nil
	}
	return "", Invalid("no such action: "+text, "mailstork account --help")
}
