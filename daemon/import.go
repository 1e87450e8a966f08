package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/eventlog"
	"mailstork/daemon/store"
)

// errDryRun rolls an import back after it was tried in full.
var errDryRun = errors.New("dry run")

// Import adds all rows or none. A password is sealed at once; the first pass proves it at the source (A1).
func (d *Daemon) Import(ctx context.Context, rows []control.ImportRow, dryRun bool) (control.ImportResult, error) {
	result := control.ImportResult{DryRun: dryRun}
	domains, err := d.importDomains(ctx, rows)
	if err != nil {
		return result, err
	}
	err = d.store.Write(ctx, func(tx *sql.Tx) error {
		for _, row := range rows {
			done, err := d.importRow(ctx, tx, domains[row.Address.Domain()], row)
			if err != nil {
				return fmt.Errorf("importing line %d: %w", row.Line, err)
			}
			result.Rows = append(result.Rows, done)
			count(&result, done.Action, !row.Password.IsZero())
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return result, nil
	}
	if err != nil {
		return control.ImportResult{}, d.changed(err)
	}
	return result, d.afterImport(ctx, result)
}

func count(result *control.ImportResult, action string, password bool) {
	switch action {
	case rowAdded:
		result.Added++
	case rowChanged:
		result.Changed++
	default:
		result.Unchanged++
	}
	if password {
		result.Passwords++
	}
}

func (d *Daemon) afterImport(ctx context.Context, result control.ImportResult) error {
	for _, row := range result.Rows {
		if row.Action != rowUnchanged {
			d.events.Record(ctx, eventlog.Event{Name: "import", Domain: row.Address.Domain(), Account: row.Address, Detail: row.Action})
		}
	}
	for _, row := range result.Rows {
		d.logins.forget(row.Address.Domain()) // a refresh token may have been replaced
	}
	if err := d.provisioner.Refresh(ctx); err != nil { // mail is accepted for them from now on
		return err
	}
	d.workers.Wake()
	return nil
}

// importDomains finds the open domain of every row, or says for each line why it can't be imported.
func (d *Daemon) importDomains(ctx context.Context, rows []control.ImportRow) (map[string]account.Domain, error) {
	domains := map[string]account.Domain{}
	seen := map[account.Address]int{}
	var problems []control.LineError
	for _, row := range rows {
		if first, twice := seen[row.Address]; twice {
			problems = append(problems, control.LineError{Line: row.Line, Problem: fmt.Sprintf("%s stands in line %d already", row.Address, first)})
		}
		seen[row.Address] = row.Line
		name := row.Address.Domain()
		if _, known := domains[name]; known {
			continue
		}
		domain, err := d.store.Domain(ctx, name)
		switch {
		case errors.Is(err, store.ErrNotFound):
			problems = append(problems, control.LineError{Line: row.Line, Problem: fmt.Sprintf("domain %s is not known; add it first: mailstork domain add %s", name, name)})
		case err != nil:
			return nil, err
		case domain.State == account.Closed:
			problems = append(problems, control.LineError{Line: row.Line, Problem: fmt.Sprintf("domain %s is closed", name)})
		default:
			domains[name] = domain
		}
	}
	if len(problems) > 0 {
		return nil, control.InvalidLines(problems)
	}
	return domains, nil
}

const (
	rowAdded     = "added"
	rowChanged   = "changed"
	rowUnchanged = "unchanged"
)

func (d *Daemon) importRow(ctx context.Context, tx *sql.Tx, domain account.Domain, row control.ImportRow) (control.ImportedRow, error) {
	done := control.ImportedRow{Line: row.Line, Address: row.Address, Action: rowUnchanged}
	before, err := d.store.AccountIn(ctx, tx, row.Address)
	isNew := errors.Is(err, store.ErrNotFound)
	if err != nil && !isNew {
		return done, err
	}
	a, err := d.store.EnsureAccount(ctx, tx, domain.ID, row.Address, row.SourceUser)
	if err != nil {
		return done, err
	}
	switch {
	case isNew:
		done.Action = rowAdded
	case row.SourceUser != "" && row.SourceUser != before.SourceUser:
		done.Action = rowChanged
		if err := d.store.SetSourceUser(ctx, tx, a.ID, row.SourceUser); err != nil {
			return done, err
		}
	}
	if row.Password.IsZero() || a.State == account.Done {
		return done, nil
	}
	if done.Action == rowUnchanged {
		done.Action = rowChanged
	}
	sealed, err := d.sealer.Seal(row.Password, a.ID, store.KindPassword)
	if err != nil {
		return done, err
	}
	return done, errors.Join(d.store.SaveCredential(ctx, tx, a.ID, store.KindPassword, sealed), d.store.DueInTx(ctx, tx, a.Address, 0))
}
