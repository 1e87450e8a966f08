package source_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

const (
	owner    = "anna@example.org"
	password = "old pass\"word\\ ü{3}"
)

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return c
}

func newSource(t testing.TB) *testbed.Dovecot {
	t.Helper()
	d, err := testbed.NewForTest(t).StartSource(testbed.SourceOptions{Accounts: map[string]string{owner: password}, RawLog: true})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func serverAt(t testing.TB, address string, mode account.TLSMode, caFile string) account.Source {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return account.Source{Host: host, Port: n, TLS: mode, CAFile: caFile}
}

func dial(t testing.TB, d *testbed.Dovecot) *source.Conn {
	t.Helper()
	c, err := source.Dial(ctx(t), source.Options{
		Server: serverAt(t, d.IMAPAddress, account.TLSNone, ""), User: owner, Password: secret.FromString(password),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func login(t testing.TB, d *testbed.Dovecot) *testbed.Client {
	t.Helper()
	o, err := d.Login(owner, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func mail(n int) []byte {
	return fmt.Appendf(nil, "From: a@example.org\r\nSubject: letter %d\r\n\r\n%s", n, strings.Repeat("Hello\r\n", n))
}

func fill(t testing.TB, o *testbed.Client, folder string, n int) {
	t.Helper()
	var all []testbed.Message
	for i := range n {
		all = append(all, testbed.Message{Flags: []string{`\Seen`, "work"}, Date: time.Unix(int64(1e9+i), 0), Content: mail(i)})
	}
	if _, err := o.AppendAll(folder, all); err != nil {
		t.Fatal(err)
	}
}

func TestEveryWayToConnectReachesTheAccount(t *testing.T) {
	d := newSource(t)
	for _, s := range []account.Source{
		serverAt(t, d.IMAPAddress, account.TLSNone, ""),
		serverAt(t, d.IMAPAddress, account.TLSStartTLS, d.CAFile),
		serverAt(t, d.IMAPSAddress, account.TLSImplicit, d.CAFile),
	} {
		c, err := source.Dial(ctx(t), source.Options{Server: s, User: owner, Password: secret.FromString(password)})
		if err != nil {
			t.Errorf("%s: %v", s.TLS, err)
			continue
		}
		if folders, err := c.Folders(ctx(t)); err != nil || len(folders) == 0 {
			t.Errorf("%s: got %v, %v", s.TLS, folders, err)
		}
		_ = c.Close()
	}
	_, err := source.Dial(ctx(t), source.Options{Server: serverAt(t, d.IMAPAddress, account.TLSNone, ""), User: owner, Password: secret.FromString("wrong")})
	var le *wire.LoginError
	if !errors.As(err, &le) || !le.Refused {
		t.Errorf("a wrong password: got %v", err)
	}
	_, err = source.Dial(ctx(t), source.Options{Server: serverAt(t, d.IMAPSAddress, account.TLSImplicit, ""), User: owner, Password: secret.FromString(password)})
	var te *wire.TLSError
	if !errors.As(err, &te) {
		t.Errorf("an unknown authority: got %v", err)
	}
}

// L5: after everything that can be asked, flags, UIDs and even \Recent are what they
// were, and the server has seen no command that could change something.
func TestNothingAtTheSourceIsChanged(t *testing.T) {
	d := newSource(t)
	o := login(t, d)
	if _, err := o.AppendAll("INBOX", []testbed.Message{{Date: time.Now(), Content: mail(1)}, {Date: time.Now(), Content: mail(2)}}); err != nil {
		t.Fatal(err)
	}
	_ = o.Close()
	owners, err := d.Commands()
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, d)
	if _, err := c.Folders(ctx(t)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Examine(ctx(t), "INBOX")
	if err != nil || !s.ReadOnly {
		t.Fatalf("got %+v, %v", s, err)
	}
	uids, err := c.UIDs(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	if err = c.List(ctx(t), source.UIDRange{From: 1}, func(source.Entry) error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err = c.Fetch(ctx(t), uids, func(m source.Message) error { _, err := io.Copy(io.Discard, m.Body); return err }); err != nil {
		t.Error(err)
	}
	if _, err = c.Headers(ctx(t), uids, []string{"Subject"}, func(uint32, []byte) error { return nil }); err != nil {
		t.Error(err)
	}
	if err = c.Changes(ctx(t), 1, func(source.Entry) error { return nil }); err != nil {
		t.Error(err)
	}
	commands, err := d.Commands()
	if err != nil {
		t.Fatal(err)
	}
	ours := commands[len(owners):]
	for _, line := range ours {
		_, command, _ := strings.Cut(line, " ")
		verb := strings.Fields(command)[0]
		if verb == "UID" {
			verb += " " + strings.Fields(command)[1]
		}
		if strings.Contains(command, "BODY[") || !slices.Contains([]string{"NAMESPACE", "LIST", "EXAMINE", "UID FETCH", "UID SEARCH", "LOGOUT", "ID"}, verb) {
			t.Errorf("sent %q", command)
		}
	}
	if len(ours) < 7 {
		t.Errorf("saw only %q of ours", ours)
	}
	_ = c.Close()
	o = login(t, d)
	if _, err = o.Examine("INBOX"); err != nil {
		t.Fatal(err)
	}
	if unseen, err := o.Search("UNSEEN RECENT"); err != nil || !slices.Equal(unseen, uids) {
		t.Errorf("unseen and recent are %v, %v; want %v", unseen, err, uids)
	}
}

func TestFetchGivesEveryMessageOnceWithItsBytes(t *testing.T) {
	d := newSource(t)
	o := login(t, d)
	const n = 450 // several windows, several of them in flight
	fill(t, o, "INBOX", n)
	if _, err := o.Select("INBOX"); err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(18, 120); err != nil {
		t.Fatal(err)
	}
	c := dial(t, d)
	if _, err := c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	// In any order, and with gaps.
	var ask []uint32
	for uid := uint32(n); uid > 0; uid-- {
		if uid%3 != 2 {
			ask = append(ask, uid)
		}
	}
	got := map[uint32]bool{}
	missing, err := c.Fetch(ctx(t), ask, func(m source.Message) error {
		b, err := io.ReadAll(m.Body)
		if got[m.UID] || !bytes.Equal(b, mail(int(m.UID-1))) || m.Size != int64(len(b)) || m.InternalDate.Unix() != int64(1e9+m.UID-1) || strings.Join(m.Flags, " ") != `\Seen work` {
			t.Errorf("UID %d: %d of %d octets, %v, %v", m.UID, len(b), m.Size, m.InternalDate, m.Flags)
		}
		got[m.UID] = true
		return err
	})
	slices.Sort(missing)
	if err != nil || !slices.Equal(missing, []uint32{18, 120}) || len(got) != len(ask)-2 {
		t.Errorf("got %d of %d, missing %v, %v", len(got), len(ask), missing, err)
	}
	if odd := c.Oddities(); len(odd) > 0 {
		t.Errorf("Dovecot is called odd: %v", odd)
	}
}

func TestChangesAndListAgreeWithTheOwner(t *testing.T) {
	d := newSource(t)
	o := login(t, d)
	fill(t, o, "INBOX", 30)
	c := dial(t, d)
	before, err := c.Examine(ctx(t), "INBOX")
	if err != nil || before.HighestModSeq == 0 {
		t.Fatalf("got %+v, %v", before, err)
	}
	if _, err = o.Select("INBOX"); err != nil {
		t.Fatal(err)
	}
	if err = o.Flag([]uint32{3, 9}, "+", `\Flagged`); err != nil {
		t.Fatal(err)
	}
	if _, err = c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	var changed []uint32
	if err = c.Changes(ctx(t), before.HighestModSeq, func(e source.Entry) error {
		changed = append(changed, e.UID)
		return nil
	}); err != nil || !slices.Equal(changed, []uint32{3, 9}) {
		t.Errorf("changed are %v, %v", changed, err)
	}
	n := 0
	if err = c.List(ctx(t), source.UIDRange{From: 21, To: 25}, func(e source.Entry) error {
		n++
		if !e.HasFlags || !e.HasDate || !e.HasSize || e.Size != uint32(len(mail(int(e.UID-1)))) {
			t.Errorf("got %+v", e)
		}
		return nil
	}); err != nil || n != 5 {
		t.Errorf("listed %d of 5, %v", n, err)
	}
	// "31:*" names the last message, 30, though nobody asked for it.
	if err = c.List(ctx(t), source.UIDRange{From: 31}, func(e source.Entry) error { t.Errorf("got %+v", e); return nil }); err != nil {
		t.Error(err)
	}
}

// L6 and memory: 30 MB go through a hash with a heap that stays flat.
func TestABigMessageStreamsWithFlatMemory(t *testing.T) {
	d := newSource(t)
	o := login(t, d)
	big := bytes.Repeat([]byte(strings.Repeat("0123456789", 7)+"\r\n"), 30<<20/72)
	if _, err := o.AppendAll("INBOX", []testbed.Message{{Date: time.Now(), Content: big}}); err != nil {
		t.Fatal(err)
	}
	want := sha256.Sum256(big)
	c := dial(t, d)
	if _, err := c.Examine(ctx(t), "INBOX"); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h := sha256.New()
	missing, err := c.Fetch(ctx(t), []uint32{1}, func(m source.Message) error {
		n, err := io.Copy(h, m.Body)
		if n != int64(len(big)) || m.Size != n {
			t.Errorf("got %d of %d octets", n, len(big))
		}
		return err
	})
	runtime.ReadMemStats(&after)
	if err != nil || len(missing) > 0 || !bytes.Equal(h.Sum(nil), want[:]) {
		t.Errorf("missing %v, %v", missing, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d KB allocated for a message of 30 MB", grown>>10)
	}
}
