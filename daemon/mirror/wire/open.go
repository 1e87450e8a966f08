package wire

import (
	"context"
	"fmt"
	"strings"
)

// Open makes raw the folder that the other calls work on: with EXAMINE when
// readOnly, else with SELECT.
func (c *Conn) Open(ctx context.Context, raw string, readOnly bool) (Selected, error) {
	leave, err := c.Enter(ctx)
	if err != nil {
		return Selected{}, err
	}
	s, err := c.open(raw, readOnly)
	if err != nil {
		err = fmt.Errorf("opening %q: %w", raw, err)
	}
	return s, leave(err)
}

func (c *Conn) open(raw string, readOnly bool) (Selected, error) {
	verb := "EXAMINE"
	if !readOnly {
		verb = "SELECT"
	}
	for {
		c.selected = Selected{}
		s := Selected{Raw: raw}
		withModSeq := c.asksModSeq()
		cmd := c.askOpen(verb, raw, func(u untagged) error { return c.opened(&s, u) })
		r, err := cmd.Wait()
		refused := Refused(err)
		if refused != nil && cmd.foreseen {
			continue
		}
		if refused != nil && refused.Status == "BAD" && withModSeq {
			c.noModSeq = true
			continue
		}
		if err != nil {
			return Selected{}, err
		}
		s.ReadOnly = readOnly || r.Code == "READ-ONLY"
		c.selected = s
		return s, nil
	}
}

func (c *Conn) asksModSeq() bool { return c.Has("CONDSTORE") && !c.noModSeq }

func (c *Conn) askOpen(verb, raw string, on handler) *Command {
	if quotable(raw) {
		return c.ask(verb, c.openArgs(raw), on)
	}
	cmd := c.begin(verb, on).String(raw)
	if c.asksModSeq() {
		cmd.Word("(CONDSTORE)")
	}
	_ = cmd.End(false)
	return cmd
}

// openArgs are the arguments of an EXAMINE or SELECT of a quotable name.
func (c *Conn) openArgs(raw string) string {
	if c.asksModSeq() {
		return quote(raw) + " (CONDSTORE)"
	}
	return quote(raw)
}

// Selected is the folder opened last.
func (c *Conn) Selected() Selected { return c.selected }

func (c *Conn) opened(s *Selected, u untagged) (err error) {
	switch {
	case u.word == "EXISTS":
		s.Exists = u.num
	case u.word == "FLAGS":
		s.Flags, err = c.flagList()
	case u.reply.Code != "":
		c.openedCode(s, u.reply)
	}
	return err
}

func (c *Conn) openedCode(s *Selected, r Reply) {
	small := func() uint32 {
		n, err := parseNumber([]byte(r.Args))
		if err != nil || n > 1<<32-1 {
			c.note("bad-number", "%s", r.Raw)
			return 0
		}
		return uint32(n)
	}
	switch r.Code {
	case "UIDVALIDITY":
		s.UIDValidity = small()
	case "UIDNEXT":
		s.UIDNext = small()
	case "HIGHESTMODSEQ":
		s.HighestModSeq, _ = parseNumber([]byte(r.Args))
	case "UIDNOTSTICKY":
		s.UIDNotSticky = true
	case "PERMANENTFLAGS":
		for _, f := range strings.Fields(strings.Trim(r.Args, "()")) {
			if spelled, ok := SystemFlag(f); ok {
				f = spelled
			}
			s.PermanentFlags = append(s.PermanentFlags, f)
		}
	}
}
