package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// table writes aligned columns. Headers that start with > are right-aligned. Columns that are empty in every row are
// left out.
type table struct {
	headers []string
	rows    [][]string
}

func newTable(headers ...string) *table { return &table{headers: headers} }

func (t *table) row(cells ...string) {
	for i := range cells {
		cells[i] = clean(cells[i])
	}
	t.rows = append(t.rows, cells)
}

func (t *table) write(out io.Writer) {
	widths := make([]int, len(t.headers))
	for i, header := range t.headers {
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		if widths[i] > 0 {
			widths[i] = max(widths[i], len(strings.TrimPrefix(header, ">")))
		}
	}
	heading := make([]string, len(t.headers))
	for i, header := range t.headers {
		heading[i] = strings.TrimPrefix(header, ">")
	}
	style := styleOf(out)
	fmt.Fprintln(out, style.bold(t.line(heading, widths)))
	for _, row := range t.rows {
		fmt.Fprintln(out, t.line(row, widths))
	}
}

func (t *table) line(cells []string, widths []int) string {
	var parts []string
	for i, cell := range cells {
		if widths[i] == 0 {
			continue
		}
		space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if strings.HasPrefix(t.headers[i], ">") {
			parts = append(parts, space+cell)
		} else {
			parts = append(parts, cell+space)
		}
	}
	return strings.TrimRight(strings.Join(parts, "  "), " ")
}

// facts writes "name  value" lines with the values under each other. Facts without a value are left out.
type facts struct{ names, values []string }

func (f *facts) add(name, value string) {
	if value != "" {
		f.names, f.values = append(f.names, name), append(f.values, clean(value))
	}
}

func (f *facts) write(out io.Writer) {
	width := 0
	for _, name := range f.names {
		width = max(width, utf8.RuneCountInString(name))
	}
	for i, name := range f.names {
		fmt.Fprintf(out, "%-*s  %s\n", width, name, f.values[i])
	}
}

// style marks text on a terminal and leaves it alone elsewhere (and with NO_COLOR, no-color.org).
type style struct{ on bool }

func styleOf(out io.Writer) style { return style{on: isTerminal(out) && os.Getenv("NO_COLOR") == ""} }

func (s style) bold(text string) string { return s.mark("1", text) }

func (s style) red(text string) string { return s.mark("1;31", text) }

func (s style) mark(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func isTerminal(out io.Writer) bool {
	switch out := out.(type) {
	case *os.File:
		return term.IsTerminal(int(out.Fd()))
	case *page:
		return out.terminal
	}
	return false
}
