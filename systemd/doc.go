// Package systemd holds the units, sockets and the user of the Debian package. Each sandbox line stands below its
// reason. The tests here hold them against systemd itself and against the daemon's defaults; test/container boots them.
package systemd
