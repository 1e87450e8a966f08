package packaging

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"

	"mailstork/daemon/config"
)

var update = flag.Bool("update", false, "write the generated files anew")

const laboratory = "../test/testbed/config/"

// own is what a laboratory grants in other ways. anvil lets the daemon ask for its own sessions (doveadm who). The group is Dovecot's, never ours: a drop-in that
// named a user of ours would keep Dovecot from starting once mailstork is purged.
const own = `
# The daemon's sessions come from this loopback address, so that they can be told
# from others. They need no TLS.
remote 127.77.0.1/32 {
  disable_plaintext_auth = no
}

# The daemon asks which of its sessions are still there (doveadm who) before it
# trusts what it sees after a broken connection. Its group is dovecot.
service anvil {
  unix_listener anvil {
    group = dovecot
    mode = 0660
  }
}
`

func TestDovecotFilesAreThoseOfTheLaboratory(t *testing.T) {
	defaults := config.Default()
	values := map[string]string{
		"MasterFile": defaults.Dovecot.MasterFile, "PassdbFile": defaults.Dovecot.PassdbFile, "UserdbFile": defaults.Dovecot.UserdbFile,
		"HookFile":    "/etc/dovecot/mailstork-oauth2.conf.ext",
		"HookAddress": defaults.Hook.Listen, "HookSecret": "CLIENT_SECRET",
	}
	for _, file := range []struct{ ours, theirs, head, tail string }{
		{"dovecot-2.3/mailstork.conf", "mailstork-dovecot-2.3.conf", `# Copy to /etc/dovecot/conf.d/05-mailstork.conf: before 10-auth.conf, so that our
# passdbs are asked first. Afterwards: doveconf -n >/dev/null && doveadm reload
#
`, own},
		{"dovecot-2.3/mailstork-oauth2.conf.ext", "mailstork-oauth2.conf.ext", `# Copy to ` + values["HookFile"] + `, owner root:dovecot, mode 0640,
# and put what is in ` + defaults.Hook.ClientSecretFile + ` in the place of CLIENT_SECRET.
#
`, ""},
	} {
		text, err := os.ReadFile(laboratory + file.theirs)
		if err != nil {
			t.Fatal(err)
		}
		want := new(strings.Builder)
		parsed, err := template.New(file.theirs).Option("missingkey=error").Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := parsed.Execute(want, values); err != nil {
			t.Fatal(err)
		}
		generated := file.head + want.String() + file.tail
		if *update {
			if err := os.WriteFile(file.ours, []byte(generated), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file.ours)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(generated, string(got)); diff != "" {
			t.Errorf("%s is old (-laboratory +file); run: go generate ./packaging\n%s", file.ours, diff)
		}
	}
}

func TestPostfixLinesAreThoseOfTheLaboratory(t *testing.T) {
	main, err := os.ReadFile(laboratory + "main.cf")
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
