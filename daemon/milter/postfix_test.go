package milter_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gomilter "github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
	"mailstork/daemon/milter"
	"mailstork/daemon/store"
	"mailstork/test/testbed"
)

const anna, bob = "anna@example.org", "bob@example.org"

// site is a Postfix that asks a milter, which may be absent, and the Dovecot behind it.
type site struct {
	postfix     *testbed.Postfix
	destination *testbed.Dovecot
	deliveries  *milter.Deliveries
}

func startSite(t *testing.T, milterAddress string) *site {
	t.Helper()
	testbed.Need(t, "dovecot", "postfix")
	lab := testbed.NewForTest(t)
	destination, err := lab.StartDestination(testbed.DestinationOptions{Accounts: map[string]string{anna: "a", bob: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	postfix, err := lab.StartPostfix(testbed.PostfixOptions{
		Domains: []string{"example.org"}, LMTPAddress: destination.LMTPAddress, MilterAddress: milterAddress,
		// Go's client would declare SMTPUTF8, which Dovecot's LMTP lacks, and Postfix would bounce the 8-bit letter.
		ExtraConfig: "recipient_delimiter = +\nsmtputf8_enable = no",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := postfix.SetRecipients(anna, bob); err != nil {
		t.Fatal(err)
	}
	if err := postfix.SetAliases(map[string][]string{"team@example.org": {anna, bob}}); err != nil {
		t.Fatal(err)
	}
	return &site{postfix: postfix, destination: destination}
}

// startRecording starts a site whose milter listens on network.
func startRecording(t *testing.T, network string) *site {
	t.Helper()
	testbed.Need(t, "dovecot", "postfix")
	rows, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	deliveries := milter.NewDeliveries(rows)
	ln, address := listen(t, network)
	server := milter.New(milter.Config{
		Recorder: deliveries, Logger: slog.New(slog.DiscardHandler),
		Ours: func(_ context.Context, domain string) (bool, error) { return domain == "example.org", nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s := startSite(t, address)
	s.deliveries = deliveries
	return s
}

// listen returns a listener and its address in Postfix's words.
func listen(t *testing.T, network string) (net.Listener, string) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "milter-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		address = filepath.Join(dir, "socket")
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if network == "unix" {
		if err := os.Chmod(address, 0o666); err != nil {
			t.Fatal(err)
		}
		return ln, "unix:" + address
	}
	return ln, "inet:" + ln.Addr().String()
}

func (s *site) unclaimed(t *testing.T, address account.Address) []milter.Delivery {
	t.Helper()
	deliveries, err := s.deliveries.Unclaimed(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return deliveries
}

// inbox returns the fingerprints of what an account has received, as the mirror would compute them.
func (s *site) inbox(t *testing.T, address, password string) map[letter.Fingerprint]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.postfix.QueueEmpty(ctx); err != nil {
		t.Fatal(err)
	}
	owner, err := s.destination.Login(address, password)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	if _, err := owner.Select("INBOX"); err != nil {
		t.Fatal(err)
	}
	uids, err := owner.Search("ALL")
	if err != nil {
		t.Fatal(err)
	}
	prints := make(map[letter.Fingerprint]int)
	for _, uid := range uids {
		content, err := owner.Content(uid)
		if err != nil {
			t.Fatal(err)
		}
		prints[letter.ReadIdentity(content).Fingerprint()]++
	}
	return prints
}

func counted(deliveries []milter.Delivery) map[letter.Fingerprint]int {
	prints := make(map[letter.Fingerprint]int)
	for _, delivery := range deliveries {
		prints[delivery.Fingerprint]++
	}
	return prints
}

func message(id string, headers ...string) []byte {
	lines := append([]string{
		"Message-ID: <" + id + "@elsewhere.example>", "Date: Sat, 21 Nov 2026 10:00:00 +0100",
		"From: Sender <sender@elsewhere.example>", "To: " + anna,
	}, headers...)
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\nText " + id + ".\r\n")
}

func TestPostfixLettersAreKnownAsTheDestinationHasThem(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			s := startRecording(t, network)
			for i, headers := range [][]string{
				{"Subject: plain"},
				{"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?="},
				{"Subject: raw 8-bit Gr\xfc\xdfe", "X-Before: \xff\xfe"},
				{"Subject: folded", "\tand folded again", " and again"},
				{"Subject: " + strings.Repeat("long ", 180)},
				{"Received: from a by b; Sat, 21 Nov 2026 10:00:00 +0100", "Subject: with a trace"},
				{}, // no subject
			} {
				if err := s.postfix.Send("sender@elsewhere.example", message(fmt.Sprint(i), headers...), anna); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(s.inbox(t, anna, "a"), counted(s.unclaimed(t, anna))); diff != "" {
				t.Errorf("fingerprints in Dovecot and in the table delivery differ (-dovecot +recorded):\n%s", diff)
			}
			for _, delivery := range s.unclaimed(t, anna) {
				if delivery.QueueID == "" {
					t.Error("a delivery has no queue id")
				}
			}
		})
	}
}

func TestLetterFromALocalProgramIsKnownAsTheDestinationHasIt(t *testing.T) {
	s := startRecording(t, "unix")
	// No Message-ID and no Date: Postfix adds them before the milter looks.
	if err := s.postfix.Sendmail("root@example.org", []byte("Subject: cron\n\nText.\n"), anna); err != nil {
		t.Fatal(err)
	}
	inbox := s.inbox(t, anna, "a")
	if diff := cmp.Diff(inbox, counted(s.unclaimed(t, anna))); diff != "" || len(inbox) != 1 {
		t.Errorf("fingerprints in Dovecot and in the table delivery differ (-dovecot +recorded):\n%s", diff)
	}
}

func TestPostfixRecipientsAreRecordedBeforeAliasesAndWithoutExtension(t *testing.T) {
	s := startRecording(t, "tcp")
	if err := s.postfix.Send("sender@elsewhere.example", message("1"), "Team@Example.ORG", "ANNA+shop@example.org"); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[account.Address]int{"team@example.org": 1, anna: 1, bob: 0, "anna+shop@example.org": 0} {
		if got := len(s.unclaimed(t, address)); got != want {
			t.Errorf("%d deliveries to %s, want %d", got, address, want)
		}
	}
}

func TestSeveralLettersOfOneSMTPSessionStandAlone(t *testing.T) {
	s := startRecording(t, "tcp")
	client, err := smtp.Dial(s.postfix.SMTPAddress)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	mail := func(id, to string) {
		t.Helper()
		if err := client.Mail("sender@elsewhere.example"); err != nil {
			t.Fatal(err)
		}
		if err := client.Rcpt(to); err != nil {
			t.Fatal(err)
		}
		if id == "" {
			return
		}
		data, err := client.Data()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = data.Write(message(id))
		if err := data.Close(); err != nil {
			t.Fatal(err)
		}
	}
	mail("1", anna)
	mail("", bob) // given up
	if err := client.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := client.Mail("sender@elsewhere.example"); err != nil {
		t.Fatal(err)
	}
	if err := client.Rcpt("nobody@example.org"); err == nil {
		t.Fatal("Postfix took a letter for an unknown account")
	}
	if err := client.Reset(); err != nil {
		t.Fatal(err)
	}
	mail("2", bob)
	if err := client.Quit(); err != nil {
		t.Fatal(err)
	}
	for address, password := range map[account.Address]string{anna: "a", bob: "b"} {
		inbox := s.inbox(t, string(address), password)
		if diff := cmp.Diff(inbox, counted(s.unclaimed(t, address))); diff != "" || len(inbox) != 1 {
			t.Errorf("%s: fingerprints in Dovecot and in the table delivery differ (-dovecot +recorded):\n%s", address, diff)
		}
	}
	if got := s.unclaimed(t, "nobody@example.org"); len(got) != 0 {
		t.Errorf("a refused recipient was recorded: %v", got)
	}
}

func TestManyParallelLettersAreAllKnown(t *testing.T) {
	s := startRecording(t, "unix")
	const senders, each = 10, 10
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for i := range each {
				if err := s.postfix.Send("sender@elsewhere.example", message(fmt.Sprintf("%d.%d", sender, i)), anna); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sending.Wait()
	if diff := cmp.Diff(s.inbox(t, anna, "a"), counted(s.unclaimed(t, anna))); diff != "" {
		t.Errorf("fingerprints in Dovecot and in the table delivery differ (-dovecot +recorded):\n%s", diff)
	}
	if got := len(s.unclaimed(t, anna)); got != senders*each {
		t.Errorf("%d letters known, want %d", got, senders*each)
	}
}

// The bounds leave room for a busy machine; Postfix's own defaults would hold a letter for 30 and 300 s.
func TestPostfixAcceptsALetterWhateverStateTheMilterIsIn(t *testing.T) {
	for _, test := range []struct {
		name    string
		address func(t *testing.T) string
		begin   func(t *testing.T, address string)
		within  time.Duration
	}{
		{"its port is closed", closedPort, nil, 10 * time.Second},
		{"its socket is missing", missingSocket, nil, 10 * time.Second},
		{"it hangs: nothing is ever answered", missingSocket, hang, 20 * time.Second}, // command_timeout=5s, once
		{"it hangs at the end of the message", hungAtEnd, nil, 10 * time.Second},      // content_timeout=2s
		{"its database hangs", hungDatabase, nil, 10 * time.Second},                   // AnswerWithin
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			address := test.address(t)
			s := startSite(t, address)
			if test.begin != nil {
				test.begin(t, address)
			}
			started := time.Now()
			if err := s.postfix.Send("sender@elsewhere.example", message("1"), anna); err != nil {
				t.Fatalf("the letter was not accepted: %v", err)
			}
			if took := time.Since(started); took > test.within {
				t.Errorf("accepted after %v, want within %v", took, test.within)
			}
			if inbox := s.inbox(t, anna, "a"); len(inbox) != 1 {
				t.Errorf("%d letters delivered, want 1", len(inbox))
			}
		})
	}
}

func closedPort(t *testing.T) string {
	ln, address := listen(t, "tcp")
	ln.Close()
	return address
}

// missingSocket is where nothing listens, or not yet.
func missingSocket(t *testing.T) string {
	ln, address := listen(t, "unix")
	ln.Close()
	return address
}

// hang takes connections into its backlog and never answers, as a stopped process does. It begins when Postfix is up,
// which asks the milter before its greeting and could not be seen starting.
func hang(t *testing.T, address string) {
	path := strings.TrimPrefix(address, "unix:")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
}

// hungAtEnd is a milter that stops when it is asked for the whole letter.
func hungAtEnd(t *testing.T) string {
	ln, address := listen(t, "tcp")
	released := make(chan struct{})
	server := gomilter.Server{NewMilter: func() gomilter.Milter { return stuckMilter{released: released} }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	t.Cleanup(func() { close(released); ln.Close(); <-ended })
	return address
}

type stuckMilter struct {
	gomilter.NoOpMilter
	released chan struct{}
}

func (m stuckMilter) Body(*gomilter.Modifier) (gomilter.Response, error) {
	<-m.released
	return gomilter.RespContinue, nil
}

// hungDatabase is our own milter on a database that never answers.
func hungDatabase(t *testing.T) string {
	ln, address := listen(t, "tcp")
	released := make(stuckRecorder)
	server := milter.New(milter.Config{
		Recorder: released, Logger: slog.New(slog.DiscardHandler),
		Ours: func(context.Context, string) (bool, error) { return true, nil },
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	t.Cleanup(func() { close(released); cancel(); <-ended })
	return address
}

// stuckRecorder heeds no context.
type stuckRecorder chan struct{}

func (s stuckRecorder) Record(context.Context, milter.Letter) error { <-s; return nil }
