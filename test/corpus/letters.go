package corpus

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"mailstork/test/testbed"
)

var words = strings.Fields(`stork nest river letter meadow chimney spring wing
	journey south harbour garden window morning evening market bread wine village
	bridge lantern paper ink stamp parcel ladder orchard cloud summer winter road`)

var people = []string{"Anna Rossi", "Bruno Keller", "Chiara Conti", "Dmitri Orlov", "Eve Martin"}

// ordinary writes a message as people do: text, sometimes with a file attached.
func (a *author) ordinary() testbed.Message {
	date := a.date()
	message := a.letter(a.phrase(3+a.random.IntN(4)), date, 2+a.random.IntN(30))
	if a.random.IntN(100) < 12 {
		message = a.attachment(a.phrase(2), date, 2<<10+a.random.IntN(50<<10))
	}
	message.Flags = a.flags()
	return message
}

func (a *author) phrase(n int) string {
	chosen := make([]string, n)
	for i := range chosen {
		chosen[i] = words[a.random.IntN(len(words))]
	}
	chosen[0] = strings.ToUpper(chosen[0][:1]) + chosen[0][1:]
	return strings.Join(chosen, " ")
}

// messageID is new with every call.
func (a *author) messageID() string {
	a.count++
	return fmt.Sprintf("<%d.%08x@%s>", a.count, a.random.Uint32(), a.domain)
}

func (a *author) header(subject string, date time.Time, more ...string) string {
	person := people[a.random.IntN(len(people))]
	lines := append([]string{
		"Received: from mx.example.net by imap.example.org; " + date.Format(time.RFC1123Z),
		"Message-ID: " + a.messageID(),
		"Date: " + date.Format(time.RFC1123Z),
		fmt.Sprintf("From: %s <%s@example.net>", person, strings.ToLower(person[:strings.IndexByte(person, ' ')])),
		"To: Somebody <somebody@example.org>",
		"Subject: " + subject,
	}, more...)
	return strings.Join(lines, "\r\n") + "\r\n"
}

// letter is a text of some lines.
func (a *author) letter(subject string, date time.Time, lines int) testbed.Message {
	var text strings.Builder
	text.WriteString(a.header(subject, date, "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"))
	text.WriteString("\r\n")
	for range lines {
		text.WriteString(a.phrase(6+a.random.IntN(6)) + ".\r\n")
	}
	return testbed.Message{Date: date, Content: []byte(text.String())}
}

// attachment is a letter with size random bytes in a file.
func (a *author) attachment(subject string, date time.Time, size int) testbed.Message {
	var out bytes.Buffer
	out.WriteString(a.header(subject, date, "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="part"`))
	out.WriteString("\r\n--part\r\nContent-Type: text/plain\r\n\r\n" + a.phrase(8) + ".\r\n")
	out.WriteString("--part\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=photo.bin\r\n\r\n")
	writeBase64(&out, a.random, size*3/4)
	out.WriteString("--part--\r\n")
	return testbed.Message{Date: date, Content: out.Bytes()}
}

// writeBase64 writes n random bytes in lines of 76.
func writeBase64(out *bytes.Buffer, random *rand.Rand, n int) {
	file := make([]byte, 0, n+8)
	for len(file) < n {
		file = binary.LittleEndian.AppendUint64(file, random.Uint64())
	}
	text := base64.StdEncoding.AppendEncode(nil, file[:n])
	out.Grow(len(text) + len(text)/76*2 + 4)
	for line := range slices.Chunk(text, 76) {
		out.Write(line)
		out.WriteString("\r\n")
	}
}

var smallInbox = []string{
	"Welcome to your new account", "Sunday lunch at grandma's", "The storks are back!",
	"Photos from the lake", "Re: Photos from the lake", "Your train ticket to Trieste",
	"Piano lesson moved to Thursday", "Invoice 2024-118", "Happy birthday, Anna!",
	"Re: Happy birthday, Anna!", "Minutes of the garden club", "Key for the allotment",
	"Book recommendation", "Re: Book recommendation", "Your parcel is on its way",
	"Parent-teacher evening", "Choir: new programme", "Grüße aus München",
	"Crème brûlée, at last", "Night train to Vienna", "The neighbour's cat",
	"Bike repaired", "Concert on Saturday?", "Re: Concert on Saturday?", "See you tomorrow",
}

var smallSent = []string{
	"Re: Welcome to your new account", "Re: Sunday lunch at grandma's", "Holiday plans",
	"Re: Invoice 2024-118", "Thank you for the flowers", "Re: Key for the allotment",
	"Moving house in November", "Re: Parent-teacher evening", "Two tickets, please",
	"Re: See you tomorrow",
}

var smallRecipes = []string{
	"Tortellini in brodo", "Strudel di mele", "Ragù, the slow way", "Torta di nocciole",
	"Pane di casa",
}
