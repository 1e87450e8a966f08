package compare

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"mailstork/test/testbed"
)

// Options say what counts as equal.
type Options struct {
	// FolderName maps a name at the source to one at the destination. Default:
	// the same path, with the destination's prefix and separator.
	FolderName func(source string) string
	// Subscriptions makes a different subscription a difference.
	Subscriptions bool
}

// Accounts reads both sides and returns one readable line for each difference.
func Accounts(source, destination *testbed.Client, o Options) ([]string, error) {
	before, err := Read(source)
	if err != nil {
		return nil, fmt.Errorf("reading the source: %w", err)
	}
	after, err := Read(destination)
	if err != nil {
		return nil, fmt.Errorf("reading the destination: %w", err)
	}
	return Differences(before, after, o), nil
}

// Differences compares what was read.
func Differences(source, destination Account, o Options) []string {
	if o.FolderName == nil {
		o.FolderName = func(name string) string {
			return destination.Namespace.Name(source.Namespace.Path(name)...)
		}
	}
	var differences []string
	expected := map[string]string{} // name at the destination → at the source
	for _, name := range sortedNames(source.Folders) {
		there := o.FolderName(name)
		if other, taken := expected[there]; taken {
			differences = append(differences, fmt.Sprintf("folder %q and folder %q both become %q", other, name, there))
			continue
		}
		expected[there] = name
		copied, found := destination.Folders[there]
		if !found {
			differences = append(differences, fmt.Sprintf("folder %q (%d messages) is missing at the destination as %q", name, len(source.Folders[name].Messages), there))
			continue
		}
		if o.Subscriptions && copied.Subscribed != source.Folders[name].Subscribed {
			differences = append(differences, fmt.Sprintf("folder %q: subscribed is %t at the source, %t at the destination", name, source.Folders[name].Subscribed, copied.Subscribed))
		}
		for _, difference := range messages(source.Folders[name].Messages, copied.Messages) {
			differences = append(differences, fmt.Sprintf("folder %q: %s", name, difference))
		}
	}
	for _, name := range sortedNames(destination.Folders) {
		if _, found := expected[name]; !found {
			differences = append(differences, fmt.Sprintf("folder %q (%d messages) is at the destination only", name, len(destination.Folders[name].Messages)))
		}
	}
	return differences
}

func sortedNames(folders map[string]Folder) []string {
	var names []string
	for name := range folders {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// identity is what must be equal, with multiplicity.
type identity struct {
	digest Digest
	flags  string
	date   int64
}

// messages compares two multisets. What is left after equal ones are taken away
// is paired by digest, so that a changed flag is called that.
func messages(source, destination []Message) []string {
	source, destination = subtract(source, destination)
	var differences []string
	left := map[Digest][]Message{}
	for _, m := range destination {
		left[m.Digest] = append(left[m.Digest], m)
	}
	for _, m := range source {
		others := left[m.Digest]
		if len(others) == 0 {
			differences = append(differences, m.String()+" is missing at the destination")
			continue
		}
		left[m.Digest] = others[1:]
		differences = append(differences, m.changes(others[0])...)
	}
	for _, m := range destination {
		if others := left[m.Digest]; len(others) > 0 && others[0].UID == m.UID {
			left[m.Digest] = others[1:]
			differences = append(differences, m.String()+" is at the destination only")
		}
	}
	return differences
}

// subtract takes away what both sides have equally often.
func subtract(source, destination []Message) (onlySource, onlyDestination []Message) {
	count := map[identity]int{}
	for _, m := range destination {
		count[m.identity()]++
	}
	for _, m := range source {
		if count[m.identity()] > 0 {
			count[m.identity()]--
			continue
		}
		onlySource = append(onlySource, m)
	}
	for i := len(destination) - 1; i >= 0; i-- {
		if m := destination[i]; count[m.identity()] > 0 {
			count[m.identity()]--
			onlyDestination = append(onlyDestination, m)
		}
	}
	return onlySource, onlyDestination
}

func (m Message) identity() identity { return identity{m.Digest, m.Flags, m.Date} }

func (m Message) String() string {
	return fmt.Sprintf("message %d %q (%x)", m.UID, shorten(m.Label), m.Digest[:6])
}

func shorten(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}

// changes names what differs between two messages with the same content.
func (m Message) changes(other Message) []string {
	var changes []string
	if m.Flags != other.Flags {
		changes = append(changes, fmt.Sprintf("%s has flags (%s) at the source, (%s) at the destination", m, m.Flags, other.Flags))
	}
	if m.Date != other.Date {
		changes = append(changes, fmt.Sprintf("%s is dated %s at the source, %s at the destination", m, instant(m.Date), instant(other.Date)))
	}
	return changes
}

func instant(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

// Report joins differences for a test's failure, at most limit of them.
func Report(differences []string, limit int) string {
	if len(differences) <= limit {
		return strings.Join(differences, "\n")
	}
	return fmt.Sprintf("%s\n… and %d more", strings.Join(differences[:limit], "\n"), len(differences)-limit)
}
