package dnscheck

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTextOfReports(t *testing.T) {
	before := oldMX + "example.org. 3600 TXT \"google-site-verification=abc\"\n"
	for name, look := range map[string]func(w *world) Report{
		"before": func(w *world) Report { return w.check(resolvers, question) },
		"halfway": func(w *world) Report {
			w.serve("192.0.2.53", "example.org", "example.org. NS ns1.example.org.\nmx.example.org. A 198.51.100.25\nold.example.org. A 203.0.113.25\n"+newMX)
			o := resolvers
			o.PublicResolvers = []netip.AddrPort{at("192.0.2.77")}
			return w.check(o, question)
		},
		"unknown": func(w *world) Report {
			w.breakServer("192.0.2.53", silence)
			w.breakServer("192.0.2.54", rcode(5))
			return w.check(resolvers, question)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := Text(&got, look(internet(t, before, before))); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(golden) {
				t.Errorf("got\n%s\nwant\n%s", got.String(), golden)
			}
		})
	}
}

func TestJSONHasSnakeCaseKeysAndNoNull(t *testing.T) {
	w := internet(t, oldMX, newMX)
	o := resolvers
	o.PublicResolvers = []netip.AddrPort{at("192.0.2.8"), at("192.0.2.77")}
	for _, r := range []Report{w.check(o, question), w.check(o, Question{Domain: "!"}), w.check(o, Question{Domain: "nothing.here"})} {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("null")) {
			t.Errorf("a list is null: %s", text)
		}
		for _, key := range regexp.MustCompile(`"([^"]+)":`).FindAllStringSubmatch(string(text), -1) {
			if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(key[1]) {
				t.Errorf("key %q", key[1])
			}
		}
		var back Report
		if err := json.Unmarshal(text, &back); err != nil {
			t.Error(err)
		}
		if back.MX != r.MX || len(back.Servers) != len(r.Servers) || time.Since(back.CheckedAt) > time.Minute {
			t.Errorf("read back %+v", back)
		}
	}
}

func TestForeignBytesDoNotReachTheTerminal(t *testing.T) {
	evil := "example.org. MX 10 \\027[31mred.example.\nexample.org. TXT \"v=spf1 \\027]0;title\\007 -all\"\n"
	var out bytes.Buffer
	if err := Text(&out, internet(t, evil, evil).check(resolvers, question)); err != nil {
		t.Fatal(err)
	}
	if bytes.ContainsAny(out.Bytes(), "\x1b\x07") {
		t.Errorf("%q", out.String())
	}
}

func TestSystemResolversAreRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte("# comment\nnameserver 192.0.2.8\nnameserver 2001:db8::1\nnameserver nonsense\noptions ndots:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := systemResolvers(file)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "resolvers", found, []netip.AddrPort{at("192.0.2.8"), at("2001:db8::1")})
	for _, text := range []string{"", "nameserver nonsense\n"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := systemResolvers(file); err == nil {
			t.Errorf("%q names resolvers", text)
		}
	}
	if _, err := systemResolvers(file + ".gone"); err == nil {
		t.Error("a file that is not there names resolvers")
	}
}
