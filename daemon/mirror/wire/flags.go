package wire

import (
	"slices"
	"strings"
)

// systemFlags are the flags of RFC 9051 §2.3.2 that a client may set.
var systemFlags = map[string]string{
	`\ANSWERED`: `\Answered`, `\DELETED`: `\Deleted`, `\DRAFT`: `\Draft`,
	`\FLAGGED`: `\Flagged`, `\SEEN`: `\Seen`,
}

// SystemFlag returns the RFC spelling of a settable system flag, or ok false.
func SystemFlag(flag string) (spelled string, ok bool) {
	if len(flag) == 0 || flag[0] != '\\' {
		return "", false
	}
	spelled, ok = systemFlags[strings.ToUpper(flag)]
	return spelled, ok
}

// NormaliseFlags brings flags into the one form used for comparing: system flags in
// RFC spelling, no \Recent and no `\*`, sorted, each once. Keywords stay as they are.
// The slice is changed in place.
func NormaliseFlags(flags []string) []string {
	out := flags[:0]
	for _, f := range flags {
		if s, ok := SystemFlag(f); ok {
			f = s
		}
		if f == "" || f == `\` || f == `\*` || strings.EqualFold(f, `\Recent`) {
			continue
		}
		out = append(out, f)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// IsAtom tells whether a keyword may be sent as it is (RFC 9051 §9, flag-keyword).
func IsAtom(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte(`(){%*"\]`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

// flagList reads "(\Seen keyword …)". Trailing and double spaces, brackets, 8-bit
// octets and quoted flags are taken as they come.
func (c *Conn) flagList() ([]string, error) {
	d := &c.d
	if err := d.spaces(); err != nil {
		return nil, err
	}
	if open, err := d.accept('('); err != nil {
		return nil, err
	} else if !open {
		v, err := d.value()
		if err == nil && v.kind != nilValue {
			err = odd("flags are no list")
		}
		return nil, err
	}
	flags := []string{}
	for {
		if err := d.spaces(); err != nil {
			return nil, err
		}
		if end, err := d.atEnd(); err != nil {
			return nil, err
		} else if end {
			return nil, odd("flags have no end")
		}
		if closed, err := d.accept(')'); err != nil || closed {
			return NormaliseFlags(flags), err
		}
		f, err := c.flag()
		if err != nil {
			return nil, err
		}
		if flags = append(flags, f); len(flags) > maxItems {
			return nil, &CapError{What: "items", Limit: maxItems}
		}
	}
}

func (c *Conn) flag() (string, error) {
	if open, err := c.d.accept('"'); err != nil {
		return "", err
	} else if open {
		tok, err := c.d.quoted()
		return string(tok), err
	}
	tok, err := c.d.atom("()")
	if err != nil {
		return "", err
	}
	if len(tok) == 0 {
		return "", odd("a list stands among flags")
	}
	return c.intern(tok), nil
}

// intern keeps one copy of each flag: 100,000 messages share a handful.
func (c *Conn) intern(tok []byte) string {
	if s, ok := c.flags[string(tok)]; ok {
		return s
	}
	s := string(tok)
	if len(c.flags) < 1000 {
		c.flags[s] = s
	}
	return s
}
