package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// maxAhead is how many commands may wait that nobody has asked for yet.
const maxAhead = 64

// maxKept bounds the lines of one listing that came before it was asked for; beyond
// that it is asked again.
const maxKept = 50_000

// Visit names what will be asked in one folder, in this order: EXAMINE, UIDs,
// Changes, List, Headers, Fetch. The EXAMINE is sent even when the folder is open: it is the
// only command for which a server has to end all the others first, and Dovecot 2.3
// mixes the answers of two FETCHes when a client reads slowly.
type Visit struct {
	Raw     string
	UIDs    bool
	Changes uint64   // since this modseq; 0: not asked
	List    UIDRange // From 0: not asked
	Headers []uint32 // of these the Fields, which are atoms
	Fields  []string
	Fetch   []uint32
}

// Foresight gives the next Visit, or false when there is none for now.
type Foresight func() (Visit, bool)

// Ahead sends commands before they are asked for, so that their answers are on the
// way already (pipelining, RFC 9051 §5.5). The calls that follow take them up when
// they ask the same in the same order; if they ask something else, the answers are
// read and thrown away. Nothing but time depends on it.
func (c *Conn) Ahead(ctx context.Context, next Foresight) error {
	leave, err := c.Enter(ctx)
	if err != nil {
		return err
	}
	c.lookAhead(next)
	return leave(c.Err())
}

func (c *Conn) lookAhead(next Foresight) {
	for next != nil && !c.cutOff && len(c.ahead) < maxAhead && !c.wantsDeflate() { // that waits for silence
		v, ok := next()
		if !ok {
			return
		}
		c.foresee(v)
	}
}

func (c *Conn) foresee(v Visit) {
	if !quotable(v.Raw) || len(v.Fetch) > 0 && c.lateUID { // such a command can't be sent without an answer
		c.cutOff = true
		return
	}
	c.sendAhead("EXAMINE", c.openArgs(v.Raw))
	if v.UIDs {
		c.sendAhead("UID SEARCH", c.searchArgs())
	}
	if v.Changes > 0 {
		c.sendAhead("UID FETCH", changesArgs(v.Changes, false))
	}
	if v.List.From > 0 {
		c.sendAhead("UID FETCH", c.listArgs(v.List)).from = v.List.From
	}
	c.fetchAhead(windows(v.Headers, windowMessages), headerItems(v.Fields))
	c.fetchAhead(windows(v.Fetch, fetchMessages), fetchItems)
}

// fetchAhead sends no more windows than pipeline would.
func (c *Conn) fetchAhead(sets []UIDSet, items string) {
	for i, set := range sets {
		if c.cutOff = c.cutOff || i == windowsOpen; c.cutOff {
			return
		}
		c.sendAhead("UID FETCH", set.String()+" "+items)
	}
}

func (c *Conn) sendAhead(verb, args string) *Command {
	cmd := c.start(verb, nil).Word(args)
	cmd.args, cmd.foreseen = args, true
	_ = cmd.End(false)
	c.ahead = append(c.ahead, cmd)
	return cmd
}

// ask takes up the command sent ahead with the same words, or sends one. Its line
// is ended, and flushed by Wait.
func (c *Conn) ask(verb, args string, on handler) *Command {
	if cmd := c.takeUp(verb, args); cmd != nil {
		cmd.on = on
		return cmd
	}
	cmd := c.begin(verb, on)
	if args != "" {
		cmd.Word(args)
	}
	_ = cmd.End(false)
	return cmd
}

// takeUp finds a command sent ahead: an EXAMINE anywhere, anything else only in the
// folder that is open now. What stands before it is not wanted any more.
func (c *Conn) takeUp(verb, args string) *Command {
	for i, cmd := range c.ahead {
		if cmd.verb == verb && cmd.args == args && !cmd.spoilt {
			before := c.ahead[:i]
			c.ahead = c.ahead[i+1:]
			c.cutOff = c.cutOff && len(c.ahead) > 0
			c.readPast(before)
			return cmd
		}
		if cmd.verb == "EXAMINE" && verb != "EXAMINE" {
			return nil
		}
	}
	return nil
}

