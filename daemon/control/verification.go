package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"mailstork/daemon/account"
)

// Verification accounts for every message of an account, as both sides are now (L1).
type Verification struct {
	Account  account.Address   `json:"account"`
	At       time.Time         `json:"at"`
	Messages int64             `json:"source_messages"`
	Missing  int64             `json:"missing"` // of the source; nothing explains it
	Pending  int64             `json:"pending"` // of the source; not copied yet
	Twice    int64             `json:"twice"`   // here, one copy too many
	HereOnly int64             `json:"here_only"`
	Folders  []VerifiedFolder  `json:"folders"`
	Findings []VerifiedFinding `json:"findings"` // the worst first; a bounded number of them
}

// Sound tells whether every message is accounted for and none is here twice. What waits for the next pass is.
func (v Verification) Sound() bool {
	for _, f := range v.Folders {
		if f.Problem != "" {
			return false
		}
	}
	return v.Missing == 0 && v.Twice == 0
}

// VerifiedFolder is one folder of the source. The classes add up to Messages.
type VerifiedFolder struct {
	Source      string `json:"source"`      // name for people, UTF-8
	Destination string `json:"destination"` // name for people, UTF-8; empty before its first pass
	Messages    int64  `json:"messages"`    // at the source
	Here        int64  `json:"here"`        // in the folder's place here, with the same bytes
	Elsewhere   int64  `json:"elsewhere"`   // in another folder here, with the same bytes: moved
	Delivered   int64  `json:"delivered"`
	Deleted     int64  `json:"deleted"`
	Skipped     int64  `json:"skipped"`
	Refused     int64  `json:"refused"`
	Parked      int64  `json:"parked"`
	Pending     int64  `json:"pending"` // newer than the last pass, or that pass did not get to it
	Missing     int64  `json:"missing"`
	Problem     string `json:"problem,omitempty"` // why it could not be read
}

// VerifiedFinding is one message that a person may want to look at. Nothing that its writer wrote is in it but its
// Message-ID.
type VerifiedFinding struct {
	Class     string    `json:"class"`  // missing, twice, pending, parked, refused, skipped
	Folder    string    `json:"folder"` // of the source; of this server when it is there twice
	UID       uint32    `json:"uid"`
	MessageID string    `json:"message_id,omitempty"`
	Date      time.Time `json:"date,omitzero"`
	Why       string    `json:"why"`
}

// verifyLine is one line of the answer: how far it is, or the end.
type verifyLine struct {
	Pass         *Pass         `json:"pass,omitempty"`
	Verification *Verification `json:"verification,omitempty"`
	Failure      *Error        `json:"failure,omitempty"`
}

// tellInterval is how often a client hears how far a verification is.
const tellInterval = 100 * time.Millisecond

// verify answers with one JSON object per line, since it takes as long as reading an account does.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) {
	address, err := account.ParseAddress(r.PathValue("address"))
	if err != nil {
		s.answerError(w, r, Invalid(err.Error(), "mailstork account list"))
		return
	}
	lines := verifyLines{out: http.NewResponseController(w), encode: json.NewEncoder(w), header: w.Header()}
	result, err := s.Operator.Verify(r.Context(), address, lines.tell)
	lines.mu.Lock()
	defer lines.mu.Unlock()
	if err != nil && !lines.begun {
		s.answerError(w, r, err)
		return
	}
	if err != nil {
		lines.write(verifyLine{Failure: asError(err)})
		return
	}
	result = withoutNulls(result).(Verification)
	lines.write(verifyLine{Verification: &result})
}

type verifyLines struct {
	out    *http.ResponseController
	encode *json.Encoder
	header http.Header

	mu     sync.Mutex
	begun  bool
	phase  string
	toldAt time.Time
}

// tell may be called from several goroutines and far too often.
func (l *verifyLines) tell(pass Pass) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if pass.Phase == l.phase && now.Sub(l.toldAt) < tellInterval {
		return
	}
	l.phase, l.toldAt = pass.Phase, now
	l.write(verifyLine{Pass: &pass})
}

// write: a client that has gone ends the request's context, so nobody needs the error.
func (l *verifyLines) write(line verifyLine) {
	if !l.begun {
		l.header.Set("Content-Type", "application/x-ndjson")
		l.begun = true
	}
	_ = l.out.SetWriteDeadline(time.Now().Add(answerTimeout))
	_ = l.encode.Encode(line)
	_ = l.out.Flush()
}

// Verify implements AccountOperator.
func (c *Client) Verify(ctx context.Context, address account.Address, tell func(Pass)) (Verification, error) {
	body, err := c.ask(ctx, http.MethodGet, accountPath(address)+"/verification", nil)
	if err != nil {
		return Verification{}, err
	}
	defer body.Close()
	decoder := json.NewDecoder(bufio.NewReader(body))
	for {
		var line verifyLine
		if err := decoder.Decode(&line); err != nil {
			return Verification{}, &Unreachable{c.socket, errors.Join(errors.New("the daemon ended the answer"), err)}
		}
		switch {
		case line.Failure != nil:
			return Verification{}, line.Failure
		case line.Verification != nil:
			return *line.Verification, nil
		case line.Pass != nil:
			tell(*line.Pass)
		}
	}
}
