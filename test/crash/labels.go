package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A source such as Gmail: what it calls folders are labels, and every message is once more in a folder of all mail, the
// starred and the important ones in others, too.
const allMail = "All"

var gathers = map[string]string{allMail: `\All`, "Starred": `\Flagged`, "Important": `\Important`}

// labels is what is special about a scenario of such a source.
type labels struct {
	deleted []string          // what the owner deletes here between the first good pass and the changes at the source, everywhere
	end     map[string]string // the titles in each folder here when nobody else does anything
}

// pairsThin: of the pairs of faults in a scenario of labels one in so many is looked at. Its passes have thrice the steps
// of others.
func (s *Scenario) pairsThin() int {
	if s.labels != nil {
		return 15
	}
	return 1
}

func (s *Scenario) deleted() (n int) {
	if s.labels != nil {
		n = len(s.labels.deleted)
	}
	return n
}

// source is what a scenario begins with.
func (s *Scenario) source() *world {
	if s.labels == nil {
		return firstSource()
	}
	w := newWorld()
	for i, one := range []struct{ title, labels string }{
		{"a", "INBOX Starred"}, {"twin", "INBOX"}, {"b", "INBOX Work Important"}, {"twin", "INBOX"}, {"c", "Work Starred"},
		{"d", "Starred"}, {"e", ""}, {"x", "Important"},
	} {
		w.label(i+1, one.title, strings.Fields(one.labels)...)
		w.label(i+1, one.title, allMail)
	}
	return w
}

// label puts a letter into folders.
func (w *world) label(origin int, title string, names ...string) {
	for _, name := range names {
		w.put(name, letter{body: written(title), origin: origin})
	}
}

func (w *world) unlabel(origin int, name string) {
	for _, l := range w.folders[name].letters {
		if l.origin == origin {
			w.remove(name, l.uid)
			return
		}
	}
}

// relabelled is what happens at the source: a, and one of the twins, are archived, b loses one of its two labels, c goes
// from one to another, d comes out of the archive, f is new in the inbox and g in the archive.
func relabelled(w *world) {
	w.unlabel(1, "INBOX")
	w.unlabel(2, "INBOX")
	w.unlabel(3, "Work")
	w.unlabel(5, "Work")
	w.label(5, "c", "INBOX")
	w.label(6, "d", "INBOX")
	w.label(9, "f", "INBOX", allMail)
	w.label(10, "g", allMail)
}

// placesHere adds to what the source had how often it may be in the archive here.
func (s *Scenario) placesHere(reached map[place]int) {
	if s.labels == nil {
		return
	}
	for p, n := range maps.Clone(reached) {
		if p.folder == allMail {
			delete(reached, p)
			reached[place{"Archive", p.body}] = n
		}
	}
}

func (b *Bench) deleteHere() {
	if b.scenario.labels == nil {
		return
	}
	for _, title := range b.scenario.labels.deleted {
		for name, f := range b.here.folders {
			for _, l := range slices.Clone(f.letters) {
				if l.body == written(title) {
					b.here.remove(name, l.uid)
					b.here.removed[l.body]++
				}
			}
		}
		b.settle(written(title))
	}
}

// settle notes that no copy of a letter may be stored any more, since its owner deleted the only one. Who deletes it while
// the mirror stores another one, or is about to, is too late; of the twins the other one may still come.
func (b *Bench) settle(body string) {
	if b.scenario.labels == nil || b.when == InPass && b.action != "" || b.here.count(body) > 0 || b.source.labelsOf(body) > 1 || body == twin {
		return
	}
	for _, c := range b.ghosts {
		if slices.ContainsFunc(c.letters, func(l letter) bool { return l.body == body }) {
			return
		}
	}
	b.here.settled[body] = b.here.stored(body)
}

// nowhere notes when the mirror removed the only copy of a letter that the source has, and of which its owner removed none.
func (b *Bench) nowhere(body string) {
	if b.scenario.labels != nil && b.here.count(body) == 0 && b.source.count(body) > 0 && b.here.removed[body] == 0 {
		b.here.wrong = append(b.here.wrong, fmt.Sprintf("removing the only copy of %q, which the source has", title(body)))
	}
}

func (w *world) stored(body string) (n int) {
	for p, times := range w.appended {
		if p.body == body {
			n += times
		}
	}
	return n
}

// labelsOf counts the folders, other than those that gather, that have a letter.
func (w *world) labelsOf(body string) (n int) {
	for name, f := range w.folders {
		if gathers[name] == "" && slices.ContainsFunc(f.letters, func(l letter) bool { return l.body == body }) {
			n++
		}
	}
	return n
}

// labelled: what its owner deleted was not stored again from the folder of all mail (L3), and before the switch nothing
// is in the archive that is in a folder, unless its owner touched it.
func (b *Bench) labelled() error {
	if b.scenario.labels == nil {
		return nil
	}
	for body, n := range b.here.settled {
		if now := b.here.stored(body); now > n {
			return fmt.Errorf("BACK: %q was stored again after its owner had deleted it", title(body))
		}
	}
	archive := b.here.folders["Archive"]
	if archive == nil || b.scenario.switched {
		return nil
	}
	for _, l := range archive.letters {
		touched := l.marked || b.here.removed[l.body] > 0 || b.here.folders[kept] != nil || l.body == twin
		if l.ours && !touched && b.source.labelsOf(l.body) > 0 {
			return fmt.Errorf("ARCHIVED: %q is in the archive, and in %d folders at the source", title(l.body), b.source.labelsOf(l.body))
		}
	}
	return nil
}

// asLabelled compares what is here with what shall be, where nobody but the mirror did anything.
func (b *Bench) asLabelled() error {
	names := maps.Clone(b.scenario.labels.end)
	for name := range b.here.folders {
		names[name] += ""
	}
	for name, want := range names {
		var titles []string
		if f := b.here.folders[name]; f != nil {
			for _, l := range f.letters {
				titles = append(titles, title(l.body))
			}
		}
		slices.Sort(titles)
		if got := strings.Join(titles, " "); got != want {
			return fmt.Errorf("DIFFERENT: folder %q has %q here, and should have %q", name, got, want)
		}
	}
	return nil
}
