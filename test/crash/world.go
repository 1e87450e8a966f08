package crash

import (
	"maps"
	"slices"
	"strings"
)

// letter is one message in a folder of a server.
type letter struct {
	uid    uint32
	body   string
	date   string // as on the wire
	flags  []string
	modseq uint64
	ours   bool // a session of the mirror stored it
	marked bool // the owner put \Flagged on it here
	origin int  // what a source that names its letters calls it
}

type folder struct {
	validity, next uint32
	modseq         uint64
	letters        []letter // ascending UIDs
}

// place names a content in a folder.
type place struct{ folder, body string }

// world is the account on one server, and what an all-knowing observer counts there.
type world struct {
	folders  map[string]*folder
	appended map[place]int  // APPENDs of the mirror that took effect, whatever became of them
	removed  map[string]int // bodies that the owner deleted
	settled  map[string]int // bodies of which nothing may be stored any more: their owner deleted them when so many had been
	changes  int            // commands of the mirror that change something, executed or not
	last     place          // what the mirror stored last
	wrong    []string       // what a server must never be asked
}

func newWorld() *world {
	return &world{folders: map[string]*folder{}, appended: map[place]int{}, removed: map[string]int{}, settled: map[string]int{}}
}

func (w *world) clone() *world {
	c := *w
	c.folders, c.appended, c.removed, c.settled = map[string]*folder{}, maps.Clone(w.appended), maps.Clone(w.removed), maps.Clone(w.settled)
	for name, f := range w.folders {
		copied := *f
		copied.letters = slices.Clone(f.letters) // flags are replaced, never changed in place
		c.folders[name] = &copied
	}
	c.wrong = slices.Clone(w.wrong)
	return &c
}

// create makes a folder; its UIDVALIDITY depends on its name only, so that histories repeat.
func (w *world) create(name string) *folder {
	f := w.folders[name]
	if f == nil {
		f = &folder{validity: 1000 + uint32(len(w.folders)), next: 1, modseq: 1}
		w.folders[name] = f
	}
	return f
}

const someDate = "17-Jul-2020 02:44:25 +0000"

func (w *world) put(name string, l letter) uint32 {
	f := w.create(name)
	f.modseq++
	l.uid, l.modseq = f.next, f.modseq
	if l.date == "" {
		l.date = someDate
	}
	f.next++
	f.letters = append(f.letters, l)
	return l.uid
}

func (w *world) remove(name string, uid uint32) (l letter, found bool) {
	f := w.folders[name]
	if f == nil {
		return l, false
	}
	i := slices.IndexFunc(f.letters, func(l letter) bool { return l.uid == uid })
	if i < 0 {
		return l, false
	}
	l = f.letters[i]
	f.letters = slices.Delete(slices.Clone(f.letters), i, i+1)
	f.modseq++
	return l, true
}

func (w *world) setFlags(name string, uid uint32, add, remove []string) {
	f := w.folders[name]
	for i := range f.letters {
		if f.letters[i].uid != uid {
			continue
		}
		flags := slices.DeleteFunc(slices.Clone(f.letters[i].flags), func(flag string) bool { return slices.Contains(remove, flag) })
		for _, flag := range add {
			if !slices.Contains(flags, flag) {
				flags = append(flags, flag)
			}
		}
		slices.Sort(flags)
		f.modseq++
		f.letters[i].flags, f.letters[i].modseq = flags, f.modseq
	}
}

// newest is the last message that the mirror stored and that is still where it was stored.
func (w *world) newest() (name string, uid uint32) {
	for _, name := range []string{w.last.folder, "INBOX"} {
		if f := w.folders[name]; f != nil {
			for i := len(f.letters) - 1; i >= 0; i-- {
				if f.letters[i].ours {
					return name, f.letters[i].uid
				}
			}
		}
	}
	return "", 0
}

// count tells how often a body is anywhere in the account.
func (w *world) count(body string) (n int) {
	for _, f := range w.folders {
		for _, l := range f.letters {
			if l.body == body {
				n++
			}
		}
	}
	return n
}

// contents lists a folder by body and flags, for comparing two sides.
func (w *world) contents(name string) (lines []string) {
	if f := w.folders[name]; f != nil {
		for _, l := range withoutNotices(f.letters) {
			lines = append(lines, strings.TrimSpace(l.body)+" | "+strings.Join(l.flags, " "))
		}
	}
	slices.Sort(lines)
	return lines
}
