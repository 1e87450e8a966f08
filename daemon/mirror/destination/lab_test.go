package destination_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

const owner = "anna@example.org"

var local = netip.MustParseAddr("127.77.1.1")

// lab is one private Dovecot with the account anna@example.org.
type lab struct {
	*testbed.Dovecot
}

func newLab(t testing.TB, o testbed.DestinationOptions) lab {
	t.Helper()
	o.Accounts = map[string]string{owner: "pw"}
	o.MasterUser, o.MasterPassword = "mailstork", "master pw"
	d, err := testbed.NewForTest(t).StartDestination(o)
	if err != nil {
		t.Fatal(err)
	}
	return lab{d}
}

func (l lab) options() destination.Options {
	return destination.Options{
		Address: l.IMAPAddress, LocalAddress: local, User: owner,
		MasterUser: "mailstork", MasterPassword: secret.FromString("master pw"), IdleTimeout: 20 * time.Second,
	}
}

func (l lab) dial(t testing.TB) *destination.Conn {
	t.Helper()
	c, err := destination.Dial(ctx(t), l.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// owner logs in as the account's owner, with an IMAP client of another make.
func (l lab) owner(t testing.TB) *testbed.Client {
	t.Helper()
	c, err := l.Login(owner, "pw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// rawLogin is a bare connection as the master user, for octets that Conn never sends.
func (l lab) rawLogin(t testing.TB) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: local.AsSlice()}}
	nc, err := d.DialContext(ctx(t), "tcp", l.IMAPAddress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err = fmt.Fprintf(nc, "a LOGIN %s*mailstork {9+}\r\nmaster pw\r\n", owner); err != nil {
		t.Fatal(err)
	}
	for r := bufio.NewReader(nc); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "a OK") {
			return nc
		}
	}
}

func (l lab) fenceOptions(timeout time.Duration) destination.FenceOptions {
	return destination.FenceOptions{
		User: owner, LocalAddress: local, Command: l.DoveadmCommand(), Timeout: timeout,
	}
}

func (l lab) fence(t testing.TB) {
	t.Helper()
	if err := destination.Fence(ctx(t), l.fenceOptions(20*time.Second)); err != nil {
		t.Fatal(err)
	}
}

// session is the process that serves the one connection from an address.
func (l lab) session(t testing.TB, from netip.Addr) (pid int) {
	t.Helper()
	out, err := l.Doveadm("-f", "tab", "who", "-1", owner, from.String())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if fields := strings.Split(lines[len(lines)-1], "\t"); len(fields) == 4 {
		pid, _ = strconv.Atoi(fields[2])
	}
	if pid < 2 {
		t.Fatalf("no session from %v in %q", from, out)
	}
	return pid
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return c
}

func mail(n int) []byte {
	return fmt.Appendf(nil, "From: a@example.org\r\nSubject: letter %d\r\nMessage-ID: <%d@example.org>\r\n\r\nHello %d\r\n", n, n, n)
}

// add adds one message to a batch.
func add(t testing.TB, b *destination.Batch, it destination.Item, body []byte) []string {
	t.Helper()
	it.Size = int64(len(body))
	unkept, err := b.Add(ctx(t), it, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return unkept
}

// count is how many messages the owner sees in a folder.
func count(t testing.TB, c *testbed.Client, folder string) int {
	t.Helper()
	st, err := c.Examine(folder)
	if err != nil {
		t.Fatal(err)
	}
	return st.Messages
}

// usable fails unless the connection still answers.
func usable(t testing.TB, c *destination.Conn) {
	t.Helper()
	if _, err := c.Examine(ctx(t), "INBOX"); err != nil {
		t.Errorf("the connection is out of step: %v", err)
	}
}
