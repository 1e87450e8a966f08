package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/ledger"
	"mailstork/daemon/letter"
)

// builder makes a view of the sentences of a scenario.
type builder struct {
	view View
	ids  map[string]int64

	unfinished map[int64]bool // folders whose first pass was cut short
	elsewhere  map[int64]bool // folders that are not looked at
	origins    bool           // the source names its letters
}

var errWords = errors.New("the sentence ends too early or has a word that is not known")

func (b *builder) add(subject string, w *words) error {
	switch subject {
	case "source":
		return b.source(w)
	case "ledger":
		return b.ledger(w)
	case "here":
		return b.here(w)
	case "delivered":
		n, err := w.number()
		if err != nil || !w.take("was letter") {
			return errWords
		}
		which, err := w.number()
		b.view.Deliveries = append(b.view.Deliveries, Delivery{ID: int64(n), Fingerprint: fingerprint(which)})
		return err
	}
	return b.policy(w)
}

func (b *builder) policy(w *words) error {
	switch {
	case w.take("the deletions at the source are confirmed"):
		b.view.Policy.MassDeletion = true
		return nil
	case w.take("the owner works at the source"):
		b.view.Policy.OwnerAtSource = true
		return nil
	case len(w.left) > 1 && w.left[1] == "shows":
		f := b.folder(w.next())
		b.origins, b.view.Gathering = true, true
		switch {
		case w.take("shows what other folders have"):
			f.Gathers = 1
		case w.take("shows what all folders have"):
			f.Gathers = 2
		default:
			return errWords
		}
		return nil
	case w.take("what is archived can't be seen"):
		b.origins, b.view.Blind = true, true
		return nil
	case w.take("what is archived is not looked at"):
		b.origins, b.view.Gathering, b.view.Unseen = true, true, true
		return nil
	case w.take("the folder"):
		b.folder(w.next()).Skip = reasonLeftOut
		if !w.take("is left out") {
			return errWords
		}
		return nil
	case w.take("no message above"):
		n, err := w.number()
		b.view.Policy.MaxMessageOctets = int64(n)
		if !w.take("octets") {
			return errWords
		}
		return err
	}
	return errWords
}

// folder finds a folder or adds it, known to the source under its name and empty on both sides.
func (b *builder) folder(name string) *FolderView {
	if id, known := b.ids[name]; known {
		return &b.view.Folders[id-1]
	}
	id := int64(len(b.view.Folders) + 1)
	b.ids[name] = id
	b.view.Folders = append(b.view.Folders, FolderView{Folder: ledger.Folder{ID: id, SourceName: name, DestinationName: name}, Listed: true, UIDValidity: sourceValidity})
	b.place(name)
	return &b.view.Folders[id-1]
}

func (b *builder) place(name string) *DestinationView {
	if b.view.Destinations[name] == nil {
		b.view.Destinations[name] = &DestinationView{UIDValidity: hereValidity}
	}
	return b.view.Destinations[name]
}

func (b *builder) source(w *words) error {
	f := b.folder(w.next())
	switch {
	case w.take("is empty"):
		return nil
	case w.take("is no longer there"):
		f.Left = true
		return nil
	case w.take("was not looked at"):
		b.elsewhere[f.Folder.ID] = true
		return nil
	case w.take("was never finished"):
		b.unfinished[f.Folder.ID] = true
		return nil
	case w.take("has UIDVALIDITY"):
		n, err := w.number()
		f.UIDValidity = uint32(n)
		return err
	case w.take("was not listed"):
		f.Listed = false
		return nil
	case w.take("is kept here in"):
		delete(b.view.Destinations, f.Folder.DestinationName)
		f.Folder.DestinationName = w.next()
		b.place(f.Folder.DestinationName)
		return nil
	}
	from, to, err := w.numbers()
	if err != nil {
		return err
	}
	what, err := b.letter(w)
	if err != nil {
		return err
	}
	m := SourceMessage{FlagsKnown: true, HeaderRead: true}
	if what.headerless {
		m.BodyRead = true
	}
	for m.Flags == "" && len(w.left) > 0 {
		switch {
		case w.take("flags not told"):
			m.FlagsKnown = false
		case w.take("flags"):
			m.Flags = w.flags()
		default:
			return errWords
		}
	}
	for uid := from; uid <= to; uid++ {
		one, n := m, what.n(uid-from)
		one.UID, one.Size, one.Date, one.Fingerprint = uint32(uid), what.size(n), what.date(n), what.fingerprint(n)
		one.Origin = uint64(n)
		if one.BodyRead {
			one.Digest = digestOf(n)
		}
		f.Messages, f.UIDs = append(f.Messages, one), append(f.UIDs, one.UID)
	}
	return nil
}

