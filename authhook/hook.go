package authhook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// Provisioner knows who may come and makes their accounts (stage 2). All methods may be called by many goroutines.
type Provisioner interface {
	// Standing returns the domain of an address and the account, each with ID 0 when there is none.
	Standing(ctx context.Context, address account.Address) (account.Domain, account.Account, error)
	// Admit makes the account of a proven password, or completes it; it may be called again with the same. When it
	// returns nil, Dovecot can find the account without us. A stored hash stays as it is (A2).
	Admit(ctx context.Context, address account.Address, hash string, password secret.Secret) error
	// Renew takes another password that was proven while the source refused the stored one: hash and credential are
	// replaced together. It fails when the stored one is not known as refused any more (A2).
	Renew(ctx context.Context, address account.Address, hash string, password secret.Secret) error
	// Lead tells where a login whose password is right leads, and may wait while the account is being switched.
	// RouteSource, RouteNotice: Dovecot finds, in the passdb after the hook, the entry that leads there. RouteHeld: it has
	// to come back later; err is why, if an operator should know.
	Lead(ctx context.Context, address account.Address, service string) (account.Route, error)
	// Userdb returns what Dovecot's userdb says of an address.
	Userdb(address account.Address) (uid, gid int, home string)
}

// Verifier proves passwords at a source. It returns nil when the password is proven (A1), *WrongPassword after a
// clear no, *SourceProblem or any other error when it can't tell.
type Verifier interface {
	Verify(ctx context.Context, source account.Source, user string, password secret.Secret) error
}

// Journal is told of every decision, once, by the goroutine that decided, and of troubles that decided nothing.
type Journal interface {
	Decided(ctx context.Context, decision Decision)
	Trouble(ctx context.Context, err error)
}

// Options are what a Hook needs. Zero values of the last group mean the defaults.
type Options struct {
	Provisioner Provisioner
	Verifier    Verifier
	Journal     Journal
	Notebook    Notebook
	// ClientSecret is what Dovecot shows in every request.
	ClientSecret secret.Secret

	Guard                 guard.Limits
	TrustedNetworks       []netip.Prefix // of clients with many people behind them (a webmail): no budget of their own
	ParallelVerifications int            // at all sources together; default 20
	VerifyTimeout         time.Duration  // for one login at the source; default 20 s
	RememberWrong         time.Duration  // how long a refused password is not asked again; default 10 min
	LeastRefusal          time.Duration  // a refusal takes no less; default 400 ms
	Now                   func() time.Time
}

const (
	// decideWithin is for waiting and the login at the source together. Dovecot gives up after 30 s.
	decideWithin = 25 * time.Second
	// admitWithin is for what follows a proven password: it is finished even if nobody waits for it any more.
	admitWithin = 10 * time.Second

	defaultParallel      = 20
	defaultVerifyTimeout = 20 * time.Second
	defaultRememberWrong = 10 * time.Minute
	defaultLeastRefusal  = 400 * time.Millisecond
	mostRemembered       = 20_000
	mostWaiting          = 500 // as many as the drop-in lets Dovecot ask at once
)

// Hook decides who may log in.
type Hook struct {
	provisioner   Provisioner
	verifier      Verifier
	journal       Journal
	clientSecret  secret.Secret
	verifyTimeout time.Duration
	trusted       []netip.Prefix
	now           func() time.Time

	floor   *floor
	hasher  *hasher
	refused *memory
	gate    *gate
	flights *flights
}

