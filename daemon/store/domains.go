package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"mailstork/daemon/account"
)

// written is what of a domain is kept as JSON.
type written struct{ source, rules, check, guard, notice string }

func write(d account.Domain) (w written, err error) {
	for _, part := range []struct {
		text  *string
		value any
	}{{&w.source, d.Source}, {&w.rules, d.Rules}, {&w.check, d.Check}, {&w.guard, d.Guard}, {&w.notice, d.Notice}} {
		text, err := json.Marshal(part.value)
		if err != nil {
			return w, err
		}
		*part.text = string(text)
	}
	return w, nil
}

// AddDomain inserts a domain in state open and returns it with its ID. An existing name is an error.
func (s *Store) AddDomain(ctx context.Context, d account.Domain) (account.Domain, error) {
	w, err := write(d)
	if err != nil {
		return d, fmt.Errorf("adding domain %s: %w", d.Name, err)
	}
	d.State, d.CreatedAt, d.FirstLogin = account.Open, s.now().UTC(), firstLogin(d)
	err = s.Write(ctx, func(tx *sql.Tx) error {
		var exists int
		if err := tx.QueryRowContext(ctx, selectDomainCount, d.Name).Scan(&exists); err != nil {
			return err
		}
		if exists > 0 {
			return errors.New("it exists already")
		}
		return tx.QueryRowContext(ctx, insertDomain, d.Name, d.State, w.source, d.Accounts,
			strings.Join(d.MXHosts, " "), joinAddresses(d.OutgoingAddresses), w.rules, number(d.PasswordsOnly), w.check, w.guard, d.Source.HostKey(),
			milliseconds(d.CreatedAt), firstLogin(d), w.notice).Scan(&d.ID)
	})
	if err != nil {
		return d, fmt.Errorf("adding domain %s: %w", d.Name, err)
	}
	return d, nil
}

// SetDomainOptions stores what an admin may change of a domain: its source with the look at it, accounts, MX hosts,
// outgoing addresses, rules, those of the guard, whether mail is copied, where first logins lead, and what owners are told.
func (s *Store) SetDomainOptions(ctx context.Context, d account.Domain) error {
	w, err := write(d)
	if err == nil {
		err = s.Write(ctx, func(tx *sql.Tx) error {
			return mustChange(tx.ExecContext(ctx, updateDomainOptions, d.Accounts, strings.Join(d.MXHosts, " "), joinAddresses(d.OutgoingAddresses),
				w.rules, number(d.PasswordsOnly), w.source, w.check, w.guard, d.Source.HostKey(), firstLogin(d), w.notice, d.ID))
		})
	}
	if err != nil {
		return fmt.Errorf("changing domain %s: %w", d.Name, err)
	}
	return nil
}

// SaveSourceCheck keeps what a look at a domain's source found, unless the domain has another source by now.
func (s *Store) SaveSourceCheck(ctx context.Context, d account.Domain) error {
	source, err1 := json.Marshal(d.Source)
	check, err2 := json.Marshal(d.Check)
	err := errors.Join(err1, err2)
	if err == nil {
		err = s.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE domain SET check_json = $1 WHERE domain_id = $2 AND source_json = $3`, string(check), d.ID, string(source))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("noting what the source of %s is: %w", d.Name, err)
	}
	return nil
}

// firstLogin is what is stored when nothing was said.
func firstLogin(d account.Domain) account.FirstLogin {
	return cmp.Or(d.FirstLogin, account.FirstLoginLocal)
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Domain returns one domain by its canonical name, or ErrNotFound.
func (s *Store) Domain(ctx context.Context, name string) (account.Domain, error) {
	d, err := scanDomain(s.read.QueryRowContext(ctx, selectDomains+` WHERE name = $1`, name))
	if err != nil {
		return d, fmt.Errorf("reading domain %s: %w", name, notFound(err))
	}
	return d, nil
}

// Domains returns all domains by name.
func (s *Store) Domains(ctx context.Context) ([]account.Domain, error) {
	rows, err := s.read.QueryContext(ctx, selectDomains+` ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("reading domains: %w", err)
	}
	defer rows.Close()
	var domains []account.Domain
	for rows.Next() {
		d, err := scanDomain(rows)
		if err != nil {
			return nil, fmt.Errorf("reading domains: %w", err)
		}
		domains = append(domains, d)
	}
	return domains, rows.Err()
}

