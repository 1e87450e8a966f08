package testbed

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The versions of Dovecot that a lab can run. 2.3 is the machine's own; 2.4 comes from a Debian 13 root that
// scripts/dovecot-2.4.sh makes once.
const (
	Dovecot23 = "2.3"
	Dovecot24 = "2.4"
)

// What the Version of an option is when it is empty, so that any test can be run on another Dovecot:
// DOVECOT_SOURCE=2.4 DOVECOT_DESTINATION=2.4 go test …
const (
	sourceVariable      = "DOVECOT_SOURCE"
	destinationVariable = "DOVECOT_DESTINATION"
)

// edition is the programs of one version. Those of a root run with its /usr in place of the machine's, in a mount
// namespace of their own: everything else (users, lab folders, ports, processes) is the same inside and outside, and
// the namespace ends with its last process, however that ends.
type edition struct {
	version string
	root    string // "" for the machine's own programs
}

func editionFor(version, variable string) (edition, error) {
	if version == "" {
		version = os.Getenv(variable)
	}
	switch version {
	case "", Dovecot23:
		return edition{version: Dovecot23}, nil
	case Dovecot24:
		root, err := dovecot24Root()
		return edition{Dovecot24, root}, err
	}
	return edition{}, fmt.Errorf("Dovecot %s: labs know %s and %s", version, Dovecot23, Dovecot24)
}

// dovecot24Root is where scripts/dovecot-2.4.sh leaves the root.
func dovecot24Root() (string, error) {
	cache := os.Getenv("MAILSTORK_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(dir, "mailstork")
	}
	root, err := filepath.EvalSymlinks(filepath.Join(cache, "dovecot-2.4"))
	if err != nil {
		return "", fmt.Errorf("no Debian root with Dovecot 2.4 here, scripts/dovecot-2.4.sh makes one: %w", err)
	}
	return root, nil
}

// enter puts a root's folders in place and becomes the program in its arguments.
const enter = `mount --bind "$0/usr" /usr && mount --bind "$0/etc/dovecot" /etc/dovecot && exec "$@"`

// command is the whole command line that runs a program of this edition.
func (e edition) command(name string, args ...string) ([]string, error) {
	if e.root == "" {
		binary, err := findBinary(name)
		return append([]string{binary}, args...), err
	}
	for _, folder := range []string{"/usr/sbin/", "/usr/bin/"} { // never by PATH, which may name a script of ours
		if _, err := os.Stat(e.root + folder + name); err == nil {
			return append([]string{"unshare", "--mount", "sh", "-c", enter, e.root, folder + name}, args...), nil
		}
	}
	return nil, &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// scripts writes programs that run those of this edition, for everybody who wants a path.
func (e edition) scripts(dir string) error {
	for _, name := range []string{"dovecot", "doveadm"} {
		command, err := e.command(name)
		if err != nil {
			return err
		}
		for i, word := range command {
			command[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		text := "#!/bin/sh\nexec " + strings.Join(command, " ") + " \"$@\"\n"
		if err := replaceFile(filepath.Join(dir, name), 0o755, 0, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// configVersion is the version that a configuration of this edition has to name.
func (e edition) configVersion() (string, error) {
	command, err := e.command("dovecot", "--version")
	if err != nil {
		return "", err
	}
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("asking Dovecot %s for its version: %w", e.version, err)
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	version, _, _ = strings.Cut(version, "-")
	if !strings.HasPrefix(version, e.version) {
		return "", fmt.Errorf("Dovecot is %s, want %s", version, e.version)
	}
	return version, nil
}

// config is the name of a file in config/ for this edition.
func (e edition) config(of23, of24 string) string {
	if e.version == Dovecot24 {
		return of24
	}
	return of23
}

// wanted are the versions that a test runs which needs Dovecot.
func wanted() []string { return []string{os.Getenv(sourceVariable), os.Getenv(destinationVariable)} }

// available is nil when this machine can run a version.
func available(version string) error {
	e, err := editionFor(version, "")
	if err == nil {
		_, err = e.configVersion()
	}
	return err
}

// DoveadmCommand runs this instance's doveadm, up to the verb.
func (d *Dovecot) DoveadmCommand() []string {
	return []string{filepath.Join(d.BinDir, "doveadm"), "-c", d.ConfFile}
}

// Version is the first two numbers, as "2.4".
func (d *Dovecot) Version() string { return d.edition.version }

// QuotaField is the userdb field that limits an account, as for AddAccount; the size is like "10M".
func (d *Dovecot) QuotaField(size string) string {
	return d.edition.config("userdb_quota_rule=*:storage=", "userdb_quota_storage_size=") + size
}
