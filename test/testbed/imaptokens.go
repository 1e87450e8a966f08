package testbed

import (
	"errors"
	"fmt"
	"strings"
)

// Token is one element of a response: an atom or number, a string, or a list.
type Token struct {
	Kind TokenKind
	Text string  // of an atom or string; a literal as LiteralFunc returned it
	List []Token // of a list
}

// TokenKind tells an atom NIL from the string "NIL".
type TokenKind int

// The kinds of RFC 3501 §4; BODY[...] counts as one atom.
const (
	Atom TokenKind = iota
	String
	List
)

// Tokens splits the response, without the leading "*". Free text (of "* OK ...")
// is no token sequence: use String for those.
func (l Line) Tokens() ([]Token, error) {
	s := scanner{line: l}
	if !strings.HasPrefix(l.head(), "* ") {
		return nil, fmt.Errorf("no untagged response: %q", l)
	}
	s.at = 2
	tokens, err := s.list(false)
	if err != nil {
		return nil, fmt.Errorf("splitting %.200q: %w", l.String(), err)
	}
	return tokens, nil
}

// scanner walks over the texts of a line; behind text i stands literal i.
type scanner struct {
	line     Line
	part, at int
}

func (s *scanner) list(nested bool) ([]Token, error) {
	var tokens []Token
	for {
		text := s.line.texts[s.part]
		if s.at == len(text) {
			if s.part == len(s.line.literals) {
				if nested {
					return nil, errors.New("list is not closed")
				}
				return tokens, nil
			}
			tokens = append(tokens, Token{Kind: String, Text: string(s.line.literals[s.part])})
			s.part, s.at = s.part+1, 0
			continue
		}
		switch text[s.at] {
		case ' ':
			s.at++
		case '(':
			s.at++
			inner, err := s.list(true)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, Token{Kind: List, List: inner})
		case ')':
			if !nested {
				return nil, errors.New("list was not opened")
			}
			s.at++
			return tokens, nil
		case '"':
			quoted, err := s.quoted()
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, Token{Kind: String, Text: quoted})
		default:
			tokens = append(tokens, Token{Kind: Atom, Text: s.atom()})
		}
	}
}

func (s *scanner) quoted() (string, error) {
	text := s.line.texts[s.part]
	var out strings.Builder
	for i := s.at + 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			s.at = i + 1
			return out.String(), nil
		case '\\':
			i++
			if i == len(text) || (text[i] != '"' && text[i] != '\\') {
				return "", errors.New("bad escape in a quoted string")
			}
		}
		out.WriteByte(text[i])
	}
	return "", errors.New("quoted string is not closed")
}

// atom reads up to a space or parenthesis outside square brackets.
func (s *scanner) atom() string {
	text, depth, start := s.line.texts[s.part], 0, s.at
	for ; s.at < len(text); s.at++ {
		switch c := text[s.at]; {
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		case depth == 0 && strings.IndexByte(` ()"`, c) >= 0:
			return text[start:s.at]
		}
	}
	return text[start:]
}