// New returns a Hook; Close ends it.
func New(ctx context.Context, o Options) (*Hook, error) {
	if o.Provisioner == nil || o.Verifier == nil || o.Journal == nil || o.Notebook == nil || o.ClientSecret.IsZero() {
		return nil, errors.New("starting auth hook: provisioner, verifier, journal, notebook and client secret are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &Hook{
		provisioner: o.Provisioner, verifier: o.Verifier, journal: o.Journal, clientSecret: o.ClientSecret,
		verifyTimeout: positive(o.VerifyTimeout, defaultVerifyTimeout),
		trusted:       o.TrustedNetworks, now: o.Now,
		floor:   newFloor(positive(o.LeastRefusal, defaultLeastRefusal)),
		hasher:  newHasher(),
		refused: newMemory(positive(o.RememberWrong, defaultRememberWrong), mostRemembered),
		flights: newFlights(mostWaiting),
	}
	g := guard.New(o.Guard)
	past, err := o.Notebook.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting auth hook: %w", err)
	}
	g.Restore(past)
	h.gate = newGate(o.Now, g, o.Notebook, positive(o.ParallelVerifications, defaultParallel), h.trouble)
	return h, nil
}

func (h *Hook) trouble(err error) {
	if err != nil {
		h.journal.Trouble(context.Background(), err)
	}
}

func positive[N int | time.Duration](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
}

// Sources tells what the guard knows of each source host.
func (h *Hook) Sources() []guard.View { return h.gate.views() }

// Follow obeys what admins have said of sources and domains, from now on.
func (h *Hook) Follow(r guard.Rules) { h.gate.follow(r) }

// BudgetOf is how many failed logins the guard lets reach a source host.
func (h *Hook) BudgetOf(host string) guard.Budget { return h.gate.budgetOf(host) }

// Load tells how many passwords wait for their turn at a source, and how many are there.
func (h *Hook) Load() (waiting, running int) {
	running = len(h.gate.slots)
	return max(h.flights.count()-running, 0), running
}

// Close gives up what is under way at sources and waits until it has ended.
func (h *Hook) Close() { h.flights.close() }

// Attempt is somebody's wish to log in.
type Attempt struct {
	User     string        // as Dovecot knows it
	Password secret.Secret // may be wiped as soon as Decide has returned
	Client   netip.Addr    // of the mail program; invalid when unknown
	Service  string        // imap, pop3, smtp …
}

// Result is the answer to an attempt.
type Result string

// The results. TryLater is every case without a clear answer; it must never look like a wrong password.
const (
	Yes      Result = "yes"
	Onward   Result = "onward" // right, and not for us: the next passdb passes the session on to the source
	No       Result = "no"
	NotOurs  Result = "not_ours"
	TryLater Result = "try_later"
)

// Decision is a result and how it came about.
type Decision struct {
	Result  Result
	Why     string          // one word: hash, proven, wrong, remembered, unlisted …
	Address account.Address // empty when the user name is no address: people type passwords there
	// Domain and Source (its host) are empty unless the address belongs to a domain of ours: anybody can make up others.
	Domain, Source string
	Client         netip.Addr
	Service        string
	Took           time.Duration
	Err            error // what an operator should read, if anything

	// For Dovecot's userdb, when the result is Yes.
	UID, GID int
	Home     string
}

// ruling is the part of a Decision that equal attempts share.
type ruling struct {
	result Result
	why    string
	err    error
	// hides: how long it took could tell strangers who is expected here.
	hides bool
}

func hidden(result Result, why string, err error) ruling { return ruling{result, why, err, true} }

func later(why string, err error) ruling { return ruling{result: TryLater, why: why, err: err} }

func panicked(v any) error { return fmt.Errorf("deciding on login: panic: %v\n%s", v, debug.Stack()) }

// Decide answers an attempt and tells the journal. It does not fail: trouble is TryLater with an error for the operator.
func (h *Hook) Decide(ctx context.Context, a Attempt) Decision {
	began := time.Now()
	d := Decision{Client: a.Client, Service: a.Service}
	var r ruling
	address, err := account.ParseAddress(a.User)
	switch {
	case err != nil:
		r = ruling{result: NotOurs, why: "no_address"}
	case !usable(a.Password.Reveal()):
		d.Address, r = address, ruling{result: No, why: "unusable"} // no source is asked: IMAP can't carry it
	default:
		var q question
		q, r = h.rule(ctx, attempt{address, a.Password, h.networkOf(a.Client)})
		d.Address, d.Domain, d.Source = address, q.domain, q.login.Host
	}
	if r.hides {
		h.floor.wait(ctx, began)
	}
	if r.result == Yes {
		r = h.lead(ctx, address, a.Service, r)
	}
	if r.result == Yes {
		d.UID, d.GID, d.Home = h.provisioner.Userdb(address)
	}
	d.Result, d.Why, d.Err, d.Took = r.result, r.why, r.err, time.Since(began)
	h.journal.Decided(ctx, d)
	return d
}

