package provision

import (
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"

	"mailstork/daemon/account"
)

// letters are the folders of notices, without any folder.
type letters struct {
	mu    sync.Mutex
	dir   string
	err   error
	ready []account.Address
}

func (l *letters) Path(a account.Account) string { return l.dir + "/" + a.Address.Local() }

func (l *letters) Ready(_ account.Domain, a account.Account) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = append(l.ready, a.Address)
	return l.err
}

func (l *letters) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// letWait lets example.org answer its first logins with a notice.
func (b *bench) letWait(t *testing.T) account.Domain {
	t.Helper()
	d, err := b.store.Domain(t.Context(), "example.org")
	if err != nil {
		t.Fatal(err)
	}
	d.FirstLogin = account.FirstLoginNotice
	if err := b.store.SetDomainOptions(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// inState lists anna and brings her account to a state, as passes over an import do.
func (b *bench) inState(t *testing.T, state account.State) {
	t.Helper()
	b.list(t, anna)
	err := b.store.Write(t.Context(), func(tx *sql.Tx) error {
		for _, next := range []account.State{account.Joined, account.Copying, account.Following, account.Closing} {
			a, err := b.store.AccountIn(t.Context(), tx, anna)
			if err != nil || a.State == state {
				return err
			}
			if err := b.store.MoveAccount(t.Context(), tx, a, next); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const noticed = "userdb_uid=5000 userdb_gid=5001 userdb_home=/run/mailstork/notice/anna " +
	"userdb_mail=mbox:/run/mailstork/notice/anna/folders:INBOX=/run/mailstork/notice/anna/inbox:INDEX=MEMORY " +
	"userdb_mail_driver=mbox userdb_mail_path=/run/mailstork/notice/anna/folders userdb_mail_inbox_path=/run/mailstork/notice/anna/inbox userdb_mail_index_path=MEMORY"

func TestFirstLoginThatHasToWaitIsNoSwitch(t *testing.T) {
	b := newBench(t)
	b.letWait(t)
	b.admitted(t, anna, hashA, "old password")
	a := b.account(t, anna)
	if a.State != account.Joined || a.Route != account.RouteNotice || a.Switched() || a.Priority != FirstLoginPriority || b.credential(t, anna) != "old password" {
		t.Errorf("got %+v", a)
	}
	if len(b.joins.led) != 1 || b.joins.led[0].Route != account.RouteNotice {
		t.Errorf("the journal was told %+v", b.joins.led)
	}
	want := ""
	for _, service := range []string{"imap", "pop3"} {
		want += "anna@example.org/" + service + ":" + hashA + "::::::" + noticed + "\n"
	}
	for _, service := range []string{"smtp", "submission", "sieve"} {
		want += "anna@example.org/" + service + ":" + hashA + "::::::\n"
	}
	if got := b.proxied(t); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// LMTP and everybody else find the account itself.
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "")
	for service, want := range map[string]account.Route{"imap": account.RouteNotice, "pop3": account.RouteNotice, "smtp": account.RouteHere, "submission": account.RouteHere, "xmpp": account.RouteHeld} {
		if got, err := b.Lead(t.Context(), anna, service); got != want || err != nil {
			t.Errorf("%s leads to %s, %v; want %s", service, got, err, want)
		}
	}
	if a := b.account(t, anna); a.Switching != (account.Switching{}) {
		t.Errorf("a login hurries what waits for nobody: %+v", a.Switching)
	}
	b.move(t, anna, account.RouteHere)
	if err := b.Publish(t.Context()); err != nil || b.proxied(t) != "" || !b.account(t, anna).Switched() {
		t.Errorf("when it is open: %v, %q", err, b.proxied(t))
	}
	b.wantFiles(t, "anna@example.org::5000:5001::/var/vmail/example.org/anna::\n", "anna@example.org:"+hashA+"::::::\n")
}

func TestWhoNeedNotWaitLandsHere(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, b *bench){
		"the first pass was complete before": func(t *testing.T, b *bench) { b.inState(t, account.Following) },
		"it is being closed":                 func(t *testing.T, b *bench) { b.inState(t, account.Closing) },
		"the domain's mail comes here": func(t *testing.T, b *bench) {
			d, err := b.store.Domain(t.Context(), "example.org")
			if err := errors.Join(err, b.store.MoveDomain(t.Context(), d, account.Cutover, []byte("{}"))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.letWait(t)
			prepare(t, b)
			b.admitted(t, anna, hashA, "old password")
			if a := b.account(t, anna); a.Route != account.RouteHere || !a.Switched() || b.proxied(t) != "" {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestThereIsAnEntryOnlyWhereThereIsALetter(t *testing.T) {
	full := errors.New("the disk is full")
	b := newBench(t)
	b.letWait(t)
	b.letters.fail(full)
	b.admitted(t, anna, hashA, "old password")
	if got := b.proxied(t); got != "" {
		t.Errorf("without a letter the file has %q", got)
	}
	if route, err := b.Lead(t.Context(), anna, "imap"); route != account.RouteHeld || !errors.Is(err, full) {
		t.Errorf("got %s, %v", route, err)
	}
	b.letters.fail(nil)
	if route, err := b.Lead(t.Context(), anna, "imap"); route != account.RouteNotice || err != nil || !strings.Contains(b.proxied(t), "/imap:") {
		t.Errorf("got %s, %v, %q", route, err, b.proxied(t))
	}
	b.letters.dir = "/run/mail stork" // a space would begin another field
	if err := b.Refresh(t.Context()); err != nil || b.proxied(t) != "" {
		t.Errorf("got %q, %v", b.proxied(t), err)
	}
	if route, err := b.Lead(t.Context(), anna, "imap"); route != account.RouteHeld || err == nil || !strings.Contains(err.Error(), "runtime_dir") {
		t.Errorf("got %s, %v", route, err)
	}
}
