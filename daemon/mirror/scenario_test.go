package mirror

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"mailstork/daemon/ledger"
)

// A scenario is a paragraph of testdata/plan/*.txt: its name, what both sides and the ledger have, and what the planner
// shall do. testdata/plan/README explains the sentences. Each is planned twice, before and after the owner's switch.
type scenario struct {
	file, name    string
	line          int
	given         []sentence
	before, after []string // what shall be done
	told          [2]bool  // whether anybody said so
}

type sentence struct {
	line          int
	subject, text string
}

func TestPlanScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/plan/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	names := map[string]bool{}
	for _, file := range files {
		scenarios, err := readScenarios(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range scenarios {
			if names[s.name] {
				t.Errorf("%s:%d: there are two scenarios %q", s.file, s.line, s.name)
			}
			names[s.name] = true
			for _, switched := range []bool{false, true} {
				when, want := "before the switch", s.before
				if switched {
					when, want = "after the switch", s.after
				}
				t.Run(s.name+"/"+when, func(t *testing.T) { s.run(t, switched, want) })
			}
		}
	}
}

func (s *scenario) run(t *testing.T, switched bool, want []string) {
	view, err := s.view(switched)
	if err != nil {
		t.Fatal(err)
	}
	if needs := view.Needs(); !needs.Empty() {
		t.Errorf("%s:%d: a pass would read more before it plans: %+v", s.file, s.line, needs)
	}
	operations := Plan(view)
	if diff := gocmp.Diff(want, describe(view, operations)); diff != "" {
		t.Errorf("%s:%d (-want +got):\n%s", s.file, s.line, diff)
	}
	again, err := s.view(switched)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(operations, Plan(again)); diff != "" {
		t.Errorf("the same view gave another plan:\n%s", diff)
	}
}

func readScenarios(file string) (all []*scenario, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var s *scenario
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			s = nil
		case s == nil && line[0] != ' ':
			s = &scenario{file: file, name: line, line: i + 1}
			all = append(all, s)
		case s == nil || line[0] != ' ':
			return nil, fmt.Errorf("%s:%d: %q is neither a name nor a sentence below one", file, i+1, line)
		default:
			if err := s.sentence(i+1, strings.TrimSpace(line)); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range all {
		if s.told != [2]bool{true, true} {
			return nil, fmt.Errorf("%s:%d: %q says nothing about one side of the switch", file, s.line, s.name)
		}
	}
	return all, nil
}

func (s *scenario) sentence(line int, text string) error {
	subject, rest, found := strings.Cut(text, ": ")
	rest = strings.TrimSpace(rest)
	expect := func(list *[]string, side int) {
		s.told[side] = true
		if rest != "nothing" {
			*list = append(*list, rest)
		}
	}
	switch subject {
	case "source", "ledger", "here", "delivered", "policy":
		s.given = append(s.given, sentence{line, subject, rest})
	case "then":
		expect(&s.before, 0)
		expect(&s.after, 1)
	case "then before the switch":
		expect(&s.before, 0)
	case "then after the switch":
		expect(&s.after, 1)
	default:
		found = false
	}
	if !found {
		return fmt.Errorf("%s:%d: %q begins with no word that is known here", s.file, line, text)
	}
	return nil
}

// view is what the sentences describe.
func (s *scenario) view(switched bool) (View, error) {
	b := &builder{view: View{Policy: Policy{Switched: switched}, Destinations: map[string]*DestinationView{}}, ids: map[string]int64{}, unfinished: map[int64]bool{}, elsewhere: map[int64]bool{}}
	for _, one := range s.given {
		w := &words{left: strings.FieldsFunc(one.text, func(r rune) bool { return r == ' ' || r == ',' })}
		err := b.add(one.subject, w)
		if err == nil && len(w.left) > 0 {
			err = fmt.Errorf("nobody understands %q", strings.Join(w.left, " "))
		}
		if err != nil {
			return View{}, fmt.Errorf("%s:%d: %s: %s: %w", s.file, one.line, one.subject, one.text, err)
		}
	}
	return b.finish(), nil
}

