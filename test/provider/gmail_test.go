package provider

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/account"
	"mailstork/daemon/mirror"
)

const allMail = "[Gmail]/All Mail"

// The folders of an account of Gmail that are no labels of its owner.
var gmailFolders = map[string]string{"All": allMail, "Starred": "[Gmail]/Starred", "Trash": "[Gmail]/Trash"}

func TestScenariosOfAnAccountOfGmail(t *testing.T) {
	text, err := os.ReadFile("testdata/gmail.txt")
	if err != nil {
		t.Fatal(err)
	}
	l := newLedgers(t)
	n := 0
	for scenario := range strings.SplitSeq(string(text), "\n\n") {
		if strings.HasPrefix(scenario, "#") {
			continue
		}
		name, lines, _ := strings.Cut(strings.TrimSpace(scenario), "\n")
		for _, when := range []string{"before the switch", "after the switch"} {
			n++
			t.Run(name+"/"+when, func(t *testing.T) {
				g := newGmail(t, l, fmt.Sprintf("gmail-%d", n), when)
				for line := range strings.Lines(lines) {
					g.do(strings.TrimSpace(line))
				}
				g.pass()
				if g.appended > 0 {
					t.Errorf("one more pass appended %d messages", g.appended)
				}
				g.told = nil // again what is not settled yet
				g.compareHere()
				g.sound()
			})
		}
	}
}

// gmail is one scenario.
type gmail struct {
	*bench
	t         *testing.T
	when      string
	policy    account.AllMail
	passes    int
	appended  int      // by the last pass
	read      []string // the titles that it read
	listing   func()   // happens while the source tells the states of its folders, behind that of the inbox
	opening   func()   // happens when the folder of all mail is opened
	hidden    *Folder  // the folder of all mail that it does not show
	unopened  bool     // the source refuses to open it
	refusing  string   // the folder here that takes nothing
	locations string   // what shall be here, as the scenario said last
}

func newGmail(t *testing.T, l *ledgers, name, when string) *gmail {
	g := &gmail{t: t, when: when}
	g.bench = newBench(t, l, Profile{Name: name, Quirk: Quirk{
		Capabilities: usualCapabilities + " X-GM-EXT-1",
		Seed: func(s *Store) {
			s.Folders = nil
			s.Add("INBOX")
			s.Add(allMail, `\All`)
			s.Add(gmailFolders["Starred"], `\Flagged`)
			s.Add(gmailFolders["Trash"], `\Trash`)
		},
		Status: func(told *Told) {
			if told.Folder.Raw == "INBOX" {
				once(&g.listing)
			}
		},
		Fetch: func(l *Line) {
			if l.hasBody() {
				g.read = append(g.read, title(l.Message))
			}
		},
		Instead: func(_ *Server, c Command) (string, bool) {
			raw, _ := word(c.Args)
			if c.Verb == "EXAMINE" && raw == allMail {
				once(&g.opening)
			}
			return "TAG NO [SERVERBUG] not now\r\n", c.Verb == "EXAMINE" && g.unopened && raw == allMail
		},
	}})
	g.bench.here.Store.Add("Mine")
	g.bench.here.quirk.Instead = func(_ *Server, c Command) (string, bool) {
		raw, _ := word(c.Args)
		return "TAG NO [CANNOT] that is no mail\r\n", c.Verb == "APPEND" && raw != "" && raw == g.refusing
	}
	return g
}

func once(do *func()) {
	if *do != nil {
		(*do)()
		*do = nil
	}
}

func title(m *Message) string {
	_, subject, _ := strings.Cut(m.Body, "Subject: ")
	subject, _, _ = strings.Cut(subject, "\r\n")
	return subject
}

