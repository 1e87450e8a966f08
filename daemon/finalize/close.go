package finalize

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/store"
)

// Gap is the error of an account whose proof is not complete (L1). It stays in closing.
type Gap struct{ Gaps []string }

func (g *Gap) Error() string {
	const shown = 3
	text := strings.Join(g.Gaps[:min(shown, len(g.Gaps))], "; ")
	if more := len(g.Gaps) - shown; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return "verifying: " + text
}

// Account makes an account done when its report has no gap: state, report and the erasure of its credentials are one
// transaction. A report with a gap is kept too, but the account stays where it is and a *Gap is returned.
func Account(ctx context.Context, s *store.Store, a account.Account, report AccountReport) error {
	report.Total()
	gaps := report.Gaps()
	report.State = account.Done
	report.Outcome = "every message is accounted for"
	if report.WithoutMail {
		report.Outcome = withoutMail
	}
	if len(gaps) > 0 {
		report.State = a.State
		report.Outcome = "not every message is accounted for"
	}
	text, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("reporting account %s: %w", a.Address, err)
	}
	err = s.Write(ctx, func(tx *sql.Tx) error {
		if err := s.SaveVerified(ctx, tx, a.ID, text); err != nil || len(gaps) > 0 {
			return err
		}
		return errors.Join(s.MoveAccount(ctx, tx, a, account.Done), s.EraseCredentials(ctx, tx, a.ID))
	})
	if err != nil {
		return fmt.Errorf("finalizing account %s: %w", a.Address, err)
	}
	if len(gaps) > 0 {
		return &Gap{Gaps: gaps}
	}
	return s.EraseTraces(ctx)
}

// Abandon makes an account done without a proof, because an operator gave up what is still at the source. The report
// keeps what the ledger knew; state, report and the erasure of the credentials are one transaction. Nothing here is touched.
func Abandon(ctx context.Context, s *store.Store, a account.Account, report AccountReport, now time.Time) error {
	report.Total()
	report.State, report.AbandonedAt = account.Done, now.UTC()
	report.Outcome = fmt.Sprintf("given up by an operator: %d of %d messages at the source have a fate, nothing was proven",
		report.Fates.Total(), report.SourceMessages)
	text, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("reporting account %s: %w", a.Address, err)
	}
	err = s.Write(ctx, func(tx *sql.Tx) error {
		now, err := s.AccountIn(ctx, tx, a.Address)
		if err == nil && now.Route != account.RouteHere { // its owner has no other side any more
			err = s.MoveRoute(ctx, tx, now, account.RouteHere, account.Switching{}, 0)
		}
		return errors.Join(err, s.SaveVerified(ctx, tx, a.ID, text), s.MoveAccount(ctx, tx, a, account.Done), s.EraseCredentials(ctx, tx, a.ID))
	})
	if err != nil {
		return fmt.Errorf("abandoning account %s: %w", a.Address, err)
	}
	return s.EraseTraces(ctx)
}

const withoutMail = "its password was proven; its mail was not to be copied"

// WithoutMail makes an account done whose mail was not to be copied. Its report says so and claims no proof (L1).
func WithoutMail(ctx context.Context, s *store.Store, a account.Account, now time.Time) error {
	return Account(ctx, s, a, AccountReport{Address: a.Address, WithoutMail: true, VerifiedAt: now.UTC()})
}

// Expire makes an account done whose owner never logged in: nothing of it was ever read.
func Expire(ctx context.Context, s *store.Store, a account.Account) error {
	return s.Write(ctx, func(tx *sql.Tx) error {
		return errors.Join(s.MoveAccount(ctx, tx, a, account.Done), s.EraseCredentials(ctx, tx, a.ID))
	})
}

// Domain builds the report of a domain from what its accounts left, finished or not.
func Domain(ctx context.Context, s *store.Store, d account.Domain) (DomainReport, error) {
	report := DomainReport{Domain: d.Name, Source: d.Source.Host, ClosedAt: d.ClosedAt}
	accounts, err := s.Accounts(ctx, d.Name)
	if err != nil {
		return report, err
	}
	for _, a := range accounts {
		one, err := kept(ctx, s, a)
		if err != nil {
			return report, err
		}
		report.Accounts = append(report.Accounts, one)
	}
	if report.Credentials, err = s.CountCredentials(ctx, d.ID); err != nil {
		return report, err
	}
	report.Total()
	return report, nil
}

func kept(ctx context.Context, s *store.Store, a account.Account) (AccountReport, error) {
	text, err := s.Verified(ctx, a.ID)
	if err != nil {
		return AccountReport{}, err
	}
	if len(text) == 0 {
		outcome := "its owner never logged in here"
		if a.State != account.Listed && a.State != account.Done {
			outcome = "its last pass has not been verified yet"
		}
		return AccountReport{Address: a.Address, State: a.State, Outcome: outcome}, nil
	}
	var report AccountReport
	if err := json.Unmarshal(text, &report); err != nil {
		return report, fmt.Errorf("reading report of %s: %w", a.Address, err)
	}
	report.State = a.State
	return report, nil
}

// Close ends a draining domain whose accounts are all done: the report is kept and the state becomes closed.
func Close(ctx context.Context, s *store.Store, d account.Domain, memory []byte, now time.Time) (DomainReport, error) {
	report, err := Domain(ctx, s, d)
	if err != nil {
		return report, err
	}
	for _, a := range report.Accounts {
		if a.State != account.Done {
			return report, fmt.Errorf("closing domain %s: account %s is %s, not done", d.Name, a.Address, a.State)
		}
	}
	if report.Credentials > 0 {
		return report, fmt.Errorf("closing domain %s: %d credentials are left (S1)", d.Name, report.Credentials)
	}
	report.ClosedAt = now.UTC()
	text, err := json.Marshal(report)
	if err != nil {
		return report, fmt.Errorf("closing domain %s: %w", d.Name, err)
	}
	if err := s.SaveDomainReport(ctx, d.ID, text); err != nil {
		return report, fmt.Errorf("closing domain %s: %w", d.Name, err)
	}
	if err := s.MoveDomain(ctx, d, account.Closed, memory); err != nil {
		return report, fmt.Errorf("closing domain %s: %w", d.Name, err)
	}
	return report, s.EraseTraces(ctx)
}
