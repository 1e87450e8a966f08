package authhook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"time"

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
	// Userdb returns what Dovecot's userdb says of an address.
	Userdb(address account.Address) (uid, gid int, home string)
}

// Verifier proves passwords at a source. It returns nil when the password is proven (A1), *WrongPassword after a
// clear no, *SourceProblem or any other error when it can't tell.
type Verifier interface {
	Verify(ctx context.Context, source account.Source, user string, password secret.Secret) error
}

// Journal is told of every decision, once, by the goroutine that decided.
type Journal interface {
	Decided(ctx context.Context, decision Decision)
}

// Options are what a Hook needs. Zero values of the last group mean the defaults.
type Options struct {
	Provisioner Provisioner
	Verifier    Verifier
	Journal     Journal
	// ClientSecret is what Dovecot shows in every request.
	ClientSecret secret.Secret

	AccountBudget, HostBudget Budget
	ParallelVerifications     int           // at all sources together; default 20
	VerifyTimeout             time.Duration // for one login at the source; default 9 s
	RememberWrong             time.Duration // how long a refused password is not asked again; default 10 min
	Now                       func() time.Time
}

const (
	// decideWithin is for waiting and the login at the source together. Dovecot gives up after 30 s.
	decideWithin = 20 * time.Second
	// admitWithin is for what follows a proven password: it is finished even if nobody waits for it any more.
	admitWithin = 10 * time.Second

	defaultParallel      = 20
	defaultVerifyTimeout = 9 * time.Second
	defaultRememberWrong = 10 * time.Minute
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
	now           func() time.Time

	hasher  *hasher
	refused *memory
	gate    *gate
	flights *flights
}