// lead sends a login whose password is right to where the account is.
func (h *Hook) lead(ctx context.Context, address account.Address, service string, r ruling) ruling {
	route, err := h.provisioner.Lead(ctx, address, service)
	switch {
	case err != nil:
		return later("lead", err)
	case route == account.RouteSource || route == account.RouteNotice:
		r.result = Onward
	case route == account.RouteHeld:
		return later("switching", nil)
	}
	return r
}

// attempt is an Attempt whose user is an address.
type attempt struct {
	address  account.Address
	password secret.Secret
	network  netip.Prefix
}

func (h *Hook) networkOf(client netip.Addr) netip.Prefix {
	client = client.Unmap()
	if client.IsLoopback() || slices.ContainsFunc(h.trusted, func(p netip.Prefix) bool { return p.Contains(client) }) {
		return netip.Prefix{}
	}
	return guard.NetworkOf(client)
}

// rule is the order of decisions of DESIGN §4.
func (h *Hook) rule(ctx context.Context, a attempt) (question, ruling) {
	q, r := h.ruleHere(ctx, a)
	if r.result != "" {
		return q, r
	}
	// The flight may outlive the attempt, and whoever asks wipes the password afterwards.
	own := a
	own.password = secret.New(a.password.Reveal())
	return q, h.flights.share(ctx, q.key, func(ctx context.Context) ruling {
		defer own.password.Wipe()
		ctx, cancel := context.WithTimeout(ctx, decideWithin)
		defer cancel()
		return h.ruleAtSource(ctx, own)
	})
}

// question is what is left to ask the source.
type question struct {
	key    digest // of address, password, and everything that could change the answer
	domain string // empty when it is none of ours
	source account.Source
	user   string
	login  guard.Login
	renews bool // a right password replaces the one that the source refuses
}

// renewable tells whether a password that does not match the hash may be the source's new one: the source is asked only
// while it is known to refuse the stored one.
func renewable(member account.Account) bool {
	return member.PasswordHash != "" && member.CredentialRefused && member.State != account.Done
}

func (h *Hook) question(a attempt, domain account.Domain, member account.Account) question {
	q := question{domain: domain.Name, source: domain.Source, user: sourceUser(a.address, member), renews: renewable(member)}
	q.key = h.refused.digest([]byte(a.address), a.password.Reveal(), []byte(member.PasswordHash), []byte(q.source.HostPort()), []byte(q.user),
		[]byte(strconv.FormatBool(q.renews)))
	q.login = guard.Login{Address: a.address, Network: a.network, Host: domain.Source.HostKey(), Domain: domain.Name, New: member.ID == 0}
	return q
}

// ruleHere decides what can be decided without the source. An empty result means: ask the source.
func (h *Hook) ruleHere(ctx context.Context, a attempt) (question, ruling) {
	domain, member, err := h.provisioner.Standing(ctx, a.address)
	if err != nil {
		return question{}, later("store", err)
	}
	q := h.question(a, domain, member)
	known := h.refused.knows(h.now(), q.key)
	if member.PasswordHash != "" && !known {
		match, err := h.hasher.matches(ctx, member.PasswordHash, a.password)
		if err != nil {
			return q, later("hash", err)
		}
		if match {
			return q, ruling{result: Yes, why: "hash"} // A3: without the source
		}
		if !q.renews {
			h.refused.remember(h.now(), q.key)
		}
	}
	switch {
	case domain.ID == 0:
		return q, ruling{result: NotOurs, why: "unknown_domain"}
	case domain.State == account.Closed:
		return q, ruling{result: NotOurs, why: "closed"}
	case member.PasswordHash != "" && known:
		return q, hidden(No, "remembered", nil)
	case member.PasswordHash != "" && !q.renews:
		return q, hidden(No, "wrong", nil) // A2: the stored hash is the authority
	case domain.Check.Doubt != "":
		return q, ruling{TryLater, "doubted", fmt.Errorf("not asking the source %s: %s", domain.Source.HostPort(), domain.Check.Doubt), true}
	case member.ID == 0 && !mayCome(domain, a.address):
		return q, h.unlisted(q.login)
	case known:
		return q, hidden(No, "remembered", nil)
	}
	return q, ruling{}
}

