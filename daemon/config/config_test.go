package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/config/annotate"
)

var update = flag.Bool("update", false, "write the golden files anew")

const samplePath = "../../packaging/mailstork.yaml"

func allKeys(t *testing.T) []annotate.Key {
	t.Helper()
	all, err := annotate.Keys(".")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestSampleIsGeneratedFromTheStruct(t *testing.T) {
	got := annotate.Sample(allKeys(t))
	if *update {
		if err := os.WriteFile(samplePath, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(samplePath)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("packaging/mailstork.yaml is old (-file +struct); run: go generate ./daemon/config\n%s", diff)
	}
}

func TestSampleMeansTheDefaultsWithAndWithoutItsCommentSigns(t *testing.T) {
	sample := annotate.Sample(allKeys(t))
	active := regexp.MustCompile(`(?m)^( *)#([a-z_]+: )`).ReplaceAll(sample, []byte("$1$2"))
	if bytes.Equal(sample, active) {
		t.Fatal("no key of the sample was made active")
	}
	for name, text := range map[string][]byte{"as shipped": sample, "all keys active": active} {
		got, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(Default(), got); diff != "" {
			t.Errorf("%s (-default +sample):\n%s", name, diff)
		}
	}
}

func TestEveryKeyHasCommentDefaultBoundsAndABadValue(t *testing.T) {
	for _, k := range allKeys(t) {
		if !strings.HasSuffix(k.Comment, ".") {
			t.Errorf("%s: comment %q is not a sentence", k.Path, k.Comment)
		}
		if k.Group {
			continue
		}
		if k.Bounds == "" || k.Bad == "" {
			t.Errorf("%s: bounds %q, bad value %q: both must be there", k.Path, k.Bounds, k.Bad)
		}
		if k.Default == "" && !strings.Contains(k.Bounds, "empty") && !strings.Contains(k.Bounds, "list of 0") {
			t.Errorf("%s: no default", k.Path)
		}
	}
}

func TestEveryBadValueIsRefusedWithItsKeyAndLine(t *testing.T) {
	for _, k := range allKeys(t) {
		if k.Group {
			continue
		}
		t.Run(k.Path, func(t *testing.T) {
			text, line := fileWith(k, k.Bad)
			_, err := Parse([]byte(text))
			if err == nil {
				t.Fatalf("accepted:\n%s", text)
			}
			if !strings.Contains(err.Error(), fmt.Sprintf("line %d", line)) {
				t.Errorf("got %q, want it to name line %d of:\n%s", err, line, text)
			}
			if !strings.Contains(err.Error(), k.Path) && !strings.Contains(err.Error(), "cannot unmarshal") {
				t.Errorf("got %q, want it to name %s", err, k.Path)
			}
		})
	}
}

// fileWith is a file that sets one key, and the line on which it does.
func fileWith(k annotate.Key, value string) (text string, line int) {
	value = fmt.Sprintf("%q", value)
	if regexp.MustCompile(`^(-?\d+|maybe)$`).MatchString(strings.Trim(value, `"`)) {
		value = strings.Trim(value, `"`)
	}
	if k.List {
		value = "[" + value + "]"
	}
	if group, name, found := strings.Cut(k.Path, "."); found {
		return fmt.Sprintf("# a comment\n%s:\n  %s: %s\n", group, name, value), 3
	}
	return fmt.Sprintf("# a comment\n%s: %s\n", k.Path, value), 2
}

func TestKeysEndInTheUnitOfTheirType(t *testing.T) {
	var c Config
	units := map[string]string{"Milliseconds": "_milliseconds", "Seconds": "_seconds", "Minutes": "_minutes", "Hours": "_hours", "Days": "_days"}
	for _, k := range keys(&c) {
		for unit, suffix := range units {
			if (k.value.Type().Name() == unit) != strings.HasSuffix(k.Path, suffix) {
				t.Errorf("%s has type %s", k.Path, k.value.Type())
			}
		}
	}
}

func TestAnEmptyFileIsTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "---\n", "mirror:\n", "log: {}\n"} {
		got, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(Default(), got); diff != "" {
			t.Errorf("%q (-default +got):\n%s", text, diff)
		}
	}
}

