package wire

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// base64IMAP is the alphabet of modified UTF-7 (RFC 3501 §5.1.3).
var base64IMAP = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// EncodeName returns a folder name, or one part of it, in modified UTF-7.
func EncodeName(name string) string {
	var b strings.Builder
	var run []uint16
	flush := func() {
		if len(run) == 0 {
			return
		}
		raw := make([]byte, 0, 2*len(run))
		for _, u := range run {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteString("&" + base64IMAP.EncodeToString(raw) + "-")
		run = run[:0]
	}
	for _, r := range name {
		if r < ' ' || r > '~' {
			run = utf16.AppendRune(run, r)
			continue
		}
		flush()
		if b.WriteRune(r); r == '&' {
			b.WriteByte('-')
		}
	}
	flush()
	return b.String()
}

// DecodeName reads one part of a folder name the way its owner means it: modified
// UTF-7; where it is none, UTF-8; where it is neither, Latin-1. It never fails.
// Different names may read the same; within a listing Folders keeps them apart.
func DecodeName(raw string) string {
	if name, ok := decodeUTF7(raw); ok {
		return name
	}
	if utf8.ValidString(raw) {
		return raw
	}
	runes := make([]rune, len(raw))
	for i := range len(raw) {
		runes[i] = rune(raw[i])
	}
	return string(runes)
}

// decodeUTF7 accepts exactly what EncodeName writes.
func decodeUTF7(raw string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] < ' ' || raw[i] > '~' {
			return "", false
		}
		if raw[i] != '&' {
			b.WriteByte(raw[i])
			continue
		}
		end := strings.IndexByte(raw[i:], '-')
		if end < 0 {
			return "", false
		}
		if end == 1 {
			b.WriteByte('&')
		} else if s, ok := decodeShift(raw[i+1 : i+end]); ok {
			b.WriteString(s)
		} else {
			return "", false
		}
		i += end
	}
	name := b.String()
	return name, EncodeName(name) == raw
}

func decodeShift(coded string) (string, bool) {
	raw, err := base64IMAP.DecodeString(coded)
	if err != nil || len(raw)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	return string(utf16.Decode(units)), true
}

// EscapeName spells one part of a raw name so that no two parts are spelled the
// same, whatever octets they have: it is DecodeName for canonical names, and writes
// every other octet, and a percent sign that could be taken for one, as %XX.
func EscapeName(raw string) string {
	if name, ok := decodeUTF7(raw); ok && !strings.Contains(name, "%") {
		return name
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(raw) {
		if raw[i] < ' ' || raw[i] > '~' || raw[i] == '&' || raw[i] == '%' {
			b.Write([]byte{'%', hex[raw[i]>>4], hex[raw[i]&15]})
			continue
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

// split cuts a raw name at the separator, without the namespace prefix and without
// empty parts.
func split(raw string, ns Namespace, separator byte) []string {
	if ns.Prefix != "" && len(raw) > len(ns.Prefix) && strings.EqualFold(raw[:len(ns.Prefix)], ns.Prefix) {
		raw = raw[len(ns.Prefix):]
	}
	if separator == 0 {
		return []string{raw}
	}
	var parts []string
	for p := range strings.SplitSeq(raw, string([]byte{separator})) {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return parts
}

func isInbox(raw string) bool { return strings.EqualFold(raw, "INBOX") }

// nameAll gives every folder its Name. A folder whose plain reading another folder
// has already is spelled with EscapeName, and in the last resort by its whole raw
// name in one part, so that names stay unique. Canonical spellings come first: which
// folder gets the plain name does not depend on the order of the listing.
func nameAll(folders []Folder, ns Namespace) {
	taken := make(map[string]bool, len(folders))
	claim := func(f *Folder, parts []string, spell func(string) string) bool {
		name := make([]string, len(parts))
		for i, p := range parts {
			name[i] = spell(p)
		}
		if len(name) > 0 && isInbox(name[0]) && (len(name) == 1 || isInbox(parts[0])) {
			name[0] = "INBOX"
		}
		key := strings.Join(name, "\x00")
		if len(name) == 0 || taken[key] {
			return false
		}
		taken[key], f.Name = true, name
		return true
	}
	for _, canonical := range []bool{true, false} {
		for i := range folders {
			f := &folders[i]
			parts := split(f.Raw, ns, f.Separator)
			if isInbox(f.Raw) {
				parts = []string{"INBOX"}
			} else if len(parts) == 1 && isInbox(parts[0]) {
				parts = split(f.Raw, Namespace{}, f.Separator)
			}
			if f.Name != nil || canonical && !isCanonical(*f) {
				continue
			}
			_ = claim(f, parts, DecodeName) || claim(f, parts, EscapeName) ||
				claim(f, []string{f.Raw}, EscapeName) || claim(f, []string{"%" + f.Raw}, EscapeName)
		}
	}
}

// isCanonical tells whether a folder's raw name is the one way to spell its name.
func isCanonical(f Folder) bool {
	_, ok := decodeUTF7(f.Raw)
	sep := string([]byte{f.Separator})
	return ok && (f.Separator == 0 || !strings.Contains(f.Raw, sep+sep) && !strings.HasPrefix(f.Raw, sep) && !strings.HasSuffix(f.Raw, sep))
}
