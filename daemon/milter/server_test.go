package milter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Recorder that keeps letters, or does what a test tells it.
type memory struct {
	mu      sync.Mutex
	letters []Letter
	instead func(ctx context.Context) error
}

func (m *memory) Record(ctx context.Context, l Letter) error {
	if m.instead != nil {
		if err := m.instead(ctx); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.letters = append(m.letters, l)
	return nil
}

func (m *memory) all() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter(nil), m.letters...)
}

func exampleOrgIsOurs(_ context.Context, domain string) (bool, error) {
	return domain == "example.org", nil
}

// served is a Server that listens; what it logs is kept.
type served struct {
	*Server
	memory  *memory
	network string
	address string
	log     *bytes.Buffer
	stop    func() error
}

func serve(t testing.TB, recorder *memory, ours func(context.Context, string) (bool, error)) *served {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := New(Config{Recorder: recorder, Ours: ours, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("serving ended with %v", err)
		}
	})
	return &served{Server: server, memory: recorder, network: "unix", address: ln.Addr().String(), log: &log, stop: stop}
}

// client is the MTA's side of one SMTP session.
type client struct {
	*gomilter.ClientSession
	t testing.TB
}

func (s *served) dial(t testing.TB) client {
	t.Helper()
	session, err := gomilter.NewClientWithOptions(s.network, s.address, gomilter.ClientOptions{
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
	}).Session()
	if err != nil {
		t.Fatalf("opening a milter session: %v", err)
	}
	return client{ClientSession: session, t: t}
}

func (c client) mustContinue(action *gomilter.Action, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("milter answered with an error: %v", err)
	}
	if action.Code != gomilter.ActContinue {
		c.t.Fatalf("milter answered %q, want continue: it must never decide about a letter", action.Code)
	}
}

// envelope sends the beginning of a letter as Postfix does: the queue id is there from the second recipient on.
func (c client) envelope(queueID string, recipients ...string) {
	c.t.Helper()
	c.mustContinue(c.Mail("sender@elsewhere.example", nil))
	for i, recipient := range recipients {
		id := queueID
		if i == 0 {
			id = ""
		}
		if err := c.Macros(gomilter.CodeRcpt, "i", id, "{rcpt_addr}", recipient); err != nil {
			c.t.Fatal(err)
		}
		c.mustContinue(c.Rcpt(recipient, nil))
	}
}

type field struct{ name, value string }

func (c client) headers(fields ...field) {
	c.t.Helper()
	for _, f := range fields {
		c.mustContinue(c.HeaderField(f.name, f.value))
	}
}

func (c client) end(queueID string) {
	c.t.Helper()
	if err := c.Macros(gomilter.CodeEOB, "i", queueID); err != nil {
		c.t.Fatal(err)
	}
	changes, action, err := c.End()
	c.mustContinue(action, err)
	if len(changes) > 0 {
		c.t.Fatalf("milter asked for changes: %v", changes)
	}
}

func sample(id string) []field {
	return []field{
		{"Received", "from elsewhere"}, {"Message-ID", "<" + id + "@elsewhere.example>"},
		{"Date", "Sat, 21 Nov 2026 10:00:00 +0100"}, {"From", "Sender <sender@elsewhere.example>"}, {"Subject", "Letter " + id},
	}
}

// fingerprint computes what the mirror would from the message as the source has it.
func fingerprint(fields ...field) letter.Fingerprint {
	var header strings.Builder
	for _, f := range fields {
		fmt.Fprintf(&header, "%s: %s\r\n", f.name, strings.ReplaceAll(f.value, "\n", "\r\n"))
	}
	return letter.ReadIdentity([]byte(header.String() + "\r\n")).Fingerprint()
}

