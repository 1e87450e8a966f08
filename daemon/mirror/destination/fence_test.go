package destination_test

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailstork/daemon/mirror/destination"
	"mailstork/test/testbed"
)

// A ghost is a server process that still works for a client that is gone. Here it is
// stopped in its tracks with a whole batch before it: the fence must wait, and must
// end only when the batch has landed.
func TestTheFenceWaitsForAGhostAndWhatItAppends(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	o := l.owner(t)
	c := l.dial(t)
	usable(t, c)
	ghost := l.session(t, local)
	if err := syscall.Kill(ghost, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(ghost, syscall.SIGCONT) }()
	b := c.BeginAppend("INBOX")
	for i := range 3 {
		add(t, b, destination.Item{}, mail(i))
	}
	if err := b.Send(ctx(t)); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	err := destination.Fence(ctx(t), l.fenceOptions(2*time.Second))
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(ghost)) {
		t.Fatalf("the fence did not see the ghost %d: %v", ghost, err)
	}
	if n := count(t, o, "INBOX"); n != 0 {
		t.Fatalf("a stopped ghost stored %d messages", n)
	}
	done := make(chan error, 1)
	go func() { done <- destination.Fence(context.Background(), l.fenceOptions(20*time.Second)) }()
	if err = syscall.Kill(ghost, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err = <-done; err != nil {
		t.Fatal(err)
	}
	if n := count(t, o, "INBOX"); n != 3 {
		t.Errorf("behind the fence %d of 3 messages are there: the ghost was still at work", n)
	}
}

func TestTheFenceLooksAtOurSessionsOfThisAccountOnly(t *testing.T) {
	l := newLab(t, testbed.DestinationOptions{})
	o := l.owner(t) // from 127.0.0.1
	other := l.options()
	other.LocalAddress = netip.MustParseAddr("127.77.1.2")
	c, err := destination.Dial(ctx(t), other)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	l.fence(t)
	usable(t, c)
	if count(t, o, "INBOX") != 0 {
		t.Error("the owner's session is gone")
	}
}

// No answer is not "no session".
func TestTheFenceFailsWhenDovecotDoesNotAnswer(t *testing.T) {
	for _, command := range []string{"true", "false", "/nonexistent/doveadm"} {
		o := destination.FenceOptions{User: owner, LocalAddress: local, Command: []string{command}, Timeout: 50 * time.Millisecond}
		if err := destination.Fence(ctx(t), o); err == nil {
			t.Errorf("%s: the fence opened", command)
		}
	}
	if err := destination.Fence(ctx(t), destination.FenceOptions{User: owner}); err == nil {
		t.Error("without an address of ours the fence opened")
	}
	cancelled, cancel := context.WithCancel(ctx(t))
	cancel()
	o := destination.FenceOptions{User: owner, LocalAddress: local, Command: []string{"false"}}
	if err := destination.Fence(cancelled, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the cancellation", err)
	}
}
