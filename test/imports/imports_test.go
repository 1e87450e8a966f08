// Package imports checks the direction of imports: they point down only (docs/hacking.md).
package imports

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed names, for each of our packages, the packages of ours that it may import. A name stands for itself and
// what is below it. Packages that are missing here may import nothing of ours.
var allowed = map[string][]string{
	"cmd/mailstork":               {"daemon", "authhook", "dnscheck"},
	"cmd/mailstork-checkpassword": {"authhook"},
	"authhook":                    {"authhook/guard", "daemon/account", "daemon/secret"},
	"authhook/guard":              {"daemon/account"},
	"authhook/checkpassword":      {"daemon/secret"},
	"daemon":                      {"daemon", "authhook", "dnscheck"},
	"daemon/setup":                {},
	"daemon/eventlog":             {"daemon/account"},
	"daemon/store":                {"daemon/account"},
	"daemon/provision":            {"daemon/account", "daemon/secret", "daemon/store"},
	"daemon/schedule":             {"daemon/account"},
	"daemon/ledger":               {"daemon/account", "daemon/letter", "daemon/store"},
	"daemon/mirror":               {"daemon/account", "daemon/letter", "daemon/ledger", "daemon/secret", "daemon/mirror"},
	"daemon/mirror/wire":          {"daemon/account", "daemon/secret"},
	"daemon/mirror/source":        {"daemon/account", "daemon/secret", "daemon/mirror/wire"},
	"daemon/mirror/destination":   {"daemon/account", "daemon/secret", "daemon/letter", "daemon/mirror/wire"},
	"daemon/notice":               {"daemon/account"},
	"daemon/milter":               {"daemon/account", "daemon/letter", "daemon/store"},
	"daemon/metrics":              {},
	"daemon/cutover":              {"daemon/account"},
	"daemon/live":                 {"daemon/account"},
	"daemon/finalize":             {"daemon/account", "daemon/ledger", "daemon/mirror", "daemon/store"},
	"daemon/control":              {"daemon/account", "daemon/eventlog", "daemon/secret"},
}

const module = "mailstork/"

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDownOnly(t *testing.T) {
	for _, pkg := range list(t) {
		name := strings.TrimPrefix(pkg.ImportPath, module)
		if strings.HasPrefix(name, "test/") {
			continue
		}
		for _, imported := range pkg.Imports {
			other, ours := strings.CutPrefix(imported, module)
			if ours && !slices.ContainsFunc(allowed[name], func(a string) bool { return other == a || strings.HasPrefix(other, a+"/") }) {
				t.Errorf("%s imports %s: not allowed by the table in test/imports", name, other)
			}
		}
	}
}

func list(t *testing.T) (packages []listed) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var pkg listed
		err := decoder.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, pkg)
	}
}