func TestDefaultsPassTheirOwnCheck(t *testing.T) {
	if err := Default().Check(); err != nil {
		t.Error(err)
	}
}

func TestPathsFollowTheFoldersTheyStartWith(t *testing.T) {
	c, err := Parse([]byte("state_dir: /srv/stork\nruntime_dir: /tmp/stork\nmirror: {refused_dir: '{state_dir}/odd'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.KeyFile, c.Control.Socket, c.Dovecot.PassdbFile, c.Dovecot.MasterFile, c.Mirror.RefusedDir}
	want := []string{"/srv/stork/key", "/tmp/stork/control.sock", "/srv/stork/dovecot/passdb", "/tmp/stork/dovecot/master", "/srv/stork/odd"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeyFileIsSystemdsCredentialWhenItWasLaidThere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if got, want := Default().KeyFile, "/var/lib/mailstork/key"; got != want {
		t.Errorf("credentials folder without a key: got %s, want %s", got, want)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := Default().KeyFile, filepath.Join(dir, "key"); got != want {
		t.Errorf("credentials folder with a key: got %s, want %s", got, want)
	}
}

func TestMistakesInTheFileAreToldInOneSentenceEach(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"unknown key", "mirror:\n  wrokers: 3\n", "line 2: unknown key mirror.wrokers"},
		{"unknown group", "state_dir: /a\nmirrors: {}\n", "line 2: unknown key mirrors"},
		{"key set twice", "log:\n  level: info\n  level: warn\n", `line 3: mapping key "level" already defined at line 2`},
		{"second document", "log: {level: warn}\n---\nlog: {level: debug}\n", "second document"},
		{"text where a number belongs", "mirror:\n  workers: many\n", "line 2: cannot unmarshal"},
		{"list at the top", "- a\n- b\n", "line 1"},
		{"not YAML", "log: [unclosed\n", "line"},
		{"retry bounds crossed", "mirror:\n  retry_min_seconds: 3600\n  retry_max_minutes: 1\n", "line 2: mirror.retry_min_seconds: 3600 seconds are longer than mirror.retry_max_minutes (1)"},
		{"one address twice", "hook: {listen: '127.0.0.1:9'}\nmilter: {listen: '127.0.0.1:9'}\n", `line 2: milter.listen: "127.0.0.1:9" is also hook.listen`},
		{"one file twice", "dovecot:\n  passdb_file: /a\n  userdb_file: /a\n", `line 3: dovecot.userdb_file: "/a" is also dovecot.passdb_file`},
		{"home outside a passwd-file's field", "dovecot:\n  home_template: '/v:1/{domain}/{local}'\n", "is not an absolute path with {domain} and {local} in it"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %q\nwant %q in it", err, c.want)
			}
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	_, err := Parse([]byte("log: {level: loud}\nmirror: {workers: 0}\n"))
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("got %v, want two problems", err)
	}
	if problems[0].Line != 1 || problems[1].Line != 2 || problems[1].Key != "mirror.workers" {
		t.Errorf("got %+v", problems)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stork.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
	if err := os.WriteFile(path, []byte("log: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want the path in it", err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte("#\n"), maxFileOctets), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v, want a file that is too large to be refused", err)
	}
}

func TestUnitsOfKeysBecomeDurations(t *testing.T) {
	c := Default()
	if got := c.Hook.VerifyTimeout.Duration().String(); got != "20s" {
		t.Errorf("verify timeout is %s", got)
	}
	if got := c.Cutover.Deadline.Duration().Hours(); got != 336 {
		t.Errorf("deadline is %v hours", got)
	}
}

// What is accepted must pass Check, and nothing may panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte("log:\n  level: info\n"))
	f.Add([]byte("dns: {resolvers: ['[::1]:53', 'x']}\n---\n"))
	f.Add([]byte("dovecot: &a {mail_uid: 99999999999}\nmirror: *a\n"))
	f.Add([]byte("<<: {state_dir: /x}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		if err != nil {
			return
		}
		if err := c.Check(); err != nil {
			t.Errorf("accepted %q: %v", text, err)
		}
	})
}
