package authhook

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mailstork/authhook/guard"
	"mailstork/daemon/account"
	"mailstork/daemon/secret"
)

// farSource answers as late as a server elsewhere does: 60 ms and more, now and then much more.
type farSource struct{ dice *rand.Rand }

func (s farSource) Verify(context.Context, account.Source, string, secret.Secret) error {
	time.Sleep(time.Duration(60e6 * math.Exp(math.Abs(s.dice.NormFloat64()))))
	return &WrongPassword{Answer: "NO"}
}

// Who measures how long refusals take does not learn who is expected here: the area under the curve of the best
// threshold between any two kinds of names is near that of a coin (0.5).
func TestTimeOfARefusalTellsNothing(t *testing.T) {
	const samples = 2000
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) {
			o.Verifier, o.Now, o.LeastRefusal = farSource{rand.New(rand.NewPCG(1, 2))}, time.Now, 0
			much := guard.Budget{Failures: 10 * samples, Window: time.Minute}
			o.Guard = guard.Limits{Account: much, Network: much, Source: much}
		})
		hash, err := b.hasher.hash(t.Context(), secret.FromString("right"))
		if err != nil {
			t.Fatal(err)
		}
		b.provisioner.accounts["here@example.net"] = account.Account{ID: 2, Address: "here@example.net", State: account.Following, PasswordHash: hash}
		kinds := map[string]func(i int) string{
			"expected, wrong password": func(int) string { return "listed@example.net" },
			"here, wrong password":     func(int) string { return "here@example.net" },
			"unlisted":                 func(i int) string { return fmt.Sprintf("nobody%d@example.net", i) },
			"unknown":                  func(i int) string { return fmt.Sprintf("nobody%d@example.org", i) }, // the source is asked about everybody
		}
		took := map[string][]time.Duration{}
		for i := range samples {
			for kind, name := range kinds { // in a random order
				began := time.Now()
				d := b.login(t, name(i), fmt.Sprintf("guess %d", i))
				if d.Result == Yes || d.Result == TryLater {
					t.Fatalf("%s: got %+v", kind, d)
				}
				took[kind] = append(took[kind], time.Since(began))
			}
		}
		for one := range kinds {
			for other := range kinds {
				if one < other {
					auc := area(took[one], took[other])
					t.Logf("%.3f between %q and %q", auc, one, other)
					if auc > 0.6 || auc < 0.4 {
						t.Errorf("%q and %q can be told apart: %.3f", one, other, auc)
					}
				}
			}
		}
	})
}

// area is the probability that a sample of a is greater than one of b (Mann and Whitney), ties halved.
func area(a, b []time.Duration) float64 {
	slices.Sort(a)
	slices.Sort(b)
	below, same, sum := 0, 0, 0.0
	for _, x := range a {
		for below < len(b) && b[below] < x {
			below++
		}
		for same = 0; below+same < len(b) && b[below+same] == x; {
			same++
		}
		sum += float64(below) + float64(same)/2
	}
	return sum / float64(len(a)) / float64(len(b))
}

// A source that is down, or that is left alone for now, tells the same of everybody.
func TestTroubleOfTheSourceIsToldOfUnlistedNamesToo(t *testing.T) {
	b := newBench(t, nil)
	b.want(t, "unlisted@example.net", "guess", NotOurs, "unlisted")
	b.verifier.err = &SourceProblem{What: "nobody listens", Trouble: guard.Unreachable}
	b.want(t, "listed@example.net", "guess", TryLater, "source")
	b.want(t, "unlisted@example.net", "another", TryLater, "unlisted")
	b.verifier.err = nil
	b.want(t, "listed@example.net", "guess", No, "wrong")
	b.want(t, "other@example.net", "guess", NotOurs, "unlisted")
}

// An unlisted name is left alone after as many guesses as an expected one.
func TestUnlistedNamesHaveABudgetToo(t *testing.T) {
	for _, name := range []string{"listed@example.net", "unlisted@example.net"} {
		b := newBench(t, nil)
		for i := range 6 {
			d := b.login(t, name, fmt.Sprintf("guess %d", i))
			if (d.Result == TryLater) != (i >= guard.DefaultAccount.Failures) {
				t.Errorf("%s, guess %d: got %s (%s)", name, i, d.Result, d.Why)
			}
		}
	}
}
