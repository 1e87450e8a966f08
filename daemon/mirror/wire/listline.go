package wire

import (
	"math"
	"regexp"
	"strings"
)

// takeList reads "(attributes) separator name", RFC 9051 §7.3.1.
func (l *listing) takeList(lsub bool) error {
	d := &l.c.d
	if err := d.spaces(); err != nil {
		return err
	}
	attributes, err := d.value()
	if err != nil {
		return err
	}
	if err = d.spaces(); err != nil {
		return err
	}
	separator, err := d.value()
	if err != nil {
		return err
	}
	if err = d.spaces(); err != nil {
		return err
	}
	raw, err := d.folderName()
	if err != nil {
		return err
	}
	if raw == "" {
		return odd("a folder has no name")
	}
	if isInbox(raw) {
		raw = "INBOX"
	}
	f := Folder{Raw: raw, Selectable: true}
	if separator.kind != nilValue && len(separator.text) == 1 {
		f.Separator = separator.text[0]
	}
	for _, a := range attributes.list {
		if strings.EqualFold(a.text, `\Inbox`) { // XLIST tells the inbox by its localised name
			f.Raw = "INBOX"
		}
		f.attribute(a.text)
	}
	if lsub {
		l.subscribed[raw] = f.Selectable
		return nil
	}
	return l.add(f)
}

func (f *Folder) attribute(a string) {
	switch strings.ToLower(a) {
	case `\noselect`, `\nonexistent`:
		f.Selectable = false
	case `\subscribed`:
		f.Subscribed = true
	case `\all`, `\allmail`:
		f.SpecialUse = UseAll
	case `\archive`:
		f.SpecialUse = UseArchive
	case `\drafts`:
		f.SpecialUse = UseDrafts
	case `\flagged`, `\starred`:
		f.SpecialUse = UseFlagged
	case `\important`:
		f.SpecialUse = UseImportant
	case `\junk`, `\spam`:
		f.SpecialUse = UseJunk
	case `\sent`:
		f.SpecialUse = UseSent
	case `\trash`:
		f.SpecialUse = UseTrash
	}
}

func (l *listing) add(f Folder) error {
	if i, ok := l.index[f.Raw]; ok {
		have := &l.folders[i]
		have.Subscribed = have.Subscribed || f.Subscribed
		have.Selectable = have.Selectable || f.Selectable
		if have.SpecialUse == "" {
			have.SpecialUse = f.SpecialUse
		}
		l.c.note("duplicate-folder", "%q", f.Raw)
		return nil
	}
	if len(l.folders) >= maxFolders {
		return &CapError{What: "folders", Limit: maxFolders}
	}
	l.index[f.Raw] = len(l.folders)
	l.folders = append(l.folders, f)
	return nil
}

// extended is what LIST-EXTENDED may add behind a name.
var extended = regexp.MustCompile(`\s+\(\s*"?(?:CHILDINFO|OLDNAME)"?\s.*\)$`)

// folderName reads the name at the end of a LIST line: a literal, a quoted string
// (perhaps with quotes that its server forgot to escape), or whatever stands there,
// spaces and brackets included.
func (d *decoder) folderName() (string, error) {
	if size, ok, err := d.literal(); err != nil {
		return "", err
	} else if ok {
		v, err := d.smallLiteral(size)
		return v.text, err
	}
	rest, err := d.text()
	if err != nil {
		return "", err
	}
	return unquote(strings.TrimRight(extended.ReplaceAllString(string(rest), ""), " \t")), nil
}

// unquote takes the quotes off a name that stands alone. Of a name that only begins
// with a quote, what the quotes enclose is taken.
func unquote(text string) string {
	if len(text) < 2 || text[0] != '"' {
		return text
	}
	inner := text[1:]
	whole := strings.HasSuffix(inner, `"`)
	if whole {
		inner = inner[:len(inner)-1]
	}
	var b strings.Builder
	for i := 0; i < len(inner); i++ {
		switch {
		case inner[i] == '\\' && i+1 < len(inner) && (inner[i+1] == '"' || inner[i+1] == '\\'):
			i++
		case inner[i] == '"' && !whole:
			return b.String()
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}

// takeStatus reads "name (ITEM n …)". The name may be unquoted and have spaces; a
// name that no folder has belongs to the STATUS that was asked.
func (l *listing) takeStatus() error {
	d := &l.c.d
	if err := d.spaces(); err != nil {
		return err
	}
	name, items, err := d.statusLine()
	if err != nil {
		return err
	}
	if isInbox(name) {
		name = "INBOX"
	}
	i, ok := l.index[name]
	if !ok {
		i, ok = l.index[l.asked]
		l.c.note("unknown-status", "%q", name)
	}
	if ok {
		l.folders[i].Status.fill(items)
	}
	return nil
}

func (d *decoder) statusLine() (name string, items []string, err error) {
	size, isLiteral, err := d.literal()
	if err != nil {
		return "", nil, err
	}
	if isLiteral {
		v, err := d.smallLiteral(size)
		if err != nil {
			return "", nil, err
		}
		name = v.text
	}
	rest, err := d.text()
	if err != nil {
		return "", nil, err
	}
	open := strings.LastIndexByte(string(rest), '(')
	if open < 0 {
		return "", nil, odd("a status has no list")
	}
	if !isLiteral {
		name = unquote(strings.TrimRight(string(rest[:open]), " \t"))
	}
	return name, strings.Fields(strings.Trim(string(rest[open+1:]), " \t)")), nil
}

// fill takes "ITEM n" pairs; what is no number is left out.
func (s *Status) fill(items []string) {
	small := func(text string) (uint32, bool) {
		n, err := parseNumber([]byte(text))
		return uint32(n), err == nil && n <= math.MaxUint32
	}
	for i := 0; i+1 < len(items); i += 2 {
		switch strings.ToUpper(items[i]) {
		case "MESSAGES":
			s.Messages, s.HasMessages = small(items[i+1])
		case "UIDNEXT":
			s.UIDNext, s.HasUIDNext = small(items[i+1])
		case "UIDVALIDITY":
			s.UIDValidity, s.HasUIDValidity = small(items[i+1])
		case "HIGHESTMODSEQ":
			n, err := parseNumber([]byte(strings.Trim(items[i+1], "()")))
			s.HighestModSeq, s.HasHighestModSeq = n, err == nil && n > 0
		}
	}
}
