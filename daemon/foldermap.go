package daemon

import (
	"context"
	"errors"
	"fmt"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/daemon/schedule"
	"mailstork/daemon/store"
)

// FolderMap says where the folders of an account are kept. While no pass has seen them, both servers are asked.
func (d *Daemon) FolderMap(ctx context.Context, address account.Address) (control.FolderMap, error) {
	a, err := d.account(ctx, address)
	if err != nil {
		return control.FolderMap{}, err
	}
	counts, err := d.ledger.Count(ctx, a.ID)
	if err != nil {
		return control.FolderMap{}, err
	}
	shown := control.FolderMap{Folders: []control.MappedFolder{}}
	if shown.MaxMessageOctets, err = d.limitOf(ctx, a); err != nil {
		return shown, err
	}
	if len(counts) > 0 {
		for _, f := range counts {
			shown.Folders = append(shown.Folders, keptFolder(f))
		}
		return shown, nil
	}
	plans, err := d.foresee(ctx, a)
	if err != nil {
		return shown, err
	}
	shown.Live = true
	for _, f := range plans {
		shown.Folders = append(shown.Folders, foreseenFolder(f))
	}
	return shown, nil
}

func (d *Daemon) limitOf(ctx context.Context, a account.Account) (int64, error) {
	domain, err := d.store.Domain(ctx, a.Domain)
	return mirror.Rules{Account: a.Rules, Domain: domain.Rules}.Limit(), err
}

// foresee asks both servers what a first pass would do.
func (d *Daemon) foresee(ctx context.Context, a account.Account) ([]mirror.FolderPlan, error) {
	options, err := d.mirrorOptions(ctx, schedule.Lease{}, a)
	if errors.Is(err, store.ErrNotFound) {
		return nil, control.Refused(fmt.Sprintf("nobody has logged in as %s yet and no password was imported, so its folders are not known", a.Address), "mailstork account import --help")
	}
	if err != nil {
		return nil, err
	}
	// Else Dovecot would say that there is no such user.
	if err := d.provisioner.Refresh(ctx); err != nil {
		return nil, err
	}
	options.Destination.NotBefore = d.provisioner.DeliverableAt()
	plans, err := mirror.Foresee(ctx, options)
	var known *mirror.Error
	if errors.As(err, &known) {
		return nil, forCommand(known, control.KindFailed)
	}
	return plans, err
}

func foreseenFolder(f mirror.FolderPlan) control.MappedFolder {
	shown := control.MappedFolder{Source: f.Name, Destination: readable(f.DestinationName), Role: f.Role, Messages: f.Messages, Octets: f.Octets, Rule: joined(f.Why, f.Note)}
	if f.Skip != "" {
		shown.Destination, shown.Rule, shown.Excluded = "", f.Skip, true
	}
	return shown
}

// joined is what two texts say; either may be empty.
func joined(one, other string) string {
	if one == "" || other == "" {
		return one + other
	}
	return one + "; " + other
}

func keptFolder(f ledger.FolderCounts) control.MappedFolder {
	shown := control.MappedFolder{Source: f.Name, Destination: readable(f.DestinationName), Role: account.Role(f.Role),
		Messages: int64(f.SourceMessages), Octets: f.Listed}
	switch {
	case f.SkipRule != "":
		shown.Destination, shown.Rule, shown.Excluded = "", f.SkipRule, true
	case f.Mapped:
		shown.Rule = "mapped by a rule"
	}
	if f.Gathers && !shown.Excluded {
		shown.Rule = joined(shown.Rule, mirror.RestInWords)
	}
	return shown
}
