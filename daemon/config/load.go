package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFileOctets is far more than any sensible file; it bounds what a wrong path (a device, a mail folder) can do.
const maxFileOctets = 1 << 20

// Load reads the file at path, fills in defaults and checks every value. Its error names all problems with their lines.
func Load(path string) (Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading configuration: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileOctets+1))
	if err != nil {
		return Config{}, fmt.Errorf("reading configuration %s: %w", path, err)
	}
	if len(text) > maxFileOctets {
		return Config{}, fmt.Errorf("reading configuration %s: larger than %d octets", path, maxFileOctets)
	}
	c, err := Parse(text)
	if err != nil {
		return Config{}, fmt.Errorf("reading configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse is Load for text that is already here.
func Parse(text []byte) (Config, error) {
	c := unexpanded()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, plainWords(err)
	}
	// yaml.v3 ignores what follows a second "---": half a file would be silently without effect.
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("the file holds a second document (a line ---): only one is read")
	}
	c.expand()
	var problems Problems
	if err := c.Check(); errors.As(err, &problems) {
		return Config{}, problems.withLines(text)
	}
	return c, nil
}

// Default is the configuration of an empty file.
func Default() Config {
	c := unexpanded()
	c.expand()
	return c
}

// unexpanded returns the defaults as their tags have them, before {state_dir} and {runtime_dir} are known.
func unexpanded() Config {
	var c Config
	for _, k := range keys(&c) {
		if err := k.setDefault(); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", k.Path, err)) // a mistake in config.go, seen by every test
		}
	}
	return c
}

func (k key) setDefault() error {
	switch k.value.Kind() {
	case reflect.String:
		k.value.SetString(k.Default)
	case reflect.Int:
		n, err := strconv.Atoi(k.Default)
		if err != nil {
			return err
		}
		k.value.SetInt(int64(n))
	case reflect.Bool:
		b, err := strconv.ParseBool(k.Default)
		if err != nil {
			return err
		}
		k.value.SetBool(b)
	case reflect.Slice:
		k.value.Set(reflect.ValueOf(strings.Fields(k.Default)))
	default:
		return fmt.Errorf("no defaults for %s", k.value.Type())
	}
	return nil
}

// expand replaces {state_dir}, {runtime_dir} and {key_dir} at the start of paths.
func (c *Config) expand() {
	keyDir := c.StateDir
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "key")); err == nil {
			keyDir = dir
		}
	}
	starts := [][2]string{{"{state_dir}", c.StateDir}, {"{runtime_dir}", c.RuntimeDir}, {"{key_dir}", keyDir}}
	for _, k := range keys(c) {
		if k.value.Kind() != reflect.String {
			continue
		}
		for _, s := range starts {
			if rest, found := strings.CutPrefix(k.value.String(), s[0]); found {
				k.value.SetString(s[1] + rest)
			}
		}
	}
}