// words reads a sentence from its beginning.
type words struct{ left []string }

// take takes some words if they come next.
func (w *words) take(text string) bool {
	want := strings.Fields(text)
	if len(w.left) < len(want) || !slices.Equal(w.left[:len(want)], want) {
		return false
	}
	w.left = w.left[len(want):]
	return true
}

func (w *words) next() string {
	if len(w.left) == 0 {
		return ""
	}
	word := w.left[0]
	w.left = w.left[1:]
	return word
}

// numbers reads "5" or "5-9".
func (w *words) numbers() (from, to int, err error) {
	first, last, span := strings.Cut(w.next(), "-")
	if from, err = strconv.Atoi(first); err != nil || !span {
		return from, from, err
	}
	to, err = strconv.Atoi(last)
	return from, to, err
}

func (w *words) number() (n int, err error) {
	n, to, err := w.numbers()
	if err == nil && n != to {
		err = fmt.Errorf("one number is wanted, not several")
	}
	return n, err
}

// flags reads all words that are left.
func (w *words) flags() string {
	all := w.left
	w.left = nil
	return ledger.JoinFlags(all)
}

// describe puts a plan into the sentences of the scenarios. Runs of one kind are one sentence.
func describe(v View, operations []Operation) (lines []string) {
	d := &describer{names: map[int64]string{}, validity: map[int64]uint32{}}
	for _, e := range v.Others {
		d.names[e.Folder.ID] = e.Folder.SourceName
	}
	for _, f := range v.Folders {
		d.names[f.Folder.ID], d.validity[f.Folder.ID] = f.Folder.SourceName, f.UIDValidity
	}
	for _, o := range operations {
		d.one(o)
	}
	d.flush()
	return d.lines
}

type describer struct {
	names    map[int64]string
	validity map[int64]uint32
	lines    []string

	format   string // of the run, with one %s for the numbers
	from, to uint32
}

// run adds one to a run of the same sentence with ascending numbers.
func (d *describer) run(uid uint32, format string) {
	if d.format == format && uid == d.to+1 {
		d.to = uid
		return
	}
	d.flush()
	d.format, d.from, d.to = format, uid, uid
}

func (d *describer) flush() {
	if d.format == "" {
		return
	}
	numbers := fmt.Sprint(d.from)
	if d.to > d.from {
		numbers += fmt.Sprintf("-%d", d.to)
	}
	d.lines = append(d.lines, fmt.Sprintf(d.format, numbers))
	d.format = ""
}

func (d *describer) say(format string, values ...any) {
	d.flush()
	d.lines = append(d.lines, fmt.Sprintf(format, values...))
}

// key is "INBOX 5", and how the source numbered it before when that has changed.
func (d *describer) key(k ledger.Key) string {
	if k.UIDValidity != sourceValidity {
		return fmt.Sprintf("%s %d of UIDVALIDITY %d", d.names[k.FolderID], k.UID, k.UIDValidity)
	}
	return fmt.Sprintf("%s %d", d.names[k.FolderID], k.UID)
}

func (d *describer) keyRun(k ledger.Key, format string) {
	if k.UIDValidity != sourceValidity {
		d.say(format, strings.TrimPrefix(d.key(k), d.names[k.FolderID]+" "))
		return
	}
	d.run(k.UID, format)
}

