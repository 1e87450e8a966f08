package letter

import (
	"bytes"
	"strings"
	"testing"
)

func digestOf(chunks ...string) [DigestSize]byte {
	d := NewDigest()
	for _, c := range chunks {
		_, _ = d.Write([]byte(c))
	}
	return d.Sum()
}

func TestDigestIsThatOfTheBytesAsDovecotStoresThem(t *testing.T) {
	for name, pair := range map[string][2]string{
		"CRLF and LF":             {"a\r\nb\r\n", "a\nb\n"},
		"CR CR LF":                {"a\r\r\nb", "a\r\nb"},
		"NUL becomes 0x80":        {"a\x00b", "a\x80b"},
		"CRs at the end are lost": {"a\r\r", "a"},
		"CR inside a line":        {"a\rb\r\n", "a\rb\n"},
		"CR runs inside a line ":  {"a\r\rb", "a\r\rb"},
	} {
		if digestOf(pair[0]) != digestOf(pair[1]) {
			t.Errorf("%s: %q and %q differ", name, pair[0], pair[1])
		}
	}
	for name, pair := range map[string][2]string{
		"a byte":           {"a", "b"},
		"a bare CR":        {"a\rb", "ab"},
		"the last newline": {"a\n", "a"},
	} {
		if digestOf(pair[0]) == digestOf(pair[1]) {
			t.Errorf("%s makes no difference", name)
		}
	}
}

func FuzzDigestDoesNotDependOnChunks(f *testing.F) {
	f.Add([]byte("a\r\r\nb\x00\r"), 3)
	f.Fuzz(func(t *testing.T, message []byte, cut int) {
		if cut < 0 || cut > len(message) {
			return
		}
		if digestOf(string(message)) != digestOf(string(message[:cut]), string(message[cut:])) {
			t.Fatalf("%q cut at %d has another digest", message, cut)
		}
		wire := bytes.ReplaceAll(bytes.ReplaceAll(message, []byte("\r"), nil), []byte("\n"), []byte("\r\n"))
		stored := bytes.ReplaceAll(wire, []byte("\r\n"), []byte("\n"))
		if digestOf(string(wire)) != digestOf(string(stored)) {
			t.Fatalf("%q: CRLF and LF forms differ", message)
		}
	})
}

func TestFingerprintSurvivesFoldingAndOrder(t *testing.T) {
	one := ReadIdentity([]byte("Received: x\r\nFrom: Anna <a@x.org>\r\nSubject: one\r\n two\r\nMessage-ID: <1@x>\r\nDate: Sat, 1 Jan 2022 00:00:00 +0000\r\n\r\nMessage-ID: <body@x>\r\n"))
	two := ReadIdentity([]byte("message-id:   <1@x>\nDATE: Sat, 1 Jan 2022\n\t00:00:00 +0000\nsubject: one two\nfrom: Anna <a@x.org>\nFrom: second\n"))
	if one.Fingerprint() != two.Fingerprint() || one.Fingerprint().IsZero() {
		t.Errorf("fingerprints differ:\n%+v\n%+v", one, two)
	}
	if two.Subject = "other"; one.Fingerprint() == two.Fingerprint() {
		t.Error("another subject makes no difference")
	}
}

func TestLetterWithoutMessageIDAndDateHasNoFingerprint(t *testing.T) {
	for _, header := range []string{"", "\r\nbody", "From: a\r\nSubject: b\r\n\r\n", "no header at all"} {
		if f := ReadIdentity([]byte(header)).Fingerprint(); !f.IsZero() {
			t.Errorf("%q has fingerprint %x", header, f)
		}
	}
}

// The mirror digests every octet that it copies; this is its cost.
func BenchmarkDigest(b *testing.B) {
	message := bytes.Repeat([]byte(strings.Repeat("base64", 12)+"text\r\n"), 1000)
	d := NewDigest()
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		d.Reset()
		_, _ = d.Write(message)
		_ = d.Sum()
	}
}
