package destination_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
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

func (l lab) fence(t testing.TB) {
	t.Helper()
	err := destination.Fence(ctx(t), destination.FenceOptions{
		User: owner, LocalAddress: local, Command: []string{"doveadm", "-c", l.ConfFile}, Timeout: 20 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return c
}

func letter(n int) []byte {
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

// subjects is what the owner sees in a folder.
func subjects(t testing.TB, c *testbed.Client, folder string) int {
	t.Helper()
	st, err := c.Examine(folder)
	if err != nil {
		t.Fatal(err)
	}
	return int(st.Messages)
}
