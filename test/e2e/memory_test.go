package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMessageOfAHundredMegabytesFitsInLittleMemory: a message goes from socket to socket and is never held.
func TestMessageOfAHundredMegabytesFitsInLittleMemory(t *testing.T) {
	const octets, most = 100 << 20, 64 << 10 // KiB
	p := startPair(t)
	owner, err := p.source.Login(anna, oldPass)
	must(t, err)
	defer owner.Cut()
	_, err = owner.Append("INBOX", nil, time.Unix(1_700_000_000, 0), huge(octets))
	must(t, err)
	cmd := p.command("--state", p.state)
	var told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &told, &told
	must(t, cmd.Start())
	peak, ended := 0, make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-time.After(5 * time.Millisecond): // the peak only grows, so the last look before the end tells it
			peak = max(peak, peakKiB(cmd.Process.Pid))
		}
	}
	if err != nil || !strings.Contains(told.String(), "in sync: ") {
		t.Fatalf("the copy ended with %v: %s", err, told.String())
	}
	t.Logf("%d KiB at most, for a message of %d KiB", peak, octets>>10)
	if peak == 0 || peak > most {
		t.Errorf("the copy took %d KiB of memory, want at most %d", peak, most)
	}
	p.wantEqual()
}

// huge is a letter with one attachment.
func huge(octets int) []byte {
	var out bytes.Buffer
	out.Grow(octets + 1<<10)
	out.WriteString("From: bob@example.org\r\nTo: anna@example.org\r\nSubject: the film\r\nMessage-ID: <film@example.org>\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\n")
	random := rand.New(rand.NewPCG(1, 2))
	for out.Len() < octets {
		fmt.Fprintf(&out, "%016x%016x%016x%016x\r\n", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64())
	}
	return out.Bytes()
}

// peakKiB is the largest resident size that a process had so far; 0 once it has gone. (What wait4 tells of a child
// includes the memory of the process that started it.)
func peakKiB(pid int) (kib int) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}