// written is the letter that a sentence speaks of: letter n has fingerprint n, digest n, size 1000+n and date n.
type written struct {
	first                 int
	several               bool
	headerless            bool // its size and date are those of every other such letter
	sizeAs, octets, dated int
}

func (l written) n(i int) int {
	if l.several {
		return l.first + i
	}
	return l.first
}

func (l written) size(n int) int64 {
	switch {
	case l.octets > 0:
		return int64(l.octets)
	case l.headerless:
		return 1000
	}
	return int64(1000 + cmp.Or(l.sizeAs, n))
}

func (l written) date(n int) int64 {
	if l.headerless {
		return 0
	}
	return int64(cmp.Or(l.dated, l.sizeAs, n))
}

func (l written) fingerprint(n int) (f letter.Fingerprint) {
	if l.headerless {
		return f
	}
	return fingerprint(n)
}

func (b *builder) letter(w *words) (l written, err error) {
	to := 0
	switch {
	case w.take("is letter"), w.take("are letter"):
		l.first, err = w.number()
	case w.take("are letters"):
		l.several = true
		l.first, to, err = w.numbers()
		if to == l.first {
			err = errWords
		}
	case w.take("is headerless"):
		l.headerless = true
		l.first, err = w.number()
	default:
		err = errWords
	}
	for err == nil {
		switch {
		case w.take("with the size and date of letter"):
			l.sizeAs, err = w.number()
		case w.take("dated"):
			l.dated, err = w.number()
		case w.take("of"):
			if l.octets, err = w.number(); !w.take("octets") {
				err = errWords
			}
		default:
			return l, nil
		}
	}
	return l, err
}

const reasonLeftOut = "excluded by the domain"

// fates are what may be said about a row, beside where its message is.
var fates = []struct {
	words string
	apply func(*ledger.Message)
}{
	{"parked", func(m *ledger.Message) { m.Stage, m.Fate, m.Appended = ledger.Parked, ledger.Copied, true }},
	{"skipped with its folder", func(m *ledger.Message) { m.Fate, m.Reason = ledger.Skipped, reasonLeftOut }},
	{"skipped as too large", func(m *ledger.Message) { m.Fate, m.Reason = ledger.Skipped, "larger than the limit" }},
	{"skipped", func(m *ledger.Message) { m.Fate = ledger.Skipped }},
	{"refused", func(m *ledger.Message) { m.Fate = ledger.Refused }},
	{"delivered", func(m *ledger.Message) { m.Fate = ledger.Delivered }},
	{"deleted by its owner here", func(m *ledger.Message) { m.Fate, m.Appended, m.Reason = ledger.Deleted, true, reasonHere }},
	{"removed here after the source", func(m *ledger.Message) { m.Fate, m.Appended, m.Reason = ledger.Deleted, true, reasonSource }},
}

var stages = []struct {
	words string
	apply func(*ledger.Message)
}{
	{"no longer at the source", func(m *ledger.Message) { m.SourceGone = true }},
	{"never read", func(m *ledger.Message) { m.Digest, m.Fingerprint = digest{}, fingerprint(0) }},
}

