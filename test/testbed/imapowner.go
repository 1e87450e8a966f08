package testbed

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The verbs of an owner who uses a mail program. Folder names are as a person
// writes them; the separator is the server's.

// Message is what can be appended to a folder.
type Message struct {
	Flags   []string
	Date    time.Time // INTERNALDATE, sent in its own zone
	Content []byte
}

// FolderInfo is one line of the folder list.
type FolderInfo struct {
	Name       string
	Separator  string
	Attributes []string
	Subscribed bool
}

// Holds reports whether messages can be in the folder.
func (f FolderInfo) Holds() bool {
	return !f.Has(`\Noselect`) && !f.Has(`\NonExistent`)
}

// Has reports whether the folder has an attribute.
func (f FolderInfo) Has(attribute string) bool {
	for _, a := range f.Attributes {
		if strings.EqualFold(a, attribute) {
			return true
		}
	}
	return false
}

// Folders lists everything in the account.
func (c *Client) Folders() ([]FolderInfo, error) {
	lines, err := c.Command(`LIST "" "*" RETURN (SUBSCRIBED SPECIAL-USE)`)
	if err != nil {
		return nil, err
	}
	var folders []FolderInfo
	for _, line := range lines {
		if !strings.HasPrefix(line.head(), "* LIST ") {
			continue
		}
		tokens, err := line.Tokens()
		if err != nil {
			return nil, err
		}
		if len(tokens) < 4 || tokens[1].Kind != List {
			return nil, fmt.Errorf("listing folders: unexpected %q", line)
		}
		name, err := DecodeFolder(tokens[3].Text)
		if err != nil {
			return nil, err
		}
		folder := FolderInfo{Name: name, Separator: tokens[2].Text}
		for _, attribute := range tokens[1].List {
			folder.Attributes = append(folder.Attributes, attribute.Text)
		}
		folder.Subscribed = folder.Has(`\Subscribed`)
		folders = append(folders, folder)
	}
	return folders, nil
}

// Namespace is how an account writes its folder names: in front of every one but
// INBOX stands the prefix, between a folder and one inside it the separator.
type Namespace struct{ Prefix, Separator string }

// Namespace asks for the personal namespace (RFC 2342).
func (c *Client) Namespace() (Namespace, error) {
	lines, err := c.Command("NAMESPACE")
	if err != nil {
		return Namespace{}, err
	}
	for _, line := range lines {
		if !strings.HasPrefix(line.head(), "* NAMESPACE ") {
			continue
		}
		tokens, err := line.Tokens()
		if err != nil {
			return Namespace{}, err
		}
		if len(tokens) == 4 && len(tokens[1].List) > 0 && len(tokens[1].List[0].List) >= 2 {
			personal := tokens[1].List[0].List
			return Namespace{Prefix: personal[0].Text, Separator: personal[1].Text}, nil
		}
	}
	return Namespace{}, errors.New("asking for the namespace: no personal one in the answer")
}

// Name writes the path of a folder; INBOX is INBOX everywhere.
func (n Namespace) Name(path ...string) string {
	if len(path) == 1 && strings.EqualFold(path[0], "INBOX") {
		return "INBOX"
	}
	return n.Prefix + strings.Join(path, n.Separator)
}

// Path splits a folder's name.
func (n Namespace) Path(name string) []string {
	if strings.EqualFold(name, "INBOX") {
		return []string{"INBOX"}
	}
	return strings.Split(strings.TrimPrefix(name, n.Prefix), n.Separator)
}

// Status is what SELECT tells about a folder.
type Status struct {
	Messages    int
	UIDValidity uint32
	UIDNext     uint32
}

// Select opens a folder for writing.
func (c *Client) Select(folder string) (Status, error) { return c.open("SELECT", folder) }

// Examine opens a folder for reading.
func (c *Client) Examine(folder string) (Status, error) { return c.open("EXAMINE", folder) }

func (c *Client) open(verb, folder string) (Status, error) {
	var status Status
	lines, err := c.Command("%s %s", verb, QuoteFolder(folder))
	if err != nil {
		return status, fmt.Errorf("opening %q: %w", folder, err)
	}
	for _, line := range lines {
		text := line.head()
		if count, found := strings.CutSuffix(strings.TrimPrefix(text, "* "), " EXISTS"); found {
			status.Messages, _ = strconv.Atoi(count)
		}
		status.UIDValidity = codeNumber(text, "UIDVALIDITY", status.UIDValidity)
		status.UIDNext = codeNumber(text, "UIDNEXT", status.UIDNext)
	}
	if status.UIDValidity == 0 || status.UIDNext == 0 {
		return status, fmt.Errorf("opening %q: no UIDVALIDITY or UIDNEXT in the answer", folder)
	}
	return status, nil
}

func codeNumber(text, code string, otherwise uint32) uint32 {
	_, rest, found := strings.Cut(text, "["+code+" ")
	if !found {
		return otherwise
	}
	digits, _, _ := strings.Cut(rest, "]")
	number, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return otherwise
	}
	return uint32(number)
}

// Create makes a folder and subscribes to it; one that exists is no error.
func (c *Client) Create(folder string) error {
	_, err := c.Command("CREATE %s", QuoteFolder(folder))
	if err != nil && !strings.Contains(err.Error(), "[ALREADYEXISTS]") {
		return fmt.Errorf("creating %q: %w", folder, err)
	}
	_, err = c.Command("SUBSCRIBE %s", QuoteFolder(folder))
	return err
}