// MoveDomain changes a domain's state along account.DomainTransitions, together with the cutover's memory (JSON).
// Staying in the same state only stores the memory.
func (s *Store) MoveDomain(ctx context.Context, d account.Domain, to account.DomainState, memory []byte) error {
	if d.State != to {
		if _, err := account.NextDomain(d.State, to); err != nil {
			return err
		}
	}
	var closedAt int64
	if to == account.Closed {
		closedAt = milliseconds(s.now())
	}
	return s.Write(ctx, func(tx *sql.Tx) error {
		err := mustChange(tx.ExecContext(ctx, updateDomainState, to, string(memory), closedAt, d.ID, d.State))
		if err == nil && to == account.Closed {
			err = eraseDomainCredential(ctx, tx, d.ID) // S1: closed and erased are one transaction
		}
		return err
	})
}

// CutoverMemory returns the cutover's memory of a domain as stored by MoveDomain.
func (s *Store) CutoverMemory(ctx context.Context, domainID int64) ([]byte, error) {
	return s.domainText(ctx, `SELECT cutover_json FROM domain WHERE domain_id = $1`, domainID)
}

// SaveDomainReport keeps the report of a domain (JSON).
func (s *Store) SaveDomainReport(ctx context.Context, domainID int64, report []byte) error {
	return s.Write(ctx, func(tx *sql.Tx) error {
		return mustChange(tx.ExecContext(ctx, `UPDATE domain SET report_json = $1 WHERE domain_id = $2`, string(report), domainID))
	})
}

// DomainReport returns what SaveDomainReport kept; empty before that.
func (s *Store) DomainReport(ctx context.Context, domainID int64) ([]byte, error) {
	return s.domainText(ctx, `SELECT report_json FROM domain WHERE domain_id = $1`, domainID)
}

func (s *Store) domainText(ctx context.Context, query string, domainID int64) ([]byte, error) {
	var text string
	if err := s.read.QueryRowContext(ctx, query, domainID).Scan(&text); err != nil {
		return nil, fmt.Errorf("reading domain %d: %w", domainID, notFound(err))
	}
	return []byte(text), nil
}

type row interface{ Scan(...any) error }

func scanDomain(r row) (account.Domain, error) {
	var d account.Domain
	var source, hosts, outgoing, rules, check, guard, notice string
	var created, closed int64
	err := r.Scan(&d.ID, &d.Name, &d.State, &source, &d.Accounts, &hosts, &outgoing, &rules, &d.PasswordsOnly, &check, &guard, &created, &closed, &d.FirstLogin, &notice)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal([]byte(source), &d.Source); err != nil {
		return d, fmt.Errorf("reading source of domain %s: %w", d.Name, err)
	}
	if err := json.Unmarshal([]byte(rules), &d.Rules); err != nil {
		return d, fmt.Errorf("reading rules of domain %s: %w", d.Name, err)
	}
	if err := json.Unmarshal([]byte(check), &d.Check); err != nil {
		return d, fmt.Errorf("reading source check of domain %s: %w", d.Name, err)
	}
	if err := json.Unmarshal([]byte(guard), &d.Guard); err != nil {
		return d, fmt.Errorf("reading guard rules of domain %s: %w", d.Name, err)
	}
	if err := json.Unmarshal([]byte(notice), &d.Notice); err != nil {
		return d, fmt.Errorf("reading notice of domain %s: %w", d.Name, err)
	}
	d.MXHosts = strings.Fields(hosts)
	for _, text := range strings.Fields(outgoing) {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return d, fmt.Errorf("reading outgoing addresses of domain %s: %w", d.Name, err)
		}
		d.OutgoingAddresses = append(d.OutgoingAddresses, address)
	}
	d.CreatedAt, d.ClosedAt = fromMilliseconds(created), fromMilliseconds(closed)
	return d, nil
}

func joinAddresses(addresses []netip.Addr) string {
	texts := make([]string, len(addresses))
	for i, a := range addresses {
		texts[i] = a.String()
	}
	return strings.Join(texts, " ")
}

func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

// mustChange turns "no row was changed" into ErrNotFound: the row is gone or somebody else moved it on.
func mustChange(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}
