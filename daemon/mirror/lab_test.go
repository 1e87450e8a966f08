package mirror_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/secret"
	"mailstork/daemon/store"
	"mailstork/test/testbed"
)

const (
	owner    = "anna@example.org"
	password = "old \"pass\" wörd"
)

// lab is two real Dovecots, a ledger, and the owner of an account logged in to both.
type lab struct {
	t            testing.TB
	source, dest *testbed.Dovecot
	there, here  *testbed.Client // the owner's mail programs
	store        *store.Store
	ledger       *ledger.Ledger
	account      account.Account
	options      mirror.Options
	deliveries   *deliveries
}

type labOptions struct {
	source testbed.SourceOptions
	dest   testbed.DestinationOptions
	alone  bool // for a test that measures
}

func newLab(t *testing.T, o labOptions) *lab {
	t.Helper()
	if !o.alone {
		t.Parallel() // every lab has its own servers, and most of the time somebody waits for a disk
	}
	testbed.Need(t, "dovecot", "doveadm")
	servers := testbed.NewForTest(t)
	l := &lab{t: t, deliveries: &deliveries{}}
	var err error
	o.source.Accounts = map[string]string{owner: password}
	if l.source, err = servers.StartSource(o.source); err != nil {
		t.Fatal(err)
	}
	o.dest.Accounts = map[string]string{owner: "new"}
	o.dest.MasterUser, o.dest.MasterPassword = "mailstork", "master pw"
	if l.dest, err = servers.StartDestination(o.dest); err != nil {
		t.Fatal(err)
	}
	l.there, l.here = l.login(l.source, password), l.login(l.dest, "new")
	l.openStore(filepath.Join(t.TempDir(), "ledger.db"))
	l.options = mirror.Options{
		Account: l.account, Ledger: l.ledger, Deliveries: l.deliveries,
		Source:      source.Options{Server: endpoint(t, l.source.IMAPAddress), User: owner, Password: secret.FromString(password), IdleTimeout: 20 * time.Second},
		Destination: l.to(l.dest.IMAPAddress),
		Fence:       l.fence,
		KeepDir:     filepath.Join(t.TempDir(), "refused"),
		Policy:      mirror.Policy{Switched: true},
	}
	return l
}

var ours = netip.MustParseAddr("127.77.2.1")

func (l *lab) to(address string) destination.Options {
	return destination.Options{Address: address, LocalAddress: ours, User: owner, MasterUser: "mailstork", MasterPassword: secret.FromString("master pw"), IdleTimeout: 20 * time.Second}
}

func (l *lab) fence(ctx context.Context) error {
	return destination.Fence(ctx, destination.FenceOptions{User: owner, LocalAddress: ours, Command: l.dest.DoveadmCommand(), Timeout: 20 * time.Second})
}

func endpoint(t testing.TB, address string) account.Source {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return account.Source{Host: host, Port: n, TLS: account.TLSNone}
}

func (l *lab) login(d *testbed.Dovecot, password string) *testbed.Client {
	l.t.Helper()
	c, err := d.Login(owner, password)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(c.Cut)
	return c
}

// openStore begins a new ledger.
func (l *lab) openStore(path string) {
	l.t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, path)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = s.Close() })
	d, err := s.AddDomain(ctx, account.Domain{Name: "example.org", Source: endpoint(l.t, l.source.IMAPAddress), Accounts: account.AccountsAny})
	if err != nil {
		l.t.Fatal(err)
	}
	err = s.Write(ctx, func(tx *sql.Tx) (err error) {
		l.account, err = s.EnsureAccount(ctx, tx, d.ID, owner, owner)
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.store, l.ledger = s, ledger.New(s)
	l.t.Cleanup(func() { // every test ends with the ledger checker
		found, err := ledger.New(s).Check(ctx, l.account.ID)
		if err != nil || len(found) > 0 {
			l.t.Errorf("ledger checker: %v %v", found, err)
		}
	})
	l.options.Account, l.options.Ledger = l.account, l.ledger
}

func (l *lab) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	l.t.Cleanup(cancel)
	return ctx
}

