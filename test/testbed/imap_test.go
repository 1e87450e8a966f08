package testbed

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scripted is a client at the other end of a server that says lines and nothing else.
func scripted(t *testing.T, lines string) *Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer listener.Close()
		theirs, err := listener.Accept()
		if err != nil {
			return
		}
		defer theirs.Close()
		fmt.Fprint(theirs, "* OK ready\r\n")
		if _, err := bufio.NewReader(theirs).ReadString('\n'); err == nil {
			fmt.Fprint(theirs, lines)
		}
	}()
	client, err := Dial(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Cut)
	return client
}

func describe(tokens []Token) string {
	var out []string
	for _, token := range tokens {
		switch token.Kind {
		case Atom:
			out = append(out, token.Text)
		case String:
			out = append(out, fmt.Sprintf("%q", token.Text))
		case List:
			out = append(out, "("+describe(token.List)+")")
		}
	}
	return strings.Join(out, " ")
}

func TestResponsesAreSplitIntoTokens(t *testing.T) {
	for line, want := range map[string]string{
		`* LIST (\HasNoChildren) "/" "a \"b\" \\"`:                    `LIST (\HasNoChildren) "/" "a \"b\" \\"`,
		"* 3 FETCH (UID 7 BODY[] {5}\r\na)\r\nb FLAGS ())":            `3 FETCH (UID 7 BODY[] "a)\r\nb" FLAGS ())`,
		"* 3 FETCH (BODY[HEADER.FIELDS (A B)] NIL X \"NIL\")":         `3 FETCH (BODY[HEADER.FIELDS (A B)] NIL X "NIL")`,
		"* LIST () \"/\" {3}\r\na b":                                  `LIST () "/" "a b"`,
		"* 1 FETCH (BINARY[1] ~{4}\r\n\x00\x01(\" BINARY[2] {0}\r\n)": `1 FETCH (BINARY[1] "\x00\x01(\"" BINARY[2] "")`,
		"* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL":                    `NAMESPACE (("INBOX." ".")) NIL NIL`,
	} {
		lines, err := scripted(t, line+"\r\nt1 OK done\r\n").Command("X")
		if err != nil || len(lines) != 2 {
			t.Errorf("%q: got %d lines and error %v", line, len(lines), err)
			continue
		}
		tokens, err := lines[0].Tokens()
		if got := describe(tokens); err != nil || got != want {
			t.Errorf("%q: got %s and error %v, want %s", line, got, err, want)
		}
	}
}

func TestBrokenResponsesAreErrors(t *testing.T) {
	for _, line := range []string{`* LIST (`, `* LIST )`, `* LIST "a`, `* LIST "a\b"`} {
		lines, err := scripted(t, line+"\r\nt1 OK done\r\n").Command("X")
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if tokens, err := lines[0].Tokens(); err == nil {
			t.Errorf("%q: got %s, want an error", line, describe(tokens))
		}
	}
	for name, answer := range map[string]string{
		"connection ends in a literal": "* 1 FETCH (BODY[] {10}\r\nabc",
		"line without CR":              "* OK\nt1 OK done\r\n",
		"unknown tag":                  "t9 OK done\r\n",
		"unwanted continuation":        "+ more\r\n",
		"connection ends":              "",
	} {
		if _, err := scripted(t, answer).Command("X"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFolderNamesAreModifiedUTF7(t *testing.T) {
	for name, want := range map[string]string{
		"R&D":         "R&-D",
		"Entwürfe":    "Entw&APw-rfe",
		"台北":          "&U,BTFw-",
		"~peter/日本語":  "~peter/&ZeVnLIqe-",
		"🎉&ü":         "&2DzfiQ-&-&APw-",
		"tab\tinside": "tab&AAk-inside",
		"plain ~{}":   "plain ~{}",
	} {
		if got := EncodeFolder(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
		if got, err := DecodeFolder(want); err != nil || got != name {
			t.Errorf("%q: got %q and error %v, want %q", want, got, err, name)
		}
	}
	for _, broken := range []string{"a&b", "&!!!!-", "&AA-"} {
		if got, err := DecodeFolder(broken); err == nil {
			t.Errorf("%q: got %q, want an error", broken, got)
		}
	}
}

func TestNamespaceWritesAndSplitsNames(t *testing.T) {
	n := Namespace{Prefix: "INBOX.", Separator: "."}
	for name, path := range map[string][]string{
		"INBOX":               {"INBOX"},
		"INBOX.Sent":          {"Sent"},
		"INBOX.Archive.2023":  {"Archive", "2023"},
		"INBOX.INBOX.Invoice": {"INBOX", "Invoice"},
	} {
		if got := n.Name(path...); got != name {
			t.Errorf("%q: got %q, want %q", path, got, name)
		}
		if got := n.Path(name); strings.Join(got, "|") != strings.Join(path, "|") {
			t.Errorf("%q: got %q, want %q", name, got, path)
		}
	}
}

func TestCommandsLeavesOutLiteralsOfAnyShape(t *testing.T) {
	dir := t.TempDir()
	session := "1.000001 a APPEND INBOX {12}\r\n1.000002 one\r\n1.000003 a LOGOU\r\n" +
		"1.000004 b APPEND INBOX {4+}\r\n1.000005 abcd {3+}\r\n1.000006 xyz\r\n1.000007 c NOOP\r\n"
	if err := os.WriteFile(filepath.Join(dir, "1.in"), []byte(session), 0o600); err != nil {
		t.Fatal(err)
	}
	commands, err := (&Dovecot{RawLogDir: dir}).Commands()
	if want := "a APPEND INBOX {12}|b APPEND INBOX {4+}| {3+}|c NOOP"; err != nil || strings.Join(commands, "|") != want {
		t.Errorf("got %q and error %v, want %s", commands, err, want)
	}
}