// Append stores one message and returns its UID.
func (c *Client) Append(folder string, flags []string, date time.Time, content []byte) (uint32, error) {
	lines, err := c.exchange(fmt.Sprintf("APPEND %s %s {%d}", QuoteFolder(folder), appendArgs(flags, date), len(content)), [][]byte{content}, keepLiteral)
	if err != nil {
		return 0, fmt.Errorf("appending to %q: %w", folder, err)
	}
	uids, err := appendedUIDs(lines)
	if err != nil {
		return 0, err
	}
	return uids[0], nil
}

// AppendAll stores many messages with one MULTIAPPEND, without waiting for the
// server in between. Flags and dates must be right: a server that refuses them
// would read the messages as commands.
func (c *Client) AppendAll(folder string, messages []Message) ([]uint32, error) {
	c.tag++
	parts := [][]byte{fmt.Appendf(nil, "t%d APPEND %s", c.tag, QuoteFolder(folder))}
	for _, m := range messages {
		parts = append(parts, fmt.Appendf(nil, " %s {%d+}\r\n", appendArgs(m.Flags, m.Date), len(m.Content)), m.Content)
	}
	if err := c.write(append(parts, []byte("\r\n"))...); err != nil {
		return nil, fmt.Errorf("appending to %q: %w", folder, err)
	}
	line, err := c.readLine(keepLiteral)
	for err == nil && strings.HasPrefix(line.head(), "* ") {
		line, err = c.readLine(keepLiteral)
	}
	if err != nil {
		return nil, fmt.Errorf("appending to %q: %w", folder, err)
	}
	if !strings.HasPrefix(line.head(), fmt.Sprintf("t%d OK ", c.tag)) {
		c.Cut()
		return nil, fmt.Errorf("appending to %q: %s", folder, line)
	}
	return appendedUIDs([]Line{line})
}

func appendArgs(flags []string, date time.Time) string {
	return fmt.Sprintf("(%s) \"%s\"", strings.Join(flags, " "), date.Format("_2-Jan-2006 15:04:05 -0700"))
}

// appendedUIDs reads "[APPENDUID validity set]" (RFC 4315 §3).
func appendedUIDs(lines []Line) ([]uint32, error) {
	text := lines[len(lines)-1].head()
	_, rest, found := strings.Cut(text, "[APPENDUID ")
	code, _, closed := strings.Cut(rest, "]")
	_, set, spaced := strings.Cut(code, " ")
	if !found || !closed || !spaced {
		return nil, fmt.Errorf("reading APPENDUID: %q", text)
	}
	return parseUIDs(set)
}

func parseUIDs(set string) ([]uint32, error) {
	var uids []uint32
	for part := range strings.SplitSeq(set, ",") {
		first, last, isRange := strings.Cut(part, ":")
		if !isRange {
			last = first
		}
		low, err1 := strconv.ParseUint(first, 10, 32)
		high, err2 := strconv.ParseUint(last, 10, 32)
		if err1 != nil || err2 != nil || high < low {
			return nil, fmt.Errorf("reading UID set %q", set)
		}
		for uid := low; uid <= high; uid++ {
			uids = append(uids, uint32(uid))
		}
	}
	return uids, nil
}

// Search returns the UIDs in the open folder that match, as "SUBJECT hello".
func (c *Client) Search(criteria string) ([]uint32, error) {
	lines, err := c.Command("UID SEARCH %s", criteria)
	if err != nil {
		return nil, err
	}
	var uids []uint32
	for _, line := range lines {
		rest, found := strings.CutPrefix(line.head(), "* SEARCH")
		if !found {
			continue
		}
		for field := range strings.FieldsSeq(rest) {
			found, err := parseUIDs(field)
			if err != nil {
				return nil, err
			}
			uids = append(uids, found...)
		}
	}
	return uids, nil
}

// Flag changes flags in the open folder; change is "+", "-" or "" (exactly these).
func (c *Client) Flag(uids []uint32, change string, flags ...string) error {
	_, err := c.Command("UID STORE %s %sFLAGS.SILENT (%s)", uidSet(uids), change, strings.Join(flags, " "))
	return err
}

// Delete removes messages from the open folder for good.
func (c *Client) Delete(uids ...uint32) error {
	if err := c.Flag(uids, "+", `\Deleted`); err != nil {
		return err
	}
	_, err := c.Command("UID EXPUNGE %s", uidSet(uids))
	return err
}

// Move moves messages from the open folder to another one.
func (c *Client) Move(folder string, uids ...uint32) error {
	_, err := c.Command("UID MOVE %s %s", uidSet(uids), QuoteFolder(folder))
	return err
}

// ErrNoMessage is that the open folder does not have a message.
var ErrNoMessage = errors.New("the server has none")

// Content returns the bytes of one message in the open folder, or ErrNoMessage.
func (c *Client) Content(uid uint32) ([]byte, error) {
	lines, err := c.Command("UID FETCH %d (BODY.PEEK[])", uid)
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if len(line.literals) == 1 {
			return line.literals[0], nil
		}
	}
	return nil, fmt.Errorf("reading message %d: %w", uid, ErrNoMessage)
}

func uidSet(uids []uint32) string {
	parts := make([]string, len(uids))
	for i, uid := range uids {
		parts[i] = strconv.FormatUint(uint64(uid), 10)
	}
	return strings.Join(parts, ",")
}