// pass runs a pass that must end well and leave no folder behind.
func (l *lab) pass() mirror.Result {
	l.t.Helper()
	result, err := mirror.Pass(l.ctx(), l.options)
	if err != nil {
		l.t.Fatalf("pass: %v (%v)", err, errors.Unwrap(err))
	}
	if problems := result.Problems(); len(problems) > 0 {
		l.t.Fatalf("folders with problems: %+v", problems)
	}
	found, err := l.ledger.CheckSettled(l.ctx(), l.account.ID)
	if err != nil || len(found) > 0 {
		l.t.Errorf("ledger checker after the pass: %v %v", found, err)
	}
	return result
}

// letterN is letter n, as it would come from the net; the extra lines make it larger.
func letterN(n int, extra ...string) []byte {
	return fmt.Appendf(nil, "From: Bert <bert@example.net>\r\nTo: %s\r\nSubject: letter %d\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\nMessage-ID: <%d@example.net>\r\n\r\nHello %d.\r\n%s\r\n", owner, n, n, n, strings.Join(extra, "\r\n"))
}

var sent = time.Date(2019, 7, 8, 9, 10, 11, 0, time.FixedZone("", 2*3600))

// put lets the source have letters in a folder; it returns their UIDs.
func (l *lab) put(folder string, numbers ...int) []uint32 {
	l.t.Helper()
	if folder != "INBOX" {
		l.do(l.there.Create(folder))
	}
	if len(numbers) == 0 {
		return nil
	}
	var messages []testbed.Message
	for _, n := range numbers {
		messages = append(messages, testbed.Message{Date: sent.Add(time.Duration(n) * time.Hour), Content: letterN(n)})
	}
	uids, err := l.there.AppendAll(folder, messages)
	l.do(err)
	return uids
}

