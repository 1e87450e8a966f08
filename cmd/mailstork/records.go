package main

import (
	"bytes"
	"fmt"
	"strings"

	"mailstork/daemon/control"
)

// record is one line of a list.
type record struct {
	line  int
	cells []string
}

// splitRecords splits text into lines and cells (RFC 4180, and the same with ; or tab between cells). Blank lines, lines
// that start with # and lines of empty cells are left out. A line "sep=;" on top (Excel) names the separator.
func splitRecords(text []byte) ([]record, error) {
	var records []record
	var wrong []control.LineError
	var separator byte
	// A lone CR is content, since a password may be anything but a line break.
	for i, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(bytes.TrimSpace(line)) == 0 || line[0] == '#' {
			continue
		}
		if rest, found := bytes.CutPrefix(line, []byte("sep=")); found && separator == 0 && len(rest) == 1 {
			separator = rest[0]
			continue
		}
		if separator == 0 {
			separator = findSeparator(line)
		}
		cells, problem := splitCells(line, separator)
		if problem != "" {
			wrong = append(wrong, control.LineError{Line: i + 1, Problem: problem})
			continue
		}
		if strings.Join(cells, "") != "" {
			records = append(records, record{i + 1, cells})
		}
	}
	if len(wrong) > 0 {
		return nil, control.InvalidLines(wrong)
	}
	return records, nil
}

// findSeparator takes the first of tab, ; and , that stands outside of quotes. 0xff, which is in no UTF-8 text, means
// that there is one column.
func findSeparator(line []byte) byte {
	quoted := false
	found := byte(0xff)
	for _, c := range line {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '\t':
			return c
		case (c == ';' || c == ',') && found == 0xff:
			found = c
		}
	}
	return found
}

// splitCells splits one line. A cell that starts with a quote ends with one, and two quotes inside are one.
func splitCells(line []byte, separator byte) (cells []string, problem string) {
	for {
		if len(cells) > maxListColumns {
			return nil, fmt.Sprintf("more than %d columns", maxListColumns)
		}
		if len(line) == 0 || line[0] != '"' {
			end := bytes.IndexByte(line, separator)
			if end < 0 {
				return append(cells, string(line)), ""
			}
			cells, line = append(cells, string(line[:end])), line[end+1:]
			continue
		}
		cell, rest, closed := cutQuoted(line[1:])
		switch {
		case !closed:
			return nil, "a quote is opened and not closed in this line"
		case len(rest) == 0:
			return append(cells, cell), ""
		case rest[0] != separator:
			return nil, "something follows a closing quote"
		}
		cells, line = append(cells, cell), rest[1:]
	}
}

// cutQuoted reads up to the closing quote.
func cutQuoted(line []byte) (cell string, rest []byte, closed bool) {
	var content []byte
	for {
		end := bytes.IndexByte(line, '"')
		if end < 0 {
			return "", nil, false
		}
		content = append(content, line[:end]...)
		line = line[end+1:]
		if len(line) == 0 || line[0] != '"' {
			return string(content), line, true
		}
		content, line = append(content, '"'), line[1:]
	}
}
