// Package e2e proves the product's promises on real servers, through its command line and Dovecot's IMAP only.
package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

const (
	domain   = "example.org"
	anna     = "anna@example.org"
	bob      = "bob@example.org"
	oldPass  = `old "p\assw0rd" %&=+ é`
	annaPass = oldPass
)

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stork-bin-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "mailstork")
	out, err := exec.Command("go", "build", "-o", path, "mailstork/cmd/mailstork").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building mailstork: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path)) // a left-over program in the temp folder harms nobody
	}
	os.Exit(code)
}

// start builds a site whose source has anna and bob; the daemon runs and the domain is added.
func start(t *testing.T, change func(*site.Options)) *site.Site {
	t.Helper()
	testbed.Need(t, "dovecot")
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	o := site.Options{Binary: program, Domain: domain, People: map[string]string{anna: annaPass, bob: "bob's old one"}}
	if change != nil {
		change(&o)
	}
	s, err := site.Start(testbed.NewForTest(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("daemon log:\n%s", s.LogTail(80))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.StartDaemon(); err != nil {
		t.Fatal(err)
	}
	if err := s.AddDomain("--accounts", "any"); err != nil {
		t.Fatal(err)
	}
	return s
}

// login logs in at the destination and fails the test when it can't.
func login(t *testing.T, s *site.Site, address, password string) *testbed.Client {
	t.Helper()
	c, err := s.Dest.Login(address, password)
	if err != nil {
		t.Fatalf("logging in at the destination as %s: %v", address, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func sourceOwner(t *testing.T, s *site.Site, address string) *testbed.Client {
	t.Helper()
	c, err := s.Source.Login(address, s.People[address])
	if err != nil {
		t.Fatalf("logging in at the source as %s: %v", address, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func waitState(t *testing.T, s *site.Site, address string, states ...string) {
	t.Helper()
	_, err := s.WaitState(address, states...)
	must(t, err)
}

// passes waits until n further passes of an account have ended.
func passes(t *testing.T, s *site.Site, address string, n int) {
	t.Helper()
	for range n {
		var before, now struct {
			LastPassAt time.Time `json:"last_pass_at"`
		}
		must(t, s.JSON(&before, "account", "show", address))
		_, err := s.CLI("account", "sync", address)
		must(t, err)
		must(t, site.Eventually(func() error {
			if err := s.JSON(&now, "account", "show", address); err != nil {
				return err
			}
			if !now.LastPassAt.After(before.LastPassAt) {
				return fmt.Errorf("no pass has ended since %s", before.LastPassAt)
			}
			return nil
		}))
	}
}

// letterTo is a small message with a Message-ID of its own.
func letterTo(address, subject string) []byte {
	return fmt.Appendf(nil, "From: Carl <carl@elsewhere.example>\r\nTo: <%s>\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nSubject: %s\r\nMessage-ID: <%s@elsewhere.example>\r\n\r\nHello, this is %s.\r\n",
		address, subject, strings.ReplaceAll(subject, " ", "."), subject)
}

// subjects counts the messages of a folder by a header search for each subject.
func countSubject(t *testing.T, c *testbed.Client, folder, subject string) int {
	t.Helper()
	if _, err := c.Examine(folder); err != nil {
		t.Fatal(err)
	}
	uids, err := c.Search(fmt.Sprintf("HEADER MESSAGE-ID %q", "<"+strings.ReplaceAll(subject, " ", ".")+"@elsewhere.example>"))
	if err != nil {
		t.Fatal(err)
	}
	return len(uids)
}
