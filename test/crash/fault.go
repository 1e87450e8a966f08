package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The kinds of faults. Index counts what they hit, within one pass, from 0.
const (
	NoFault    = "none"
	Stop       = "stop"       // our process ends at a step point (Options.Step)
	Lost       = "lost"       // the connection to the destination ends, the changing command is lost
	Unanswered = "unanswered" // it ends, the command took effect, its answer is lost
	Ghost      = "ghost"      // it ends, the command takes effect later
	MidLiteral = "midliteral" // it ends in the middle of a message on its way to the destination
	Refused    = "refused"    // the command is answered with NO
	Silent     = "silent"     // it is answered with OK, but without APPENDUID
	SourceCut  = "source"     // the connection to the source ends in the middle of a message
)

// What happens to commands that a dead client had sent whole.
const (
	// The last two happen earlier when the fence waits for them.
	Dropped   = "dropped" // never executed
	AtOnce    = "at-once" // before the next pass
	AfterLook = "look"    // after the first look of the next pass
	AtEnd     = "end"     // at the end of the next pass
)

// Fault is what goes wrong in one pass.
type Fault struct {
	Kind  string
	Index int
	Late  string // for Stop and Ghost: what becomes of what was sent
}

func (f Fault) String() string {
	if f.Kind == NoFault {
		return NoFault
	}
	return strings.TrimSuffix(fmt.Sprintf("%s:%d:%s", f.Kind, f.Index, f.Late), ":")
}

func parseFault(text string) (f Fault, err error) {
	parts := append(strings.Split(text, ":"), "", "")
	f.Kind, f.Late = parts[0], parts[2]
	if f.Kind != NoFault {
		f.Index, err = strconv.Atoi(parts[1])
	}
	return f, err
}

var errStopped = errors.New("the process ended here")

// step is Options.Step.
func (b *Bench) step(_ context.Context, point string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped {
		return errStopped
	}
	if b.steps == 0 && b.when == InPass {
		b.act()
	}
	if b.fault.Kind == Stop && b.steps == b.fault.Index {
		b.stopped, b.fired = true, true
		b.moved.Broadcast()
		return errStopped
	}
	b.steps++
	if point == "wait" { // from now on the server may answer: see change
		b.allowed++
		b.moved.Broadcast()
	}
	return nil
}

// cuts tells whether the connection ends in the middle of this message.
func (b *Bench) cuts(here bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cutsLocked(here)
}

func (b *Bench) cutsLocked(here bool) bool {
	kind, counter := SourceCut, &b.fetched
	if here {
		kind, counter = MidLiteral, &b.literals
	}
	hit := b.fault.Kind == kind && !b.fired && *counter == b.fault.Index
	*counter++
	b.fired = b.fired || hit
	return hit
}

// change executes a command that changes something at the destination, unless a fault wants it otherwise. An APPEND
// waits until its client reads the answer, so that a stop between sending and reading always leaves a ghost.
func (b *Bench) change(s *session, c command) (answer string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !s.here {
		b.source.wrong = append(b.source.wrong, c.verb)
		return "BAD the source is never changed", nil
	}
	for c.verb == "APPEND" && b.allowed == 0 && !b.stopped && !b.over {
		b.moved.Wait()
	}
	hit := !b.fired && b.changes == b.fault.Index && slices.Contains([]string{Lost, Unanswered, Ghost, Refused, Silent}, b.fault.Kind)
	b.changes++
	b.here.changes++
	switch {
	case b.stopped || b.over:
		c.tag = ""
		b.ghosts = append(b.ghosts, c)
		return "", nil // nobody reads it
	case !hit:
		b.taken(c)
		return b.execute(c), nil
	}
	b.fired = true
	b.taken(c)
	switch b.fault.Kind {
	case Lost:
		return "", errCut
	case Unanswered:
		b.execute(c)
		return "", errCut
	case Ghost:
		c.tag = ""
		b.ghosts = append(b.ghosts, c)
		return "", errCut
	case Refused:
		return "NO [LIMIT] not now", nil
	}
	b.execute(c)
	return "OK done", nil
}

