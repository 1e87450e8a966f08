package wire

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
)

// UIDs returns the UIDs of the open folder in ascending order.
func (c *Conn) UIDs(ctx context.Context) ([]uint32, error) {
	leave, err := c.Enter(ctx)
	if err != nil {
		return nil, err
	}
	uids, err := c.search()
	if err != nil {
		err = fmt.Errorf("listing the UIDs of %q: %w", c.selected.Raw, err)
	}
	return uids, leave(err)
}

// search asks in the shortest way that the server knows. One that can neither
// ESEARCH nor SEARCH is asked to FETCH.
func (c *Conn) search() ([]uint32, error) {
	var set UIDSet
	take := func(u untagged) error {
		switch u.word {
		case "SEARCH":
			return c.searchNumbers(&set)
		case "ESEARCH":
			return c.searchExtended(&set)
		}
		return nil
	}
	_, err := c.run("UID SEARCH "+c.searchArgs(), take)
	if Refused(err) != nil {
		set = set[:0]
		_, err = c.run("UID FETCH 1:* (UID)", func(u untagged) error {
			var e Entry
			if u.word != "FETCH" {
				return nil
			}
			if err := c.fetchReply(&e, nil); err != nil || e.UID == 0 {
				return err
			}
			set = append(set, UIDRange{e.UID, e.UID})
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	return expand(set.normalise())
}

func (c *Conn) searchArgs() string {
	if c.Has("ESEARCH") {
		return "RETURN (ALL) ALL"
	}
	return "ALL"
}

func expand(set UIDSet) ([]uint32, error) {
	if set.Len() > maxUIDs {
		return nil, &CapError{What: "uids", Limit: maxUIDs}
	}
	uids := make([]uint32, 0, set.Len())
	for _, r := range set {
		for u := uint64(r.From); u <= uint64(r.To); u++ {
			uids = append(uids, uint32(u))
		}
	}
	return uids, nil
}

// searchNumbers reads "1 2 5 …", a line of any length up to maxUIDs numbers.
func (c *Conn) searchNumbers(set *UIDSet) error {
	for bad := 0; bad < maxItems; {
		c.d.spent = 0
		if err := c.d.spaces(); err != nil {
			return err
		}
		if end, err := c.d.atEnd(); err != nil || end {
			return err
		}
		tok, err := c.d.atom("")
		if err != nil {
			return err
		}
		// "(MODSEQ 7)" may stand at the end (RFC 7162 §3.1.5).
		if tok[0] == '(' {
			return nil
		}
		n, err := parseNumber(tok)
		if err != nil || n == 0 || n > math.MaxUint32 {
			c.note("bad-uid", "%q in the search of %q", tok, c.selected.Raw)
			bad++
			continue
		}
		if err = set.add(UIDRange{uint32(n), uint32(n)}); err != nil {
			return err
		}
	}
	return &CapError{What: "items", Limit: maxItems}
}

// add appends a range; neighbours in ascending order are merged at once.
func (s *UIDSet) add(r UIDRange) error {
	if n := len(*s); n > 0 && uint64((*s)[n-1].To)+1 == uint64(r.From) {
		(*s)[n-1].To = r.To
		return nil
	}
	if len(*s) >= maxUIDs {
		return &CapError{What: "uids", Limit: maxUIDs}
	}
	*s = append(*s, r)
	return nil
}

// searchExtended reads `(TAG "a1") UID ALL 1:5,7` (RFC 4731).
func (c *Conn) searchExtended(set *UIDSet) error {
	for {
		if err := c.d.spaces(); err != nil {
			return err
		}
		if end, err := c.d.atEnd(); err != nil || end {
			return err
		}
		v, err := c.d.value()
		if err != nil {
			return err
		}
		if v.kind == atomValue && strings.EqualFold(v.text, "ALL") {
			return c.uidSet(set)
		}
	}
}

// vanished reads "(EARLIER) 41,43:116" (RFC 7162 §3.2.10).
func (c *Conn) vanished(set *UIDSet) error {
	if err := c.d.spaces(); err != nil {
		return err
	}
	if open, err := c.d.accept('('); err != nil {
		return err
	} else if open {
		if _, err = c.d.members(0); err != nil {
			return err
		}
	}
	return c.uidSet(set)
}

// uidSet reads "41,43:116", of any length up to maxUIDs ranges.
func (c *Conn) uidSet(set *UIDSet) error {
	if err := c.d.spaces(); err != nil {
		return err
	}
	for {
		c.d.spent = 0
		tok, err := c.d.atom(",")
		if err != nil {
			return err
		}
		r, err := parseRange(string(tok))
		if err != nil {
			return err
		}
		if err = set.add(r); err != nil {
			return err
		}
		if more, err := c.d.accept(','); err != nil || !more {
			return err
		}
	}
}

func parseRange(text string) (UIDRange, error) {
	from, to, pair := strings.Cut(text, ":")
	if !pair {
		to = from
	}
	a, err := parseNumber([]byte(from))
	if err != nil {
		return UIDRange{}, err
	}
	b, err := parseNumber([]byte(to))
	if err != nil {
		return UIDRange{}, err
	}
	if a > b {
		a, b = b, a
	}
	if a == 0 || b > math.MaxUint32 {
		return UIDRange{}, odd("not a UID range: " + text)
	}
	return UIDRange{uint32(a), uint32(b)}, nil
}

// ParseUIDSet reads a set in the order in which its server wrote it, as APPENDUID
// gives it; at most limit UIDs.
func ParseUIDSet(text string, limit int) ([]uint32, error) {
	var uids []uint32
	for part := range strings.SplitSeq(text, ",") {
		r, err := parseRange(part)
		if err != nil {
			return nil, err
		}
		if uint64(len(uids))+uint64(r.To)-uint64(r.From)+1 > uint64(limit) {
			return nil, &CapError{What: "uids", Limit: int64(limit)}
		}
		for u := uint64(r.From); u <= uint64(r.To); u++ {
			uids = append(uids, uint32(u))
		}
	}
	return slices.Clip(uids), nil
}