func (b *builder) ledger(w *words) error {
	f := b.folder(w.next())
	from, to, err := w.numbers()
	if err != nil {
		return err
	}
	validity := uint32(sourceValidity)
	if w.take("of UIDVALIDITY") {
		n, err := w.number()
		if err != nil {
			return err
		}
		validity = uint32(n)
	}
	what, err := b.letter(w)
	if err != nil {
		return err
	}
	row := ledger.Message{Key: ledger.Key{FolderID: f.Folder.ID, UIDValidity: validity}, Stage: ledger.Confirmed}
	place, err := b.rowPlace(w, &row)
	if err != nil {
		return err
	}
	var after []func(*ledger.Message)
	for row.Flags == "" && len(w.left) > 0 {
		known := false
		for _, s := range stages {
			if w.take(s.words) {
				after, known = append(after, s.apply), true
			}
		}
		if w.take("flags") {
			row.Flags, known = w.flags(), true
		}
		if !known {
			return errWords
		}
	}
	for uid := from; uid <= to; uid++ {
		one, n := row, what.n(uid-from)
		one.UID, one.Digest, one.Fingerprint, one.Size, one.Date = uint32(uid), digestOf(n), what.fingerprint(n), what.size(n), what.date(n)
		one.Origin = uint64(n)
		if one.Place.UIDValidity != 0 {
			one.Place.UID = place + uint32(uid-from)
		}
		for _, change := range after {
			change(&one)
		}
		f.Rows.Append(one)
	}
	return nil
}

// rowPlace reads what became of a row's message, and returns where it, or the first of several, is here.
func (b *builder) rowPlace(w *words, row *ledger.Message) (uint32, error) {
	if w.take("skipped also in") {
		row.Fate, row.Reason = ledger.Skipped, ledger.AlsoIn+w.next()
		return 0, nil
	}
	for _, f := range fates {
		if w.take(f.words) {
			f.apply(row)
			if row.Fate != ledger.Delivered || !w.take("as") {
				return 0, nil
			}
			return b.rowUID(w, row)
		}
	}
	switch {
	case w.take("copied to"):
		row.Appended = true
	case w.take("found as"):
		row.Reason = reasonFound
	default:
		return 0, errWords
	}
	row.Fate = ledger.Copied
	return b.rowUID(w, row)
}

func (b *builder) rowUID(w *words, row *ledger.Message) (uint32, error) {
	name := w.next()
	if own := b.view.Folders[row.FolderID-1].Folder.DestinationName; name != own {
		row.Place.Folder = name
		b.place(name)
	}
	uid, _, err := w.numbers()
	row.Place.UIDValidity = hereValidity
	if w.take("of UIDVALIDITY") {
		n, err := w.number()
		row.Place.UIDValidity = uint32(n)
		return uint32(uid), err
	}
	return uint32(uid), err
}

func (b *builder) here(w *words) error {
	name := w.next()
	d := b.place(name)
	switch {
	case w.take("is empty"):
		return nil
	case w.take("is special"):
		d.Special = true
		return nil
	case w.take("is missing"):
		*d = DestinationView{Missing: true}
		return nil
	case w.take("was not looked at"):
		b.view.Destinations[name] = nil
		return nil
	case w.take("still has"):
		from, to, err := w.numbers()
		for uid := from; uid <= to; uid++ {
			d.UIDs = append(d.UIDs, uint32(uid))
		}
		return err
	}
	uid, err := w.number()
	if err != nil {
		return err
	}
	what, err := b.letter(w)
	if err != nil || !w.take("from somebody else") {
		return errWords
	}
	d.UIDs = append(d.UIDs, uint32(uid))
	d.Foreign = append(d.Foreign, DestinationMessage{UID: uint32(uid), Size: what.size(what.first), HeaderRead: true,
		Fingerprint: what.fingerprint(what.first), BodyRead: true, Digest: digestOf(what.first)})
	return nil
}

