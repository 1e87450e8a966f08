package destination_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/letter"
	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

// BenchmarkPump copies one folder from a real Dovecot to another: "ours" with this
// layer and a digest of every message, "bare" with sockets and nothing else. Writing
// is the bottleneck; ours should take at most 1.25 times as long.
func BenchmarkPump(b *testing.B) {
	const messages = 1000
	src, err := testbed.NewForTest(b).StartSource(testbed.SourceOptions{Accounts: map[string]string{owner: "pw"}})
	if err != nil {
		b.Fatal(err)
	}
	dst := newLab(b, testbed.DestinationOptions{})
	o, err := src.Login(owner, "pw")
	if err != nil {
		b.Fatal(err)
	}
	var all []testbed.Message
	for i := range messages {
		body := slices.Concat(mail(i), bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog.\r\n"), 20+i%7*200))
		all = append(all, testbed.Message{Flags: []string{`\Seen`}, Date: time.Unix(int64(1e9+i), 0), Content: body})
	}
	if _, err = o.AppendAll("INBOX", all); err != nil {
		b.Fatal(err)
	}
	_ = o.Close()
	c := dst.dial(b)
	n := 0
	folder := func() string {
		n++
		raw := "pump" + strconv.Itoa(n)
		if err := c.Create(ctx(b), raw); err != nil {
			b.Fatal(err)
		}
		return raw
	}
	// Interleaved and in turns, so that the noise of the machine falls on both.
	var ratios []float64
	for b.Loop() {
		took := map[bool]time.Duration{}
		for _, isOurs := range []bool{n%4 < 2, n%4 >= 2} {
			pump := bare
			if isOurs {
				pump = ours
			}
			raw, start := folder(), time.Now()
			if got := pump(b, src, dst, raw); got != messages {
				b.Fatalf("copied %d of %d", got, messages)
			}
			took[isOurs] = time.Since(start)
		}
		ratios = append(ratios, took[true].Seconds()/took[false].Seconds())
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "ours/bare")
	b.ReportMetric(float64(2*b.N*messages)/b.Elapsed().Seconds(), "messages/s")
}

func ours(b *testing.B, src *testbed.Dovecot, dst lab, raw string) (copied int) {
	host, port, _ := net.SplitHostPort(src.IMAPAddress)
	n, _ := strconv.Atoi(port)
	s, err := source.Dial(b.Context(), source.Options{
		Server: account.Source{Host: host, Port: n, TLS: account.TLSNone}, User: owner, Password: secret.FromString("pw"),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	d := dst.dial(b)
	defer func() { _ = d.Close() }()
	if _, err = s.Examine(b.Context(), "INBOX"); err != nil {
		b.Fatal(err)
	}
	uids, err := s.UIDs(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var sent *destination.Batch
	batch, digest := d.BeginAppend(raw), letter.NewDigest()
	commit := func() error {
		if sent != nil {
			got, err := sent.Wait(b.Context())
			if err != nil {
				return err
			}
			copied += len(got.UIDs)
		}
		if sent = nil; batch.Len() == 0 {
			return nil
		}
		sent = batch
		batch = d.BeginAppend(raw)
		return sent.Send(b.Context())
	}
	_, err = s.Fetch(b.Context(), uids, func(m source.Message) error {
		digest.Reset()
		it := destination.Item{Flags: m.Flags, InternalDate: m.InternalDate, Size: m.Size}
		if _, err := batch.Add(b.Context(), it, io.TeeReader(m.Body, digest)); err != nil || batch.Len() < 100 {
			return err
		}
		return commit()
	})
	for range 2 { // send the last batch, then wait for it
		if err == nil {
			err = commit()
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return copied
}

// bare does what must be done and nothing more: no checks, no digest, no UIDs.
func bare(b *testing.B, src *testbed.Dovecot, dst lab, raw string) (copied int) {
	s, d := bareLogin(b, src.IMAPAddress, "pw"), bareLogin(b, dst.IMAPAddress, "pw")
	defer func() { _, _ = s.Close(), d.Close() }()
	_, _ = s.WriteString("s EXAMINE INBOX\r\nt FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])\r\n")
	_ = s.Flush()
	waiting := 0
	for {
		line, err := s.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(line, "t OK") {
			break
		}
		if !strings.HasSuffix(line, "}\r\n") {
			continue
		}
		size, _ := strconv.ParseInt(line[strings.LastIndexByte(line, '{')+1:len(line)-3], 10, 64)
		if copied%100 == 0 {
			if copied > 0 {
				_, _ = d.WriteString("\r\n")
				waiting++
			}
			_, _ = d.WriteString("d APPEND " + raw)
		}
		copied++
		date := line[strings.Index(line, `INTERNALDATE "`)+13:]
		_, _ = fmt.Fprintf(d, " (\\Seen) %s {%d+}\r\n", date[:28], size)
		if _, err = io.CopyN(d, s, size); err != nil {
			b.Fatal(err)
		}
	}
	_, _ = d.WriteString("\r\n")
	_ = d.Flush()
	for waiting++; waiting > 0; {
		line, err := d.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(line, "d ") {
			if !strings.HasPrefix(line, "d OK") {
				b.Fatal(line)
			}
			waiting--
		}
	}
	return copied
}

type bareConn struct {
	*bufio.Reader
	*bufio.Writer
	io.Closer
}

func bareLogin(b *testing.B, address, password string) bareConn {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	c := bareConn{bufio.NewReaderSize(nc, 256<<10), bufio.NewWriterSize(nc, 256<<10), nc}
	_, _ = fmt.Fprintf(c, "l LOGIN %s %s\r\n", owner, password)
	_ = c.Flush()
	for {
		line, err := c.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(line, "l OK") {
			return c
		}
	}
}
