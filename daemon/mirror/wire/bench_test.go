package wire_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"mailstork/daemon/mirror/wire"
)

// The cost of reading alone: a pass compares 100,000 messages, and a copy must not
// be slower than the wire.
func BenchmarkList(b *testing.B) {
	var said bytes.Buffer
	const n = 100_000
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&said, "* %d FETCH (UID %d FLAGS (\\Seen $Forwarded) INTERNALDATE \"17-Jul-2016 02:44:25 -0700\" RFC822.SIZE 2345)\r\n", i, i)
	}
	b.ReportAllocs()
	for b.Loop() {
		c := benchConn(b, said.Bytes())
		got := 0
		if err := c.List(b.Context(), wire.UIDRange{From: 1}, func(wire.Entry) error { got++; return nil }); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkFetch(b *testing.B) {
	body := strings.Repeat("0123456789abcdef\r\n", 800)
	var said bytes.Buffer
	var uids []uint32
	for i := 1; i <= 100; i++ {
		uids = append(uids, uint32(i))
		fmt.Fprintf(&said, "* %d FETCH (UID %d FLAGS (\\Seen) INTERNALDATE \"17-Jul-2016 02:44:25 -0700\" BODY[] {%d}\r\n%s)\r\n", i, i, len(body), body)
	}
	b.SetBytes(int64(said.Len()))
	b.ReportAllocs()
	for b.Loop() {
		missing, err := benchConn(b, said.Bytes()).Fetch(b.Context(), uids, func(m wire.Message) error {
			_, err := io.Copy(io.Discard, m.Body)
			return err
		})
		if err != nil || len(missing) > 0 {
			b.Fatal(missing, err)
		}
	}
}

func benchConn(b *testing.B, said []byte) *wire.Conn {
	c, err := wire.NewForTest(b.Context(), &noise{said: said, out: []byte("* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n")}, wire.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return c
}