// New returns a Hook; Close ends it.
func New(o Options) (*Hook, error) {
	if o.Provisioner == nil || o.Verifier == nil || o.Journal == nil || o.ClientSecret.IsZero() {
		return nil, errors.New("starting auth hook: provisioner, verifier, journal and client secret are needed")
	}
	if o.AccountBudget == (Budget{}) {
		o.AccountBudget = DefaultAccountBudget
	}
	if o.HostBudget == (Budget{}) {
		o.HostBudget = DefaultHostBudget
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Hook{
		provisioner: o.Provisioner, verifier: o.Verifier, journal: o.Journal, clientSecret: o.ClientSecret,
		verifyTimeout: positive(o.VerifyTimeout, defaultVerifyTimeout),
		now:           o.Now,
		hasher:        newHasher(),
		refused:       newMemory(positive(o.RememberWrong, defaultRememberWrong), mostRemembered),
		gate:          newGate(o.Now, newGuard(o.AccountBudget, o.HostBudget), positive(o.ParallelVerifications, defaultParallel)),
		flights:       newFlights(mostWaiting),
	}, nil
}

func positive[N int | time.Duration](n, otherwise N) N {
	if n > 0 {
		return n
	}
	return otherwise
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
	No       Result = "no"
	NotOurs  Result = "not_ours"
	TryLater Result = "try_later"
)

// Decision is a result and how it came about.
type Decision struct {
	Result  Result
	Why     string          // one word: hash, proven, wrong, remembered, unlisted …
	Address account.Address // empty when the user name is no address: people type passwords there
	Client  netip.Addr
	Service string
	Took    time.Duration
	Err     error // what an operator should read, if anything

	// For Dovecot's userdb, when the result is Yes.
	UID, GID int
	Home     string
}

// ruling is the part of a Decision that equal attempts share.
type ruling struct {
	result Result
	why    string
	err    error
}

func later(why string, err error) ruling { return ruling{TryLater, why, err} }

func panicked(v any) error { return fmt.Errorf("deciding on login: panic: %v\n%s", v, debug.Stack()) }

// Decide answers an attempt and tells the journal. It does not fail: trouble is TryLater with an error for the operator.
func (h *Hook) Decide(ctx context.Context, a Attempt) Decision {
	began := h.now()
	d := Decision{Client: a.Client, Service: a.Service}
	var r ruling
	address, err := account.ParseAddress(a.User)
	switch {
	case err != nil:
		r = ruling{result: NotOurs, why: "no_address"}
	case !usable(a.Password.Reveal()):
		d.Address, r = address, ruling{result: No, why: "unusable"} // no source is asked: IMAP can't carry it
	default:
		d.Address, r = address, h.rule(ctx, address, a.Password)
	}
	if r.result == Yes {
		d.UID, d.GID, d.Home = h.provisioner.Userdb(address)
	}
	d.Result, d.Why, d.Err, d.Took = r.result, r.why, r.err, h.now().Sub(began)
	h.journal.Decided(ctx, d)
	return d
}

// rule is the order of decisions of DESIGN §4.
func (h *Hook) rule(ctx context.Context, address account.Address, password secret.Secret) ruling {
	q, r := h.ruleHere(ctx, address, password)
	if r.result != "" {
		return r
	}
	// The flight may outlive the attempt, and whoever asks wipes the password afterwards.
	own := secret.New(password.Reveal())
	return h.flights.share(ctx, q.key, func(ctx context.Context) ruling {
		defer own.Wipe()
		ctx, cancel := context.WithTimeout(ctx, decideWithin)
		defer cancel()
		return h.ruleAtSource(ctx, address, own)
	})
}

// question is what is left to ask the source.
type question struct {
	key    digest // of address, password, and everything that could change the answer
	source account.Source
	user   string
}

// ruleHere decides what can be decided without the source. An empty result means: ask the source.
func (h *Hook) ruleHere(ctx context.Context, address account.Address, password secret.Secret) (question, ruling) {
	domain, member, err := h.provisioner.Standing(ctx, address)
	if err != nil {
		return question{}, later("store", err)
	}
	q := question{source: domain.Source, user: sourceUser(address, member)}
	q.key = h.refused.digest([]byte(address), password.Reveal(), []byte(member.PasswordHash), []byte(q.source.HostPort()), []byte(q.user))
	known := h.refused.knows(h.now(), q.key)
	if member.PasswordHash != "" && !known {
		match, err := h.hasher.matches(ctx, member.PasswordHash, password)
		if err != nil {
			return q, later("hash", err)
		}
		if match {
			return q, ruling{result: Yes, why: "hash"} // A3: without the source
		}
		h.refused.remember(h.now(), q.key)
	}
	switch {
	case domain.ID == 0:
		return q, ruling{result: NotOurs, why: "unknown_domain"}
	case domain.State == account.Closed:
		return q, ruling{result: NotOurs, why: "closed"}
	case member.PasswordHash != "":
		return q, ruling{result: No, why: "wrong"} // A2: the stored hash is the authority
	case member.ID == 0 && domain.Accounts != account.AccountsAny:
		return q, ruling{result: NotOurs, why: "unlisted"}
	case known:
		return q, ruling{result: No, why: "remembered"}
	}
	return q, ruling{}
}

func sourceUser(address account.Address, member account.Account) string {
	if member.SourceUser != "" {
		return member.SourceUser
	}
	return string(address)
}

// ruleAtSource asks the source when it is the account's turn.
func (h *Hook) ruleAtSource(ctx context.Context, address account.Address, password secret.Secret) ruling {
	end, err := h.gate.turn(ctx, address)
	if err != nil {
		return later("deadline", err)
	}
	defer end()
	// While this one waited, another login of the account may have been proven.
	q, r := h.ruleHere(ctx, address, password)
	if r.result != "" {
		return r
	}
	err = h.verify(ctx, address, q, password)
	var wrong *WrongPassword
	var stop *GuardStop
	switch {
	case err == nil:
		return h.admit(ctx, address, password)
	case errors.As(err, &wrong):
		h.refused.remember(h.now(), q.key)
		return ruling{No, "wrong", err}
	case errors.As(err, &stop):
		return later("guard", err)
	}
	return later("source", err)
}

func (h *Hook) verify(ctx context.Context, address account.Address, q question, password secret.Secret) error {
	leave, err := h.gate.pass(ctx, address, q.source.Host)
	if err != nil {
		return err
	}
	failed := true // also when the verifier panics: the source may have counted a failure
	defer func() { leave(failed) }()
	ctx, cancel := context.WithTimeout(ctx, h.verifyTimeout)
	defer cancel()
	err = h.verifier.Verify(ctx, q.source, q.user, password)
	var problem *SourceProblem
	failed = err != nil && (!errors.As(err, &problem) || problem.Sent)
	return err
}

// admit keeps what was proven, even if the deadline of the attempt has come meanwhile.
func (h *Hook) admit(ctx context.Context, address account.Address, password secret.Secret) ruling {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), admitWithin)
	defer cancel()
	hash, err := h.hasher.hash(ctx, password)
	if err == nil {
		err = h.provisioner.Admit(ctx, address, hash, password)
	}
	if err != nil {
		return later("admit", err)
	}
	return ruling{result: Yes, why: "proven"}
}
