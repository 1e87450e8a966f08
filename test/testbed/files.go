package testbed

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed config
var configFiles embed.FS

// render fills config/<name> with data. A file may include another one as
// {{template "other" .}}.
func render(name string, data any) ([]byte, error) {
	all, err := template.New(name).Funcs(template.FuncMap{"quoted": quoted}).ParseFS(configFiles, "config/*")
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := all.ExecuteTemplate(&out, name, data); err != nil {
		return nil, fmt.Errorf("rendering %s: %w", name, err)
	}
	return out.Bytes(), nil
}

// quoted is what stands between the quotes of a setting of Dovecot 2.4.
func quoted(text string) string { return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) }

// renderTo writes config/<name>, filled with data, to path.
func renderTo(path string, mode fs.FileMode, gid int, name string, data any) error {
	text, err := render(name, data)
	if err != nil {
		return err
	}
	return replaceFile(path, mode, gid, text)
}

// replaceFile puts content at path in one step, so that a server that reads
// along sees either the old or the new file.
func replaceFile(path string, mode fs.FileMode, gid int, content []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, content, mode); err != nil {
		return err
	}
	if err := os.Chown(next, 0, gid); err != nil {
		return err
	}
	if err := os.Chmod(next, mode); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// createMissing makes an empty file where none is.
func createMissing(path string, mode fs.FileMode, gid int) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replaceFile(path, mode, gid, nil)
}

func makeDir(path string, mode fs.FileMode, uid, gid int) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	return os.Chown(path, uid, gid)
}

// checkReachable fails when a folder above path is closed to other users, as
// those of testing.T.TempDir are.
func checkReachable(path string) error {
	for dir := path; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("folder %s is closed to other users (%s), servers could not reach %s", dir, info.Mode().Perm(), path)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// tail returns the last lines of a log, for errors that a person reads.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
