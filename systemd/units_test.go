package systemd

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mailstork/daemon/config"
	"mailstork/test/testbed"
)

// maxExposure is ten times the highest score that is allowed; a daemon that speaks to any host can't reach 1.0.
const maxExposure = "12"

func TestUnitsAreValid(t *testing.T) {
	testbed.Need(t, "systemd-analyze")
	dir := t.TempDir()
	units, err := filepath.Glob("mailstork*.s[eo][rc]*") // services and sockets
	if err != nil || len(units) != 4 {
		t.Fatalf("found units %v, %v, want 4", units, err)
	}
	args := []string{"verify", "--man=no"}
	for _, unit := range units {
		content, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		// The program is not installed here.
		text := strings.ReplaceAll(string(content), "ExecStart=/usr/bin/mailstork", "ExecStart=/bin/true")
		copied := filepath.Join(dir, unit)
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, copied)
	}
	if out, err := exec.Command("systemd-analyze", args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestExposureStaysLow(t *testing.T) {
	testbed.Need(t, "systemd-analyze")
	unit, err := filepath.Abs("mailstork.service")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold="+maxExposure, unit).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// keys reads a unit's settings; of a repeated key the last one counts.
func keys(t *testing.T, unit string) map[string]string {
	t.Helper()
	file, err := os.Open(unit)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	settings := make(map[string]string)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, found := strings.Cut(lines.Text(), "="); found && !strings.HasPrefix(key, "#") {
			settings[key] = value
		}
	}
	return settings
}

func TestSocketsAreWhereTheDaemonWouldListenItself(t *testing.T) {
	defaults := config.Default()
	for name, address := range map[string]string{
		"hook": defaults.Hook.Listen, "milter": defaults.Milter.Listen, "control": defaults.Control.Socket,
	} {
		settings := keys(t, "mailstork-"+name+".socket")
		if got := settings["ListenStream"]; got != address {
			t.Errorf("mailstork-%s.socket listens on %s, the daemon's default is %s", name, got, address)
		}
		if got := settings["FileDescriptorName"]; got != name {
			t.Errorf("mailstork-%s.socket is handed over as %q, the daemon looks for %q", name, got, name)
		}
		if !strings.Contains(keys(t, "mailstork.service")["Sockets"], "mailstork-"+name+".socket") {
			t.Errorf("mailstork.service does not take mailstork-%s.socket", name)
		}
	}
}

func TestFoldersAreThoseOfTheDaemonsDefaults(t *testing.T) {
	defaults, settings := config.Default(), keys(t, "mailstork.service")
	for _, folder := range []struct{ path, base, setting string }{
		{defaults.StateDir, "/var/lib/", "StateDirectory"},
		{filepath.Dir(defaults.Dovecot.PassdbFile), "/var/lib/", "StateDirectory"},
		{filepath.Dir(defaults.Dovecot.UserdbFile), "/var/lib/", "StateDirectory"},
		{defaults.RuntimeDir, "/run/", "RuntimeDirectory"},
		{filepath.Dir(defaults.Dovecot.MasterFile), "/run/", "RuntimeDirectory"},
	} {
		name, below := strings.CutPrefix(folder.path, folder.base)
		if !below || !strings.Contains(" "+settings[folder.setting]+" ", " "+name+" ") {
			t.Errorf("the daemon writes in %s, but %s=%s", folder.path, folder.setting, settings[folder.setting])
		}
	}
	if got := settings["Group"]; got != defaults.Dovecot.FileGroup {
		t.Errorf("the daemon writes files for the group %s, but runs with Group=%s", defaults.Dovecot.FileGroup, got)
	}
}
