// Package container installs the Debian package on a Debian 12 with real systemd as PID 1, Dovecot and Postfix beside
// it, and lives through what an administrator does: install, first login, crash, hang, upgrade, remove, purge.
//
// It needs root, debootstrap and systemd-nspawn, and a package in dist/ (make deb). The Debian root is made once and
// kept in the cache folder (scripts/debian-root.sh); each run works on a throw-away copy in memory.
package container
