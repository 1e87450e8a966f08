package provision

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"mailstork/daemon/account"
)

// servicesNoticed are answered with the notice. Whoever sends mail is let in, as an account that is passed on is; everything
// else has to wait: it would show or change what its owner must not use yet.
var servicesNoticed = []string{serviceIMAP, "pop3"}

// noticedLines are one account that is shown a notice. There is an entry only if there is a letter.
func (p *Provisioner) noticedLines(a account.Account, d account.Domain) string {
	if a.PasswordHash == "" || !fitsName(a.Address) || !fitsHash(a.PasswordHash) {
		return ""
	}
	fields, err := p.noticeFields(a)
	if err == nil {
		err = p.notices.Ready(d, a)
	}
	if err != nil {
		return "" // Lead tells why
	}
	var lines strings.Builder
	for _, service := range servicesNoticed {
		fmt.Fprintf(&lines, "%s/%s:%s::::::%s\n", a.Address, service, a.PasswordHash, fields)
	}
	return lines.String() + linesHere(a)
}

// noticeFields give a session a home and mail of its own: the notice, which Dovecot can't write to and keeps no index of. 2.3
// reads userdb_mail, 2.4 the others; neither minds those that it does not know. The name of the user stays as it is: 2.4.1
// changes it also when the password is wrong, and would ask the hook about the other one.
func (p *Provisioner) noticeFields(a account.Account) (string, error) {
	path := p.notices.Path(a)
	if !fitsField(path) || strings.ContainsAny(path, " %") {
		return "", fmt.Errorf("showing %s a notice: the path %q can't stand in Dovecot's file (runtime_dir)", a.Address, path)
	}
	return strings.Join([]string{
		fmt.Sprintf("userdb_uid=%d", p.uid), fmt.Sprintf("userdb_gid=%d", p.gid), "userdb_home=" + path,
		"userdb_mail=mbox:" + path + "/folders:INBOX=" + path + "/inbox:INDEX=MEMORY",
		"userdb_mail_driver=mbox", "userdb_mail_path=" + path + "/folders", "userdb_mail_inbox_path=" + path + "/inbox", "userdb_mail_index_path=MEMORY",
	}, " "), nil
}

// leadToNotice lets an owner wait whose account must not be used yet.
func (p *Provisioner) leadToNotice(ctx context.Context, tx *sql.Tx, domain account.Domain, member account.Account) (account.Account, error) {
	if account.WhyOpen(domain) != "" || member.State == account.Following || member.State == account.Closing {
		return account.Account{}, nil
	}
	err := p.store.MoveRoute(ctx, tx, member, account.RouteNotice, account.Switching{}, 0)
	member.Route = account.RouteNotice
	return member, err
}

// leadToItsNotice is leadNow for an account that is shown a notice.
func (p *Provisioner) leadToItsNotice(ctx context.Context, domain account.Domain, member account.Account, service string) (account.Route, error) {
	if !slices.Contains(servicesNoticed, service) {
		return account.RouteHeld, nil
	}
	if _, err := p.noticeFields(member); err != nil {
		return account.RouteHeld, err
	}
	if err := p.notices.Ready(domain, member); err != nil {
		return account.RouteHeld, err
	}
	return account.RouteNotice, p.Publish(ctx)
}
