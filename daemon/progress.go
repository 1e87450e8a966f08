package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
)

// errPaused is why a pass was cancelled by an admin.
var errPaused = errors.New("the account was paused")

// progress knows what each worker is doing now.
type progress struct {
	mu     sync.Mutex
	passes map[account.Address]*running
}

type running struct {
	pass   control.Pass
	cancel context.CancelCauseFunc
}

func newProgress() *progress { return &progress{passes: map[account.Address]*running{}} }

// begin notes a pass; the returned context ends when somebody wants the pass to end. end must be called.
func (p *progress) begin(ctx context.Context, address account.Address) (passCtx context.Context, end func()) {
	passCtx, cancel := context.WithCancelCause(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passes[address] = &running{pass: control.Pass{Account: address, Phase: "connecting", Since: time.Now().UTC()}, cancel: cancel}
	return passCtx, func() {
		cancel(nil)
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.passes, address)
	}
}

// update replaces what is known of a pass; Since is kept while the phase stays the same.
func (p *progress) update(pass control.Pass) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.passes[pass.Account]
	if known == nil {
		return
	}
	pass.Since = known.pass.Since
	if pass.Phase != known.pass.Phase || pass.Folder != known.pass.Folder {
		pass.Since = time.Now().UTC()
	}
	known.pass = pass
}

// cancel ends the pass of an account, if one runs.
func (p *progress) cancel(address account.Address, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.passes[address]; known != nil {
		known.cancel(why)
	}
}

func (p *progress) of(address account.Address) *control.Pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.passes[address]
	if known == nil {
		return nil
	}
	pass := known.pass
	return &pass
}

// running returns all passes by address.
func (p *progress) running() []control.Pass {
	p.mu.Lock()
	defer p.mu.Unlock()
	passes := make([]control.Pass, 0, len(p.passes))
	for _, known := range p.passes {
		passes = append(passes, known.pass)
	}
	slices.SortFunc(passes, func(a, b control.Pass) int { return strings.Compare(string(a.Account), string(b.Account)) })
	return passes
}
