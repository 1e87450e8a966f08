package testbed

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
)

// rawLogStamp is what Dovecot puts before each line, in seconds.
var rawLogStamp = regexp.MustCompile(`^\d+\.\d{6} `)

// Commands returns every IMAP command line that clients sent after their login,
// oldest first, without message bodies. The option RawLog must be on. A test
// takes its length before an action, and looks at what came after.
func (d *Dovecot) Commands() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(d.RawLogDir, "*.in"))
	if err != nil || d.RawLogDir == "" {
		return nil, fmt.Errorf("reading sessions of %s: RawLog is off (%v)", d.Name, err)
	}
	type stamped struct{ stamp, text string }
	var commands []stamped
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading sessions of %s: %w", d.Name, err)
		}
		for _, line := range withoutLiterals(content) {
			stamp := rawLogStamp.FindString(line)
			commands = append(commands, stamped{stamp, strings.TrimPrefix(line, stamp)})
		}
	}
	sort.SliceStable(commands, func(i, j int) bool { return commands[i].stamp < commands[j].stamp })
	texts := make([]string, len(commands))
	for i, command := range commands {
		texts[i] = command.text
	}
	return texts, nil
}

// withoutLiterals returns the lines of a session that are command text. The
// stamps are not part of the literal, though they stand in each of its lines.
func withoutLiterals(session []byte) []string {
	var lines []string
	var skip int64
	for raw := range bytes.Lines(session) {
		stamp := rawLogStamp.FindString(string(raw))
		body := string(raw[len(stamp):])
		if int64(len(body)) <= skip {
			skip -= int64(len(body))
			continue
		}
		text := strings.TrimRight(body[skip:], "\r\n")
		skip = 0
		if text == "" {
			continue
		}
		_, size, found := cutLiteral(strings.Replace(text, "+}", "}", 1))
		if found {
			skip = size
		}
		lines = append(lines, stamp+text)
	}
	return lines
}
