package provision

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
)

// FirstLoginPriority is that of an account whose owner has just logged in: before all bulk work.
const FirstLoginPriority = 100

// Journal is told of every account that joined, once, after it is durable in the database.
type Journal interface {
	Joined(ctx context.Context, a account.Account)
	// Led is told where the first login of an account leads, when its domain wants first logins to lead elsewhere.
	Led(ctx context.Context, a account.Account)
	// Renewed is told that a proven password replaced the one that the source refused.
	Renewed(ctx context.Context, a account.Account)
}

// Notices are the folders that hold a notice alone (package notice). Called by many goroutines.
type Notices interface {
	// Path is where an account's folder is.
	Path(a account.Account) string
	// Ready makes sure that there is a letter in it; it may be called again.
	Ready(d account.Domain, a account.Account) error
}

// Options are what a Provisioner needs.
type Options struct {
	Store   *store.Store
	Sealer  *secret.Sealer
	Journal Journal
	Notices Notices

	PassdbFile, UserdbFile string
	// ProxiedFile has the accounts whose sessions Dovecot passes on to their source, and Authorities is the file that its
	// proxy verifies certificates against; empty when it has none.
	ProxiedFile, Authorities string
	// FileGroup is the group that may read the files: that of Dovecot's auth process. Empty leaves them to ours.
	FileGroup string
	// MailUID and MailGID own the mail on disk.
	MailUID, MailGID int
	// HomeTemplate is the home folder of an account; {domain} and {local} stand for the parts of its address.
	HomeTemplate string
	// UserdbFields follow in every userdb entry, as "userdb_quota_rule=*:storage=1G".
	UserdbFields string
}

// Provisioner makes accounts. It may be used by many goroutines.
type Provisioner struct {
	store    *store.Store
	sealer   *secret.Sealer
	journal  Journal
	uid, gid int
	home     string
	files    *files

	authorities string
	notices     Notices
	onward      onward
}

// New checks the options; it does not touch the files.
func New(o Options) (*Provisioner, error) {
	if o.Store == nil || o.Sealer == nil || o.Journal == nil || o.Notices == nil || o.PassdbFile == "" || o.UserdbFile == "" || o.ProxiedFile == "" {
		return nil, errors.New("preparing to provision: store, sealer, journal, notices and all files are needed")
	}
	if o.MailUID < 1 || o.MailGID < 1 { // Dovecot refuses an entry with 0
		return nil, fmt.Errorf("preparing to provision: user id %d and group id %d must be above 0", o.MailUID, o.MailGID)
	}
	if err := checkTemplate(o.HomeTemplate); err != nil {
		return nil, fmt.Errorf("preparing to provision: %w", err)
	}
	if !fitsLine(o.UserdbFields) {
		return nil, fmt.Errorf("preparing to provision: userdb fields %q can't stand in a line", o.UserdbFields)
	}
	p := &Provisioner{store: o.Store, sealer: o.Sealer, journal: o.Journal, uid: o.MailUID, gid: o.MailGID, home: o.HomeTemplate, authorities: o.Authorities, notices: o.Notices}
	p.files = &files{
		accounts: func(ctx context.Context) ([]account.Account, error) { return o.Store.Accounts(ctx, "") },
		domains:  o.Store.Domains,
		userdb:   &file{path: o.UserdbFile, group: o.FileGroup, line: func(a account.Account, _ account.Domain) string { return p.userdbLine(a, o.UserdbFields) }},
		passdb:   &file{path: o.PassdbFile, group: o.FileGroup, line: func(a account.Account, _ account.Domain) string { return passdbLine(a) }},
		proxied:  &file{path: o.ProxiedFile, group: o.FileGroup, line: p.elsewhereLines},
		writing:  make(chan struct{}, 1),
	}
	return p, nil
}

func checkTemplate(template string) error {
	// Dovecot expands % in a home.
	if !path.IsAbs(template) || !fitsField(template) || strings.Contains(template, "%") {
		return fmt.Errorf("home template %q is no absolute path that can stand in a passwd-file", template)
	}
	if !strings.Contains(template, "{domain}") || !strings.Contains(template, "{local}") {
		return fmt.Errorf("home template %q needs {domain} and {local}, or accounts would share a home", template)
	}
	return nil
}

// Userdb is what Dovecot's userdb says of an address.
func (p *Provisioner) Userdb(address account.Address) (uid, gid int, home string) {
	home = strings.NewReplacer("{domain}", address.Domain(), "{local}", address.Local()).Replace(p.home)
	return p.uid, p.gid, home
}

// Standing returns the domain of an address and the account, each with ID 0 when there is none.
func (p *Provisioner) Standing(ctx context.Context, address account.Address) (account.Domain, account.Account, error) {
	domain, err := p.store.Domain(ctx, address.Domain())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return account.Domain{}, account.Account{}, err
	}
	member, err := p.store.Account(ctx, address)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return account.Domain{}, account.Account{}, err
	}
	return domain, member, nil
}

