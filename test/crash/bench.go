package crash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/ledger"
	"mailstork/daemon/mirror"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/store"
)

// Bench is one account on two servers with its ledger. It runs one history at a time.
type Bench struct {
	store    *store.Store
	ledger   *ledger.Ledger
	account  account.Account
	there    *net.TCPListener
	local    *net.TCPListener
	keepDir  string
	sessions sync.WaitGroup
	serving  sync.WaitGroup
	passes   *atomic.Int64 // of all benches; may be nil

	mu    sync.Mutex
	moved *sync.Cond // allowed, stopped or over changed
	state
	probed   []Fault // where the pass that recovered could have failed
	scenario *Scenario

	// One pass:
	fault                             Fault
	when                              string // the owner acts
	action                            Action
	acted                             bool
	steps, changes, literals, fetched int
	allowed                           int // APPENDs whose client has come to read the answer
	fired, stopped, over              bool
	late                              string // what becomes of the ghosts of earlier passes
	dead                              int    // so many ghosts are of earlier passes
}

// state is everything that outlives a pass, except the ledger.
type state struct {
	source, here *world
	ghosts       []command
	clock        time.Time
	happened     bool          // the action has been done, or there was none to do
	reached      map[place]int // the most that the source ever had
	begun        int           // revisions of the notice when the owner took one away; 0: he did not
}

const owner = "anna@example.org"

// NewBench begins a ledger in dir and two servers on ports that the kernel picks.
func NewBench(ctx context.Context, dir string) (*Bench, error) {
	b := &Bench{keepDir: filepath.Join(dir, "refused")}
	b.moved = sync.NewCond(&b.mu)
	var err error
	if b.store, err = store.Open(ctx, filepath.Join(dir, "ledger.db")); err != nil {
		return nil, err
	}
	b.ledger = ledger.New(b.store)
	d, err := b.store.AddDomain(ctx, account.Domain{
		Name: "example.org", Source: account.Source{Host: "old.example", Port: 143, TLS: account.TLSNone}, Accounts: account.AccountsAny,
	})
	if err != nil {
		return nil, errors.Join(err, b.store.Close())
	}
	err = b.store.Write(ctx, func(tx *sql.Tx) (err error) {
		b.account, err = b.store.EnsureAccount(ctx, tx, d.ID, owner, owner)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, b.store.Close())
	}
	for _, l := range []**net.TCPListener{&b.there, &b.local} {
		if *l, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			return nil, errors.Join(err, b.Close())
		}
		b.serving.Add(1)
		go b.accept(*l)
	}
	return b, nil
}

// Close ends the servers and the ledger.
func (b *Bench) Close() error {
	for _, l := range []*net.TCPListener{b.there, b.local} {
		if l != nil {
			_ = l.Close()
		}
	}
	b.serving.Wait()
	return b.store.Close()
}

func (b *Bench) accept(l *net.TCPListener) {
	defer b.serving.Done()
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return
		}
		b.mu.Lock()
		s := &session{bench: b, conn: conn, here: l == b.local, world: b.source}
		if s.here {
			s.world = b.here
		}
		b.mu.Unlock()
		b.sessions.Add(1)
		go s.serve()
	}
}

func (b *Bench) options() mirror.Options {
	o := mirror.Options{
		Account: b.account, Ledger: b.ledger, KeepDir: b.keepDir, Pairs: b.scenario.pairs(), PairMessages: b.scenario.pairMessages(), Batch: b.scenario.batch,
		Source: source.Options{
			Server: account.Source{Host: "127.0.0.1", Port: b.there.Addr().(*net.TCPAddr).Port, TLS: account.TLSNone},
			User:   owner, IdleTimeout: patience,
		},
		Destination: destination.Options{Address: b.local.Addr().String(), User: owner, IdleTimeout: patience},
		Policy:      mirror.Policy{Switched: b.scenario.switched},
		Newest:      b.scenario.newest, Refile: true,
		Fence: b.fence, Step: b.step,
		Now: func() time.Time { return b.clock },
	}
	if b.scenario.notice {
		o.Notice, o.Welcome, o.NoticeEvery = teller{}, true, time.Nanosecond
	}
	return o
}

const patience = 20 * time.Second

// happening is what shall happen in and before one pass.
type happening struct {
	fault  Fault
	late   string // becomes of the ghosts of earlier passes
	action Action
	when   string
}

// pass runs one pass and waits until the servers have read everything that it sent.
func (b *Bench) pass(ctx context.Context, h happening) (mirror.Result, error) {
	b.mu.Lock()
	b.fault, b.late, b.action, b.when = h.fault, h.late, h.action, h.when
	b.acted, b.fired, b.stopped, b.over = false, false, false, false
	b.steps, b.changes, b.literals, b.fetched, b.allowed = 0, 0, 0, 0, 0
	b.settleGhosts()
	if b.when == Before {
		b.act()
	}
	b.clock = b.clock.Add(b.scenario.gap)
	b.mu.Unlock()
	if b.passes != nil {
		b.passes.Add(1)
	}
	result, err := mirror.Pass(ctx, b.options())
	b.mu.Lock()
	b.over = true
	b.moved.Broadcast()
	b.mu.Unlock()
	b.sessions.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.haunt() // a pass that never looked
	if b.when == InFence || b.when == InPass {
		b.act() // a pass that had nothing in doubt, or nothing to do
	}
	b.happened = b.happened || b.acted || b.action == Nothing
	return result, err
}

// settleGhosts decides about what dead clients sent.
func (b *Bench) settleGhosts() {
	b.dead = len(b.ghosts)
	if b.late == AtOnce {
		for _, c := range b.ghosts {
			b.execute(c)
		}
	}
	if b.late != AfterLook && b.late != AtEnd {
		b.ghosts, b.dead = nil, 0
	}
}

// snapshot is a bench between two passes.
type snapshot struct {
	state
	tables map[string][][]any
}

var tables = []string{"folder", "message", "notice"}

func (b *Bench) save(ctx context.Context) (s snapshot, err error) {
	s.state = b.state.clone()
	s.tables = map[string][][]any{}
	for _, table := range tables {
		if s.tables[table], err = b.rows(ctx, table); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s state) clone() state {
	s.source, s.here = s.source.clone(), s.here.clone()
	s.ghosts = slices.Clone(s.ghosts)
	return s
}

func (b *Bench) rows(ctx context.Context, table string) (all [][]any, err error) {
	rows, err := b.store.Reader().QueryContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		for i := range values {
			if octets, isBlob := values[i].([]byte); isBlob && len(octets) == 0 {
				values[i] = []byte{} // an empty hash, which must not come back as NULL
			}
		}
		all = append(all, values)
	}
	return all, rows.Err()
}

// load makes the bench what it was.
func (b *Bench) load(ctx context.Context, s snapshot) error {
	b.mu.Lock()
	b.state = s.state.clone()
	b.mu.Unlock()
	return b.store.Write(ctx, func(tx *sql.Tx) error {
		for _, table := range []string{"notice", "message", "folder"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return err
			}
		}
		for _, table := range tables {
			for _, values := range s.tables[table] {
				marks := strings.TrimSuffix(strings.Repeat("?,", len(values)), ",")
				if _, err := tx.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s VALUES (%s)", table, marks), values...); err != nil {
					return err
				}
			}
		}
		_, err := tx.ExecContext(ctx, "UPDATE account SET ledger_revision = ledger_revision + 1") // what is kept of other rows is not of these
		return err
	})
}
