package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

const (
	maxListOctets  = 10 << 20
	maxListColumns = 32
)

// The columns of a list.
const (
	columnAddress    = "address"
	columnSourceUser = "source_user"
	columnPassword   = "password"
	columnIgnored    = ""
)

// columnNames are the header words of common tools, reduced to lower-case letters. Ignored columns say nothing that an
// import needs; a word that is missing here is an error, since it may change what the rest means (a UserRoot does).
var columnNames = map[string]string{
	"address": columnAddress, "email": columnAddress, "emailaddress": columnAddress, "mail": columnAddress, "mailaddress": columnAddress, "account": columnAddress,
	"sourceuser": columnSourceUser, "user": columnSourceUser, "username": columnSourceUser, "login": columnSourceUser,
	"password": columnPassword, "pass": columnPassword, "passwd": columnPassword, "pwd": columnPassword, "sourcepassword": columnPassword,
	"name": columnIgnored, "fullname": columnIgnored, "displayname": columnIgnored, "firstname": columnIgnored, "lastname": columnIgnored,
	"comment": columnIgnored, "note": columnIgnored, "mailboxtype": columnIgnored, "forcechangepassword": columnIgnored,
}

// listOptions say what a list does not say itself.
type listOptions struct {
	domain  string   // every address must be in it, and one without @ is; empty: any domain
	columns []string // names of the columns of a list without header
}

// parseList reads a list of accounts: one address per line, or CSV or TSV with a header. All wrong lines are reported
// together. When the list holds passwords, no error shows anything of a line: a swapped column would show one (S1).
func parseList(text []byte, o listOptions) ([]control.ImportRow, error) {
	text, err := toUTF8(text)
	if err != nil {
		return nil, err
	}
	records, err := splitRecords(text)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, control.Invalid("the list is empty", "mailstork account import --help")
	}
	columns, records, err := findColumns(records, o)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, control.Invalid("the list has a header and no line below it", "mailstork account import --help")
	}
	if len(records) > control.MaxImportRows {
		return nil, control.Invalid(fmt.Sprintf("the list has more than %d lines: split it", control.MaxImportRows), "")
	}
	l := list{columns: columns, domain: o.domain, secretive: slices.Contains(columns, columnPassword)}
	var rows []control.ImportRow
	var wrong []control.LineError
	for _, r := range records {
		row, problem := l.row(r)
		if problem != "" {
			wrong = append(wrong, control.LineError{Line: r.line, Problem: problem})
			continue
		}
		rows = append(rows, row)
	}
	if len(wrong) > 0 {
		return nil, control.InvalidLines(wrong)
	}
	return rows, nil
}

type list struct {
	columns   []string
	domain    string
	secretive bool
}

func (l list) row(r record) (row control.ImportRow, problem string) {
	row.Line = r.line
	for i, cell := range r.cells {
		if i >= len(l.columns) {
			if cell != "" {
				return row, fmt.Sprintf("%d columns where %d are named", len(r.cells), len(l.columns))
			}
			continue
		}
		switch l.columns[i] {
		case columnAddress:
			if row.Address, problem = l.address(cell); problem != "" {
				return row, problem
			}
		case columnSourceUser:
			row.SourceUser = strings.TrimSpace(cell)
		case columnPassword:
			row.Password = secret.FromString(cell)
		}
	}
	if row.Address == "" {
		return row, "no address"
	}
	return row, ""
}

func (l list) address(cell string) (account.Address, string) {
	text := strings.TrimSpace(cell)
	if l.domain != "" && text != "" && !strings.Contains(text, "@") {
		text += "@" + l.domain
	}
	address, err := account.ParseAddress(text)
	switch {
	case err != nil && l.secretive:
		return "", "no usable mail address in the address column (it is not shown here, since the list holds passwords)"
	case err != nil:
		return "", err.Error()
	case l.domain != "" && address.Domain() != l.domain && l.secretive:
		return "", "the address is not in domain " + l.domain
	case l.domain != "" && address.Domain() != l.domain:
		return "", fmt.Sprintf("%s is not in domain %s", address, l.domain)
	}
	return address, ""
}

// findColumns tells what each column means, and returns the records without the header. More than one column without
// a header is refused: a guess could show passwords as user names (S1).
func findColumns(records []record, o listOptions) ([]string, []record, error) {
	const hint = "mailstork account import --help"
	first := records[0]
	if len(o.columns) > 0 {
		columns, err := nameColumns(o.columns)
		if err != nil {
			return nil, nil, control.Invalid("--columns: "+err.Error(), hint)
		}
		return columns, records, nil
	}
	if isHeader(first) {
		columns, err := nameColumns(first.cells)
		if err != nil {
			return nil, nil, control.Invalid(fmt.Sprintf("the header in line %d: %s", first.line, err), hint)
		}
		return columns, records[1:], nil
	}
	if len(first.cells) > 1 {
		return nil, nil, control.Invalid("the list has several columns and no header that names them",
			"put a first line on top, like: address,source_user,password   # or say it: --columns address,password")
	}
	return []string{columnAddress}, records, nil
}

// isHeader: no cell is an address, and one cell is the name of a column that we use.
func isHeader(r record) bool {
	named := false
	for _, cell := range r.cells {
		if strings.Contains(cell, "@") {
			return false
		}
		named = named || columnNames[letters(cell)] != ""
	}
	return named
}

func nameColumns(names []string) ([]string, error) {
	for len(names) > 0 && strings.TrimSpace(names[len(names)-1]) == "" {
		names = names[:len(names)-1] // a separator at the end of the line
	}
	if len(names) > maxListColumns {
		return nil, fmt.Errorf("more than %d columns", maxListColumns)
	}
	columns := make([]string, len(names))
	for i, name := range names {
		column, known := columnNames[letters(name)]
		if !known {
			return nil, fmt.Errorf("column %d has the unknown name %q (known: address, source_user, password)", i+1, name)
		}
		if column != columnIgnored && slices.Contains(columns[:i], column) {
			return nil, fmt.Errorf("column %d is a second %s", i+1, column)
		}
		columns[i] = column
	}
	if !slices.Contains(columns, columnAddress) {
		return nil, errors.New("no column is named address")
	}
	return columns, nil
}

func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, strings.ToLower(name))
}

// toUTF8 takes off byte order marks. Anything but UTF-8 and marked UTF-16 is refused: a password in a guessed encoding
// is a wrong password.
func toUTF8(text []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(text, []byte("\xef\xbb\xbf")):
		text = text[3:]
	case bytes.HasPrefix(text, []byte("\xff\xfe")):
		text = fromUTF16(text[2:], binary.LittleEndian)
	case bytes.HasPrefix(text, []byte("\xfe\xff")):
		text = fromUTF16(text[2:], binary.BigEndian)
	}
	if len(text) > maxListOctets {
		return nil, control.Invalid(fmt.Sprintf("the list is larger than %s: split it", octets(maxListOctets)), "")
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return nil, control.Invalid(fmt.Sprintf("line %d holds a NUL: this is not a text file", lineAt(text, i)), "")
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return nil, control.Invalid(fmt.Sprintf("line %d is not UTF-8", lineAt(text, i)), "iconv -f windows-1252 -t utf-8 FILE > FILE.utf8   # when it comes from Windows")
		}
		i += size
	}
	return text, nil
}

func lineAt(text []byte, offset int) int { return bytes.Count(text[:offset], []byte("\n")) + 1 }

func fromUTF16(text []byte, order binary.ByteOrder) []byte {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = order.Uint16(text[2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}
