package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/account"
	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

// shown is a row with its password readable, for comparing.
type shown struct {
	Line              int
	Address, User, PW string
}

func show(rows []control.ImportRow) (all []shown) {
	for _, row := range rows {
		all = append(all, shown{row.Line, string(row.Address), row.SourceUser, string(row.Password.Reveal())})
	}
	return all
}

func inUTF16(text string, big bool) string {
	out := []byte{0xff, 0xfe}
	if big {
		out = []byte{0xfe, 0xff}
	}
	for _, unit := range utf16.Encode([]rune(text)) {
		if big {
			out = append(out, byte(unit>>8), byte(unit))
		} else {
			out = append(out, byte(unit), byte(unit>>8))
		}
	}
	return string(out)
}

func TestListsOfAllSortsAreRead(t *testing.T) {
	anna := []shown{{Line: 1, Address: "anna@example.org"}}
	cases := []struct {
		name, text string
		options    listOptions
		want       []shown
	}{
		{"one address", "anna@example.org", listOptions{}, anna},
		{"upper case, spaces, CRLF, no end", " Anna@Example.ORG \r\n\r\n", listOptions{}, anna},
		{"byte order mark", "\xef\xbb\xbfanna@example.org\n", listOptions{}, anna},
		{"UTF-16 from Windows", inUTF16("anna@example.org\r\n", false), listOptions{}, anna},
		{"UTF-16 big endian", inUTF16("anna@example.org\n", true), listOptions{}, anna},
		{"local parts with --domain", "anna\nbob@example.org\n", listOptions{domain: "example.org"},
			[]shown{{1, "anna@example.org", "", ""}, {2, "bob@example.org", "", ""}}},
		{"comments, blank lines, empty cells", "# people\n\nanna@example.org\n  \n#bob@example.org\n\"\"\n", listOptions{}, []shown{{3, "anna@example.org", "", ""}}},
		{"header of one column", "Email Address\nanna@example.org\n", listOptions{}, []shown{{2, "anna@example.org", "", ""}}},
		{"three columns", "address,source_user,password\nanna@example.org,anna,s3cret\n", listOptions{}, []shown{{2, "anna@example.org", "anna", "s3cret"}}},
		{"columns in another order", "Password;E-Mail;User Name\ns3cret;anna@example.org;an na \n", listOptions{}, []shown{{2, "anna@example.org", "an na", "s3cret"}}},
		{"migration list of Exchange", "EmailAddress,UserName,Password\nanna@example.org,DOM\\anna,s3cret\n", listOptions{}, []shown{{2, "anna@example.org", `DOM\anna`, "s3cret"}}},
		{"columns that say nothing", "Full Name;email;ForceChangePassword\nAnna O.;anna@example.org;True\n", listOptions{}, []shown{{2, "anna@example.org", "", ""}}},
		{"tabs", "address\tpassword\nanna@example.org\ta, b; c\n", listOptions{}, []shown{{2, "anna@example.org", "", "a, b; c"}}},
		{"separator named by Excel", "sep=;\naddress;password\nanna@example.org;a,b\n", listOptions{}, []shown{{3, "anna@example.org", "", "a,b"}}},
		{"quotes", "\"address\",\"password\"\n\"anna@example.org\",\"a,\"\"b\"\";c\"\n", listOptions{}, []shown{{2, "anna@example.org", "", `a,"b";c`}}},
		{"quote inside a cell", "address,password\nanna@example.org,a\"b\n", listOptions{}, []shown{{2, "anna@example.org", "", `a"b`}}},
		{"password as it is", "address,password\nanna@example.org, \u00e9 p\\w'% \n", listOptions{}, []shown{{2, "anna@example.org", "", " \u00e9 p\\w'% "}}},
		{"password that looks like a comment", "password,address\n'#x',anna@example.org\n", listOptions{}, []shown{{2, "anna@example.org", "", "'#x'"}}},
		{"separator at the end", "address,password,\nanna@example.org,s3cret,\n", listOptions{}, []shown{{2, "anna@example.org", "", "s3cret"}}},
		{"missing cells", "address,source_user,password\nanna@example.org\nbob@example.org,,pw\n", listOptions{},
			[]shown{{2, "anna@example.org", "", ""}, {3, "bob@example.org", "", "pw"}}},
		{"named by --columns", "anna@example.org:x,pw\n", listOptions{columns: []string{"source_user", "password"}}, nil},
		{"named by --columns in order", "pw,anna@example.org\n", listOptions{columns: []string{"password", "address"}}, []shown{{1, "anna@example.org", "", "pw"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rows, err := parseList([]byte(c.text), c.options)
			if c.want == nil {
				if err == nil {
					t.Fatalf("accepted: %+v", show(rows))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, show(rows)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOddListsAreRefusedWithTheirLinesAndWithoutPasswords(t *testing.T) {
	const canary = "canary7hx"
	cases := []struct{ name, text, want string }{
		{"empty", "", "the list is empty"},
		{"only comments", "# nothing\n\n", "the list is empty"},
		{"only a header", "address\n", "no line below it"},
		{"no header on two columns", "anna@example.org," + canary + "\n", "no header"},
		{"no header on three columns", canary + ";x;anna@example.org\n", "no header"},
		{"no address column", "user,password\nx," + canary + "\n", "no column is named address"},
		{"unknown column", "address,userroot\n", `unknown name "userroot"`},
		{"one column twice", "address,email\n", "second address"},
		{"address and password swapped", "address,password\n" + canary + ",anna@example.org\n", "line 2: no usable mail address in the address column"},
		{"another domain", "address,password\n" + canary + "@other.example,x\n", "line 2: the address is not in domain example.org"},
		{"too many cells", "address,password\nanna@example.org,a," + canary + "\n", "line 2: 3 columns where 2 are named"},
		{"open quote", "address,password\nanna@example.org,\"" + canary + "\n", "line 2: a quote is opened"},
		{"text behind a quote", "address,password\nanna@example.org,\"a\"" + canary + "\n", "line 2: something follows a closing quote"},
		{"no address", "address,password\n," + canary + "\n", "line 2: no usable mail address"},
		{"Latin-1", "address,password\nanna@example.org," + canary + "\xe9\n", "line 2 is not UTF-8"},
		{"a database", "SQLite format 3\x00" + canary, "line 1 holds a NUL"},
		{"hundred columns", strings.Repeat("a,", 100), "more than 32 columns"},
		{"single column, bad line", "anna@example.org\nbob@\nC@\n", `line 2: not a usable mail address: "bob@"`},
		{"larger than any list", strings.Repeat("x", maxListOctets+1), "larger than 10 MiB"},
		{"more lines than any list", strings.Repeat("a@b.c\n", control.MaxImportRows+1), "more than 50000 lines"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rows, err := parseList([]byte(c.text), listOptions{domain: domainFor(c.name)})
			if err == nil {
				t.Fatalf("accepted: %+v", show(rows))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
			var failure *control.Error
			if !errors.As(err, &failure) || failure.Kind != control.KindInvalid {
				t.Errorf("got %T of no kind", err)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("S1: %q shows a password", err)
			}
		})
	}
}

func domainFor(name string) string {
	if name == "another domain" {
		return "example.org"
	}
	return ""
}

func TestAllWrongLinesAreReportedTogether(t *testing.T) {
	_, err := parseList([]byte("anna@example.org\nbob\ncarla@example.org\nd@d\n"), listOptions{})
	var failure *control.Error
	if !errors.As(err, &failure) || len(failure.Lines) != 2 || failure.Lines[0].Line != 2 || failure.Lines[1].Line != 4 {
		t.Errorf("got %v", err)
	}
}

// Whatever is accepted has canonical addresses and lines that exist; a refusal of a list with a password column shows
// no cell of it.
func FuzzParseList(f *testing.F) {
	for _, seed := range []string{
		"anna@example.org\n", "address,password\na@b.c,\"x\"\"y\"\n", "sep=;\nemail;pw\n", "\xff\xfea\x00", "\"", "a\tb\n", "#\n\"\"\n",
	} {
		f.Add([]byte(seed), "")
	}
	f.Add([]byte("anna\nbob\n"), "example.org")
	f.Fuzz(func(t *testing.T, text []byte, domain string) {
		if _, err := account.ParseDomainName(domain); err != nil {
			domain = ""
		}
		lines := bytes.Count(text, []byte("\n")) + 1
		rows, err := parseList(text, listOptions{domain: strings.ToLower(strings.TrimSuffix(domain, "."))})
		for _, row := range rows {
			if again, err := account.ParseAddress(string(row.Address)); err != nil || again != row.Address {
				t.Errorf("address %q is not canonical", row.Address)
			}
			if row.Line < 1 || row.Line > lines && !bytes.HasPrefix(text, []byte("\xff\xfe")) && !bytes.HasPrefix(text, []byte("\xfe\xff")) {
				t.Errorf("line %d of %d", row.Line, lines)
			}
		}
		if err == nil && len(rows) == 0 {
			t.Error("neither rows nor an error")
		}
	})
}

func TestImportedPasswordsReachTheDaemonAndNoOutput(t *testing.T) {
	const canary = "canary7hx §;\"'"
	path := filepath.Join(t.TempDir(), "people.csv")
	list := fmt.Sprintf("address,source_user,password\neve@example.org,eve,\"%s\"\nfred@example.net,,\n", strings.ReplaceAll(canary, `"`, `""`))
	if err := os.WriteFile(path, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSession(t)
	dry := s.run("account", "import", path, "--dry-run")
	if dry.code != exitOK || len(s.operator.Imported) > 0 || !strings.Contains(dry.stdout, "line 2: eve@example.org would be added") {
		t.Errorf("dry run: %+v, imported %d", dry, len(s.operator.Imported))
	}
	got := s.run("account", "import", path)
	if got.code != exitOK || !strings.Contains(got.stdout, "2 added, 0 changed, 0 unchanged; 1 with a password") || !strings.Contains(got.stderr, "shred -u") || strings.Contains(got.stderr, "other users") {
		t.Errorf("import: %+v", got)
	}
	if len(s.operator.Imported) != 2 || !s.operator.Imported[0].Password.Equal(secret.FromString(canary)) || s.operator.Imported[0].SourceUser != "eve" {
		t.Errorf("imported %+v", s.operator.Imported)
	}
	asJSON := s.run("account", "import", path, "--json")
	if all := fmt.Sprint(dry, got, asJSON); strings.Contains(all, "canary") {
		t.Errorf("S1: %s", all)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if warned := s.run("account", "import", path); !strings.Contains(warned.stderr, "other users may read") {
		t.Errorf("file that all may read: %+v", warned)
	}
}

func TestImportReadsStandardInputAndAddsNothingWhenALineIsWrong(t *testing.T) {
	s := newSession(t)
	s.stdin = "eve\nfred@nowhere.example\n"
	got := s.run("account", "import", "-", "--domain", "example.org")
	if got.code != exitRefused || !strings.Contains(got.stderr, "line 2: fred@nowhere.example is not in domain example.org") {
		t.Errorf("got %+v", got)
	}
	s.stdin = "eve@example.org\nfred@nowhere.example\n"
	got = s.run("account", "import", "-")
	if got.code != exitRefused || !strings.Contains(got.stderr, "line 2: domain nowhere.example is not known here") || len(s.operator.Imported) > 0 {
		t.Errorf("got %+v, imported %v", got, s.operator.Imported)
	}
	s.stdin = "eve\n"
	if got = s.run("account", "import", "-", "--domain", "example.org"); got.code != exitOK || len(s.operator.Imported) != 1 {
		t.Errorf("got %+v", got)
	}
}
