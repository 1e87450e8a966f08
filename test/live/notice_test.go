package live

import (
	"errors"
	"fmt"
	"io"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

// aPart is what a connection to the source brings of 900 letters of 3,000 octets, while a test needs the middle of their first
// pass. The daemon has two of them for an account.
const aPart = 600_000

// startWaiting is a site whose domain answers first logins with a notice.
func startWaiting(t *testing.T, version string, people map[string]string) *bench {
	t.Helper()
	b := startWith(t, version, people, "notice", func(o *site.Options) {
		o.Dest.POP3 = true
		o.Config["mirror"] = map[string]any{"notice_interval_seconds": 1}
	})
	b.way.Pace(500_000)
	return b
}

// told is a notice as a mail program shows it.
type told struct {
	uid            uint32
	subject, body  string
	copied, behind int // 0 while nothing is counted
}

var counted = regexp.MustCompile(`Bisher kopierte Nachrichten: ([0-9.]+) von ([0-9.]+)`)

// readNotice reads the only letter that there is.
func readNotice(c *testbed.Client) (n told, err error) {
	folders, err := c.Folders()
	if err != nil || len(folders) != 1 || folders[0].Name != "INBOX" {
		return n, fmt.Errorf("want the inbox alone, got %+v, %v", folders, err)
	}
	lines, err := c.Command("SELECT INBOX")
	if err != nil || len(lines) == 0 || !strings.Contains(lines[len(lines)-1].String(), "[READ-ONLY]") {
		return n, fmt.Errorf("want a folder that can only be read, got %v, %v", lines, err)
	}
	return readOpen(c)
}

// readOpen reads the only letter of the open folder. It is not there any more when it was replaced since it was looked for.
func readOpen(c *testbed.Client) (n told, err error) {
	for range 100 {
		if n, err = readFound(c); !errors.Is(err, testbed.ErrNoMessage) {
			break
		}
	}
	return n, err
}

func readFound(c *testbed.Client) (n told, err error) {
	uids, err := c.Search("ALL")
	if err != nil || len(uids) != 1 {
		return n, fmt.Errorf("want one letter, got %v, %w", uids, err)
	}
	n.uid = uids[0]
	content, err := c.Content(n.uid)
	if err != nil {
		return n, err
	}
	head, body, _ := strings.Cut(string(content), "\r\n\r\n")
	if strings.Contains(head, "X-UID") || strings.Contains(head, "X-IMAPbase") {
		return n, fmt.Errorf("the letter shows how it is kept: %s", head)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	n.subject, n.body = head, strings.ReplaceAll(string(text), " \r\n", " ")
	if m := counted.FindStringSubmatch(n.body); m != nil {
		n.copied, _ = strconv.Atoi(strings.ReplaceAll(m[1], ".", ""))
		n.behind, _ = strconv.Atoi(strings.ReplaceAll(m[2], ".", ""))
	}
	return n, err
}

func (b *bench) waits(address string) bool { return b.show(address).Route == "notice" }

// importGerman lists somebody who reads German.
func (b *bench) importGerman(address string) {
	b.t.Helper()
	list := filepath.Join(b.t.TempDir(), "list")
	must(b.t, os.WriteFile(list, []byte("address\n"+address+"\n"), 0o600))
	_, err := b.CLI("account", "import", list, "--domain", domain)
	must(b.t, err)
	_, err = b.CLI("account", "set", address, "--language", "de")
	must(b.t, err)
}

func TestAnOwnerReadsANoticeUntilEverythingIsHere(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := startWaiting(t, version, map[string]string{anna: annaPass})
		b.importGerman(anna)
		o := newOwner(t, b.Dest, anna, annaPass)
		const all = 1500
		o.seed(b.Source, all, 3000)
		b.way.Grant(500_000) // the newest of the inbox, and no whole folder
		if _, err := b.Dest.Login(anna, "wrong"); err == nil || !strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
			t.Errorf("a wrong password: %v", err)
		}
		c, err := b.Dest.Login("Anna@Example.org", annaPass)
		must(t, err)
		first, err := readNotice(c)
		if must(t, err); !strings.Contains(first.subject, "Content-Language: de") || !strings.Contains(first.body, "noch alles") {
			t.Errorf("the letter is %s\n%s", first.subject, first.body)
		}
		if a := b.show(anna); a.Route != "notice" || !a.SwitchedAt.IsZero() {
			t.Errorf("after the first login the account is %+v", a)
		}
		b.wantNoticeUntouched(c, o)
		b.workAtSource(o)
		replaced, over := b.idles(anna, annaPass)
		r := revisions{t: t, client: c, last: first}
		r.until("says how much there is", func() bool { return r.last.behind > 0 })
		r.until("is old enough to be replaced", func() bool { return time.Now().Unix() > int64(r.last.uid)+2 })
		few := r.last.copied
		b.way.Grant(1_800_000) // a folder and more, and not all three
		r.until("counts further", func() bool { return r.last.copied > few })
		select {
		case <-replaced:
		case err := <-over:
			t.Fatalf("the mail program that waited for something new saw nothing replaced: %v", err)
		}
		if !b.waits(anna) {
			t.Error("the account was opened before everything was here")
		}
		b.way.Hurry()
		r.until("is there no more", func() bool { return r.ended })
		a := b.waitFor(anna, "open", isHere)
		t.Logf("%d revisions; one said %d, the last %d of %d", r.seen, few, r.last.copied, r.last.behind)
		if r.last.copied > r.last.behind || r.last.behind < all-10 || a.State != "following" {
			t.Errorf("want revisions that count up to %d; the account is %+v", all, a)
		}
		if err := <-over; err != nil {
			t.Errorf("the mail program that waited for something new: %v", err)
		}
		b.wantNothingLeft(o)
		b.passes(anna, 2)
		b.wantNothingLeft(o)
		must(t, b.noFolders())
	})
}

