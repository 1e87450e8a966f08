package main

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"mailstork/daemon/control"
	"mailstork/daemon/secret"
)

const (
	leastFree  = 200 << 20 // octets; below it, appends and commits are about to fail
	littleFree = 2 << 30
)

func (d *doctor) folders() {
	for _, folder := range []struct{ check, path string }{{"state_dir", d.config.StateDir}, {"runtime_dir", d.config.RuntimeDir}} {
		info, err := os.Stat(folder.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			d.add(folder.check, control.Fail, "systemctl start mailstork   # it makes the folder", "%s does not exist.", folder.path)
		case err != nil:
			d.add(folder.check, control.Warn, "sudo mailstork doctor", "%s can't be looked at: %v.", folder.path, err)
		case !info.IsDir():
			d.add(folder.check, control.Fail, "ls -ld "+folder.path, "%s is not a folder.", folder.path)
		case info.Mode().Perm()&0o022 != 0:
			d.add(folder.check, control.Fail, "chmod go-w "+folder.path, "Other users may write in %s (mode %04o).", folder.path, info.Mode().Perm())
		default:
			d.add(folder.check, control.OK, "", "%s is there and private enough (mode %04o).", folder.path, info.Mode().Perm())
		}
	}
}

func (d *doctor) files() {
	database := filepath.Join(d.config.StateDir, "mailstork.db")
	_, err := os.Stat(database)
	started := err == nil // before the first start nothing is missing
	d.secretFile("key_file", d.config.KeyFile, secret.KeySize, started)
	d.secretFile("hook_secret", d.config.Hook.ClientSecretFile, 0, started)
	for _, file := range []struct{ check, path string }{
		{"passdb_file", d.config.Dovecot.PassdbFile}, {"userdb_file", d.config.Dovecot.UserdbFile}, {"proxied_file", d.config.Dovecot.ProxiedFile}, {"master_file", d.config.Dovecot.MasterFile},
	} {
		d.dovecotFile(file.check, file.path, started)
	}
	if _, err := os.Stat(d.config.Dovecot.DoveadmPath); err != nil {
		d.add("doveadm", control.Fail, "apt install dovecot-core", "The program doveadm is not at %s.", d.config.Dovecot.DoveadmPath)
	}
}

// secretFile looks at a file that only the daemon may read. size is its exact length; 0 means any but empty.
func (d *doctor) secretFile(check, path string, size int64, started bool) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !started:
		d.add(check, control.OK, "", "%s will be made at the first start.", path)
	case errors.Is(err, fs.ErrNotExist):
		d.add(check, control.Fail, "restore "+path+" from the backup, then: systemctl restart mailstork", "%s is missing: what was sealed or agreed with it can't be used.", path)
	case err != nil:
		d.add(check, control.Warn, "sudo mailstork doctor", "%s can't be looked at: %v.", path, err)
	case info.Mode().Perm()&0o007 != 0:
		d.add(check, control.Fail, "chmod o= "+path, "Every user may read %s (mode %04o).", path, info.Mode().Perm())
	case info.Size() == 0 || size > 0 && info.Size() != size:
		d.add(check, control.Fail, "restore "+path+" from the backup, then: systemctl restart mailstork", "%s has %d octets, which is not a whole secret.", path, info.Size())
	default:
		d.add(check, control.OK, "", "%s is there and private.", path)
	}
}

// dovecotFile looks at a file that the daemon writes and Dovecot reads.
func (d *doctor) dovecotFile(check, path string, started bool) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !started:
		return
	case errors.Is(err, fs.ErrNotExist):
		d.add(check, control.Fail, "systemctl restart mailstork", "%s is missing: Dovecot does not know the accounts.", path)
		return
	case err != nil:
		d.add(check, control.Warn, "sudo mailstork doctor", "%s can't be looked at: %v.", path, err)
		return
	case info.Mode().Perm()&0o007 != 0:
		d.add(check, control.Fail, "chmod o= "+path, "Every user may read %s (mode %04o).", path, info.Mode().Perm())
		return
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	group, err := user.LookupGroup(d.config.Dovecot.FileGroup)
	if d.config.Dovecot.FileGroup != "" && ok {
		if err != nil {
			d.add(check, control.Fail, "getent group "+d.config.Dovecot.FileGroup, "There is no group %s, which should read %s.", d.config.Dovecot.FileGroup, path)
			return
		}
		if group.Gid != strconv.FormatUint(uint64(stat.Gid), 10) || info.Mode().Perm()&0o040 == 0 {
			d.add(check, control.Fail, "systemctl restart mailstork   # it gives the file to the group", "Group %s can't read %s.", d.config.Dovecot.FileGroup, path)
			return
		}
	}
	d.add(check, control.OK, "", "%s is there and Dovecot may read it.", path)
}

func (d *doctor) disk() {
	mail, _, _ := strings.Cut(d.config.Dovecot.HomeTemplate, "{")
	seen := map[uint64]bool{}
	for _, folder := range []struct{ check, path string }{{"disk state", d.config.StateDir}, {"disk mail", mail}} {
		path := existing(folder.path)
		info, err := os.Stat(path)
		if err != nil {
			d.add(folder.check, control.Warn, "sudo mailstork doctor", "%s can't be looked at: %v.", path, err)
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			if seen[stat.Dev] {
				continue
			}
			seen[stat.Dev] = true
		}
		d.space(folder.check, path)
	}
}

// existing is path or the nearest folder above it that is there.
func existing(path string) string {
	for path = filepath.Clean(path); ; path = filepath.Dir(path) {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
	}
}

func (d *doctor) space(check, path string) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(path, &disk); err != nil {
		d.add(check, control.Warn, "df -h "+path, "The free space below %s can't be told: %v.", path, err)
		return
	}
	free := int64(disk.Bavail) * disk.Bsize
	switch {
	case free < leastFree:
		d.add(check, control.Fail, "df -h "+path, "Only %s are free below %s; passes stop before mail is lost.", octets(free), path)
	case free < littleFree:
		d.add(check, control.Warn, "df -h "+path, "Only %s are free below %s.", octets(free), path)
	case disk.Files > 0 && disk.Ffree < 10_000:
		d.add(check, control.Warn, "df -i "+path, "Only %s more files fit below %s.", count(int64(disk.Ffree)), path)
	default:
		d.add(check, control.OK, "", "%s are free below %s.", octets(free), path)
	}
}
