package notice

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"mailstork/daemon/account"
)

//go:embed texts
var texts embed.FS

// Kind says what an owner is told.
type Kind string

// The kinds of letters.
const (
	Moving Kind = "moving" // the account is in use, and older mail still comes
	Here   Kind = "here"   // everything has come
	// Waiting: the account can't be used before everything has come.
	Waiting Kind = "waiting"
)

// Facts are the numbers of an account.
type Facts struct {
	Copied, Messages     int       // that are here, of those that there are
	LeftOut              int       // by a rule, or since this server could not keep them
	Folders, FoldersLeft int       // all, and those that are not complete here
	Expected             time.Time // when everything will have come, at the pace so far; zero when nobody knows
}

// Letter is one revision of the letter to the owner of an account.
type Letter struct {
	To       account.Address
	Sender   account.Address
	Language account.Language
	Kind     Kind
	Revision int
	At       time.Time
	Facts    Facts
}

// values are what a text may name. Numbers come as the language writes them.
type values struct {
	Address, Domain, Sender                         string
	Copied, Messages, LeftOut, Folders, FoldersLeft string
	Expected                                        string
}

// Compose writes the letter as it is stored, with CRLF.
func (l Letter) Compose() ([]byte, error) {
	text, err := template.ParseFS(texts, "texts/"+string(l.Language)+".txt")
	if err != nil {
		return nil, fmt.Errorf("writing a notice in %q: %w", l.Language, err)
	}
	fill := func(name string, data any) string {
		var out strings.Builder
		if err == nil {
			err = text.ExecuteTemplate(&out, name, data)
		}
		return out.String()
	}
	thousands := fill("thousands", nil)
	v := values{Address: string(l.To), Domain: l.To.Domain(), Sender: string(l.Sender)}
	for _, number := range []struct {
		text *string
		n    int
	}{{&v.Copied, l.Facts.Copied}, {&v.Messages, l.Facts.Messages}, {&v.LeftOut, l.Facts.LeftOut}, {&v.Folders, l.Facts.Folders}, {&v.FoldersLeft, l.Facts.FoldersLeft}} {
		*number.text = grouped(number.n, thousands)
	}
	// A text asks with "if" whether there is something to say of these.
	if l.Facts.LeftOut == 0 {
		v.LeftOut = ""
	}
	if l.Facts.Messages == 0 {
		v.Messages = ""
	}
	if !l.Facts.Expected.IsZero() {
		v.Expected = l.Facts.Expected.UTC().Format("2006-01-02 15:04 UTC")
	}
	subject, body, name := fill(string(l.Kind)+" subject", v), fill(string(l.Kind), v), fill("sender", v)
	if err != nil {
		return nil, fmt.Errorf("writing a notice in %q: %w", l.Language, err)
	}
	return l.assemble(name, subject, flowed(body)), nil
}

func (l Letter) assemble(name, subject, body string) []byte {
	var out bytes.Buffer
	from := mail.Address{Name: name, Address: string(l.Sender)}
	for _, field := range [][2]string{
		{"From", from.String()},
		{"To", "<" + string(l.To) + ">"},
		{"Subject", strings.ReplaceAll(mime.QEncoding.Encode("utf-8", subject), "?= =?", "?=\r\n =?")},
		{"Date", l.At.UTC().Format("Mon, 2 Jan 2006 15:04:05 +0000")},
		{"Message-ID", MessageID(l.To, l.Revision)},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834 §5: nobody's out-of-office answers it
		{"Content-Language", string(l.Language)},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8; format=flowed"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", field[0], field[1])
	}
	out.WriteString("\r\n")
	encoded := quotedprintable.NewWriter(&out)
	_, _ = encoded.Write([]byte(body)) // into memory
	_ = encoded.Close()
	return out.Bytes()
}

// width is how long a line may get, in characters (RFC 3676 §4.2).
const width = 72

// flowed makes one flowed paragraph of each block of lines, and of each line that begins with "- ". In a flowed paragraph
// every line but the last ends with a space (RFC 3676 §4.1), so that a window of any width fills its lines.
func flowed(text string) string {
	var out strings.Builder
	var words []string
	end := func() {
		length := 0
		for i, word := range words {
			n := utf8.RuneCountInString(word)
			if i > 0 {
				out.WriteByte(' ')
				if length++; length+n > width {
					out.WriteString("\r\n")
					length = 0
				}
			}
			out.WriteString(word)
			length += n
		}
		if len(words) > 0 {
			out.WriteString("\r\n")
		}
		words = nil
	}
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.Trim(line, " \n")
		if line == "" || strings.HasPrefix(line, "- ") {
			end()
		}
		if line == "" && !strings.HasSuffix(out.String(), "\r\n\r\n") {
			out.WriteString("\r\n")
		}
		// Not strings.Fields: spaces that must not be broken stay inside a word.
		words = append(words, strings.FieldsFunc(line, func(r rune) bool { return r == ' ' })...)
	}
	end()
	return out.String()
}

func grouped(n int, separator string) string {
	digits := strconv.Itoa(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + separator + digits[i:]
	}
	return digits
}

// MessageID is the same for a revision of an account's letter whenever it is written.
func MessageID(to account.Address, revision int) string {
	return fmt.Sprintf("<%s%d@%s>", idPrefix(to), revision, to.Domain())
}

// Revision tells which revision of an account's letter has this Message-ID; ours is false when none has.
func Revision(to account.Address, id string) (revision int, ours bool) {
	rest, ours := strings.CutPrefix(strings.TrimSpace(id), "<"+idPrefix(to))
	number, domain, _ := strings.Cut(rest, "@")
	revision, err := strconv.Atoi(number)
	if ours = ours && err == nil && revision > 0 && domain == to.Domain()+">"; !ours {
		return 0, false
	}
	return revision, true
}

// idPrefix does not show the address: a letter that is passed on tells nobody more than it says.
func idPrefix(to account.Address) string {
	sum := sha256.Sum256([]byte("notice " + string(to)))
	return "mailstork-notice." + hex.EncodeToString(sum[:8]) + "."
}
