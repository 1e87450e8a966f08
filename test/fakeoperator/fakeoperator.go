// Package fakeoperator is a control.Operator without a daemon: two domains, a few accounts, fixed times.
// It serves the control API on a real socket, so that the server, the client and every command are tested together.
package fakeoperator

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

// Now is the fake daemon's clock.
var Now = time.Date(2026, 11, 21, 22, 15, 0, 0, time.UTC)

// Metrics is the fake daemon's answer to Prometheus.
const Metrics = "mailstork_passes_running 1\n"

// Operator keeps everything in memory. Its fields may be set before Serve.
type Operator struct {
	mu sync.Mutex

	List     []control.AccountDetail
	Known    []control.Domain
	Sources  []control.Source
	Running  []control.Pass
	Log      []control.Event
	Findings []control.Finding
	DNS      json.RawMessage
	Reports  map[string]control.Report
	Maps     map[account.Address]control.FolderMap
	// Imported are the rows that reached Import, dry runs excluded.
	Imported []control.ImportRow
	// DomainSecret is what reached SetDomainLogin last, dry runs excluded.
	DomainSecret secret.Secret
	// NewPassword is what reached SetPassword last, dry runs excluded.
	NewPassword secret.Secret
	// Failure, when set, is the answer to everything.
	Failure error
}

var _ control.Operator = (*Operator)(nil)

