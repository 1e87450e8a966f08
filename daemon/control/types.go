package control

import (
	"encoding/json"
	"net/netip"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// Status is one look at everything.
type Status struct {
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Now       time.Time `json:"now"` // the daemon's clock
	Domains   []Domain  `json:"domains"`
	Passes    []Pass    `json:"passes"`  // running now
	Stuck     []Account `json:"stuck"`   // waiting for an operator
	Sources   []Source  `json:"sources"` // where logins failed lately, or that are left alone
}

// Source is what the hook's guard knows of one source host.
type Source struct {
	Host          string `json:"host"`
	Failures      int    `json:"failures"` // logins within the window that it may have counted as failed
	Budget        int    `json:"budget"`   // how many may be
	WindowSeconds int    `json:"window_seconds"`
	Underway      int    `json:"underway"`
	// Until is when it is asked about a first login again; zero when it may be now.
	Until  time.Time `json:"until,omitzero"`
	Broken int       `json:"broken"` // logins in a row that could not reach it, or were told that it is too much
	// PassesUntil is when passes of its accounts begin again, after it asked to be left alone; zero when they may now.
	PassesUntil time.Time `json:"passes_until,omitzero"`
}

// SourceBudget is a number of failed logins within a time.
type SourceBudget struct {
	Failures      int `json:"failures"`
	WindowSeconds int `json:"window_seconds"`
}

// Domain is one domain with its counts.
type Domain struct {
	Name              string                 `json:"name"`
	State             account.DomainState    `json:"state"`
	Source            account.Source         `json:"source"`
	Policy            account.AccountsPolicy `json:"accounts_policy"`
	MXHosts           []string               `json:"mx_hosts"`
	OutgoingAddresses []netip.Addr           `json:"outgoing_addresses"`
	Rules             account.Rules          `json:"rules"`
	PasswordsOnly     bool                   `json:"passwords_only,omitempty"` // no mail is copied
	FirstLogin        account.FirstLogin     `json:"first_login"`
	Notice            account.Notice         `json:"notice,omitzero"`
	Check             account.SourceCheck    `json:"source_check,omitzero"`
	Guard             account.GuardRules     `json:"guard,omitzero"`
	// SourceBudget is how many failed logins may reach the source host, as the strictest of its domains says.
	SourceBudget SourceBudget `json:"source_budget,omitzero"`
	CreatedAt    time.Time    `json:"created_at,omitzero"`
	ClosedAt     time.Time    `json:"closed_at,omitzero"`
	// Login is what opens all its accounts at the source, without the secret; nil when there is none.
	Login *account.SourceLogin `json:"login,omitempty"`
	// Accounts counts the domain's accounts by state.
	Accounts map[account.State]int `json:"accounts"`
	Paused   int                   `json:"paused"`
	Stuck    int                   `json:"stuck"`
	Messages Messages              `json:"messages"`
	Cutover  Cutover               `json:"cutover"`
}

// Cutover is what is known about the move of a domain's mail.
type Cutover struct {
	// Waiting says in a few words what the next state waits for; empty when the domain is closed.
	Waiting   string    `json:"waiting,omitempty"`
	CheckedAt time.Time `json:"checked_at,omitzero"` // the last look at the DNS
	// Holdouts names, in words, each server that does not name us yet.
	Holdouts []string `json:"holdouts,omitempty"`
	// DueAt is the earliest time of the next state, when it is known.
	DueAt time.Time `json:"due_at,omitzero"`
}

// Messages counts messages.
type Messages struct {
	Source    int64 `json:"source"`    // at the source, as of the last listing
	Accounted int64 `json:"accounted"` // of these, with a confirmed fate
}

// Pass is what a worker is doing now.
type Pass struct {
	Account       account.Address `json:"account"`
	Phase         string          `json:"phase"` // a word: connecting, listing, copying …
	Since         time.Time       `json:"since"`
	Folder        string          `json:"folder,omitempty"`
	Folders       int64           `json:"folders"`
	FoldersTotal  int64           `json:"folders_total"`
	Messages      int64           `json:"messages"`
	MessagesTotal int64           `json:"messages_total"`
	Octets        int64           `json:"octets"`
	OctetsTotal   int64           `json:"octets_total"`
}

// AccountFilter says which accounts are wanted; its zero value wants all.
type AccountFilter struct {
	Domain string        // canonical name; empty for all
	State  account.State // empty for all
	Stuck  bool          // only those that wait for an operator
	Paused bool          // only those that an admin stopped
}

// Account is one account as a list shows it. It never holds a password or a hash of one (S1).
type Account struct {
	Address    account.Address  `json:"address"`
	Domain     string           `json:"domain"`
	State      account.State    `json:"state"`
	Paused     bool             `json:"paused"`
	Stuck      string           `json:"stuck,omitempty"`
	Hint       string           `json:"hint,omitempty"`
	SourceUser string           `json:"source_user"`
	Rules      account.Rules    `json:"rules,omitzero"`     // its own, before those of the domain
	Language   account.Language `json:"language,omitempty"` // of its owner; empty: that of the domain
	// SwitchedAt is when this server became the truth: its owner's first login here, or the end of a live migration.
	SwitchedAt time.Time         `json:"switched_at,omitzero"`
	Route      account.Route     `json:"route"`              // where its logins lead
	Switching  account.Switching `json:"switching,omitzero"` // of a live migration
	LastPassAt time.Time         `json:"last_pass_at,omitzero"`
	NextPassAt time.Time         `json:"next_pass_at,omitzero"`
	LastNewAt  time.Time         `json:"last_new_at,omitzero"`
	CreatedAt  time.Time         `json:"created_at,omitzero"`
	Messages   Messages          `json:"messages"`
	Pass       *Pass             `json:"pass,omitempty"` // what is being done to it now
}

// AccountDetail is one account with its folders.
type AccountDetail struct {
	Account
	// Credential tells whether a sealed credential for the source is stored.
	Credential bool     `json:"credential"`
	Folders    []Folder `json:"folders"`
	// Exceptions are the messages with something to say about them, at most MaxExceptions of them.
	Exceptions     []Exception `json:"exceptions"`
	ExceptionsLeft int         `json:"exceptions_left,omitempty"` // so many more
	// Orders are what an operator ordered for the next pass.
	Orders account.Orders `json:"orders,omitempty"`
}

// MaxExceptions bounds the list of an account's exceptions.
const MaxExceptions = 1000

// Exception is a message that is not simply here.
type Exception struct {
	Class  string `json:"class"`  // parked, refused, skipped; copied: not in every detail
	Folder string `json:"folder"` // at the source, for people
	UID    uint32 `json:"uid"`
	Why    string `json:"why"`
	File   string `json:"file,omitempty"` // where the bytes of a refused message are
}

// Folder is one folder of the source and what became of its messages.
type Folder struct {
	Source      string `json:"source"`      // name for people, UTF-8
	Destination string `json:"destination"` // name for people, UTF-8
	Messages    int64  `json:"messages"`    // at the source, as of the last listing
	Copied      int64  `json:"copied"`
	Delivered   int64  `json:"delivered"`
	Deleted     int64  `json:"deleted"`
	Skipped     int64  `json:"skipped"`
	Refused     int64  `json:"refused"`
	Unsettled   int64  `json:"unsettled"` // intended or parked: not yet known
	Problem     string `json:"problem,omitempty"`
	Limits      string `json:"limits,omitempty"` // what of it this server can't keep for good (L6)
}

// FolderMap says where the folders of an account are kept here.
type FolderMap struct {
	// Live: both servers were asked just now, since no pass has been made. Else it is what the last pass saw.
	Live             bool           `json:"live"`
	MaxMessageOctets int64          `json:"max_message_octets,omitempty"`
	Folders          []MappedFolder `json:"folders"`
}

// MappedFolder is one folder of the source and its place here.
type MappedFolder struct {
	Source      string       `json:"source"`      // as rules name it: UTF-8, "/" between its parts
	Destination string       `json:"destination"` // where new messages go; empty when none do
	Role        account.Role `json:"role,omitempty"`
	Messages    int64        `json:"messages"`
	Octets      int64        `json:"octets,omitempty"` // 0: not known
	Rule        string       `json:"rule,omitempty"`   // why it is left out, or has this place
	Excluded    bool         `json:"excluded"`
}

// ImportRow is one line of a list of accounts.
type ImportRow struct {
	Line       int // in the file, for errors
	Address    account.Address
	SourceUser string        // empty: the address
	Password   secret.Secret // may be missing
}

// ImportResult tells what an import did, or with dry run would do.
type ImportResult struct {
	DryRun    bool          `json:"dry_run"`
	Added     int           `json:"added"`
	Changed   int           `json:"changed"`
	Unchanged int           `json:"unchanged"`
	Passwords int           `json:"passwords"` // rows that brought one
	Rows      []ImportedRow `json:"rows"`
}

// ImportedRow is what became of one line.
type ImportedRow struct {
	Line    int             `json:"line"`
	Address account.Address `json:"address"`
	Action  string          `json:"action"` // added, changed, unchanged
}

// Report is the report of a domain in both forms.
type Report struct {
	Text string          `json:"text"`
	JSON json.RawMessage `json:"report"`
}

// Finding is the result of one test of the doctor.
type Finding struct {
	Check    string `json:"check"` // what was looked at: "config", "dovecot"
	Level    Level  `json:"level"`
	Sentence string `json:"sentence"`
	Next     string `json:"next,omitempty"` // the next command
}

// Level says how a test ended.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // works, and may not for long
	Fail Level = "fail"
)