func (l *lab) do(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// kept is what two copies of a message must have in common.
type kept struct {
	Digest string
	Date   int64
	Flags  string
}

// content reads an account with the testbed's own client: folder → what is in it, ordered.
func (l *lab) content(c *testbed.Client) map[string][]kept {
	l.t.Helper()
	folders, err := c.Folders()
	l.do(err)
	all := map[string][]kept{}
	for _, f := range folders {
		if !f.Holds() {
			continue
		}
		status, err := c.Examine(f.Name)
		l.do(err)
		if status.Messages == 0 {
			continue
		}
		all[f.Name] = l.messages(c)
	}
	return all
}

func (l *lab) messages(c *testbed.Client) (all []kept) {
	l.t.Helper()
	lines, err := c.CommandStream("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])", digestLiteral)
	l.do(err)
	for _, line := range lines {
		text := line.String()
		if !strings.Contains(text, " FETCH (") {
			continue
		}
		date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", between(text, `INTERNALDATE "`, `"`))
		l.do(err)
		flags := slices.DeleteFunc(strings.Fields(between(text, "FLAGS (", ")")), func(f string) bool { return f == `\Recent` })
		slices.Sort(flags)
		all = append(all, kept{between(text, `BODY[] "`, `"`), date.Unix(), strings.Join(flags, " ")})
	}
	slices.SortFunc(all, func(a, b kept) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all
}

func between(text, from, to string) string {
	_, rest, _ := strings.Cut(text, from)
	found, _, _ := strings.Cut(rest, to)
	return found
}

// digestLiteral replaces a body by its digest, so that a large one is not held.
func digestLiteral(_ string, _ int64, body io.Reader) ([]byte, error) {
	d := letter.NewDigest()
	_, err := io.Copy(d, body)
	return fmt.Appendf(nil, "%x", d.Sum()), err
}

// numbers are the letters in a folder, by number.
func (l *lab) numbers(c *testbed.Client, folder string) (found []int) {
	l.t.Helper()
	if _, err := c.Examine(folder); err != nil {
		return nil
	}
	lines, err := c.Command("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	l.do(err)
	for _, line := range lines {
		if _, subject, ok := strings.Cut(line.String(), "Subject: letter "); ok {
			n, _ := strconv.Atoi(strings.FieldsFunc(subject, func(r rune) bool { return r < '0' || r > '9' })[0])
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found
}

// wantSame fails unless both sides hold the same messages with the same flags and dates in the same folders.
func (l *lab) wantSame() {
	l.t.Helper()
	if diff := cmp.Diff(l.content(l.there), l.content(l.here)); diff != "" {
		l.t.Errorf("source and destination differ (-source +destination):\n%s", diff)
	}
}

func (l *lab) wantNumbers(folder string, want ...int) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.numbers(l.here, folder)); diff != "" {
		l.t.Errorf("letters in %q here (-want +got):\n%s", folder, diff)
	}
}

// find returns the UID of letter n in a folder.
func (l *lab) find(c *testbed.Client, folder string, n int) uint32 {
	l.t.Helper()
	_, err := c.Select(folder)
	l.do(err)
	uids, err := c.Search(fmt.Sprintf("HEADER Message-ID <%d@example.net>", n))
	l.do(err)
	if len(uids) != 1 {
		l.t.Fatalf("letter %d is %d times in %q", n, len(uids), folder)
	}
	return uids[0]
}

// rows counts the ledger's rows by fate and stage.
func (l *lab) rows() map[string]int {
	l.t.Helper()
	counts, err := l.ledger.Count(l.ctx(), l.account.ID)
	l.do(err)
	total := ledger.Total(counts)
	found := map[string]int{}
	for fate, n := range total.Fates {
		found[string(fate)] = n
	}
	found["intended"], found["parked"], found["gone"] = total.Intended, total.Parked, total.Gone
	maps.DeleteFunc(found, func(_ string, n int) bool { return n == 0 })
	return found
}

func (l *lab) wantRows(want map[string]int) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.rows()); diff != "" {
		l.t.Errorf("rows in the ledger (-want +got):\n%s", diff)
	}
}

// changing are the commands that would change something.
func changing(commands []string) (found []string) {
	for _, c := range commands {
		fields := strings.Fields(strings.ToUpper(c))
		if len(fields) > 2 && fields[1] == "UID" {
			fields = fields[1:]
		}
		if len(fields) > 1 && slices.Contains([]string{"APPEND", "STORE", "EXPUNGE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "COPY", "MOVE", "SELECT"}, fields[1]) {
			found = append(found, c)
		}
	}
	return found
}

// deliveries stands in for the milter's table.
type deliveries struct {
	all     []mirror.Delivery
	claimed map[int64]uint32
}

func (d *deliveries) Unclaimed(context.Context, account.Address) (free []mirror.Delivery, err error) {
	for _, one := range d.all {
		if _, claimed := d.claimed[one.ID]; !claimed {
			free = append(free, one)
		}
	}
	return free, nil
}

func (d *deliveries) Claim(_ context.Context, _ *sql.Tx, id, _ int64, _, uid uint32) error {
	if d.claimed == nil {
		d.claimed = map[int64]uint32{}
	}
	if other, claimed := d.claimed[id]; claimed && other != uid {
		return fmt.Errorf("delivery %d is claimed by %d already", id, other)
	}
	d.claimed[id] = uid
	return nil
}

func (d *deliveries) add(id int64, content []byte) {
	d.all = append(d.all, mirror.Delivery{ID: id, Fingerprint: letter.ReadIdentity(content).Fingerprint()})
}

// chownLike gives a file to the owner of its folder.
func chownLike(path string, folder os.FileInfo) error {
	owner := folder.Sys().(*syscall.Stat_t)
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

// tamper changes the ledger behind its back.
func (l *lab) tamper(statement string) {
	l.t.Helper()
	l.do(l.store.Write(l.ctx(), func(tx *sql.Tx) error {
		_, err := tx.Exec(statement + `; UPDATE account SET ledger_revision = ledger_revision + 1`)
		return err
	}))
}
