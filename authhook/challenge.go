package authhook

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// Challenge asks a domain's source about a random name with a random password, as a first login would, and tells
// whether it took them: then everybody could make accounts there (A1). It counts as one failed login in the source's
// budget. An error means that there was no clear answer.
func (h *Hook) Challenge(ctx context.Context, domain account.Domain) (acceptsAny bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, decideWithin)
	defer cancel()
	address := account.Address("check-" + strings.ToLower(rand.Text()) + "@" + domain.Name)
	password := secret.FromString(rand.Text())
	defer password.Wipe()
	err = h.ask(ctx, domain.Source, address, string(address), password)
	var wrong *WrongPassword
	var problem *SourceProblem
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &wrong) || errors.As(err, &problem) && problem.Entered:
		return false, nil
	}
	return false, err
}

// Prove asks an account's source whether a password is right, as a first login would, within the guard's budgets.
func (h *Hook) Prove(ctx context.Context, domain account.Domain, member account.Account, password secret.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, decideWithin)
	defer cancel()
	end, err := h.gate.turn(ctx, member.Address)
	if err != nil {
		return err
	}
	defer end()
	return h.ask(ctx, domain.Source, member.Address, sourceUser(member.Address, member), password)
}

// Hash makes what Dovecot and the hook verify a password with.
func (h *Hook) Hash(ctx context.Context, password secret.Secret) (string, error) {
	return h.hasher.hash(ctx, password)
}

// ask sends one password for an operator, as the guard allows.
func (h *Hook) ask(ctx context.Context, source account.Source, address account.Address, user string, password secret.Secret) error {
	login := guard.Login{Address: address, Host: source.HostKey()}
	leave, err := h.gate.pass(ctx, login)
	if err != nil {
		return err
	}
	outcome := guard.Outcome{Failed: true} // also when something panics
	defer func() { leave(outcome) }()
	err = h.verify(ctx, question{source: source, user: user}, password)
	outcome = outcomeOf(err)
	return err
}
