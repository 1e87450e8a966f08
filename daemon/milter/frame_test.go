package milter

import (
	"bytes"
	"encoding/binary"
	"io"
	"log"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

func frame(code byte, data string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)+1))
	return append(append(out, code), data...)
}

func join(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

var negotiate = frame('O', "\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")

func TestHostileFramesEndTheConnectionQuietly(t *testing.T) {
	for _, test := range []struct {
		name  string
		bytes []byte
	}{
		{"empty frame", make([]byte, 4)},
		{"frame of 4 GiB", []byte{0xff, 0xff, 0xff, 0xff, 'L'}},
		{"frame beyond the cap", frame('L', strings.Repeat("x", maxFrame))},
		{"unknown command with a newline", frame('\n', "fake log line")},
		{"macros without a stage", frame('D', "")},
		{"endless macros", frame('D', "R"+strings.Repeat("a\x00b\x00", maxMacros))},
		{"quit and new connection", frame('K', "")},
	} {
		t.Run(test.name, func(t *testing.T) {
			var standard bytes.Buffer
			defer log.SetOutput(log.Writer())
			log.SetOutput(&standard)
			s := serve(t, &memory{}, exampleOrgIsOurs)
			conn := dialRaw(t, s)
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			_, _ = conn.Write(join(negotiate, test.bytes))
			if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the connection did not end: %v", err)
			}
			await(t, "the count", func() bool { return s.Stats().Refused == 1 })
			if standard.Len() > 0 {
				t.Errorf("foreign bytes reached the standard logger: %q", standard.String())
			}
		})
	}
}

func TestFrameCutInTheMiddleIsCountedAndASilentPeerIsNot(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	dialRaw(t, s).Close()
	orderly := dialRaw(t, s)
	_, _ = orderly.Write(join(negotiate, frame('Q', "")))
	_, _ = io.Copy(io.Discard, orderly)
	cut := dialRaw(t, s)
	_, _ = cut.Write(frame('M', "<a@x>\x00")[:7])
	cut.Close()
	await(t, "the count", func() bool { return s.Stats().Refused == 1 })
}

func TestEveryCommandOfNoUseIsAnsweredWithContinue(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	conn := dialRaw(t, s)
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Write(negotiate)
	if _, err := io.ReadFull(conn, make([]byte, 17)); err != nil {
		t.Fatal(err)
	}
	for _, odd := range [][]byte{
		frame('C', "host"), frame('C', ""), frame('C', "host\x004\x00"), frame('H', ""), frame('H', "helo\x00"), frame('U', "XYZZY\x00"),
		frame('T', ""), frame('N', ""), frame('B', strings.Repeat("b", 65535)), frame('L', ""), frame('L', "\x00\x00"),
		frame('L', "Subject"), frame('M', ""), frame('R', ""), frame('R', "<>"), frame('E', ""), frame('E', "rest of the body"),
	} {
		_, _ = conn.Write(odd)
		answer := make([]byte, 5)
		if _, err := io.ReadFull(conn, answer); err != nil || !bytes.Equal(answer, frame('c', "")) {
			t.Fatalf("command %q was answered with %q, %v", odd[4:min(len(odd), 20)], answer, err)
		}
	}
}

func TestHeaderFloodLeavesMemoryFlat(t *testing.T) {
	s := serve(t, &memory{}, exampleOrgIsOurs)
	c := s.dial(t)
	defer c.Close()
	const letters, headers = 30, 200
	big := strings.Repeat("x", 60<<10)
	flood := func() {
		c.envelope("4ABC", "anna@example.org")
		for range headers {
			c.mustContinue(c.HeaderField("Received", big))
			c.mustContinue(c.HeaderField("Subject", big))
		}
	}
	before := heap()
	for range letters { // 700 MB of headers in one session that never says Abort
		flood()
	}
	if grown := heap() - before; grown > 20<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func FuzzAnyBytesEndInContinueOrSilence(f *testing.F) {
	f.Add(join(negotiate, frame('M', "<a@x>\x00"), frame('R', "<anna@example.org>\x00"), frame('L', "Message-ID\x00<1@x>\x00"), frame('E', "")))
	f.Add(join(negotiate, frame('D', "Ri\x004ABC\x00"), frame('A', ""), frame('E', ""), frame('Q', "")))
	f.Add(join(frame('C', "h\x00"), frame('L', "\x00"), []byte{0, 0, 0, 200, 'L'}))
	recorder := &memory{}
	server := serve(f, recorder, exampleOrgIsOurs)
	f.Fuzz(func(t *testing.T, input []byte) {
		conn, err := net.Dial(server.network, server.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		go func() {
			_, _ = conn.Write(input)
			_ = conn.(*net.UnixConn).CloseWrite()
		}()
		answers, err := io.ReadAll(conn)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatalf("the connection did not end: %v", err)
		}
		for len(answers) >= 5 {
			length := int(binary.BigEndian.Uint32(answers))
			if code := answers[4]; code != 'c' && code != 'O' {
				t.Fatalf("answered with %q: only continue is ours to say", code)
			}
			answers = answers[4+length:]
		}
		if missed := server.Stats().Missed; missed > 0 {
			t.Fatalf("a recorder that never fails missed %d letters", missed)
		}
	})
}
