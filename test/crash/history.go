package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// When the owner acts.
const (
	Before  = "before" // the second pass begins, after ghosts that come at once
	InFence = "fence"  // after the ghosts, before the mirror looks
	InPass  = "pass"   // after its looks, at its first step
)

// Action is what happens at the destination beside the mirror.
type Action string

// The actions. Newest is what the mirror stored last.
const (
	Nothing      Action = "nothing"
	DeleteNewest Action = "delete-newest"
	DeleteFirst  Action = "delete-first"
	MoveNewest   Action = "move-newest" // to a folder that only the owner has
	MoveFirst    Action = "move-first"
	FlagNewest   Action = "flag-newest"
	Deliver      Action = "deliver" // somebody else stores the same bytes as one of the twins
	DeliverMove  Action = "deliver-move"
	GapMoveTwin  Action = "gap-move-twin" // a letter comes and goes at once, and an old twin is moved
)

// Actions are all of them.
var Actions = []Action{Nothing, DeleteNewest, DeleteFirst, MoveNewest, MoveFirst, FlagNewest, Deliver, DeliverMove, GapMoveTwin}

// kept is a folder that only the owner has.
const kept = "Kept"

// act does the action once. It notes whether there was anything to do.
func (b *Bench) act() {
	if b.acted {
		return
	}
	w := b.here
	name, uid := w.newest()
	if strings.HasSuffix(string(b.action), "first") {
		name, uid = "INBOX", 0
		if f := w.folders[name]; f != nil && len(f.letters) > 0 {
			uid = f.letters[0].uid
		}
	}
	switch b.action {
	case Nothing:
	case Deliver, DeliverMove:
		w.put("INBOX", letter{body: twin})
		b.acted = true
		if b.action == DeliverMove {
			b.acted = b.move(name, uid)
		}
	case GapMoveTwin:
		uid := w.put("INBOX", letter{body: written("visitor")})
		_, _ = w.remove("INBOX", uid)
		i := slices.IndexFunc(w.folders["INBOX"].letters, func(l letter) bool { return l.body == twin })
		b.acted = i >= 0 && b.move("INBOX", w.folders["INBOX"].letters[i].uid)
	case DeleteNewest, DeleteFirst:
		l, found := w.remove(name, uid)
		if b.acted = found; found {
			w.removed[l.body]++
			b.tookNotice(l)
			b.settle(l.body)
		}
	case MoveNewest, MoveFirst:
		b.acted = b.move(name, uid)
	case FlagNewest:
		if f := w.folders[name]; f != nil {
			w.setFlags(name, uid, []string{`\Flagged`}, nil)
			for i := range f.letters {
				if f.letters[i].uid == uid {
					f.letters[i].marked, b.acted = true, true
				}
			}
		}
	}
}

func (b *Bench) move(name string, uid uint32) bool {
	if b.here.folders[name] == nil {
		return false
	}
	l, found := b.here.remove(name, uid)
	if found {
		b.here.put(kept, l)
		b.tookNotice(l)
	}
	return found
}

// History is one history: a first pass with a fault, what happens then, a second pass with another fault, and passes
// without any until nothing changes.
type History struct {
	Scenario string
	First    Fault
	Action   Action
	When     string
	Second   Fault
}

func (h History) String() string {
	return strings.Join([]string{h.Scenario, h.First.String(), string(h.Action), h.When, h.Second.String()}, "/")
}

// ParseHistory is the reverse of String.
func ParseHistory(text string) (h History, err error) {
	parts := strings.Split(text, "/")
	if len(parts) != 5 {
		return h, fmt.Errorf("a history has five parts: %q", text)
	}
	h.Scenario, h.Action, h.When = parts[0], Action(parts[2]), parts[3]
	if h.First, err = parseFault(parts[1]); err != nil {
		return h, err
	}
	h.Second, err = parseFault(parts[4])
	return h, err
}

// Scenario is how things stand when the faults begin.
type Scenario struct {
	name     string
	switched bool
	single   bool // no MULTIAPPEND: batches of one
	batch    int  // messages of one batch at most; 0: any number
	both     bool // two connections to each side: the order of steps is not always the same
	gap      time.Duration
	newest   int                 // messages of the inbox that come first, and are filed anew at the end
	notice   bool                // the owner is told
	adopted  bool                // messages are here before the first pass
	later    func(source *world) // what happens at the source after a first good pass
	labels   *labels             // the source shows every message once more in a folder of all mail
	here     func(here *world)   // what is here before it
}

func (s *Scenario) pairs() int {
	if s.both {
		return 2
	}
	return 1
}

// pairMessages lets the few messages of the matrix come over all connections.
func (s *Scenario) pairMessages() int {
	if s.both {
		return 1
	}
	return 0
}

const (
	minute = time.Minute
	head   = "From: a@old.example\r\nTo: anna@example.org\r\nDate: Fri, 17 Jul 2020 02:44:25 +0000\r\nMessage-ID: <%s@old.example>\r\nSubject: %s\r\n\r\n%s\r\n"
)

func written(id string) string { return fmt.Sprintf(head, id, id, "body of "+id) }

var (
	twin  = written("twin")
	blank = "no header, only text\r\n"
)

func firstSource() *world {
	w := newWorld()
	for _, l := range []letter{{body: written("a"), flags: []string{`\Seen`}}, {body: twin}, {body: written("b"), flags: []string{`\Flagged`, "work"}}, {body: twin}} {
		w.put("INBOX", l)
	}
	w.put("Archive", letter{body: written("c")})
	w.put("Archive", letter{body: blank})
	return w
}

