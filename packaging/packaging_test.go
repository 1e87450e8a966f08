package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/daemon/config"
)

func TestPostfixLinesAreThoseOfTheLaboratory(t *testing.T) {
	main, err := os.ReadFile("../test/testbed/config/main.cf")
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("postfix/main.cf")
	if err != nil {
		t.Fatal(err)
	}
	address := "inet:" + config.Default().Milter.Listen
	for line := range strings.Lines(strings.ReplaceAll(string(main), "{{.MilterAddress}}", address)) {
		if strings.HasPrefix(line, "smtpd_milters") || strings.HasPrefix(line, "non_smtpd_milters") {
			if !strings.Contains(string(ours), line) {
				t.Errorf("postfix/main.cf lacks the laboratory's line %q", line)
			}
		}
	}
}

func TestMaintainerScriptsAreSoundShell(t *testing.T) {
	scripts, err := filepath.Glob("scripts/*")
	if err != nil || len(scripts) != 3 {
		t.Fatalf("found %v, %v", scripts, err)
	}
	for _, script := range scripts {
		if out, err := exec.Command("sh", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "#!/bin/sh\n") || !strings.Contains(string(text), "\nset -e\n") {
			t.Errorf("%s must begin with #!/bin/sh and stop at the first failure", script)
		}
	}
}

// TestUnitsOfTheScriptsAreThoseOfThePackage: a unit that is missing in a script would be left behind.
func TestUnitsOfTheScriptsAreThoseOfThePackage(t *testing.T) {
	units, err := filepath.Glob("../systemd/mailstork*.s[eo][rc]*")
	if err != nil || len(units) == 0 {
		t.Fatalf("found %v, %v", units, err)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		text, err := os.ReadFile(filepath.Join("scripts", script))
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range units {
			if !strings.Contains(string(text), filepath.Base(unit)) {
				t.Errorf("%s does not know %s", script, filepath.Base(unit))
			}
		}
	}
}
