package authhook

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// strictSource counts as fail2ban does as installed (five failures of one address in ten minutes: banned for ten), and
// makes that address wait as Dovecot does (2, 4, 8, 15 seconds before each login after failures, nothing after a success).
type strictSource struct {
	mu       sync.Mutex
	failures []time.Time
	banned   time.Time
	bans     int
	asked    int
	penalty  time.Duration
}

func (s *strictSource) Verify(ctx context.Context, _ account.Source, user string, password secret.Secret) error {
	s.mu.Lock()
	s.asked++
	banned, penalty := time.Now().Before(s.banned), s.penalty
	s.mu.Unlock()
	if banned {
		return &SourceProblem{What: "nobody listens", Trouble: guard.Unreachable}
	}
	if !pause(ctx, penalty) {
		return &SourceProblem{What: "no answer", Sent: true, Trouble: guard.Unreachable}
	}
	if string(password.Reveal()) == "right of "+user {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.penalty = 0
		return nil
	}
	s.fail()
	if !pause(ctx, 2*time.Second) {
		return &SourceProblem{What: "no answer", Sent: true, Trouble: guard.Unreachable}
	}
	return &WrongPassword{Answer: "NO"}
}

func (s *strictSource) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.penalty = min(max(2*s.penalty, 2*time.Second), 15*time.Second)
	s.failures = append(s.failures, now)
	recent := 0
	for _, at := range s.failures {
		if now.Sub(at) < 10*time.Minute {
			recent++
		}
	}
	if recent >= 5 {
		s.bans++
		s.banned = now.Add(10 * time.Minute)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

const (
	stormLogins = 10_000
	stormTook   = time.Hour
	stormOwners = 50
	stormNames  = 400 // expected accounts, those of the owners among them
)

func stormName(i int) string { return fmt.Sprintf("a%d@example.net", i) }

func stormClient(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
}

// The attack: one hour, 10,000 passwords for names that are expected and names that are not, from a few machines and
// from many. Meanwhile 50 owners log in for the first time; a mail program that is told UNAVAILABLE asks again by itself.
func TestAStormBansNobodyAndKeepsNobodyOut(t *testing.T) {
	for _, machines := range []int{1, 10, 1000} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("from %d machines, restart %t", machines, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { storm(t, machines, restart) })
			})
		}
	}
}

func storm(t *testing.T, machines int, restart bool) {
	source := &strictSource{}
	b := newBench(t, func(o *Options) {
		o.Verifier, o.Now, o.LeastRefusal = source, time.Now, 0
		p := o.Provisioner.(*fakeProvisioner)
		for i := range stormNames {
			address := account.Address(stormName(i))
			p.accounts[address] = account.Account{ID: int64(i + 1), Address: address, State: account.Listed, SourceUser: string(address)}
		}
	})
	dice := rand.New(rand.NewPCG(1, uint64(machines)))
	var hook atomic.Pointer[Hook]
	hook.Store(b.Hook)
	login := func(a Attempt) Decision { return hook.Load().Decide(t.Context(), a) }
	var all sync.WaitGroup
	for i := range stormLogins {
		at := time.Duration(dice.Int64N(int64(stormTook)))
		name, client := stormName(dice.IntN(2*stormNames)), stormClient(dice.IntN(machines))
		all.Go(func() {
			time.Sleep(at)
			d := login(Attempt{User: name, Password: secret.FromString(fmt.Sprintf("guess %d", i)), Client: client})
			if d.Result == Yes {
				t.Errorf("a guess was right: %+v", d)
			}
		})
	}
	var waited sync.Map
	for i := range stormOwners {
		at := time.Duration(dice.Int64N(int64(stormTook)))
		client := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		all.Go(func() {
			time.Sleep(at)
			began := time.Now()
			for time.Since(began) < 24*time.Hour {
				d := login(Attempt{User: stormName(i), Password: secret.FromString("right of " + stormName(i)), Client: client})
				if d.Result == Yes {
					waited.Store(i, time.Since(began))
					return
				}
				if d.Result != TryLater {
					t.Errorf("a right password got %s (%s, %v)", d.Result, d.Why, d.Err)
				}
				time.Sleep(30 * time.Second)
			}
		})
	}
	if restart {
		all.Go(func() {
			for range 20 {
				time.Sleep(stormTook / 21)
				restartHook(t, b, source, &hook)
			}
		})
	}
	all.Wait()
	longest, n := time.Duration(0), 0
	waited.Range(func(_, took any) bool { longest, n = max(longest, took.(time.Duration)), n+1; return true })
	t.Logf("the source was asked %d times, counted %d failures, banned us %d times; %d owners are in, the last after %s",
		source.asked, len(source.failures), source.bans, n, longest)
	if source.bans > 0 {
		t.Errorf("the source banned us %d times", source.bans)
	}
	if n != stormOwners {
		t.Errorf("%d of %d owners are in", n, stormOwners)
	}
}

// restartHook kills the hook, whatever is under way, and starts another one with the same notebook.
func restartHook(t *testing.T, b *bench, source Verifier, hook *atomic.Pointer[Hook]) {
	hook.Load().Close()
	next, err := New(t.Context(), Options{Provisioner: b.provisioner, Verifier: source, Journal: b.journal, Notebook: b.notebook,
		ClientSecret: secret.FromString("client secret")})
	if err != nil {
		t.Error(err)
		return
	}
	next.hasher.kib, next.hasher.passes = 64, 1
	hook.Store(next)
	t.Cleanup(next.Close)
}
