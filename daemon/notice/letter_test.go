package notice

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mailstork/daemon/account"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	kinds = []Kind{Moving, Here, Waiting}
	at    = time.Date(2026, 11, 22, 4, 5, 6, 0, time.UTC)
)

func example(language account.Language, kind Kind) Letter {
	return Letter{To: "anna@example.org", Sender: "postmaster@example.org", Language: language, Kind: kind, Revision: 2, At: at,
		Facts: Facts{Copied: 12345, Messages: 1234567, LeftOut: 3, Folders: 41, FoldersLeft: 7, Expected: at.Add(26 * time.Hour)}}
}

func TestEveryLanguageHasEveryTextAndNoOther(t *testing.T) {
	files, err := texts.ReadDir("texts")
	if err != nil || len(files) != len(account.Languages) {
		t.Errorf("%d files for %d languages, %v", len(files), len(account.Languages), err)
	}
	for _, language := range account.Languages {
		for _, kind := range kinds {
			if _, err := example(language, kind).Compose(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := example("xx", Here).Compose(); err == nil {
		t.Error("a language that nobody has written a text in was taken")
	}
}

// The golden files are for people who can read the language.
func TestLettersReadAsTheGoldenFilesDo(t *testing.T) {
	for _, language := range account.Languages {
		var got bytes.Buffer
		for _, kind := range kinds {
			read := decode(t, example(language, kind))
			fmt.Fprintf(&got, "=== %s\nFrom: %s\nTo: %s\nSubject: %s\n\n%s\n", kind, read.from, read.to, read.subject, read.unflowed())
		}
		file := filepath.Join("testdata", string(language)+".golden")
		if *update {
			if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: %v; got\n%s\nwant\n%s", file, err, got.Bytes(), want)
		}
	}
}

// read is a letter as a mail program shows it.
type read struct {
	header            mail.Header
	from, to, subject string
	body              string
}

// decode reads a letter with a parser that is not ours, and checks its octets.
func decode(t *testing.T, l Letter) (r read) {
	t.Helper()
	raw, err := l.Compose()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		if len(line) > 80 || !bytes.HasSuffix(line, []byte("\r\n")) || bytes.IndexFunc(line, func(c rune) bool { return c > '~' }) >= 0 {
			t.Errorf("%s %s: line %q is too long, not ASCII, or does not end with CRLF", l.Language, l.Kind, line)
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	r.header = m.Header
	from, err1 := m.Header.AddressList("From")
	to, err2 := m.Header.AddressList("To")
	date, err3 := m.Header.Date()
	if err1 != nil || err2 != nil || err3 != nil || len(from) != 1 || len(to) != 1 || !date.Equal(l.At) {
		t.Fatalf("%s %s: From %v %v, To %v %v, Date %v %v", l.Language, l.Kind, from, err1, to, err2, date, err3)
	}
	r.from, r.to = from[0].Name+" <"+from[0].Address+">", to[0].Address
	if r.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Error(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil || !utf8.Valid(body) {
		t.Errorf("%s %s: %v", l.Language, l.Kind, err)
	}
	r.body = string(body)
	return r
}

// unflowed joins flowed lines (RFC 3676 §4.1).
func (r read) unflowed() string {
	return strings.ReplaceAll(strings.ReplaceAll(r.body, " \r\n", " "), "\r\n", "\n")
}

func TestLetterSaysThatNobodyWroteItAndHowItIsEncoded(t *testing.T) {
	for _, language := range account.Languages {
		r := decode(t, example(language, Moving))
		for name, want := range map[string]string{
			"Auto-Submitted": "auto-generated", "Content-Language": string(language), "MIME-Version": "1.0", "Content-Transfer-Encoding": "quoted-printable",
			"Content-Type": "text/plain; charset=utf-8; format=flowed", "Message-Id": MessageID("anna@example.org", 2),
		} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", language, name, got, want)
			}
		}
		for line := range strings.Lines(r.body) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\r\n")); n > width+1 {
				t.Errorf("%s: a line of %d characters: %q", language, n, line)
			}
			if strings.HasPrefix(line, " ") || strings.HasPrefix(line, ">") || strings.HasPrefix(line, "From ") {
				t.Errorf("%s: %q would have to be stuffed (RFC 3676 §4.4)", language, line)
			}
		}
	}
}

func TestWhatIsNotThereIsNotMentioned(t *testing.T) {
	for _, language := range account.Languages {
		all := example(language, Here)
		few := all
		few.Facts.LeftOut = 0
		if a, b := strings.Count(decode(t, all).body, "\r\n- "), strings.Count(decode(t, few).body, "\r\n- "); a <= b {
			t.Errorf("%s: %d facts, and %d where some are missing", language, a, b)
		}
		if strings.Contains(decode(t, few).body, "\r\n\r\n\r\n") {
			t.Errorf("%s has two empty lines", language)
		}
	}
}

func TestRevisionIsReadFromItsOwnMessageIDOnly(t *testing.T) {
	for _, revision := range []int{1, 2, 345} {
		if got, ours := Revision("anna@example.org", " "+MessageID("anna@example.org", revision)+"\r\n"); got != revision || !ours {
			t.Errorf("got %d, %v, want %d", got, ours, revision)
		}
	}
	mine := MessageID("anna@example.org", 1)
	for _, id := range []string{"", "<1@x>", MessageID("bert@example.org", 1), MessageID("anna@example.net", 1), strings.Replace(mine, ".1@", ".0@", 1),
		strings.Replace(mine, ".1@", ".-1@", 1), strings.Replace(mine, ".1@", ".x@", 1), strings.TrimSuffix(mine, ">"), mine + "x"} {
		if revision, ours := Revision("anna@example.org", id); ours {
			t.Errorf("%q was taken for revision %d", id, revision)
		}
	}
}