func grown(w *world) {
	w.put("INBOX", letter{body: twin})
	w.put("INBOX", letter{body: written("d")})
	w.put("Archive", letter{body: written("e")})
	w.setFlags("INBOX", 1, []string{`\Answered`}, []string{`\Seen`})
}

// Scenarios are all of them.
var Scenarios = []*Scenario{
	{name: "pairs-of-messages", batch: 2, gap: minute, switched: true},
	{name: "one-by-one", single: true, gap: minute},
	{name: "all-at-once", gap: 25 * time.Hour, switched: true},
	{name: "half-here", batch: 2, gap: minute, switched: true, adopted: true, here: func(w *world) {
		w.put("INBOX", letter{body: twin})
		w.put("Archive", letter{body: blank})
	}},
	{name: "following", batch: 2, gap: minute, switched: true, later: grown},
	{name: "source-is-right", batch: 2, gap: minute, later: func(w *world) {
		grown(w)
		w.remove("INBOX", 3)
	}},
	{name: "newest-first", batch: 2, gap: minute, switched: true, newest: 2},
	{name: "notice", batch: 2, gap: minute, switched: true, newest: 2, notice: true},
	{name: "two-connections", batch: 1, both: true, gap: minute, switched: true},
	{name: "labels", batch: 2, gap: minute, labels: &labels{end: map[string]string{
		"INBOX": "a b twin twin", "Work": "b c", "Archive": "d e x"}}},
	{name: "labels-removed", batch: 2, gap: minute, later: relabelled, labels: &labels{end: map[string]string{
		"INBOX": "b c d f twin", "Work": "", "Archive": "a e g twin x"}}},
	{name: "labels-removed-after-the-switch", batch: 2, gap: minute, switched: true, later: relabelled, labels: &labels{end: map[string]string{
		"INBOX": "a b f twin twin", "Work": "b c", "Archive": "d e g x"}}},
	{name: "labels-removed-and-deleted", batch: 2, gap: minute, later: relabelled, labels: &labels{deleted: []string{"a", "c", "e"}, end: map[string]string{
		"INBOX": "b d f twin", "Work": "", "Archive": "g twin x"}}},
	{name: "labels-removed-and-deleted-after-the-switch", batch: 2, gap: minute, switched: true, later: relabelled, labels: &labels{deleted: []string{"a", "c", "e"}, end: map[string]string{
		"INBOX": "b f twin twin", "Work": "b", "Archive": "d g x"}}},
}

func scenario(name string) *Scenario {
	i := slices.IndexFunc(Scenarios, func(s *Scenario) bool { return s.name == name })
	if i < 0 {
		return nil
	}
	return Scenarios[i]
}

// begin brings the bench to where a scenario's faults begin.
func (b *Bench) begin(ctx context.Context, s *Scenario) (snapshot, error) {
	fresh := state{source: s.source(), here: newWorld(), clock: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)}
	fresh.here.create("INBOX")
	if s.here != nil {
		s.here(fresh.here)
	}
	b.scenario = s
	if err := b.load(ctx, snapshot{state: fresh}); err != nil {
		return snapshot{}, err
	}
	if s.later != nil {
		if _, err := b.pass(ctx, happening{fault: Fault{Kind: NoFault}}); err != nil {
			return snapshot{}, fmt.Errorf("a first pass without any fault: %w", err)
		}
		before := b.source.clone()
		b.deleteHere()
		s.later(b.source)
		b.reached = b.source.most(before)
	} else {
		b.reached = b.source.most(newWorld())
	}
	s.placesHere(b.reached)
	return b.save(ctx)
}

// most counts for each content in each folder the most that two moments have.
func (w *world) most(before *world) map[place]int {
	most := map[place]int{}
	for _, moment := range []*world{before, w} {
		now := map[place]int{}
		for name, f := range moment.folders {
			for _, l := range f.letters {
				now[place{name, l.body}]++
			}
		}
		for p, n := range now {
			most[p] = max(most[p], n)
		}
	}
	return most
}

// passesToRest is how many passes without a fault may change something (I9).
const passesToRest = 2

// end runs passes without faults until one changes nothing, and judges.
func (b *Bench) end(ctx context.Context, h History, next happening) error {
	for n := 0; ; n++ {
		before := b.here.changes
		next.fault = Fault{Kind: NoFault}
		result, err := b.pass(ctx, next)
		if n == 0 {
			b.probed = b.places()
		}
		if err != nil {
			return fmt.Errorf("STUCK: a pass without a fault ended with: %w", err)
		}
		if problems := result.Problems(); len(problems) > 0 {
			return fmt.Errorf("STUCK: folder %q: %s", problems[0].Name, problems[0].Problem)
		}
		if b.here.changes == before && n > 0 {
			break
		}
		if n > passesToRest {
			return errors.New("RESTLESS: still changing something after the second pass without a fault")
		}
		next = happening{}
	}
	return b.judge(ctx, h)
}

// Run runs one history from its beginning.
func (b *Bench) Run(ctx context.Context, h History) error {
	s := scenario(h.Scenario)
	if s == nil {
		return fmt.Errorf("no scenario is called %q", h.Scenario)
	}
	if _, err := b.begin(ctx, s); err != nil {
		return err
	}
	_, _ = b.pass(ctx, happening{fault: h.First}) // it fails as it must
	next := happening{late: h.First.Late, action: h.Action, when: h.When}
	if h.Second.Kind != NoFault {
		next.fault = h.Second
		_, _ = b.pass(ctx, next)
		next = happening{late: h.Second.Late}
	}
	return b.end(ctx, h, next)
}
