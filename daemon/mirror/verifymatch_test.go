package mirror

import (
	"fmt"
	"strings"
	"testing"
)

// sightings reads "A:0/1 A:0/2 B:1/1": the message with the bytes A in folder 0 with UID 1, and so on. "-" has no digest.
func sightings(text string) (all []sighting) {
	for _, word := range strings.Fields(text) {
		var m sighting
		var letter rune
		if _, err := fmt.Sscanf(word, "%c:%d/%d", &letter, &m.folder, &m.uid); err != nil {
			panic(err)
		}
		if letter != '-' {
			m.sum[0] = byte(letter)
		}
		all = append(all, m)
	}
	return all
}

func TestMatchGivesEachCopyOnceAndItsOwnFolderFirst(t *testing.T) {
	for name, c := range map[string]struct{ source, copies, want string }{
		"equal sides":             {"A:0/1 B:0/2 C:1/1", "B:0/7 A:0/9 C:1/1", "1 0 2"},
		"moved to another folder": {"A:0/1 B:0/2", "B:1/4 A:0/1", "1 0"},
		"the own folder is served before the other one":  {"A:0/1 A:1/1", "A:1/5 A:2/6", "1 0"},
		"more at the source than here":                   {"A:0/1 A:0/2 A:0/3", "A:0/1 A:1/1", "0 1 -1"},
		"more here than at the source: the oldest is it": {"A:0/1", "A:0/9 A:0/2", "1"},
		"the same UID in another folder is another copy": {"A:0/1 A:1/1", "A:0/1 A:1/1", "0 1"},
		"messages without a digest equal nothing":        {"-:0/1 A:0/2", "-:0/1 A:0/2", "-1 1"},
		"a folder that no folder here stands for":        {"A:3/1 B:3/2", "A:0/1", "0 -1"},
		"nothing here": {"A:0/1", "", "-1"},
		"a twin in a third folder is given to who is left": {"A:0/1 A:0/2 A:1/1", "A:0/1 A:1/1 A:2/1", "0 2 1"},
	} {
		t.Run(name, func(t *testing.T) {
			found := matchSightings(sightings(c.source), sightings(c.copies), []int32{0, 1, 2, -1})
			if got := strings.Trim(fmt.Sprint(found), "[]"); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// 100,000 equal messages are as good as 100,000 different ones.
func TestMatchOfManyTwinsIsNoSquare(t *testing.T) {
	const n = 100_000
	source, copies := make([]sighting, n), make([]sighting, n-1)
	for i := range source {
		source[i] = sighting{sum: digest{1}, uid: uint32(i + 1)}
	}
	copy(copies, source)
	found := matchSightings(source, copies, []int32{0})
	for i, at := range found[:n-1] {
		if at != int32(i) {
			t.Fatalf("message %d was given copy %d", i, at)
		}
	}
	if found[n-1] != -1 {
		t.Errorf("the last one was given copy %d of %d", found[n-1], len(copies))
	}
}
