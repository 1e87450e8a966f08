package control

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"mailstork/daemon/account"
)

// MaxEvents is the most events that one answer holds.
const MaxEvents = 1000

// events answers with one JSON object per line; with "follow" it goes on until the client leaves or the daemon stops.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	address, err := account.ParseAddress(r.PathValue("address"))
	if err != nil {
		s.answerError(w, r, Invalid(err.Error(), "mailstork account list"))
		return
	}
	query := r.URL.Query()
	since, errSince := strconv.ParseInt(query.Get("since"), 10, 64)
	limit, errLimit := strconv.Atoi(query.Get("limit"))
	if errSince != nil || errLimit != nil || since < 0 || limit < 1 || limit > MaxEvents {
		s.answerError(w, r, Invalid("since and limit must be numbers in bounds", "mailstork log --help"))
		return
	}
	lines := eventLines{server: s, address: address, since: since, out: http.NewResponseController(w), encode: json.NewEncoder(w)}
	// The first answer tells whether the account exists; after it the status line is gone.
	first, err := s.Operator.Events(r.Context(), address, since, limit)
	if err != nil {
		s.answerError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := lines.write(first); err != nil || !query.Has("follow") {
		return
	}
	lines.follow(r.Context())
}

type eventLines struct {
	server  *Server
	address account.Address
	since   int64
	out     *http.ResponseController
	encode  *json.Encoder
}

// follow ends when the client has gone, the daemon stops or the events can't be read: the client asks again.
func (l *eventLines) follow(ctx context.Context) {
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		events, err := l.server.Operator.Events(ctx, l.address, l.since, MaxEvents)
		if err != nil || l.write(events) != nil {
			return
		}
	}
}

func (l *eventLines) write(events []Event) error {
	// A reader that takes nothing for this long is gone.
	if err := l.out.SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		return err
	}
	for _, e := range events {
		if err := l.encode.Encode(e); err != nil {
			return err
		}
		l.since = e.ID
	}
	return l.out.Flush()
}