// readPast waits for commands whose answers nobody wants.
func (c *Conn) readPast(commands []*Command) {
	for _, cmd := range commands {
		if _, err := cmd.Wait(); err != nil && Refused(err) == nil {
			return // the connection is broken, as the next command will find
		}
	}
}

// forget reads past all that was sent ahead, before verb is sent instead. The folder
// that its caller believes open is opened again if another one is by now.
func (c *Conn) forget(verb string) {
	if len(c.ahead) == 0 {
		c.cutOff = false
		return
	}
	commands := c.ahead
	c.ahead, c.cutOff = nil, false
	c.readPast(commands)
	moved := slices.ContainsFunc(commands, func(cmd *Command) bool { return cmd.verb == "EXAMINE" })
	if before := c.selected; moved && verb != "EXAMINE" && before.Raw != "" && c.Err() == nil {
		after, err := c.open(before.Raw, true)
		if err == nil && after.UIDValidity != before.UIDValidity {
			err = errors.New("its UIDVALIDITY changed")
		}
		if err != nil {
			_ = c.broken(fmt.Errorf("opening %q again: %v", before.Raw, err))
		}
	}
}

// kept is one line of a listing that came early.
type kept struct {
	num uint32
	e   Entry
}

// early tells that a FETCH reply came while a search is under way and a listing
// waits behind it: Dovecot 2.3 searches beside the commands that follow, as
// RFC 9051 §5.5 allows.
func (c *Conn) early(word string) bool {
	return word == "FETCH" && len(c.ahead) > 0 && c.ahead[0].verb == "UID FETCH" && c.pending[0].verb == "UID SEARCH"
}

func (c *Conn) keep(u untagged) error {
	var e Entry
	err := c.fetchReply(&e, nil)
	if isOdd(err) && e.UID != 0 {
		c.note("unreadable", "%v in message %d of %q", err, e.UID, c.selected.Raw)
	} else if err != nil {
		return err
	}
	if !c.keepEntry(kept{u.num, e}) {
		c.ahead[0].keep(kept{u.num, e})
		for _, cmd := range c.ahead[1:] {
			cmd.spoilt = cmd.spoilt || cmd.verb == "UID FETCH"
		}
	}
	return nil
}

// keepEntry gives a line to the listing in this folder that asks for its items. A
// server may tell a size that nobody asked for: the UID counts, too.
func (c *Conn) keepEntry(k kept) bool {
	for _, cmd := range c.ahead {
		if cmd.verb != "UID FETCH" {
			return false
		}
		if (cmd.from > 0) == (c.ofListing(k.e) && k.e.UID >= cmd.from) {
			cmd.keep(k)
			return true
		}
	}
	return false
}

func (cmd *Command) keep(k kept) {
	if len(cmd.kept) >= maxKept {
		cmd.kept, cmd.spoilt = nil, true
	}
	if !cmd.spoilt {
		cmd.kept = append(cmd.kept, k)
	}
}

var errOutOfOrder = errors.New("the server answers commands of several folders out of order")

// inOrder ends the connection when the i-th pending command is completed before an
// earlier one and a folder is opened between them: nobody could tell any more to which
// folder a reply belongs (RFC 9051 §5.5 forbids it).
func (c *Conn) inOrder(i int) error {
	if i > 0 && slices.ContainsFunc(c.pending[:i+1], func(cmd *Command) bool { return cmd.verb == "EXAMINE" }) {
		return errOutOfOrder
	}
	return nil
}

// inPlace does the same when another folder seems to be opened too early.
func (c *Conn) inPlace(r Reply) error {
	if r.Code == "UIDVALIDITY" && len(c.pending) > 1 && c.pending[0].verb != "EXAMINE" &&
		slices.ContainsFunc(c.pending[1:], func(cmd *Command) bool { return cmd.verb == "EXAMINE" }) {
		return errOutOfOrder
	}
	return nil
}
