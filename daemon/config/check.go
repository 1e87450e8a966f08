package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Problem is one value that can't be used.
type Problem struct {
	Key      string // full path, "mirror.workers"
	Line     int    // in the file; 0 when the value came from a default
	Sentence string
}

// Problems is the error of Check: all that is wrong, in the order of the keys.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Key + ": " + problem.Sentence
		if problem.Line > 0 {
			lines[i] = fmt.Sprintf("line %d: %s", problem.Line, lines[i])
		}
	}
	return strings.Join(lines, "\n")
}

// Check returns Problems, or nil. It looks at values only, never at the machine (that is `mailstork doctor`).
func (c Config) Check() error {
	var problems Problems
	for _, k := range keys(&c) {
		if sentence := k.check(); sentence != "" {
			problems = append(problems, Problem{Key: k.Path, Sentence: sentence})
		}
	}
	problems = append(problems, c.checkTogether()...)
	if len(problems) == 0 {
		return nil
	}
	return problems
}

// checkTogether finds values that are fine alone and wrong together.
func (c Config) checkTogether() Problems {
	var problems Problems
	add := func(key, format string, args ...any) {
		problems = append(problems, Problem{Key: key, Sentence: fmt.Sprintf(format, args...)})
	}
	if c.Mirror.RetryMin.Duration() > c.Mirror.RetryMax.Duration() {
		add("mirror.retry_min_seconds", "%d seconds are longer than mirror.retry_max_minutes (%d)", c.Mirror.RetryMin, c.Mirror.RetryMax)
	}
	if c.Hook.Listen != "" && c.Hook.Listen == c.Milter.Listen {
		add("milter.listen", "%q is also hook.listen", c.Milter.Listen)
	}
	files := map[string]string{}
	for _, k := range keys(&c) {
		if !strings.HasSuffix(k.Path, "_file") && k.Path != "control.socket" {
			continue
		}
		if other := files[k.value.String()]; other != "" {
			add(k.Path, "%q is also %s", k.value.String(), other)
		}
		files[k.value.String()] = k.Path
	}
	return problems
}

// withLines finds the line of every problem in the file's text.
func (p Problems) withLines(text []byte) Problems {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil || len(document.Content) == 0 {
		return p
	}
	for i := range p {
		p[i].Line = lineOf(document.Content[0], strings.Split(p[i].Key, "."))
	}
	return p
}

func lineOf(node *yaml.Node, path []string) int {
	if len(path) == 0 {
		return node.Line
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == path[0] {
			return lineOf(node.Content[i+1], path[1:])
		}
	}
	return 0
}

var unknownField = regexp.MustCompile(`^line (\d+): field (\S+) not found in type config\.(\w+)$`)

// plainWords turns the decoder's errors into sentences without Go types.
func plainWords(err error) error {
	var several *yaml.TypeError
	if !errors.As(err, &several) {
		return err
	}
	lines := make([]string, len(several.Errors))
	for i, line := range several.Errors {
		lines[i] = line
		if m := unknownField.FindStringSubmatch(line); m != nil {
			lines[i] = fmt.Sprintf("line %s: unknown key %s%s", m[1], groupOf(m[3]), m[2])
		}
	}
	return errors.New(strings.Join(lines, "\n"))
}

func groupOf(goType string) string {
	if goType == "Config" {
		return ""
	}
	return strings.ToLower(goType) + "."
}