func (g *gmail) do(line string) {
	subject, words, _ := strings.Cut(line, ": ")
	if always, when, some := strings.Cut(subject, " "); some && (always == "here" || always == "owner" || always == "told") {
		if subject = always; when != g.when {
			return // for the other run
		}
	}
	switch subject {
	case "pass":
		g.pass()
	case "source":
		g.there.mu.Lock()
		g.source(words)
		g.there.mu.Unlock()
	case "while the source lists":
		g.listing = func() { g.source(words) }
	case "while the source opens All":
		g.opening = func() { g.source(words) }
	case "owner":
		g.owner(words)
	case "this server refuses what comes to":
		g.refusing = words
	case "policy":
		g.policy = account.AllMail(words)
	case "read":
		want := strings.Fields(strings.TrimPrefix(words, "nothing"))
		slices.Sort(want)
		slices.Sort(g.read)
		if !slices.Equal(g.read, want) {
			g.t.Errorf("pass %d read %q of the source, want %q", g.passes, g.read, want)
		}
	case "here":
		g.locations = words
		g.compareHere()
	case "told":
		if all := strings.Join(g.told, "\n"); !strings.Contains(all, words) {
			g.t.Errorf("pass %d did not tell %q, but %q", g.passes, words, all)
		}
		g.told = nil
	default:
		g.t.Fatalf("nobody understands %q", line)
	}
}