func (b *builder) finish() View {
	for i := range b.view.Folders {
		f := &b.view.Folders[i]
		if (f.Rows.Len() == 0 || b.unfinished[f.Folder.ID]) && !f.Left {
			f.Afresh = f.Folder.DestinationName
		} else {
			f.Folder.ComparedAt = time.Unix(1, 0)
		}
		f.Rows = ledger.RowsOf(slices.SortedFunc(f.Rows.All(), func(a, b ledger.Message) int {
			return cmp.Or(cmp.Compare(a.UIDValidity, b.UIDValidity), cmp.Compare(a.UID, b.UID))
		})...)
		slices.SortFunc(f.Messages, func(a, b SourceMessage) int { return cmp.Compare(a.UID, b.UID) })
		slices.Sort(f.UIDs)
		for row := range f.Rows.All() {
			if !row.SourceGone {
				b.view.Rows++
			}
		}
	}
	for name, d := range b.view.Destinations {
		if d == nil {
			delete(b.view.Destinations, name)
			continue
		}
		slices.Sort(d.UIDs)
	}
	b.letters()
	b.view.recall()
	return b.view
}

// letters lets the source name its letters, or not, and takes folders out of the view that are not looked at.
func (b *builder) letters() {
	for i := range b.view.Folders {
		f := &b.view.Folders[i]
		for j := range f.Messages {
			if !b.origins {
				f.Messages[j].Origin = 0
			}
		}
		if !b.origins {
			nameless := f.Rows.Messages()
			for j := range nameless {
				nameless[j].Origin = 0
			}
			f.Rows = ledger.RowsOf(nameless...)
		}
		if !b.elsewhere[f.Folder.ID] {
			continue
		}
		folder := f.Folder
		for row := range f.Rows.All() {
			b.view.Others = append(b.view.Others, OtherRow{Key: row.Key, Origin: row.Origin, Folder: &folder, Gathers: f.Gathers, Stage: row.Stage,
				Fate: row.Fate, Ours: row.Appended, Gone: row.SourceGone, Place: placeName(f.Folder, row.Place)})
		}
	}
	b.view.Folders = slices.DeleteFunc(b.view.Folders, func(f FolderView) bool { return b.elsewhere[f.Folder.ID] })
}

func TestScenarioThatNobodyUnderstandsIsAnError(t *testing.T) {
	const good = "a name\n  source: INBOX 5 is letter 1\n  ledger: INBOX 5 is letter 1, copied to INBOX 3\n  here: INBOX still has 3\n  then: nothing\n"
	for _, c := range []struct{ name, text string }{
		{"an unknown subject", "a name\n  sauce: INBOX is empty\n  then: nothing\n"},
		{"an unknown word", strings.Replace(good, "is letter 1\n", "is letter 1 sort of\n", 1)},
		{"a word too many", strings.Replace(good, "has 3", "has 3 and more", 1)},
		{"a missing word", strings.Replace(good, "copied to INBOX 3", "copied to", 1)},
		{"an unknown policy", strings.Replace(good, "  then", "  policy: be nice\n  then", 1)},
		{"a sentence without a name", "\n  then: nothing\n"},
		{"nothing about one side of the switch", strings.Replace(good, "then:", "then after the switch:", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if understood(t, good) != nil {
				t.Fatalf("the good scenario is not understood: %v", understood(t, good))
			}
			if understood(t, c.text) == nil {
				t.Errorf("understood:\n%s", c.text)
			}
		})
	}
}

func understood(t *testing.T, text string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "one.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	scenarios, err := readScenarios(file)
	if err != nil {
		return err
	}
	if len(scenarios) != 1 {
		return fmt.Errorf("%d scenarios", len(scenarios))
	}
	_, err = scenarios[0].view(false)
	return err
}
