package corpus

import (
	"math/rand/v2"
	"strings"
	"time"

	"mailstork/test/testbed"
)

// Account is what one person has.
type Account struct{ Folders []Folder }

// Folder is one folder; its path is joined with the separator of a server.
type Folder struct {
	Path       []string
	Subscribed bool
	Messages   []testbed.Message
}

// Name shows the path as a person would write it.
func (f Folder) Name() string { return strings.Join(f.Path, "/") }

// Messages counts all messages.
func (a Account) Messages() int {
	count := 0
	for _, folder := range a.Folders {
		count += len(folder.Messages)
	}
	return count
}

// Bytes adds up all messages.
func (a Account) Bytes() int {
	size := 0
	for _, folder := range a.Folders {
		for _, message := range folder.Messages {
			size += len(message.Content)
		}
	}
	return size
}

// BigSize is the size of the one very large message in Standard.
const BigSize = 30 << 20

// Standard returns 12 folders with 1,000 messages.
func Standard() Account {
	folders := []struct {
		path       []string
		messages   int
		subscribed bool
		special    func(*author) []testbed.Message
	}{
		{[]string{"INBOX"}, 410, true, damaged},
		{[]string{"Sent"}, 160, true, twins},
		{[]string{"Drafts"}, 10, true, nil},
		{[]string{"Trash"}, 40, false, nil},
		{[]string{"Junk"}, 0, false, nil},
		{[]string{"Archive"}, 100, true, oddDates},
		{[]string{"Archive", "2023"}, 80, true, large},
		{[]string{"Archive", "2023", "Q4"}, 40, false, nil},
		{[]string{"Famiglia", "Però è così"}, 50, true, keywords},
		{[]string{"Проекты"}, 60, true, eightBit},
		{[]string{"日本語 🎉"}, 30, false, twins},
		{[]string{"R&D"}, 20, true, nil},
	}
	var account Account
	for i, f := range folders {
		a := newAuthor(1, uint64(i), f.path)
		var messages []testbed.Message
		if f.special != nil {
			messages = f.special(a)
		}
		for len(messages) < f.messages {
			messages = append(messages, a.ordinary())
		}
		// The special ones are not all at the beginning of their folder.
		a.random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
		account.Folders = append(account.Folders, Folder{f.path, f.subscribed, messages})
	}
	return account
}

// Small returns 3 folders with 40 messages.
func Small() Account {
	var account Account
	for i, f := range []struct {
		path     []string
		subjects []string
	}{
		{[]string{"INBOX"}, smallInbox},
		{[]string{"Sent"}, smallSent},
		{[]string{"Famiglia", "Ricette della nonna"}, smallRecipes},
	} {
		a := newAuthor(2, uint64(i), f.path)
		folder := Folder{Path: f.path, Subscribed: true}
		for n, subject := range f.subjects {
			// One letter a day, the newest on the last day of October.
			date := time.Date(2024, 10, 31-len(f.subjects)+1+n, 9, 30, n, 0, time.FixedZone("", 3600))
			message := a.letter(subject, date, 2+a.random.IntN(4))
			message.Flags = a.flags()
			folder.Messages = append(folder.Messages, message)
		}
		account.Folders = append(account.Folders, folder)
	}
	return account
}

// Arrivals returns n messages that came in after all others; those of different rounds differ.
func Arrivals(round uint64, n int) Account {
	inbox := Folder{Path: []string{"INBOX"}, Subscribed: true}
	a := newAuthor(4+round, 0, inbox.Path)
	for range n {
		inbox.Messages = append(inbox.Messages, a.ordinary())
	}
	return Account{Folders: []Folder{inbox}}
}

// Awkward returns what not every server keeps as it came. Dovecot turns a date in
// the future into now.
func Awkward() Account {
	a := newAuthor(3, 0, []string{"Awkward"})
	dated := func(subject string, date time.Time) testbed.Message { return a.letter(subject, date, 2) }
	many := a.letter("Thirty keywords", a.date(), 2)
	for i := range 30 {
		many.Flags = append(many.Flags, "keyword"+string(rune('A'+i%26))+string(rune('a'+i/26)))
	}
	return Account{Folders: []Folder{
		{Path: []string{"Dates"}, Messages: []testbed.Message{
			dated("Before the epoch", time.Date(1969, 7, 20, 20, 17, 40, 0, time.UTC)),
			dated("From the future", time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)),
		}},
		{Path: []string{"Keywords"}, Messages: []testbed.Message{many}},
		{Path: []string{` "Quoted" \ 100% * `}, Subscribed: true, Messages: []testbed.Message{a.ordinary()}},
		{Path: []string{"Empty"}, Subscribed: true},
	}}
}

// author writes the messages of one folder. Each has its own random numbers, so
// that a change in one folder leaves the others as they were.
type author struct {
	random *rand.Rand
	domain string
	drafts bool
	count  int
}

func newAuthor(corpus, folder uint64, path []string) *author {
	return &author{
		random: rand.New(rand.NewPCG(corpus, folder)),
		domain: "f" + string(rune('a'+folder)) + ".example.net",
		drafts: path[0] == "Drafts",
	}
}

// date is in the years 2001 to 2024, in a zone where people live.
func (a *author) date() time.Time {
	zones := []int{0, 3600, 7200, -5 * 3600, -8 * 3600, 5*3600 + 1800, 9 * 3600}
	at := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Unix() + a.random.Int64N(23*365*86400)
	return time.Unix(at, 0).In(time.FixedZone("", zones[a.random.IntN(len(zones))]))
}

// flags are those of a folder that is in use: most of it read.
func (a *author) flags() []string {
	var flags []string
	for _, choice := range []struct {
		flag    string
		percent int
	}{
		{`\Seen`, 80}, {`\Answered`, 20}, {`\Flagged`, 8}, {`\Deleted`, 1},
		{"$Forwarded", 6}, {"NonJunk", 15}, {"$Label1", 4}, {"$MDNSent", 3},
	} {
		if a.random.IntN(100) < choice.percent {
			flags = append(flags, choice.flag)
		}
	}
	if a.drafts {
		flags = append(flags, `\Draft`)
	}
	return flags
}
