package logins

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// guessesInAll is 10,000 in make logins; some hundreds are enough to see that something is wrong.
var guessesInAll = flag.Int("guesses", 500, "first logins of others in the storm during which those of somebody who is here are timed")

const (
	blockOf         = 10 * time.Second
	loginEvery      = 100 * time.Millisecond
	personsInStorm  = 50 // with right passwords; each twentieth login is one of theirs
	clientAddresses = 5000
)

// kind is what goes on while logins are timed.
type kind struct {
	name      string
	perSecond int // what this machine holds beside the servers that are measured; 0: nothing
	atHere    bool
}

// Who guesses at accounts that are here meets Dovecot's first passdb, as without us: each guess costs a verification of
// a hash in its one auth process, and another one in the hook. The rate is one that a small machine holds.
var kinds = []kind{{"alone", 0, false}, {"beside first logins", 50, false}, {"beside guesses at accounts that are here", 5, true}}

// Silence and storms take turns, so that what else this machine does meets all. Nothing is asserted of times: ratios are
// logged, and beside them how busy the processors were, since a storm costs a small machine time whoever is to blame.
func TestLoginsOfWhoIsHereAreTimedWithAndWithoutAStorm(t *testing.T) {
	onBoth(t, func(t *testing.T, w way) {
		people := map[string]string{anna: "anna's", bert: "bert's"}
		for i := range personsInStorm {
			people[newcomer(i)] = "right"
		}
		s := newSite(t, options{way: w, accounts: people, budget: few})
		for _, address := range []string{anna, bert} {
			if err := s.enterIMAP(address, people[address]); err != nil {
				t.Fatal(err)
			}
			s.knows(address)
		}
		c := &comparison{s: s, samples: make([]sample, len(kinds)), answers: map[string]int{}}
		for c.guesses < *guessesInAll {
			for i, k := range kinds {
				c.block(&c.samples[i], k)
			}
		}
		c.log()
	})
}

// comparison collects what logins took alone and in storms.
type comparison struct {
	s       *site
	samples []sample // by kind
	guesses int      // first logins

	mu      sync.Mutex
	answers map[string]int // to the first logins, and those at accounts that are here
}

// sample is some logins and what the machine did meanwhile.
type sample struct {
	took []time.Duration
	busy time.Duration // of all processors
	ours time.Duration // of these, by this process: the hook, the storm and the clock
	wall time.Duration
}

func (c *comparison) block(into *sample, k kind) {
	ctx, stop := context.WithCancel(context.Background())
	var others sync.WaitGroup
	if k.perSecond > 0 {
		others.Go(func() { c.storm(ctx, k) })
	}
	began, busy, ours := time.Now(), processors(c.s.t), ourTime(c.s.t)
	ticker := time.NewTicker(loginEvery)
	defer ticker.Stop()
	for time.Since(began) < blockOf {
		<-ticker.C
		into.took = append(into.took, c.s.loginTime(anna, "anna's"))
	}
	into.busy += processors(c.s.t) - busy
	into.ours += ourTime(c.s.t) - ours
	into.wall += time.Since(began)
	stop()
	others.Wait()
}

// storm sends logins of others until ctx ends, and returns when all have their answers. They come as strangers do, and not
// in step with the logins that are timed.
func (c *comparison) storm(ctx context.Context, k kind) {
	var all sync.WaitGroup
	defer all.Wait()
	random := rand.New(rand.NewPCG(1, uint64(c.guesses)))
	next := time.Now()
	for i := c.guesses; ; i++ {
		next = next.Add(time.Duration(random.ExpFloat64() * float64(time.Second) / float64(k.perSecond)))
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		user, password := fmt.Sprintf("stranger%d@%s", i%1000, domain), fmt.Sprintf("guess%d", i)
		switch {
		case k.atHere:
			user = bert
		case i%20 == 0:
			user, password = newcomer(i/20%personsInStorm), "right"
		}
		if !k.atHere {
			c.guesses++
		}
		all.Go(func() {
			answer := c.s.guessFrom(i%clientAddresses, user, password)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.answers[answer]++
		})
	}
}

// loginTime is from the connection to the answer.
func (s *site) loginTime(address, password string) time.Duration {
	began := time.Now()
	client, err := s.destination.Login(address, password)
	took := time.Since(began)
	if err == nil {
		err = client.Close()
	}
	if err != nil {
		s.t.Errorf("login of %s: %v", address, err)
	}
	return took
}

// guessFrom logs in from one of many client addresses and returns the answer without what people read.
func (s *site) guessFrom(client int, user, password string) string {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(client/250), byte(1+client%250))}, Timeout: 30 * time.Second}
	conn, err := dialer.Dial("tcp", s.destination.IMAPAddress)
	if err != nil {
		return "no connection"
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // an open connection has deadlines
	if _, err := fmt.Fprintf(conn, "a LOGIN %s %s\r\n", user, password); err != nil {
		return "cut"
	}
	var text strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		text.Write(buffer[:n])
		if _, answer, found := strings.Cut("\r\n"+text.String(), "\r\na "); found && strings.HasSuffix(answer, "\r\n") {
			word, rest, _ := strings.Cut(strings.TrimSpace(answer), " ")
			if word == "NO" {
				word += " " + code(rest)
			}
			return word
		}
		if err != nil {
			return "cut"
		}
	}
}

func (c *comparison) log() {
	t := c.s.t
	t.Helper()
	if c.answers["OK"] == 0 || c.answers["NO [UNAVAILABLE]"]+c.answers["NO [AUTHENTICATIONFAILED]"] < c.guesses/2 {
		t.Errorf("the storm was none: %v", c.answers)
	}
	if n := c.answers["cut"] + c.answers["no connection"]; n > 0 {
		t.Errorf("%d logins of others got no answer: %v", n, c.answers)
	}
	t.Logf("%d first logins of others; all answers: %v", c.guesses, c.answers)
	alone := c.samples[0]
	for i, k := range kinds {
		ratio := func(p int) float64 { return float64(c.samples[i].percentile(p)) / float64(alone.percentile(p)) }
		t.Logf("%s (%d a second): %s; ratios p50 %.2f, p90 %.2f, p99 %.2f", k.name, k.perSecond, c.samples[i].summary(), ratio(50), ratio(90), ratio(99))
	}
}

func (s sample) percentile(p int) time.Duration {
	slices.Sort(s.took)
	return s.took[min(len(s.took)*p/100, len(s.took)-1)]
}

func (s sample) summary() string {
	cores := func(d time.Duration) float64 { return d.Seconds() / s.wall.Seconds() }
	return fmt.Sprintf("%d logins, p50 %s, p90 %s, p99 %s, most %s; processors busy %.2f, %.2f of it this process", len(s.took),
		s.percentile(50).Round(100*time.Microsecond), s.percentile(90).Round(100*time.Microsecond), s.percentile(99).Round(100*time.Microsecond),
		s.percentile(100).Round(100*time.Microsecond), cores(s.busy), cores(s.ours))
}

// processors is for how long all processors were busy since the start of the machine.
func processors(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var ticks int64
	for i, field := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // its name, idle, iowait, guests (in user already)
			continue
		}
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func ourTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
