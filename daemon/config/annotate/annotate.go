// Package annotate turns the struct config.Config into texts for people: the sample file and the man page's section.
//
// Owns: how a key is presented. Never does: run inside the daemon; only `go generate` and tests use it.
// Failure behaviour: source that it does not understand is an error that names the field.
package annotate

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// Key is one key of the configuration, or a group of keys.
type Key struct {
	Path    string // "mirror.workers"
	Comment string // one paragraph
	Default string
	Bounds  string
	Bad     string // a value that must be refused
	Group   bool   // holds keys, has no value
	List    bool
}

// Name is the last part of the path.
func (k Key) Name() string { return k.Path[strings.LastIndexByte(k.Path, '.')+1:] }

// depth is the number of groups around the key.
func (k Key) depth() int { return strings.Count(k.Path, ".") }

// Keys reads config.go in folder dir and lists groups and keys in their order.
func Keys(dir string) ([]Key, error) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "config.go"), nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("reading the struct: %w", err)
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok {
			if s, ok := t.Type.(*ast.StructType); ok {
				structs[t.Name.Name] = s
			}
		}
		return true
	})
	return collect(structs, "Config", "")
}

func collect(structs map[string]*ast.StructType, name, prefix string) ([]Key, error) {
	if structs[name] == nil {
		return nil, fmt.Errorf("reading the struct: no type %s in config.go", name)
	}
	var all []Key
	for _, field := range structs[name].Fields.List {
		text, err := strconv.Unquote(field.Tag.Value)
		if err != nil {
			return nil, fmt.Errorf("reading the tag of %s.%s: %w", name, field.Names[0].Name, err)
		}
		tag := reflect.StructTag(text)
		k := Key{
			Path: prefix + tag.Get("yaml"), Default: tag.Get("default"), Bounds: tag.Get("bounds"), Bad: tag.Get("bad"),
			Comment: strings.Join(strings.Fields(field.Doc.Text()), " "),
		}
		_, k.List = field.Type.(*ast.ArrayType)
		inner := ""
		if id, ok := field.Type.(*ast.Ident); ok && structs[id.Name] != nil {
			inner, k.Group = id.Name, true
		}
		all = append(all, k)
		if inner == "" {
			continue
		}
		below, err := collect(structs, inner, k.Path+".")
		if err != nil {
			return nil, err
		}
		all = append(all, below...)
	}
	return all, nil
}

const width = 100

const sampleHead = `# Configuration of mailstork. This file is generated from the program: every key is listed with its default.
# Remove the # in front of a key to change it, then run: mailstork serve --config FILE --check
# Passwords never stand here. A path may start with {state_dir} or {runtime_dir}.
# The source, the MX hosts and the outgoing addresses belong to a domain: see mailstork domain add --help
`

// Sample is the annotated configuration file in which every key is a comment that holds its default.
func Sample(all []Key) []byte {
	var out strings.Builder
	out.WriteString(sampleHead)
	for i, k := range all {
		indent := strings.Repeat("  ", k.depth())
		if i == 0 || !all[i-1].Group {
			out.WriteString("\n")
		}
		for _, line := range fold(k.Comment, width-len(indent)-2) {
			fmt.Fprintf(&out, "%s# %s\n", indent, line)
		}
		if k.Group {
			fmt.Fprintf(&out, "%s%s:\n", indent, k.Name())
			continue
		}
		fmt.Fprintf(&out, "%s# (%s)\n", indent, boundsInWords(k.Bounds))
		fmt.Fprintf(&out, "%s#%s: %s\n", indent, k.Name(), value(k))
	}
	return []byte(out.String())
}

// value is the default as YAML.
func value(k Key) string {
	if k.List {
		items := strings.Fields(k.Default)
		for i := range items {
			items[i] = strconv.Quote(items[i])
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if k.Default == "" || strings.ContainsAny(k.Default, "{}*:") {
		return strconv.Quote(k.Default)
	}
	return k.Default
}

func boundsInWords(bounds string) string {
	bounds = strings.ReplaceAll(bounds, "..", " to ")
	return strings.ReplaceAll(bounds, "|", " | ")
}

// ManPage is mailstork.yaml(5) in roff.
func ManPage(all []Key) []byte {
	var out strings.Builder
	out.WriteString(`.TH "MAILSTORK.YAML" "5" "" "mailstork" "mailstork manual"
.SH NAME
mailstork.yaml \- configuration of the mailstork daemon
.SH DESCRIPTION
A YAML file, by default /etc/mailstork/mailstork.yaml. Every key has a default; an empty file is a configuration.
An unknown key, a value out of bounds or a second document is an error that names its line.
Check a file with
.BR "mailstork serve --config FILE --check" .
Paths may start with {state_dir} or {runtime_dir}. Passwords never stand in this file.
.SH KEYS
`)
	for _, k := range all {
		if k.Group {
			fmt.Fprintf(&out, ".SS %s\n%s\n", k.Path, roff(k.Comment))
			continue
		}
		fmt.Fprintf(&out, ".TP\n.B %s\n%s\nDefault: %s. Bounds: %s.\n", k.Path, roff(k.Comment), roff(value(k)), roff(boundsInWords(k.Bounds)))
	}
	out.WriteString(".SH SEE ALSO\n.BR mailstork (1)\n")
	return []byte(out.String())
}

// roff escapes text so that no line starts a request and hyphens stay hyphens.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

// fold breaks text into lines of at most width octets, except for longer words.
func fold(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
