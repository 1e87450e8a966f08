package testbed

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf16"
)

// modified is the base64 of folder names, RFC 3501 §5.1.3.
var modified = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding)

// EncodeFolder turns a name into modified UTF-7.
func EncodeFolder(name string) string {
	var out strings.Builder
	var pending []rune
	flush := func() {
		if len(pending) == 0 {
			return
		}
		var wide []byte
		for _, unit := range utf16.Encode(pending) {
			wide = append(wide, byte(unit>>8), byte(unit))
		}
		out.WriteString("&" + modified.EncodeToString(wide) + "-")
		pending = nil
	}
	for _, r := range name {
		switch {
		case r == '&':
			flush()
			out.WriteString("&-")
		case r >= ' ' && r <= '~':
			flush()
			out.WriteRune(r)
		default:
			pending = append(pending, r)
		}
	}
	flush()
	return out.String()
}

// DecodeFolder turns modified UTF-7 into a name.
func DecodeFolder(encoded string) (string, error) {
	var out strings.Builder
	for rest := encoded; rest != ""; {
		before, after, found := strings.Cut(rest, "&")
		out.WriteString(before)
		if !found {
			break
		}
		shifted, tail, closed := strings.Cut(after, "-")
		if !closed {
			return "", fmt.Errorf("decoding folder name %q: shift is not closed", encoded)
		}
		rest = tail
		if shifted == "" {
			out.WriteByte('&')
			continue
		}
		wide, err := modified.DecodeString(shifted)
		if err != nil || len(wide)%2 != 0 {
			return "", fmt.Errorf("decoding folder name %q: bad base64", encoded)
		}
		var units []uint16
		for i := 0; i < len(wide); i += 2 {
			units = append(units, uint16(wide[i])<<8|uint16(wide[i+1]))
		}
		out.WriteString(string(utf16.Decode(units)))
	}
	return out.String(), nil
}

// QuoteFolder makes a name ready to stand in a raw Command.
func QuoteFolder(name string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(EncodeFolder(name))
	return `"` + escaped + `"`
}