// DeliverableAt returns when Dovecot knows every account at the latest: before that a look-up of an account that has
// just joined may say that there is none.
func (p *Provisioner) DeliverableAt() time.Time { return time.Unix(0, p.files.userdb.seen.Load()) }

// Refresh makes the files say what the database says. It is called at the start of the daemon, which heals what a crash
// left behind, and after accounts were listed; unchanged files are not written.
func (p *Provisioner) Refresh(ctx context.Context) error { return p.files.sync(ctx) }

// Admit makes the account of a password that was proven at the source, or completes it: hash, sealed credential,
// state joined, first pass due now. It returns nil when Dovecot can find the account without us, and may be called
// again with the same or another password: what is stored stays (A2).
func (p *Provisioner) Admit(ctx context.Context, address account.Address, hash string, password secret.Secret) error {
	if !fitsName(address) || !fitsHash(hash) || password.IsZero() {
		return fmt.Errorf("admitting %s: address or hash can't stand in a passwd-file", address)
	}
	domain, err := p.store.Domain(ctx, address.Domain())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("admitting %s: %w", address, err)
	}
	var joined, led account.Account
	err = p.store.Write(ctx, func(tx *sql.Tx) (err error) {
		joined, led = account.Account{}, account.Account{}
		if led, err = p.lead(ctx, tx, domain, address, password); err == nil {
			joined, err = p.admit(ctx, tx, address, hash, password)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("admitting %s: %w", address, err)
	}
	if joined.ID != 0 {
		p.journal.Joined(ctx, joined)
	}
	if led.ID != 0 {
		p.journal.Led(ctx, led)
	}
	if err := p.files.sync(ctx); err != nil {
		return fmt.Errorf("admitting %s: %w", address, err)
	}
	return nil
}

// admit returns the account if this call made it joined.
func (p *Provisioner) admit(ctx context.Context, tx *sql.Tx, address account.Address, hash string, password secret.Secret) (joined account.Account, err error) {
	member, err := p.ensure(ctx, tx, address)
	if err != nil || member.PasswordHash != "" {
		return account.Account{}, err
	}
	if member.State == account.Listed {
		if err := p.store.MoveAccount(ctx, tx, member, account.Joined); err != nil {
			return account.Account{}, err
		}
		joined = member
		joined.State = account.Joined
	}
	if err := p.store.StorePasswordHash(ctx, tx, member.ID, hash); err != nil {
		return account.Account{}, err
	}
	if member.State == account.Done {
		return joined, nil // its mail is here, and a credential would never be erased
	}
	// Where a credential of the domain opens every account, or no mail is copied, its owner's password need not be
	// borrowed at all.
	var unneeded int
	if err := tx.QueryRowContext(ctx, selectUnneeded, member.ID).Scan(&unneeded); err != nil {
		return account.Account{}, fmt.Errorf("reading the credential of its domain: %w", err)
	}
	if unneeded > 0 {
		return joined, p.store.DueInTx(ctx, tx, address, FirstLoginPriority)
	}
	return joined, p.borrow(ctx, tx, member, password)
}

// borrow seals a proven password for the passes, and makes the next one due.
func (p *Provisioner) borrow(ctx context.Context, tx *sql.Tx, member account.Account, password secret.Secret) error {
	sealed, err := p.sealer.Seal(password, member.ID, store.KindPassword)
	if err != nil {
		return err
	}
	if err := p.store.SaveCredential(ctx, tx, member.ID, store.KindPassword, sealed); err != nil {
		return err
	}
	return p.store.DueInTx(ctx, tx, member.Address, FirstLoginPriority)
}

var (
	errClosed   = errors.New("its domain is not handled here any more")
	errUnlisted = errors.New("its domain takes listed accounts only")
)

// ensure returns the account, and lists it first when the domain's policy takes everybody (A1).
func (p *Provisioner) ensure(ctx context.Context, tx *sql.Tx, address account.Address) (account.Account, error) {
	var domainID int64
	var state account.DomainState
	var policy account.AccountsPolicy
	err := tx.QueryRowContext(ctx, selectDomain, address.Domain()).Scan(&domainID, &state, &policy)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && state == account.Closed:
		return account.Account{}, errClosed
	case err != nil:
		return account.Account{}, fmt.Errorf("reading domain %s: %w", address.Domain(), err)
	case policy == account.AccountsAny:
		return p.store.EnsureAccount(ctx, tx, domainID, address, "")
	}
	member, err := p.store.AccountIn(ctx, tx, address)
	if errors.Is(err, store.ErrNotFound) {
		err = errUnlisted
	}
	return member, err
}