// pass also checks what holds behind every pass.
func (g *gmail) pass() {
	g.read = nil
	g.untold()
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	defer cancel()
	o := g.options()
	o.Rules.Domain.AllMail = g.policy
	o.Policy.Switched = g.passes > 0 && g.when == "after the switch"
	result, err := mirror.Pass(ctx, o)
	if g.passes++; err != nil {
		g.t.Fatalf("pass %d: %v", g.passes, err)
	}
	g.appended = result.Appended
	g.told = result.Oddities
	for _, f := range result.Problems() {
		g.told = append(g.told, f.Name+": "+f.Problem)
	}
	exceptions, err := g.ledger.Exceptions(g.t.Context(), g.account.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, e := range exceptions {
		g.told = append(g.told, e.Reason)
	}
	if found, err := g.ledger.CheckSettled(g.t.Context(), g.account.ID); err != nil || len(found) > 0 {
		g.t.Errorf("the ledger behind pass %d: %v, %v", g.passes, found, err)
	}
	if wrong := append(g.there.Wrong(), g.bench.here.Wrong()...); len(wrong) > 0 {
		g.t.Errorf("pass %d asked %q", g.passes, wrong)
	}
}

// untold fails when the last pass told something of which the scenario says nothing.
func (g *gmail) untold() {
	if len(g.told) > 0 {
		g.t.Errorf("pass %d told %q, of which nobody speaks", g.passes, g.told)
	}
}

// sound fails unless the verification accounts for every message (L1).
func (g *gmail) sound() {
	o := g.options()
	o.Rules.Domain.AllMail = g.policy
	o.Policy.Switched = g.when == "after the switch"
	report, err := mirror.Verify(g.t.Context(), o, mirror.VerifyOptions{})
	if err != nil || len(report.Unexplained()) > 0 {
		g.t.Errorf("the verification: %v, %v", err, report.Unexplained())
	}
}

// source is what the source has, or what happens there: TITLES VERB FOLDERS.
func (g *gmail) source(words string) {
	s := g.there.Store
	switch {
	case words == "hides All":
		g.hidden = s.Folder(allMail)
		s.Folders = slices.DeleteFunc(s.Folders, func(f *Folder) bool { return f == g.hidden })
		return
	case words == "shows All":
		s.Folders = append(s.Folders, g.hidden)
		return
	case words == "refuses All", words == "opens All":
		g.unopened = words == "refuses All"
		return
	}
	fields := strings.Fields(words)
	switch fields[0] {
	case "removes":
		s.Folders = slices.DeleteFunc(s.Folders, func(f *Folder) bool { return f.Raw == fields[1] })
		return
	case "renames":
		s.Folder(fields[1]).Raw = fields[3]
		return
	}
	at := slices.IndexFunc(fields, func(w string) bool {
		return slices.Contains([]string{"in", "is", "are", "loses", "lose", "gets", "goes"}, w)
	})
	if at < 1 || at == len(fields)-1 {
		g.t.Fatalf("nobody understands what the source does: %q", words)
	}
	titles, verb, folders := fields[:at], fields[at], fields[at+1:]
	for _, t := range titles {
		switch {
		case verb == "in", verb == "gets":
			g.label(t, append(folders, "All")...)
		case verb == "loses", verb == "lose":
			g.unlabel(t, folders...)
		case folders[0] == "archived":
			g.unlabel(t, g.labels(t)...)
			g.label(t, "All")
		case folders[0] == "gone":
			g.unlabel(t, g.labels(t)...)
		case verb == "goes":
			g.unlabel(t, g.labels(t)...)
			g.label(t, folders[1])
		default:
			g.t.Fatalf("nobody understands what the source does: %q", words)
		}
	}
}

func rawName(folder string) string { return cmp.Or(gmailFolders[folder], folder) }

func isTitle(t string) func(*Message) bool {
	return func(m *Message) bool { return title(m) == t }
}

// labels are the folders that have a letter.
func (g *gmail) labels(t string) (names []string) {
	for _, f := range g.there.Store.Folders {
		if slices.ContainsFunc(f.Messages, isTitle(t)) {
			names = append(names, f.Raw)
		}
	}
	return names
}

// label puts a letter into folders that do not have it. What Gmail calls it is made of its title.
func (g *gmail) label(t string, folders ...string) {
	for _, name := range folders {
		f := g.there.Store.Add(rawName(name))
		if !slices.ContainsFunc(f.Messages, isTitle(t)) {
			f.Put(Letter(t), someDate).GMID = 1<<62 + uint64(crc32.ChecksumIEEE([]byte(t)))
		}
	}
}

func (g *gmail) unlabel(t string, folders ...string) {
	for _, name := range folders {
		f := g.there.Store.Folder(rawName(name))
		f.Messages = slices.DeleteFunc(slices.Clone(f.Messages), isTitle(t))
		f.ModSeq++
	}
}

// owner is what the owner does here: VERB TITLES in|from FOLDER [to FOLDER].
func (g *gmail) owner(words string) {
	g.bench.here.mu.Lock()
	defer g.bench.here.mu.Unlock()
	s := g.bench.here.Store
	titles, where, _ := strings.Cut(strings.Replace(words, " from ", " in ", 1), " in ")
	from, to, _ := strings.Cut(where, " to ")
	fields := strings.Fields(titles)
	f := s.Folder(rawName(from))
	for _, t := range fields[1:] {
		i := slices.IndexFunc(f.Messages, isTitle(t))
		if i < 0 {
			g.t.Fatalf("the owner does not find %q in %q", t, from)
		}
		m := f.Messages[i]
		switch fields[0] {
		case "flags":
			m.Flags = append(m.Flags, `\Flagged`)
			continue
		case "copies", "moves":
			s.Folder(to).Put(m.Body, m.Date, m.Flags...)
		case "deletes":
		default:
			g.t.Fatalf("nobody understands what the owner does: %q", words)
		}
		if fields[0] != "copies" {
			f.Messages = slices.Delete(slices.Clone(f.Messages), i, i+1)
			f.ModSeq++
		}
	}
}

// compareHere holds what is here against what the scenario says: FOLDER TITLES, FOLDER TITLES.
func (g *gmail) compareHere() {
	g.t.Helper()
	var want []string
	for one := range strings.SplitSeq(g.locations, ", ") {
		fields := strings.Fields(one)
		slices.Sort(fields[1:])
		want = append(want, strings.Join(fields, " "))
	}
	var got []string
	g.bench.here.mu.Lock()
	for _, f := range g.bench.here.Store.Folders {
		fields := []string{strings.Replace(f.Raw, allMail, "All", 1)}
		for _, m := range f.Messages {
			fields = append(fields, title(m))
		}
		if slices.Sort(fields[1:]); len(fields) > 1 {
			got = append(got, strings.Join(fields, " "))
		}
	}
	g.bench.here.mu.Unlock()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		g.t.Errorf("behind pass %d there is here\n  %s\nand should be\n  %s\ntold %q", g.passes, strings.Join(got, "\n  "), strings.Join(want, "\n  "), g.told)
	}
}