func (b *Bench) taken(c command) {
	if c.verb == "APPEND" {
		b.allowed--
	}
}

// execute is the server's part. A dead client's commands go the same way.
func (b *Bench) execute(c command) (answer string) {
	w := b.here
	switch c.verb {
	case "CREATE":
		w.create(strings.Trim(c.args, `"`))
	case "APPEND":
		return b.append(c)
	case "UID STORE":
		set, rest, _ := strings.Cut(c.args, " ")
		how, flags, _ := strings.Cut(rest, " ")
		words := strings.Fields(strings.Trim(flags, "()"))
		for _, l := range b.touched(c.folder, set) {
			if strings.HasPrefix(how, "+") {
				w.setFlags(c.folder, l.uid, words, nil)
			} else {
				w.setFlags(c.folder, l.uid, nil, words)
			}
		}
	case "UID COPY":
		return b.copy(c)
	case "UID EXPUNGE":
		for _, l := range b.touched(c.folder, c.args) {
			if slices.Contains(l.flags, `\Deleted`) {
				w.remove(c.folder, l.uid)
				b.nowhere(l.body)
			}
		}
	}
	return "OK done"
}

func (b *Bench) append(c command) string {
	f := b.here.folders[c.folder]
	if f == nil {
		return "NO [TRYCREATE] no such folder"
	}
	first := f.next
	for _, l := range c.letters {
		b.here.put(c.folder, l)
		b.here.last = place{c.folder, l.body}
		b.here.appended[b.here.last]++
	}
	return fmt.Sprintf("OK [APPENDUID %d %d:%d] done", f.validity, first, f.next-1)
}

// copy stores what is still there of a set behind everything else in its folder.
func (b *Bench) copy(c command) string {
	set, name, _ := strings.Cut(c.args, " ")
	if strings.Trim(name, `"`) != c.folder {
		b.here.wrong = append(b.here.wrong, "COPY to "+name)
	}
	var from, to []string
	for _, l := range b.touched(c.folder, set) {
		from = append(from, strconv.Itoa(int(l.uid)))
		to = append(to, strconv.Itoa(int(b.here.put(c.folder, l))))
	}
	if len(from) == 0 {
		return "OK nothing to copy"
	}
	return fmt.Sprintf("OK [COPYUID %d %s %s] done", b.here.folders[c.folder].validity, strings.Join(from, ","), strings.Join(to, ","))
}

// touched returns the messages of a set. The mirror may touch only what it stored itself (L4).
func (b *Bench) touched(name, set string) (letters []letter) {
	ranges := parseSet(set)
	for _, l := range b.here.folders[name].letters {
		if ranges.has(l.uid) {
			letters = append(letters, l)
			if !l.ours && !(l.body == twin && b.scenario.newest > 0) { // who stored which of two equal messages can't be told after a crash
				b.here.wrong = append(b.here.wrong, fmt.Sprintf("L4: touching message %d of %q, which is not ours", l.uid, name))
			}
		}
	}
	return letters
}

// looked is called after each look of a living session.
func (b *Bench) looked(s *session) error {
	if err := s.w.Flush(); err != nil {
		return err
	}
	if b.late == AfterLook {
		b.haunt()
	}
	return nil
}

// haunt executes what dead clients sent.
func (b *Bench) haunt() {
	for _, c := range b.ghosts[:b.dead] {
		b.execute(c)
	}
	b.ghosts, b.dead = b.ghosts[b.dead:], 0
}

// fence is Options.Fence: the sessions of earlier passes end when the server has done all that it still does for them.
func (b *Bench) fence(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.haunt()
	if b.when == InFence {
		b.act()
	}
	return nil
}