func TestLetterIsRecordedAtItsEndWithFingerprintRecipientsAndQueueID(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	c := s.dial(t)
	defer c.Close()
	before := time.Now()
	c.envelope("4ABC", "<Anna@Example.ORG>", "<stranger@elsewhere.example>", "<team@example.org>", "not an address")
	c.headers(sample("1")...)
	if n := len(s.memory.all()); n != 0 {
		t.Fatalf("%d letters recorded before the end of the message", n)
	}
	c.end("4ABC")
	letters := s.memory.all()
	if len(letters) != 1 {
		t.Fatalf("%d letters recorded when Postfix has its answer, want 1", len(letters))
	}
	if at := letters[0].ReceivedAt; at.Before(before) || at.After(time.Now()) {
		t.Errorf("received at %v, not now", at)
	}
	letters[0].ReceivedAt = time.Time{}
	// The alias team@ stays as it was seen: what it stands for is not the milter's to know.
	want := Letter{Fingerprint: fingerprint(sample("1")...), QueueID: "4ABC", Recipients: []account.Address{"anna@example.org", "team@example.org"}}
	if diff := cmp.Diff(want, letters[0]); diff != "" {
		t.Errorf("recorded letter (-want +got):\n%s", diff)
	}
}

func TestExtensionsAreStrippedAndRepeatedRecipientsCountOnce(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	c := s.dial(t)
	defer c.Close()
	c.envelope("4ABC", "anna+shop@example.org", "ANNA+shop@example.org", "anna+bank@example.org")
	c.headers(sample("1")...)
	c.end("4ABC")
	want := []account.Address{"anna@example.org", "anna@example.org"} // Dovecot stores one message per extension
	if diff := cmp.Diff(want, s.memory.all()[0].Recipients); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}

func TestEachLetterOfOneSessionStandsAlone(t *testing.T) {
	for _, test := range []struct {
		name    string
		between func(c client)
	}{
		{"as Postfix does, with an abort in between", func(c client) { _ = c.Abort() }},
		{"without an abort in between", func(client) {}},
		{"with a letter that RSET ended after its headers", func(c client) {
			_ = c.Abort()
			c.envelope("4RSET", "anna@example.org")
			c.headers(sample("never sent")...)
			_ = c.Abort()
		}},
		{"with a letter whose end was never heard of", func(c client) {
			c.envelope("4LOST", "carl@example.org")
			c.headers(sample("never sent")...)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, &memory{}, exampleOrgIsOurs)
			c := s.dial(t)
			defer c.Close()
			c.envelope("4ONE", "anna@example.org")
			c.headers(sample("1")...)
			c.end("4ONE")
			test.between(c)
			c.envelope("4TWO", "bob@example.org")
			c.headers(sample("2")...)
			c.end("4TWO")
			var got []string
			for _, l := range s.memory.all() {
				got = append(got, fmt.Sprint(l.QueueID, l.Recipients, l.Fingerprint))
			}
			want := []string{
				fmt.Sprint("4ONE", []account.Address{"anna@example.org"}, fingerprint(sample("1")...)),
				fmt.Sprint("4TWO", []account.Address{"bob@example.org"}, fingerprint(sample("2")...)),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("letters (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFingerprintEqualsThatOfTheSourceMessage(t *testing.T) {
	for _, test := range []struct {
		name   string
		fields []field
	}{
		{"8-bit header bytes", []field{{"Message-ID", "<1@x>"}, {"Subject", "Gr\xfc\xdfe aus K\xf6ln"}, {"From", "J\xc3\xbcrgen <j@x>"}}},
		{"folded header", []field{{"Message-ID", "\n <long@elsewhere.example>"}, {"Subject", "one\n\ttwo\n three"}}},
		{"repeated fields: the first counts", []field{{"Message-ID", "<1@x>"}, {"Message-ID", "<2@x>"}, {"From", "a@x"}, {"From", "b@x"}}},
		{"other case of names, blanks around", []field{{"message-id ", "  <1@x> "}, {"DATE", "Sat, 21 Nov 2026 10:00:00 +0100"}}},
		{"empty subject", []field{{"Message-ID", "<1@x>"}, {"Subject", ""}, {"From", "a@x"}}},
		{"a hundred other fields", append(sample("1"), manyFields(100)...)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, &memory{}, exampleOrgIsOurs)
			c := s.dial(t)
			defer c.Close()
			c.envelope("4ABC", "anna@example.org")
			c.headers(test.fields...)
			c.end("4ABC")
			if got, want := s.memory.all()[0].Fingerprint, fingerprint(test.fields...); got != want {
				t.Errorf("fingerprint %x, the mirror computes %x", got, want)
			}
		})
	}
}

func manyFields(n int) []field {
	fields := make([]field, n)
	for i := range fields {
		fields[i] = field{fmt.Sprintf("X-Field-%d", i), strings.Repeat("x", 1000)}
	}
	return fields
}

func TestLetterWithoutFingerprintOrForOthersIsNotRecorded(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	c := s.dial(t)
	defer c.Close()
	c.envelope("4ABC", "anna@example.org")
	c.headers(field{"From", "a@x"}, field{"Subject", "neither Message-ID nor Date"})
	c.end("4ABC")
	c.envelope("4ABD", "anna@elsewhere.example")
	c.headers(sample("1")...)
	c.end("4ABD")
	if got := s.memory.all(); len(got) != 0 {
		t.Errorf("recorded %v", got)
	}
	if stats := s.Stats(); stats != (Stats{}) {
		t.Errorf("counted as trouble: %+v", stats)
	}
}

func TestFailedRecordNeverChangesTheAnswer(t *testing.T) {
	fails := errors.New("disk full")
	for _, test := range []struct {
		name    string
		instead func(context.Context) error
		ours    func(context.Context, string) (bool, error)
		said    string
	}{
		{"the record fails", func(context.Context) error { return fails }, exampleOrgIsOurs, "disk full"},
		{"the record panics", func(context.Context) error { panic("boom") }, exampleOrgIsOurs, "boom"},
		{"the question for the domain fails", nil, func(context.Context, string) (bool, error) { return false, fails }, "disk full"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, &memory{instead: test.instead}, test.ours)
			c := s.dial(t)
			for range 3 {
				c.envelope("4ABC", "anna@example.org")
				c.headers(sample("1")...)
				c.end("4ABC")
			}
			c.Close()
			if err := s.stop(); err != nil {
				t.Fatal(err)
			}
			if got := s.Stats().Missed; got != 3 {
				t.Errorf("%d letters counted as missed, want 3", got)
			}
			log := s.log.String()
			if strings.Count(log, "event=\"delivery missed\"") != 1 || !strings.Contains(log, test.said) {
				t.Errorf("a flood of failures must give one line with the reason, got:\n%s", log)
			}
		})
	}
}

