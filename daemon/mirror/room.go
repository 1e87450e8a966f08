package mirror

import (
	"context"
	"fmt"

	"mailstork/daemon/mirror/wire"
)

// shortage is what is missing for all that a pass would append. The zero value: it fits.
type shortage struct {
	octets, messages int64
	root             wire.QuotaRoot
}

// roomFor compares what is to come with the limits. It is pure.
func roomFor(roots []wire.QuotaRoot, messages, octets int64) (s shortage) {
	for _, root := range roots {
		here := shortage{root: root}
		if root.OctetsLimit >= 0 {
			here.octets = max(0, octets-max(0, root.OctetsLimit-root.Octets))
		}
		if root.MessagesMax >= 0 {
			here.messages = max(0, messages-max(0, root.MessagesMax-root.Messages))
		}
		if here.octets > s.octets || here.messages > s.messages {
			s = here
		}
	}
	return s
}

// checkRoom asks for the account's quota before anything is appended. What can't fit is not begun: an account filled to
// its brim refuses the new mail of its owner. Trash and junk don't count, since their limits are often others, which the
// answer does not tell (Dovecot 2.3.19 and 2.4 tell the account's for every folder); for them each APPEND is answered.
func (r *round) checkRoom(ctx context.Context, appends []Append) error {
	messages, octets := int64(0), int64(0)
	for _, a := range appends {
		if role := r.rules[a.FolderID].role; role == "trash" || role == "junk" {
			continue
		}
		for _, m := range a.Messages {
			messages, octets = messages+1, octets+m.Size
		}
	}
	if messages == 0 {
		return nil
	}
	conn, err := r.pairs[0].to(ctx)
	if err != nil {
		return err
	}
	roots, err := conn.Quota(ctx, inbox)
	if err != nil {
		return onDestination(err)
	}
	if short := roomFor(roots, messages, octets); short.octets > 0 || short.messages > 0 {
		return r.noRoom(short, messages, octets)
	}
	return nil
}

func (r *round) noRoom(short shortage, messages, octets int64) error {
	e := &Error{Next: OperatorMustAct, Reach: ReachAccount, Err: fmt.Errorf("comparing the quota of %s with what is to come: too small", r.Account.Address),
		Hint: fmt.Sprintf("doveadm quota get -u %s   # raise it, then: mailstork account sync %s", r.Account.Address, r.Account.Address)}
	root := short.root
	if short.octets > 0 {
		e.Sentence = fmt.Sprintf("The quota of %s here is too small by %s: %s are to be copied and %s are free. Nothing of it was begun, so that new mail still has room.",
			r.Account.Address, roomOctets(short.octets), roomOctets(octets), roomOctets(max(0, root.OctetsLimit-root.Octets)))
		e.Answer = fmt.Sprintf("QUOTA %q (STORAGE %d %d)", root.Name, root.Octets>>10, root.OctetsLimit>>10)
		return e
	}
	e.Sentence = fmt.Sprintf("The quota of %s here is too small by %d messages: %d are to be copied. Nothing of it was begun, so that new mail still has room.",
		r.Account.Address, short.messages, messages)
	e.Answer = fmt.Sprintf("QUOTA %q (MESSAGE %d %d)", root.Name, root.Messages, root.MessagesMax)
	return e
}

// roomOctets is a size as `doveadm quota` counts it, rounded up.
func roomOctets(n int64) string {
	const kib, mib = 1 << 10, 1 << 20
	if n < 10*mib {
		return fmt.Sprintf("%d KiB", (n+kib-1)/kib)
	}
	return fmt.Sprintf("%d MiB", (n+mib-1)/mib)
}
