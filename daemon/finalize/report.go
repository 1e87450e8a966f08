package finalize

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"mailstork/daemon/account"
)

// Fates counts source messages by what became of them. Every source message is in exactly one of them (L1).
type Fates struct {
	Copied    int64 `json:"copied"`
	Delivered int64 `json:"delivered"` // reached us by SMTP anyway
	Deleted   int64 `json:"deleted"`   // its owner deleted it here
	Skipped   int64 `json:"skipped"`
	Refused   int64 `json:"refused"` // kept as a file
	Parked    int64 `json:"parked"`  // landed here and vanished before we saw it; never appended again
}

// Total is the number of source messages accounted for.
func (f Fates) Total() int64 {
	return f.Copied + f.Delivered + f.Deleted + f.Skipped + f.Refused + f.Parked
}

// Add returns the sum of both.
func (f Fates) Add(g Fates) Fates {
	return Fates{f.Copied + g.Copied, f.Delivered + g.Delivered, f.Deleted + g.Deleted, f.Skipped + g.Skipped,
		f.Refused + g.Refused, f.Parked + g.Parked}
}

// FolderReport accounts for one source folder.
type FolderReport struct {
	Source         string `json:"source"`      // readable name there
	Destination    string `json:"destination"` // readable name here
	SourceMessages int64  `json:"source_messages"`
	Fates          Fates  `json:"fates"`
	Limits         string `json:"limits,omitempty"` // what of it this server can't keep for good (L6)
}

// AccountReport accounts for one account. At done, SourceMessages equals Fates.Total in every folder.
type AccountReport struct {
	Address        account.Address `json:"address"`
	State          account.State   `json:"state"`
	Outcome        string          `json:"outcome"`                // one sentence
	WithoutMail    bool            `json:"without_mail,omitempty"` // none was to be copied
	SourceMessages int64           `json:"source_messages"`
	Octets         int64           `json:"octets"` // copied
	Fates          Fates           `json:"fates"`
	Folders        []FolderReport  `json:"folders"`
	Notes          []string        `json:"notes,omitempty"`       // refused and parked messages, one line each
	Unexplained    []string        `json:"unexplained,omitempty"` // gaps in the proof; empty at done
	VerifiedAt     time.Time       `json:"verified_at"`
	AbandonedAt    time.Time       `json:"abandoned_at,omitzero"` // an operator gave it up: nothing was proven
}

// Total fills SourceMessages and Fates from the folders.
func (r *AccountReport) Total() {
	r.SourceMessages, r.Fates = 0, Fates{}
	for _, f := range r.Folders {
		r.SourceMessages += f.SourceMessages
		r.Fates = r.Fates.Add(f.Fates)
	}
}

// Gaps returns what stands against done, in words: the unexplained, and folders whose fates don't add up (L1).
func (r *AccountReport) Gaps() []string {
	gaps := slices.Clone(r.Unexplained)
	for _, f := range r.Folders {
		if f.Fates.Total() != f.SourceMessages {
			gaps = append(gaps, fmt.Sprintf("folder %q has %d messages at the source, %d have a fate", f.Source, f.SourceMessages, f.Fates.Total()))
		}
	}
	return gaps
}

// DomainReport is what a domain's manager gets at the end.
type DomainReport struct {
	Domain         string          `json:"domain"`
	Source         string          `json:"source"`
	ClosedAt       time.Time       `json:"closed_at"`
	AccountsMoved  int             `json:"accounts_moved"`
	NeverLoggedIn  int             `json:"never_logged_in"`
	Abandoned      int             `json:"abandoned"`
	WithoutMail    int             `json:"without_mail"` // accounts whose mail was not to be copied
	SourceMessages int64           `json:"source_messages"`
	Octets         int64           `json:"octets"`
	Fates          Fates           `json:"fates"`
	Credentials    int             `json:"credentials_left"` // 0 at the end
	Accounts       []AccountReport `json:"accounts"`
}

