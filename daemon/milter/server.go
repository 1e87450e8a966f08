package milter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	gomilter "github.com/emersion/go-milter"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
)

const (
	// AnswerWithin is how long the end of a message waits for its record: below the 2 s content_timeout that
	// Postfix is configured with, after which it would go on without an answer.
	AnswerWithin = 1500 * time.Millisecond
	// recordWithin is how long a late record may go on behind an answer that was given already.
	recordWithin = 30 * time.Second
	// drainWithin bounds the end of the service; messages under way finish in far less.
	drainWithin = 2 * time.Second

	maxConnections = 256 // Postfix runs 100 smtpd processes by default, one connection each
	maxRecording   = 64  // letters whose record is under way; with more, the database has stopped answering
)

// Letter is one message that Postfix has taken, as the milter saw it.
type Letter struct {
	Fingerprint letter.Fingerprint
	Recipients  []account.Address // canonical, without extension, before alias expansion; one per delivery
	QueueID     string
	ReceivedAt  time.Time
}

// Recorder makes letters known to the mirror. Record is called from many goroutines, once per letter; it returns when
// the letter is durable. A failed Record is not repeated.
type Recorder interface {
	Record(ctx context.Context, l Letter) error
}

// Config is what a Server needs.
type Config struct {
	Recorder Recorder
	// Ours tells whether a mail domain is being moved. It is called at the end of each message.
	Ours   func(ctx context.Context, domain string) (bool, error)
	Logger *slog.Logger
}

// Server speaks the milter protocol with Postfix. It serves one listener, once.
type Server struct {
	config  Config
	slots   chan struct{}
	working sync.WaitGroup // records under way
	stats   counters

	mu         sync.Mutex
	lastWarned time.Time
}

// Stats counts letters since the start.
type Stats struct {
	Recorded int64 `json:"recorded"` // known to the mirror
	Late     int64 `json:"late"`     // of these or of Missed: Postfix got its answer before the record was made
	Missed   int64 `json:"missed"`   // for a domain of ours, but not recorded
	Refused  int64 `json:"refused"`  // connections beyond the limit, or not speaking the protocol
}

type counters struct{ recorded, late, missed, refused atomic.Int64 }

// New returns a server that serves nothing yet.
func New(config Config) *Server {
	return &Server{config: config, slots: make(chan struct{}, maxRecording)}
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	return Stats{
		Recorded: s.stats.recorded.Load(), Late: s.stats.late.Load(),
		Missed: s.stats.missed.Load(), Refused: s.stats.refused.Load(),
	}
}

// Serve answers Postfix on ln, a Unix or TCP listener, own or inherited from systemd, and closes it at the end.
// When ctx ends, messages under way are finished, and Serve returns nil after the last record was made.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	bounded := newBoundedListener(ln, maxConnections)
	bounded.refused = func() { s.refuse(errTooMany) }
	bounded.ended = s.refuse
	// Not cut short by ctx: a letter that Postfix has taken is recorded even while the service ends.
	recording, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	protocol := gomilter.Server{
		NewMilter: func() gomilter.Milter {
			return &session{take: func(l Letter) { s.take(recording, l) }, now: time.Now}
		},
		// No actions: Postfix would not even let us change a letter.
		Protocol: gomilter.OptNoConnect | gomilter.OptNoHelo | gomilter.OptNoBody | gomilter.OptNoEOH,
	}
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	err := protocol.Serve(bounded)
	bounded.drain(drainWithin)
	tooLate := time.AfterFunc(drainWithin, cancel)
	defer tooLate.Stop()
	s.working.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serving the milter on %s: %w", ln.Addr(), err)
}

var (
	errTooMany = errors.New("more connections than the milter takes")
	errBusy    = errors.New("the database does not answer, too many letters wait for it")
	errPanic   = errors.New("panic while recording")
)

// take records a letter and returns within AnswerWithin, whatever the database does. A record that comes later than
// the answer is still made: the next pass is seconds or minutes away.
func (s *Server) take(ctx context.Context, l Letter) {
	if l.Fingerprint.IsZero() || len(l.Recipients) == 0 {
		return // nothing that the mirror could ever match
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.miss(l, errBusy)
		return
	}
	done := make(chan struct{})
	s.working.Go(func() {
		defer func() { <-s.slots; close(done) }()
		s.record(ctx, l)
	})
	answer := time.NewTimer(AnswerWithin)
	defer answer.Stop()
	select {
	case <-done:
	case <-answer.C:
		s.stats.late.Add(1)
	}
}

// record never lets a failure out: the answer to Postfix does not depend on it.
func (s *Server) record(ctx context.Context, l Letter) {
	defer func() {
		if v := recover(); v != nil {
			s.miss(l, fmt.Errorf("%w: %v\n%s", errPanic, v, debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	ours, err := s.ours(ctx, l.Recipients)
	if err != nil {
		s.miss(l, err)
		return
	}
	if l.Recipients = ours; len(ours) == 0 {
		return
	}
	if err := s.config.Recorder.Record(ctx, l); err != nil {
		s.miss(l, err)
		return
	}
	s.stats.recorded.Add(1)
}

// ours keeps the recipients whose domain is being moved here.
func (s *Server) ours(ctx context.Context, recipients []account.Address) ([]account.Address, error) {
	known := make(map[string]bool)
	var kept []account.Address
	for _, recipient := range recipients {
		domain := recipient.Domain()
		moved, asked := known[domain]
		if !asked {
			var err error
			if moved, err = s.config.Ours(ctx, domain); err != nil {
				return nil, fmt.Errorf("asking for domain %s: %w", domain, err)
			}
			known[domain] = moved
		}
		if moved {
			kept = append(kept, recipient)
		}
	}
	return kept, nil
}

func (s *Server) miss(l Letter, err error) {
	s.stats.missed.Add(1)
	s.warn("delivery missed", slog.String("detail", "queue id "+l.QueueID), slog.Any("err", err))
}

func (s *Server) refuse(err error) {
	s.stats.refused.Add(1)
	s.warn("milter connection ended", slog.Any("err", err))
}

// warnEvery keeps a flood of failures out of the log; the counts have them all.
const warnEvery = 10 * time.Second

func (s *Server) warn(event string, attributes ...any) {
	s.mu.Lock()
	quiet := time.Since(s.lastWarned) < warnEvery
	if !quiet {
		s.lastWarned = time.Now()
	}
	s.mu.Unlock()
	if !quiet {
		stats := s.Stats()
		s.config.Logger.Warn(event, append([]any{slog.String("event", event)}, append(attributes,
			slog.Int64("missed", stats.Missed), slog.Int64("refused", stats.Refused))...)...)
	}
}
