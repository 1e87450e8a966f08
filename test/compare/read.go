package compare

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"

	"mailstork/test/testbed"
)

// Digest identifies the bytes of a message.
type Digest [32]byte

// Account is everything that one account holds.
type Account struct {
	Namespace testbed.Namespace
	Folders   map[string]Folder
}

// Folder is what one folder holds.
type Folder struct {
	Subscribed bool
	Messages   []Message
}

// Message is what must survive a copy; UID and Label only name it.
type Message struct {
	Digest Digest
	Flags  string // sorted, lower case, without \recent
	Date   int64  // INTERNALDATE in Unix seconds

	UID   uint32
	Label string
}

// Read reads a whole account.
func Read(client *testbed.Client) (Account, error) {
	namespace, err := client.Namespace()
	if err != nil {
		return Account{}, err
	}
	list, err := client.Folders()
	if err != nil {
		return Account{}, err
	}
	account := Account{Namespace: namespace, Folders: map[string]Folder{}}
	for _, info := range list {
		if !info.Holds() {
			continue
		}
		messages, err := readFolder(client, info.Name)
		if err != nil {
			return Account{}, err
		}
		account.Folders[info.Name] = Folder{Subscribed: info.Subscribed, Messages: messages}
	}
	return account, nil
}

func readFolder(client *testbed.Client, name string) ([]Message, error) {
	status, err := client.Examine(name)
	if err != nil {
		return nil, err
	}
	if status.Messages == 0 {
		return nil, nil
	}
	var messages []Message
	var bodies []*content
	lines, err := client.CommandStream("UID FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])",
		func(_ string, _ int64, body io.Reader) ([]byte, error) {
			c := newContent()
			_, err := io.Copy(c, body)
			bodies = append(bodies, c)
			// The place in bodies stands in the response instead of the message.
			return []byte(strconv.Itoa(len(bodies) - 1)), err
		})
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", name, err)
	}
	for _, line := range lines {
		message, found, err := parseFetch(line, bodies)
		if err != nil {
			return nil, fmt.Errorf("reading %q: %w", name, err)
		}
		if found {
			messages = append(messages, message)
		}
	}
	if len(messages) != status.Messages {
		return nil, fmt.Errorf("reading %q: %d messages came, %d are there", name, len(messages), status.Messages)
	}
	return messages, nil
}

// parseFetch reads "* n FETCH (UID u FLAGS (...) INTERNALDATE "..." BODY[] "i")".
func parseFetch(line testbed.Line, bodies []*content) (Message, bool, error) {
	text := line.String()
	if !strings.HasPrefix(text, "* ") || !strings.Contains(text, " FETCH (") {
		return Message{}, false, nil
	}
	tokens, err := line.Tokens()
	if err != nil {
		return Message{}, false, err
	}
	if len(tokens) != 3 || tokens[1].Text != "FETCH" || len(tokens[2].List)%2 != 0 {
		return Message{}, false, fmt.Errorf("unexpected %q", text)
	}
	var message Message
	seen := 0
	for items := tokens[2].List; len(items) > 0; items = items[2:] {
		seen++
		if err := message.take(items[0].Text, items[1], bodies); err != nil {
			return Message{}, false, err
		}
	}
	if seen != 4 {
		return Message{}, false, fmt.Errorf("%d items instead of 4 in %q", seen, text)
	}
	return message, true, nil
}

func (m *Message) take(item string, value testbed.Token, bodies []*content) error {
	switch item {
	case "UID":
		uid, err := strconv.ParseUint(value.Text, 10, 32)
		m.UID = uint32(uid)
		return err
	case "FLAGS":
		m.Flags = flagText(value.List)
		return nil
	case "INTERNALDATE":
		date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", value.Text)
		m.Date = date.Unix()
		return err
	case "BODY[]":
		at, err := strconv.Atoi(value.Text)
		if err != nil || at < 0 || at >= len(bodies) {
			return fmt.Errorf("content of message %d came as no literal", m.UID)
		}
		m.Digest, m.Label = bodies[at].digest(), bodies[at].label()
		return nil
	}
	return fmt.Errorf("item %s was not asked for", item)
}

func flagText(tokens []testbed.Token) string {
	var flags []string
	for _, token := range tokens {
		if flag := strings.ToLower(token.Text); flag != `\recent` {
			flags = append(flags, flag)
		}
	}
	sort.Strings(flags)
	return strings.Join(flags, " ")
}