// Total fills the sums from the accounts.
func (r *DomainReport) Total() {
	r.WithoutMail, r.Abandoned = 0, 0
	r.AccountsMoved, r.NeverLoggedIn, r.SourceMessages, r.Octets, r.Fates = 0, 0, 0, 0, Fates{}
	for _, a := range r.Accounts {
		if a.WithoutMail {
			r.WithoutMail++
			continue
		}
		if !a.AbandonedAt.IsZero() {
			r.Abandoned++
			continue
		}
		if a.VerifiedAt.IsZero() {
			if a.State == account.Listed || a.State == account.Done {
				r.NeverLoggedIn++
			}
			continue
		}
		r.AccountsMoved++
		r.SourceMessages += a.SourceMessages
		r.Octets += a.Octets
		r.Fates = r.Fates.Add(a.Fates)
	}
}

// Text writes the report for a person.
func (r *DomainReport) Text(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n\n", r.sentence()); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "account\tat the source\tcopied\tdelivered\tdeleted here\tskipped\trefused\tparked\t")
	for _, a := range r.Accounts {
		if a.VerifiedAt.IsZero() || a.WithoutMail {
			fmt.Fprintf(table, "%s\t–\t\t\t\t\t\t\t\n", a.Address)
			continue
		}
		row(table, string(a.Address), a.SourceMessages, a.Fates)
	}
	row(table, "all", r.SourceMessages, r.Fates)
	if err := table.Flush(); err != nil {
		return err
	}
	return r.notes(w)
}

func (r *DomainReport) sentence() string {
	if r.ClosedAt.IsZero() {
		return r.soFar()
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s has moved here from %s; closed at %s.", r.Domain, r.Source, r.ClosedAt.Format(time.RFC3339))
	if r.AccountsMoved > 0 || r.WithoutMail == 0 {
		fmt.Fprintf(&s, "\n%s with %s (%s): every message is accounted for.",
			count(int64(r.AccountsMoved), "account"), count(r.SourceMessages, "message"), Octets(r.Octets))
	}
	if r.WithoutMail > 0 {
		fmt.Fprintf(&s, "\n%s only with the password; no mail of theirs was to be copied.", count(int64(r.WithoutMail), "account"))
	}
	if r.NeverLoggedIn > 0 {
		fmt.Fprintf(&s, "\n%s never logged in here; nothing of theirs was copied.", count(int64(r.NeverLoggedIn), "account"))
	}
	if r.Abandoned > 0 {
		fmt.Fprintf(&s, "\n%s given up by an operator: what is missing there is not known to be here, and counts in no sum.", count(int64(r.Abandoned), "account"))
	}
	if r.Credentials == 0 {
		s.WriteString("\nAll borrowed passwords are erased.")
	} else {
		fmt.Fprintf(&s, "\n%s not erased yet.", count(int64(r.Credentials), "borrowed password"))
	}
	return s.String()
}

// soFar claims nothing that is not proven yet.
func (r *DomainReport) soFar() string {
	done := 0
	for _, a := range r.Accounts {
		if a.State == account.Done {
			done++
		}
	}
	return fmt.Sprintf("%s is moving here from %s.\nDone so far: %d of %s; nothing is proven of the others before their last pass.",
		r.Domain, r.Source, done, count(int64(len(r.Accounts)), "account"))
}

func (r *DomainReport) notes(w io.Writer) error {
	for _, a := range r.Accounts {
		if !a.AbandonedAt.IsZero() {
			if _, err := fmt.Fprintf(w, "%s: %s\n", a.Address, a.Outcome); err != nil {
				return err
			}
		}
		for _, note := range a.Notes {
			if _, err := fmt.Fprintf(w, "%s: %s\n", a.Address, note); err != nil {
				return err
			}
		}
	}
	return nil
}

func row(w io.Writer, name string, source int64, f Fates) {
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, source, f.Copied, f.Delivered, f.Deleted, f.Skipped, f.Refused, f.Parked)
}

func count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Octets is a size for people: "12.3 MB" (powers of 1000).
func Octets(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB"}
	value, unit := float64(n), 0
	for value >= 1000 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
