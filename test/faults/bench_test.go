package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/test/compare"
	"mailstork/test/mutant"
	"mailstork/test/testbed"
)

const (
	anna     = "anna@example.org"
	password = "old one"
)

// build makes the program, without a part of it when edits are given for a file.
func build(t *testing.T, file string, edits ...[2]string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "mailstork")
	args := []string{"build", "-o", program}
	if file != "" {
		overlay, err := mutant.Overlay(dir, file, edits)
		if err != nil {
			t.Fatal(err)
		}
		args = append(args, "-overlay", overlay)
	}
	if out, err := exec.Command("go", append(args, "mailstork/cmd/mailstork")...).CombinedOutput(); err != nil {
		t.Fatalf("building mailstork: %v\n%s", err, out)
	}
	return program
}

// bench is two real servers and the account to copy. Every trial has an account of its own at the destination.
type bench struct {
	program      string
	dir          string
	source, dest *testbed.Dovecot
	content      map[place]int // of the source
	passwordFile string
	mutant       bool // the program may not wait for commands that come late

	mu   sync.Mutex
	next int
}

// manyLogins lets the source, as the destination, serve more than one login with a process, and all trials at once.
var manyLogins = map[string]string{
	testbed.Dovecot23: "service imap-login {\n  service_count = 0\n}\nmail_max_userip_connections = 100\n",
	testbed.Dovecot24: "service imap-login {\n  restart_request_count = unlimited\n}\nmail_max_userip_connections = 100\n",
}

// userOf is the account of trial n at the destination.
func userOf(n int) string { return fmt.Sprintf("t%05d@example.org", n) }

func newBench(t *testing.T, program, version string, trials int) *bench {
	t.Helper()
	lab := testbed.NewForTest(t)
	b := &bench{program: program, dir: lab.Dir, passwordFile: filepath.Join(lab.Dir, "password")}
	accounts := map[string]string{}
	for n := range trials {
		accounts[userOf(n)] = password
	}
	var err error
	if b.source, err = lab.StartSource(testbed.SourceOptions{Version: version, Accounts: map[string]string{anna: password}, ExtraConfig: manyLogins[version]}); err != nil {
		t.Fatal(err)
	}
	if b.dest, err = lab.StartDestination(testbed.DestinationOptions{Version: version, Accounts: accounts}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.passwordFile, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := b.source.Login(anna, password)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Cut()
	if err := fill(client); err != nil {
		t.Fatal(err)
	}
	all, err := compare.Read(client)
	if err != nil {
		t.Fatal(err)
	}
	b.content = placesOf(all)
	return b
}

// fill writes three folders with equal messages in one folder and in two, and one message that is so large that it
// is announced before it is sent.
func fill(client *testbed.Client) error {
	for folder, numbers := range map[string][]int{
		"INBOX":   {1, 1, 1, 2, 3, 4, 5, 6, 7, 8},
		"Work":    {1, 20, 20, 21, 22, 23},
		"Archive": {30, 31, 32, 99},
	} {
		if err := client.Create(folder); err != nil {
			return err
		}
		var messages []testbed.Message
		for _, n := range numbers {
			lines := 1
			if n == 99 {
				lines = 20_000
			}
			messages = append(messages, testbed.Message{
				Flags: [][]string{nil, {`\Seen`}, {`\Seen`, "$Label1"}}[n%3],
				Date:  time.Date(2024, 1, n%28+1, 12, 0, n, 0, time.UTC),
				Content: fmt.Appendf(nil, "From: Bert <bert@example.net>\r\nDate: Mon, 01 Jan 2024 12:00:%02d +0000\r\nSubject: letter %d\r\nMessage-ID: <%d@example.net>\r\n\r\n%s",
					n%60, n, n, strings.Repeat("Hello, this is a line of a letter that is not very long.\r\n", lines)),
			})
		}
		if _, err := client.AppendAll(folder, messages); err != nil {
			return err
		}
	}
	return nil
}

// user gives each trial its account.
func (b *bench) user() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	return userOf(b.next - 1)
}