func (d *describer) one(o Operation) {
	switch o := o.(type) {
	case Append:
		for _, m := range o.Messages {
			d.run(m.UID, "copy "+d.names[o.FolderID]+" %s")
		}
	case Adopt:
		d.adopt(o)
	case Skip:
		d.say("skip %s: %s", d.key(o.Key), o.Reason)
	case Unskip:
		d.keyRun(o.Key, "take back the skip of "+d.names[o.Key.FolderID]+" %s")
	case Rename:
		kept := ""
		if o.PlaceFolder != "" {
			kept = ", it stays in " + o.PlaceFolder
		}
		if o.From.UID == o.To.UID && o.From.UIDValidity == sourceValidity {
			d.run(o.To.UID, d.names[o.From.FolderID]+" %[1]s is "+d.names[o.To.FolderID]+" %[1]s now"+kept)
			return
		}
		d.say("%s is %s now%s", d.key(o.From), d.key(o.To), kept)
	case Relink:
		d.say("%s is %s here now", d.key(o.Key), d.place(d.names[o.Key.FolderID], o.Place))
	case SetDeleted:
		d.keyRun(o.Key, d.names[o.Key.FolderID]+" %s was removed here by its owner")
	case SetGone:
		d.keyRun(o.Key, d.names[o.Key.FolderID]+" %s left the source")
	case SetBack:
		d.say("%s is at the source again%s", d.key(o.Key), map[bool]string{true: ", as new"}[o.Again])
	case StoreFlags:
		change := []string{}
		for _, f := range o.Add {
			change = append(change, "+"+f)
		}
		for _, f := range o.Remove {
			change = append(change, "-"+f)
		}
		d.say("flag %s %d here %s: %s has %s", o.DestinationName, o.UID, strings.Join(change, " "), d.key(o.Key), orNone(o.Flags))
	case Yield:
		d.say("%s is skipped from now on: %s", d.key(o.Key), o.Reason)
	case Renew:
		d.keyRun(o.Key, "take back the copy of "+d.names[o.Key.FolderID]+" %s")
	case Expunge:
		if o.After != (ledger.Key{}) {
			then := ""
			if o.Yield != "" {
				then = ", it is skipped then: " + o.Yield
			}
			d.say("remove %s %d here if it has %s and %s is here%s", o.DestinationName, o.UID, cmp.Or(o.Flags, "no flags"), d.key(o.After), then)
			return
		}
		if o.Flags == "" {
			d.run(o.UID, "remove "+o.DestinationName+" %s here if it has no flags")
			return
		}
		d.say("remove %s %d here if it has %s", o.DestinationName, o.UID, o.Flags)
	case RenameFolder:
		here := "everything stays where it is here"
		if o.Destination != "" {
			here = "its place here gets the name " + o.Destination
		}
		d.say("folder %s is %s now, %s", d.names[o.FolderID], d.names[o.As], here)
	case Hold:
		if o.Blind {
			d.say("hold back %d of %d messages that left %s, since nobody can see whether they are archived", o.Messages, o.Of, d.names[o.FolderID])
			return
		}
		if o.Here {
			d.say("stop: %d of %d messages are missing here at once", o.Messages, o.Of)
			return
		}
		d.say("hold back %d of %d messages that vanished from %s", o.Messages, o.Of, d.names[o.FolderID])
	default:
		d.say("do a %T, which no scenario has a word for", o)
	}
}

func orNone(flags string) string {
	if flags == "" {
		return "none"
	}
	return flags
}

func (d *describer) place(folder string, p ledger.Place) string {
	if p.Folder != "" {
		folder = p.Folder
	}
	if p.UIDValidity != hereValidity {
		return fmt.Sprintf("%s %d of UIDVALIDITY %d", folder, p.UID, p.UIDValidity)
	}
	return fmt.Sprintf("%s %d", folder, p.UID)
}

func (d *describer) adopt(o Adopt) {
	what := "is"
	switch {
	case o.Delivery != 0:
		what = fmt.Sprintf("is delivery %d,", o.Delivery)
	case o.Fate == ledger.Delivered && o.Reason == reasonOther:
		what = "came here another way,"
	case o.Fate != ledger.Copied || o.Reason != reasonFound:
		what = fmt.Sprintf("is %s because %q,", o.Fate, o.Reason)
	}
	where := "no longer here"
	if o.Place.UID != 0 {
		where = "here as " + d.place(o.DestinationName, o.Place)
	}
	d.say("%s %s %s", d.key(o.Key), what, where)
}
