package control

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"mailstork/daemon/account"
)

// slow is an Operator whose verification lasts longer than any request may, and then fails.
type slow struct {
	Operator
	lasts time.Duration
	err   error
}

func (s slow) Verify(ctx context.Context, address account.Address, tell func(Pass)) (Verification, error) {
	tell(Pass{Account: address, Phase: "waiting"})
	timer := time.NewTimer(s.lasts)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return Verification{}, context.Cause(ctx)
	case <-timer.C:
	}
	for range 1000 {
		tell(Pass{Account: address, Phase: "verifying"})
	}
	return Verification{Account: address, Messages: 7}, s.err
}

func TestVerificationGoesOnPastTheRequestTimeoutAndTellsHowFarItIs(t *testing.T) {
	for name, want := range map[string]error{
		"a good end":                  nil,
		"a failure after the headers": &Error{Kind: KindFailed, Sentence: "the source is down", Hint: "nc"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
			if err != nil {
				t.Fatal(err)
			}
			const timeout = 100 * time.Millisecond
			serve(t, &Server{Operator: slow{lasts: 5 * timeout, err: want}, Logger: quiet(), timeout: timeout}, listener)
			client := NewClient(listener.Addr().String())
			defer client.Close()
			var phases []string
			got, err := client.Verify(t.Context(), "a@example.org", func(p Pass) { phases = append(phases, p.Phase) })
			if n := len(phases); n < 2 || n > 20 || phases[0] != "waiting" || phases[n-1] != "verifying" {
				t.Errorf("told %d phases: %.5q …", n, phases[:min(n, 3)])
			}
			var failure *Error
			switch {
			case want == nil && (err != nil || got.Messages != 7 || got.Folders == nil):
				t.Errorf("got %+v, %v", got, err)
			case want != nil && (!errors.As(err, &failure) || failure.Sentence != "the source is down" || failure.Hint != "nc"):
				t.Errorf("got %v, want %v", err, want)
			}
		})
	}
}
