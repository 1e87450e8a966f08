package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
)

// A key is one leaf of the struct with its tags.
type key struct {
	Path, Default, Bounds, Bad string
	value                      reflect.Value
}

// keys lists the leaves of c in the order of the struct; their values may be set.
func keys(c *Config) []key { return collect("", reflect.ValueOf(c).Elem()) }

func collect(prefix string, v reflect.Value) []key {
	var all []key
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		path := prefix + tag.Get("yaml")
		if v.Field(i).Kind() == reflect.Struct {
			all = append(all, collect(path+".", v.Field(i))...)
			continue
		}
		all = append(all, key{path, tag.Get("default"), tag.Get("bounds"), tag.Get("bad"), v.Field(i)})
	}
	return all
}

// check tells what is wrong with the key's value; "" when nothing is. The language of bounds:
//
//	1..9            a number between the two
//	a|b|c           one of the words (also true|false)
//	list of 0..8 X  so many items, each of the form X
//	X or Y or …     one of the forms below
func (k key) check() string {
	switch k.value.Kind() {
	case reflect.Bool:
		return ""
	case reflect.Int:
		low, high := span(k.Bounds)
		if n := k.value.Int(); n < low || n > high {
			return fmt.Sprintf("%d is not between %d and %d", n, low, high)
		}
		return ""
	case reflect.Slice:
		return k.checkList()
	default:
		return checkText(k.value.String(), k.Bounds)
	}
}

func span(bounds string) (low, high int64) {
	left, right, _ := strings.Cut(bounds, "..")
	low, errLow := strconv.ParseInt(left, 10, 64)
	high, errHigh := strconv.ParseInt(right, 10, 64)
	if errors.Join(errLow, errHigh) != nil {
		panic("config: bounds " + bounds) // a mistake in config.go, seen by every test
	}
	return low, high
}

func (k key) checkList() string {
	rest, _ := strings.CutPrefix(k.Bounds, "list of ")
	count, form, _ := strings.Cut(rest, " ")
	low, high := span(count)
	if n := int64(k.value.Len()); n < low || n > high {
		return fmt.Sprintf("%d items are not between %d and %d", n, low, high)
	}
	for i := range k.value.Len() {
		if problem := checkText(k.value.Index(i).String(), form); problem != "" {
			return problem
		}
	}
	return ""
}

func checkText(text, bounds string) string {
	if words := strings.Split(bounds, "|"); len(words) > 1 {
		for _, word := range words {
			if text == word {
				return ""
			}
		}
		return fmt.Sprintf("%q is not one of %s", text, strings.Join(words, ", "))
	}
	for _, name := range strings.Split(bounds, " or ") {
		if form := forms[name]; form != nil && form(text) {
			return ""
		}
	}
	return fmt.Sprintf("%q is not %s", text, inWords(bounds))
}

// forms are the words that bounds may use for text.
var forms = map[string]func(string) bool{
	"empty": func(text string) bool { return text == "" },
	"path": func(text string) bool {
		return filepath.IsAbs(text) && !strings.ContainsAny(text, "\x00\n{}")
	},
	"path with {domain} and {local}": func(text string) bool {
		rest := strings.NewReplacer("{domain}", "d", "{local}", "l").Replace(text)
		return filepath.IsAbs(text) && strings.Contains(text, "{domain}") && strings.Contains(text, "{local}") &&
			!strings.ContainsAny(rest, "\x00\n{}: ") // it becomes a field of a passwd-file
	},
	"name": func(text string) bool {
		return text != "" && len(text) <= 64 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == ""
	},
	"loopback host:port": func(text string) bool {
		rest, found := strings.CutPrefix(text, "localhost:")
		if found {
			port, err := strconv.ParseUint(rest, 10, 16)
			return err == nil && port > 0
		}
		address, err := netip.ParseAddrPort(text)
		return err == nil && address.Addr().IsLoopback()
	},
	"network": func(text string) bool {
		_, err := parseNetwork(text)
		return err == nil
	},
	"ip:port": func(text string) bool {
		address, err := netip.ParseAddrPort(text)
		return err == nil && address.Port() > 0
	},
}

var formWords = map[string]string{
	"empty":                          "empty",
	"path":                           "an absolute path",
	"path with {domain} and {local}": "an absolute path with {domain} and {local} in it",
	"name":                           "a name of letters, digits and _ . -",
	"loopback host:port":             "a loopback address with port (127.0.0.1:143)",
	"network":                        "an IP address or a network (192.0.2.0/24)",
	"ip:port":                        "an IP address with port (192.0.2.1:53)",
}

func inWords(bounds string) string {
	names := strings.Split(bounds, " or ")
	for i, name := range names {
		if words := formWords[name]; words != "" {
			names[i] = words
		}
	}
	return strings.Join(names, " or ")
}