// hang returns a recorder that blocks until release is called; it heeds no context, like a disk that no longer answers.
func hang() (recorder *memory, release func()) {
	released := make(chan struct{})
	return &memory{instead: func(context.Context) error { <-released; return nil }}, sync.OnceFunc(func() { close(released) })
}

func TestHungDatabaseDelaysALetterLessThanContentTimeoutAndLosesNothing(t *testing.T) {
	recorder, release := hang()
	s := serve(t, recorder, exampleOrgIsOurs)
	t.Cleanup(release)
	c := s.dial(t)
	defer c.Close()
	c.envelope("4ABC", "anna@example.org")
	c.headers(sample("1")...)
	started := time.Now()
	c.end("4ABC")
	if took := time.Since(started); took > 1900*time.Millisecond {
		t.Errorf("the answer took %v, Postfix waits 2 s", took)
	}
	if got := s.Stats().Late; got != 1 {
		t.Errorf("%d letters counted as late, want 1", got)
	}
	release()
	await(t, "the late record", func() bool { return len(s.memory.all()) == 1 })
}

func TestLettersBeyondTheWaitingOnesAreMissedAtOnce(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	for range maxRecording {
		s.slots <- struct{}{} // as if so many letters hung already
	}
	c := s.dial(t)
	defer c.Close()
	started := time.Now()
	c.envelope("4ABC", "anna@example.org")
	c.headers(sample("1")...)
	c.end("4ABC")
	if took := time.Since(started); took > AnswerWithin/2 {
		t.Errorf("the answer took %v, want it at once", took)
	}
	if got := s.Stats().Missed; got != 1 {
		t.Errorf("%d letters counted as missed, want 1", got)
	}
	for range maxRecording {
		<-s.slots
	}
}

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: not within a minute", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
