package logins

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/authhook/guard"
)

// strict is an old server as Dovecot is installed: it lets an address wait that failed, longer each time.
const strict = "auth_failure_delay = 2 secs\nservice anvil {\n unix_listener anvil-auth-penalty {\n mode = 0600\n }\n}\n"

const (
	guesses  = 300
	guessers = 60 // at once
	guessed  = 40 // names, every other one known to the old server
)

// few is the budget that the guard has by default, in a window that a test can wait for.
var few = guard.Budget{Failures: guard.DefaultSource.Failures, Window: 30 * time.Second}

// The whole way of a guess: this server's Dovecot, the hook, TLS, the old Dovecot and its penalty. What takes hours and
// 10,000 guesses is shown in virtual time, in authhook.
func TestAStormIsNotNoticedByTheOldServerNorByThoseWhoAreHere(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		people := map[string]string{anna: "anna's", bert: "bert's"}
		for i := 0; i < guessed; i += 2 {
			people[newcomer(i)] = "right"
		}
		s := newSite(t, options{way: w, accounts: people, source: strict, budget: few})
		if err := s.enterIMAP(anna, "anna's"); err != nil {
			t.Fatal(err)
		}
		s.knows(anna)
		st := s.storm()
		s.waitFor("the old server to punish this one", s.isPunished)
		here := s.logInDuring(st)
		began := time.Now()
		s.untilIn(bert, "bert's")
		t.Logf("bert is in %s after his first try", time.Since(began).Round(time.Second))
		st.all.Wait()
		t.Logf("%d guesses: %d were told no, %d UNAVAILABLE; meanwhile %d logins of an account that is here", guesses, st.no, st.later, <-here)
		s.wantFewFailures()
	})
}

// storm is the guesses that are under way.
type storm struct {
	all  sync.WaitGroup
	over chan struct{}

	mu        sync.Mutex
	no, later int
}

func (s *site) storm() *storm {
	st := &storm{over: make(chan struct{})}
	work := make(chan int)
	for range guessers {
		st.all.Go(func() {
			for i := range work {
				s.guess(st, i)
			}
		})
	}
	st.all.Go(func() {
		defer close(st.over)
		defer close(work)
		for i := range guesses {
			work <- i
		}
	})
	return st
}

func (s *site) guess(st *storm, i int) {
	err := s.enterIMAP(newcomer(i%guessed), fmt.Sprintf("guess %d", i))
	st.mu.Lock()
	defer st.mu.Unlock()
	switch answer := said(err); answer {
	case "NO [AUTHENTICATIONFAILED]":
		st.no++
	case "NO [UNAVAILABLE]":
		st.later++
	default:
		s.t.Errorf("a guess got %s", answer)
	}
}

// logInDuring lets anna, who is here, log in all the time; every login must work. The number comes when the storm is over.
func (s *site) logInDuring(st *storm) <-chan int {
	number := make(chan int, 1)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-st.over:
				number <- n
				return
			default:
			}
			if err := s.enterIMAP(anna, "anna's"); err != nil {
				s.t.Errorf("login of %s in the storm: %v", anna, err)
			}
		}
	}()
	return number
}

// isPunished tells whether the old server lets this one wait.
func (s *site) isPunished() bool {
	s.t.Helper()
	penalties, err := s.source.Doveadm("penalty")
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Contains(penalties, "127.0.0.1")
}

// wantFewFailures compares what the old server counted with the budget.
func (s *site) wantFewFailures() {
	s.t.Helper()
	failed := s.verifier.failed
	s.waitFor("the old server's log", func() bool { return s.atSource("auth failed, 1 attempts") >= len(failed) })
	s.t.Logf("the old server counted %d failures", s.atSource("auth failed, 1 attempts"))
	if n := s.atSource("auth failed, 1 attempts"); n != len(failed) || n < few.Failures {
		s.t.Errorf("the old server counted %d failures, and told us of %d; want %d or more", n, len(failed), few.Failures)
	}
	for i := few.Failures; i < len(failed); i++ {
		if gap := failed[i].Sub(failed[i-few.Failures]); gap < few.Window {
			s.t.Errorf("%d failures within %s", few.Failures+1, gap)
		}
	}
}
