// Package packaging holds the Debian package: nfpm's file, the maintainer scripts, the sample configuration, and what an
// administrator adds to Postfix (what Dovecot gets, `mailstork setup dovecot --print` says). scripts/deb.sh builds it;
// test/container installs it.
package packaging