// New returns an operator with a domain in the middle of its move and one that has just been added.
func New() *Operator {
	source := account.Source{Host: "imap.old.example", Port: 993, TLS: account.TLSImplicit}
	return &Operator{
		Known: []control.Domain{{
			Name: "example.org", State: account.Cutover, Source: source, Policy: account.AccountsListed,
			MXHosts: []string{"mx.new.example"}, OutgoingAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.25")},
			CreatedAt: Now.Add(-72 * time.Hour),
			Accounts:  map[account.State]int{account.Listed: 1, account.Copying: 1, account.Following: 2},
			Check: account.SourceCheck{At: Now.Add(-20 * time.Hour), TriedAt: Now.Add(-20 * time.Hour), TLSVersion: "TLS 1.3",
				Certificate: &account.Certificate{Subject: "CN=imap.old.example", Issuer: "CN=R11,O=Let's Encrypt,C=US",
					Names: []string{"imap.old.example", "mail.old.example"}, Until: Now.Add(40 * 24 * time.Hour),
					Pin: "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
				ID: "Dovecot 2.2", Capabilities: []string{"AUTH=PLAIN", "CONDSTORE", "IMAP4REV1", "LIST-STATUS", "UIDPLUS"}},
			Paused: 1, Stuck: 1, Messages: control.Messages{Source: 28_940, Accounted: 23_260},
			Cutover: control.Cutover{
				Waiting:   "old answers to expire from caches",
				CheckedAt: Now.Add(-40 * time.Second), DueAt: Now.Add(52 * time.Minute),
			},
		}, {
			Name: "example.net", State: account.Open, Policy: account.AccountsAny,
			Source:  account.Source{Host: "mail.example.net", Port: 143, TLS: account.TLSStartTLS},
			MXHosts: []string{"mx.new.example"}, OutgoingAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.26")},
			Rules: account.Rules{ExcludeRoles: []account.Role{account.RoleJunk}, ExcludeFolders: []string{"Backup 2009"}, MaxMessageOctets: 50 << 20,
				Map: map[string]string{"Old clients": "Archive/Clients"}},
			Notice: account.Notice{Welcome: true, Language: "it"},
			Check: account.SourceCheck{TriedAt: Now.Add(-20 * time.Minute), Doubt: "it accepted a random password for a random name, so everybody could make accounts here",
				AcceptsAny: true, TLSVersion: "TLS 1.2", Capabilities: []string{"IMAP4REV1"}},
			Guard: account.GuardRules{SourceAllowsUs: true, NewAccountsPerHour: 20}, SourceBudget: control.SourceBudget{Failures: 100, WindowSeconds: 600},
			CreatedAt: Now.Add(-20 * time.Minute),
			Cutover: control.Cutover{
				Waiting: "the MX to name this server", CheckedAt: Now.Add(-90 * time.Second),
				Holdouts: []string{"ns1.example.net still names mail.example.net", "ns2.example.net does not answer"},
			},
		}},
		List: accounts(),
		Maps: folderMaps(),
		Running: []control.Pass{{
			Account: "bob@example.org", Phase: "copying", Since: Now.Add(-61 * time.Second), Folder: "Projects/2024",
			Folders: 3, FoldersTotal: 12, Messages: 4_120, MessagesTotal: 9_800, Octets: 310 << 20, OctetsTotal: 800 << 20,
		}},
		Sources: []control.Source{
			{Host: "imap.old.example", Failures: 4, Budget: 4, WindowSeconds: 600, Until: Now.Add(7 * time.Minute)},
			{Host: "mail.example.net", Budget: 4, WindowSeconds: 600, Broken: 5, Until: Now.Add(50 * time.Second), PassesUntil: Now.Add(5 * time.Minute)},
		},
		Log: events(),
		Findings: []control.Finding{
			{Check: "destination", Level: control.OK, Sentence: "Dovecot at 127.0.0.1:143 accepts the master user."},
			{Check: "fence", Level: control.OK, Sentence: "Dovecot tells which sessions of ours are still there."},
		},
		Reports: map[string]control.Report{"example.org": {
			Text: "example.org: 28,940 messages at the source, 23,260 accounted for\n",
			JSON: json.RawMessage(`{"domain":"example.org","source":28940,"accounted":23260}`),
		}},
	}
}

func folderMaps() map[account.Address]control.FolderMap {
	return map[account.Address]control.FolderMap{"bob@example.org": {Live: true, MaxMessageOctets: 50 << 20, Folders: []control.MappedFolder{
		{Source: "INBOX", Destination: "INBOX", Messages: 9_800, Octets: 800 << 20},
		{Source: "Posta inviata", Destination: "Sent", Role: account.RoleSent, Messages: 2_310, Octets: 190 << 20},
		{Source: "Posta indesiderata", Role: account.RoleJunk, Messages: 411, Rule: "excluded by the domain: role junk", Excluded: true},
		{Source: "Calendario", Messages: 120, Octets: 600 << 10, Rule: "not mail: calendar", Excluded: true},
		{Source: "Old clients/Acme", Destination: "Archive/Clients/Acme", Messages: 77, Octets: 9 << 20, Rule: "mapped by the domain: \"Old clients\""},
	}}}
}

func accounts() []control.AccountDetail {
	anna := control.Account{
		Address: "anna@example.org", Domain: "example.org", State: account.Following, SourceUser: "anna@example.org",
		SwitchedAt: Now.Add(-26 * time.Hour), LastPassAt: Now.Add(-95 * time.Second), NextPassAt: Now.Add(205 * time.Second),
		LastNewAt: Now.Add(-3 * time.Hour), CreatedAt: Now.Add(-50 * time.Hour), Messages: control.Messages{Source: 19_140, Accounted: 19_140},
	}
	bob := control.Account{
		Address: "bob@example.org", Domain: "example.org", State: account.Copying, SourceUser: "bob@example.org",
		SwitchedAt: Now.Add(-62 * time.Second), CreatedAt: Now.Add(-50 * time.Hour), Messages: control.Messages{Source: 9_800, Accounted: 4_120},
	}
	carla := control.Account{
		Address: "carla.o'neill@example.org", Domain: "example.org", State: account.Following, SourceUser: "carla", Paused: true,
		LastPassAt: Now.Add(-5 * time.Hour), CreatedAt: Now.Add(-50 * time.Hour),
		Stuck: "the source refuses the stored password", Hint: "mailstork account import FILE   # with her new password",
	}
	dora := control.Account{
		Address: "dora@example.org", Domain: "example.org", State: account.Listed, SourceUser: "dora@example.org", CreatedAt: Now.Add(-50 * time.Hour),
	}
	greta := control.Account{
		Address: "greta@example.net", Domain: "example.net", State: account.Following, SourceUser: "greta@example.net", Route: account.RouteSource,
		LastPassAt: Now.Add(-5 * time.Second), NextPassAt: Now.Add(10 * time.Second), CreatedAt: Now.Add(-time.Hour), Messages: control.Messages{Source: 2_100, Accounted: 2_100},
		Switching: account.Switching{Urgent: "its owner uses POP3"},
	}
	hugo := control.Account{
		Address: "hugo@example.net", Domain: "example.net", State: account.Copying, SourceUser: "hugo@example.net", Route: account.RouteHere,
		SwitchedAt: Now.Add(-30 * time.Second), CreatedAt: Now.Add(-time.Hour),
		Switching: account.Switching{Fallback: "the source takes LOGIN only, and its password is not ASCII"},
	}
	ivo := control.Account{
		Address: "ivo@example.net", Domain: "example.net", State: account.Copying, SourceUser: "ivo@example.net", Route: account.RouteNotice,
		Language: "nl", CreatedAt: Now.Add(-time.Hour), Messages: control.Messages{Source: 5_000, Accounted: 1_250},
	}
	return []control.AccountDetail{
		{Account: greta, Credential: true}, {Account: hugo, Credential: true}, {Account: ivo, Credential: true},
		{Account: anna, Credential: true, Folders: []control.Folder{
			{Source: "INBOX", Destination: "INBOX", Messages: 12_000, Copied: 11_640, Delivered: 12, Deleted: 348,
				Limits: "more than 26 keywords: a Maildir keeps these only in Dovecot's index, so that rebuilding it would lose them on 12 messages: projekt-x (9), later (4)"},
			{Source: "INBOX.Gesendete Objekte", Destination: "Sent", Messages: 7_139, Copied: 7_137, Refused: 2},
			{Source: "INBOX.Été à la mer", Destination: "Été à la mer", Messages: 1, Copied: 1},
		}, Exceptions: []control.Exception{
			{Class: "parked", Folder: "INBOX", UID: 712, Why: "its copy may have arrived here and its owner may have removed it: it is not copied again by itself"},
			{Class: "refused", Folder: "INBOX.Gesendete Objekte", UID: 5, Why: "refused here: NO [LIMIT] too large", File: "/var/lib/mailstork/refused/1/1-2-70-5.eml"},
			{Class: "copied", Folder: "INBOX.Gesendete Objekte", UID: 9, Why: "not kept here: its date"},
		}},
		{Account: bob, Credential: true}, {Account: carla, Credential: true}, {Account: dora},
	}
}

func events() []control.Event {
	at := func(n int64, ago time.Duration, e control.Event) control.Event {
		e.ID, e.At, e.Account, e.Domain = n, Now.Add(-ago), "anna@example.org", "example.org"
		return e
	}
	return []control.Event{
		at(1, 26*time.Hour, control.Event{Name: "join", State: "joined", Detail: "first login from 192.0.2.7"}),
		at(2, 26*time.Hour-time.Second, control.Event{Name: "start", State: "copying"}),
		at(3, 25*time.Hour, control.Event{Name: "complete", State: "following", Took: 61 * time.Minute, Detail: "12 folders, 19140 messages"}),
		at(4, 5*time.Minute, control.Event{Name: "pass", Folder: "INBOX", Took: 1200 * time.Millisecond, Err: "selecting folder: connection reset by peer"}),
	}
}

// Serve answers on a new socket until the test ends, and returns its path.
func (o *Operator) Serve(t testing.TB) string {
	t.Helper()
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, Metrics) })
	return Serve(t, &control.Server{Operator: o, Metrics: metrics, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

// Serve runs a server on a new socket until the test ends, and returns the socket's path.
func Serve(t testing.TB, server *control.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return path
}