// mayCome tells whether a first login may make an account that nobody has listed. One with an extension never: many
// servers take anna+shop as another spelling of anna, and she would have a second copy of all her mail.
func mayCome(domain account.Domain, address account.Address) bool {
	return domain.Accounts == account.AccountsAny && address == address.WithoutExtension()
}

// unlisted gives the answer that an expected account with a wrong password would get now.
func (h *Hook) unlisted(l guard.Login) ruling {
	if err := h.gate.pretend(l); err != nil {
		return ruling{TryLater, "unlisted", nil, true}
	}
	return hidden(NotOurs, "unlisted", nil)
}

func sourceUser(address account.Address, member account.Account) string {
	if member.SourceUser != "" {
		return member.SourceUser
	}
	return string(address)
}

// ruleAtSource asks the source when it is the account's turn.
func (h *Hook) ruleAtSource(ctx context.Context, a attempt) ruling {
	end, err := h.gate.turn(ctx, a.address)
	if err != nil {
		return later("deadline", err)
	}
	defer end()
	// While this one waited, another login of the account may have been proven.
	q, r := h.ruleHere(ctx, a)
	if r.result != "" {
		return r
	}
	leave, err := h.gate.pass(ctx, q.login)
	var stop *GuardStop
	if errors.As(err, &stop) {
		return ruling{TryLater, "guard", err, true}
	}
	if err != nil {
		return later("gate", err)
	}
	outcome := guard.Outcome{Failed: true} // also when something panics: the source may have counted a failure
	defer func() { leave(outcome) }()
	err = h.verify(ctx, q, a.password)
	outcome = outcomeOf(err)
	var wrong *WrongPassword
	switch {
	case err == nil:
		r := h.admit(ctx, a, q.renews)
		outcome.Created = q.login.New && r.result == Yes
		return r
	case errors.As(err, &wrong):
		h.refused.remember(h.now(), q.key)
		return hidden(No, "wrong", err)
	}
	return ruling{TryLater, "source", err, true}
}

func (h *Hook) verify(ctx context.Context, q question, password secret.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, h.verifyTimeout)
	defer cancel()
	began := time.Now()
	err := h.verifier.Verify(ctx, q.source, q.user, password)
	h.floor.note(time.Since(began))
	return err
}

// outcomeOf is what the guard is told of a login.
func outcomeOf(err error) guard.Outcome {
	var problem *SourceProblem
	switch {
	case err == nil:
		return guard.Outcome{}
	case errors.As(err, &problem):
		return guard.Outcome{Failed: problem.Sent, Trouble: problem.Trouble, RetryAfter: problem.RetryAfter}
	}
	return guard.Outcome{Failed: true}
}

// admit keeps what was proven, even if the deadline of the attempt has come meanwhile.
func (h *Hook) admit(ctx context.Context, a attempt, renews bool) ruling {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), admitWithin)
	defer cancel()
	keep, why := h.provisioner.Admit, "proven"
	if renews {
		keep, why = h.provisioner.Renew, "renewed"
	}
	hash, err := h.hasher.hash(ctx, a.password)
	if err == nil {
		err = keep(ctx, a.address, hash, a.password)
	}
	if err != nil {
		return later("admit", err)
	}
	return ruling{result: Yes, why: why}
}