// revisions are what one session, which goes on, is shown of a letter.
type revisions struct {
	t      *testing.T
	client *testbed.Client
	last   told
	seen   int // after the first
	ended  bool
}

// until looks at the letter until it is as wanted, and that it only ever counts up.
func (r *revisions) until(what string, reached func() bool) {
	r.t.Helper()
	must(r.t, site.Eventually(func() error {
		r.look()
		if !reached() {
			return fmt.Errorf("waiting until the letter %s: it is %+v, ended: %v", what, r.last, r.ended)
		}
		return nil
	}))
}

func (r *revisions) look() {
	if r.ended {
		return
	}
	_, err := r.client.Command("NOOP")
	if err != nil {
		r.ended = true
		return
	}
	now, err := readOpen(r.client)
	if errors.Is(err, io.EOF) {
		r.ended = true
		return
	} else if err != nil {
		r.t.Errorf("reading the letter: %v", err)
		return
	}
	if now.uid < r.last.uid || now.copied < r.last.copied || now.uid == r.last.uid && now.body != r.last.body {
		r.t.Errorf("after %+v came %+v", r.last, now)
	}
	if now.uid > r.last.uid {
		r.seen++
	}
	r.last = now
}

// wantNoticeUntouched does what a mail program may try. Nothing of it is there for the next session; letters that are
// delivered meanwhile are with the account, and so is everything that is asked about it.
func (b *bench) wantNoticeUntouched(c *testbed.Client, o *owner) {
	t := b.t
	t.Helper()
	for _, folder := range []string{"INBOX", "Sent"} {
		if _, err := c.Append(folder, nil, time.Unix(1_700_000_000, 0), []byte("Subject: mine\r\n\r\nHello.\r\n")); err == nil {
			t.Errorf("a letter was stored in %s", folder)
		}
	}
	if err := c.Create("Sent"); err == nil {
		t.Error("a folder was made")
	}
	_, err1 := c.Command(`STORE 1 +FLAGS (\Deleted \Seen)`)
	_, err2 := c.Command("EXPUNGE")
	must(t, err1, err2)
	pop, err := b.Dest.LoginPOP3(o.address, o.password)
	must(t, err)
	stat, err := pop.Command("STAT")
	if must(t, err); !strings.HasPrefix(stat, "1 ") {
		t.Errorf("POP3 has %q", stat)
	}
	_, err = pop.Command("DELE 1")
	_ = pop.Close() // whatever it says of the deletion
	must(t, err)
	other, err := b.Dest.Login(o.address, o.password)
	must(t, err)
	again, err := readNotice(other)
	if must(t, err, other.Close()); again.copied == again.behind && again.copied > 0 {
		t.Errorf("all is here already: %+v", again)
	}
	id := o.newID()
	o.letters[id] = &letter{folder: "INBOX"}
	must(t, b.Dest.Deliver("carl@elsewhere.example", o.text(id, 300), o.address))
	if !b.waits(o.address) {
		t.Error("the account is open already: nothing was tried on a notice")
	}
}

// workAtSource moves, deletes and flags letters at the source in the middle of the first pass: these things come along.
func (b *bench) workAtSource(o *owner) {
	t := b.t
	t.Helper()
	b.waitFor(o.address, "copied", func(a shown) bool { return a.State == "copying" })
	c, err := b.Source.Login(o.address, o.password)
	must(t, err)
	o.client = c
	for range 30 {
		_, err := o.act()
		must(t, err)
	}
	must(t, c.Close())
	o.client = nil
	if !b.waits(o.address) {
		t.Error("the account was opened before its owner had worked at the source")
	}
}

// landsHere waits until a login finds the account: Dovecot sees within a second or so that it was opened.
func (b *bench) landsHere(o *owner) {
	b.t.Helper()
	b.waitFor(o.address, "open", isHere)
	must(b.t, site.Eventually(func() error {
		c, err := b.Dest.Login(o.address, o.password)
		if err != nil {
			return err
		}
		status, err := c.Select("INBOX")
		if err = errors.Join(err, c.Close()); err == nil && status.UIDValidity < 3 {
			err = errors.New("a login finds the notice")
		}
		return err
	}))
}

// wantNothingLeft logs in and looks, and looks on the disk, for what is left of the notice.
func (b *bench) wantNothingLeft(o *owner) {
	t := b.t
	t.Helper()
	b.landsHere(o)
	o.checkFresh("when all is here")
	b.wantInside(o)
	c, err := b.Dest.Login(o.address, o.password)
	must(t, err)
	_, err = c.Select("INBOX")
	must(t, err)
	if uids, err := c.Search(`HEADER MESSAGE-ID "mailstork-notice"`); err != nil || len(uids) > 0 {
		t.Errorf("the inbox has notices %v, %v", uids, err)
	}
	must(t, c.Close(), filepath.WalkDir(b.Dest.HomeDir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), "mailstork-notice") {
			t.Errorf("of the notice %s is left", path)
		}
		return nil
	}))
}

// noFolders tells whether there is a folder of a notice.
func (b *bench) noFolders() error {
	return site.Eventually(func() error {
		entries, err := os.ReadDir(filepath.Join(b.Dir, "run", "notice"))
		if err == nil && len(entries) > 0 {
			err = fmt.Errorf("%s is left", entries[0].Name())
		}
		return err
	})
}
