package wire

import (
	"io"
	"strings"
)

type kind int

const (
	atomValue kind = iota
	nilValue
	quotedValue
	literalValue
	listValue
)

// value is one small piece of a reply, kept whole.
type value struct {
	kind kind
	text string
	list []value
}

// value reads one value of any shape; literals up to maxSmallLiteral are kept.
func (d *decoder) value() (value, error) { return d.nested(0) }

func (d *decoder) nested(depth int) (value, error) {
	if depth > maxDepth {
		return value{}, &CapError{What: "nesting", Limit: maxDepth}
	}
	if open, err := d.accept('('); err != nil {
		return value{}, err
	} else if open {
		return d.members(depth)
	}
	if open, err := d.accept('"'); err != nil {
		return value{}, err
	} else if open {
		tok, err := d.quoted()
		return value{kind: quotedValue, text: string(tok)}, err
	}
	if size, ok, err := d.literal(); err != nil {
		return value{}, err
	} else if ok {
		return d.smallLiteral(size)
	}
	tok, err := d.atom("()\"")
	if err != nil {
		return value{}, err
	}
	if len(tok) == 0 {
		return value{}, odd("a value is missing")
	}
	if strings.EqualFold(string(tok), "NIL") {
		return value{kind: nilValue}, nil
	}
	return value{text: string(tok)}, nil
}

func (d *decoder) members(depth int) (value, error) {
	v := value{kind: listValue}
	for {
		if err := d.spaces(); err != nil {
			return v, err
		}
		if end, err := d.atEnd(); err != nil {
			return v, err
		} else if end {
			return v, odd("a list has no end")
		}
		if closed, err := d.accept(')'); err != nil || closed {
			return v, err
		}
		m, err := d.nested(depth + 1)
		if err != nil {
			return v, err
		}
		if v.list = append(v.list, m); len(v.list) > maxItems {
			return v, &CapError{What: "items", Limit: maxItems}
		}
	}
}

func (d *decoder) smallLiteral(size int64) (value, error) {
	if size > maxSmallLiteral {
		return value{}, &CapError{What: "literal", Limit: maxSmallLiteral}
	}
	b := make([]byte, size)
	_, err := io.ReadFull(d.r, b)
	return value{kind: literalValue, text: string(b)}, err
}

// skipValue jumps over one value of any shape and size.
func (d *decoder) skipValue() error {
	depth, items := 0, 0
	for {
		if err := d.spaces(); err != nil {
			return err
		}
		if end, err := d.atEnd(); err != nil {
			return err
		} else if end {
			return odd("a value is missing")
		}
		if err := d.skipToken(&depth); err != nil {
			return err
		}
		if depth <= 0 {
			return nil
		}
		if items++; items > maxItems {
			return &CapError{What: "items", Limit: maxItems}
		}
	}
}

func (d *decoder) skipToken(depth *int) error {
	b, err := d.peek()
	if err != nil {
		return err
	}
	switch b {
	case '(':
		if *depth++; *depth > maxDepth {
			return &CapError{What: "nesting", Limit: maxDepth}
		}
		_, err = d.next()
		return err
	case ')':
		if *depth--; *depth < 0 {
			return odd("a value is missing")
		}
		_, err = d.next()
		return err
	case '"':
		if _, err = d.next(); err == nil {
			_, err = d.quoted()
		}
		return err
	}
	size, ok, err := d.literal()
	if err != nil {
		return err
	}
	if ok {
		return d.discard(size)
	}
	_, err = d.atom("()\"")
	return err
}
