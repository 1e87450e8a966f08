package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailstork/test/line"
	"mailstork/test/site"
	"mailstork/test/testbed"
)

// The source is 40 ms away and has 10,000 messages. Its folders and the newest fifty are there while the rest is still
// being copied, and in the end the inbox has the order of the source.
func TestNewestFiftyAreReadableWhileTheRestIsStillCopied(t *testing.T) {
	way := line.New(20 * time.Millisecond)
	s := start(t, func(o *site.Options) { o.Via = way.Open })
	t.Cleanup(way.Close)
	const messages, newest = 10_000, 50
	fillSource(t, s, messages)
	way.Grant(1_500_000) // enough for the list of what is there, and not for half of the messages
	o := login(t, s, anna, annaPass)
	began := time.Now()
	must(t, site.Eventually(func() error {
		status, err := o.Examine("INBOX")
		if err == nil && status.Messages == 0 {
			err = fmt.Errorf("INBOX is still empty")
		}
		return err
	}))
	first := time.Since(began)
	here := inboxSubjects(t, o)
	if len(here) < newest || len(here) > messages/2 {
		t.Fatalf("at the first look INBOX has %d messages, want %d and not yet all", len(here), newest)
	}
	for i, n := range here[:newest] {
		if want := messages - newest + i + 1; n != want {
			t.Fatalf("message %d here is letter %d, want %d of the newest %d", i+1, n, want, newest)
		}
	}
	folders, err := o.Folders()
	must(t, err)
	for _, name := range []string{"Archive", "Empty"} {
		if !slices.ContainsFunc(folders, func(f testbed.FolderInfo) bool { return f.Name == name }) {
			t.Errorf("folder %q is not there at the first look", name)
		}
	}
	way.Hurry()
	direct := readNewest(t, s, way, newest)
	t.Logf("the newest %d were there %v after the login; reading them from the source takes %v, ratio %.2f", newest,
		first.Round(time.Millisecond), direct.Round(time.Millisecond), first.Seconds()/direct.Seconds())
	waitState(t, s, anna, "following")
	if all := inboxSubjects(t, o); len(all) != messages || !slices.IsSorted(all) {
		t.Errorf("INBOX has %d messages, in the order of the source: %v", len(all), slices.IsSorted(all))
	}
}

// readNewest is how long a mail program of anna's would take to show the newest messages of the source, over the same way.
func readNewest(t *testing.T, s *site.Site, way *line.Line, newest int) time.Duration {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	began := time.Now()
	c, err := imapclient.DialTLS(way.Address(), &imapclient.Options{TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}})
	must(t, err)
	defer c.Close()
	must(t, c.Login(anna, annaPass).Wait())
	selected, err := c.Select("INBOX", &imap.SelectOptions{ReadOnly: true}).Wait()
	must(t, err)
	var last imap.SeqSet
	last.AddRange(selected.NumMessages-uint32(newest)+1, selected.NumMessages)
	messages, err := c.Fetch(last, &imap.FetchOptions{Envelope: true, Flags: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	took := time.Since(began)
	if must(t, err); len(messages) != newest {
		t.Errorf("the source hands out %d of the newest %d", len(messages), newest)
	}
	return took
}

func fillSource(t *testing.T, s *site.Site, messages int) {
	t.Helper()
	c := sourceOwner(t, s, anna)
	began := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for from := 1; from <= messages; from += 500 {
		var batch []testbed.Message
		for n := from; n < from+500; n++ {
			batch = append(batch, testbed.Message{Date: began.Add(time.Duration(n) * time.Minute), Content: letterTo(anna, fmt.Sprintf("letter %d", n))})
		}
		_, err := c.AppendAll("INBOX", batch)
		must(t, err)
	}
	must(t, c.Create("Archive"), c.Create("Empty"))
	_, err := c.Append("Archive", nil, began, letterTo(anna, "letter 0"))
	must(t, err)
}

// inboxSubjects are the numbers of the letters in the inbox, in the order of their UIDs.
func inboxSubjects(t *testing.T, c *testbed.Client) (numbers []int) {
	t.Helper()
	_, err := c.Examine("INBOX")
	must(t, err)
	lines, err := c.Command("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	must(t, err)
	for _, line := range lines {
		if _, rest, found := strings.Cut(line.String(), "Subject: letter "); found {
			var n int
			_, err := fmt.Sscan(rest, &n)
			must(t, err)
			numbers = append(numbers, n)
		}
	}
	return numbers
}
