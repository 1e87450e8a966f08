package mirror

import (
	"context"
	"strings"

	"mailstork/daemon/account"
)

// FolderPlan is one folder of the source and what a pass would do with it.
type FolderPlan struct {
	Name            string // as its owner calls it, "/" between the parts
	SourceName      string // as on the wire
	DestinationName string // as on the wire
	Role            account.Role
	Messages        int64
	Octets          int64  // 0: the source does not tell
	Skip            string // why its messages would be left out; empty: they would be copied
	Why             string // why it has this place, when an admin chose it
	Note            string // what a person should know of how it would be copied
}

// Foresee says what a pass would do with each folder. It changes nothing on either side nor in the ledger, and needs
// no lease.
func Foresee(ctx context.Context, o Options) ([]FolderPlan, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	r := newRound(&pass{Options: o, breaks: map[string]int{}})
	defer r.close()
	plans, err := r.foresee(ctx)
	return plans, o.explain(err)
}

func (r *round) foresee(ctx context.Context) ([]FolderPlan, error) {
	there, here, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	known, err := r.Ledger.Folders(ctx, r.Account.ID)
	if err != nil {
		return nil, err
	}
	var raws []string
	for _, f := range there {
		if f.Selectable && f.Problem == nil {
			raws = append(raws, f.Raw)
		}
	}
	sizes, err := r.pairs[0].source.Sizes(ctx, raws)
	if err != nil {
		return nil, onSource(err)
	}
	p := r.place(there, here, known)
	var plans []FolderPlan
	for _, f := range sorted(there) {
		if !f.Selectable {
			continue
		}
		rule := p.rules[f.Raw]
		plans = append(plans, FolderPlan{Name: strings.Join(f.Name, "/"), SourceName: f.Raw, DestinationName: p.names[f.Raw], Role: rule.role,
			Messages: int64(f.Status.Messages), Octets: sizes[f.Raw], Skip: rule.skip, Why: rule.why, Note: rule.note})
	}
	return plans, nil
}
